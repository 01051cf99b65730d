"""One child process that speaks JSON lines: calls with deadlines, and what it tells unasked.

It owns the process: nothing that happens to it leaves a call waiting or an orphan behind.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

QUIT_S = 5.0
STDERR_BYTES = 20_000


class RunnerError(RuntimeError):
    """The runner cannot do what it was told; the text says why and what was printed."""


class NodeProcess:
    """hear: called on a thread of its own with every line that answers no call."""

    def __init__(self, command: Sequence[str], hear: Callable[[dict[str, Any]], None]) -> None:
        self._hear = hear
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._last = 0
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(  # noqa: S603 - the command is its caller's own
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            # Ctrl-C in a terminal is for us: the child ends when we say so, or when we are gone.
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, name="node", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, do: str, values: dict[str, Any], deadline_s: float) -> Any:
        """What it answers; RunnerError if it refuses, dies or takes longer."""
        self._last += 1
        self._send({"id": self._last, "do": do, **values})
        until = time.monotonic() + deadline_s
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                said = self._printed()
                self.close()
                raise RunnerError(f"{do} took longer than its deadline\n{said}") from None
            if answer is None:
                raise RunnerError(f"the Node process ended during {do}\n{self._printed()}")
            if answer["id"] != self._last:
                continue  # of a call that was given up
            if "error" in answer:
                raise RunnerError(f"{do}: {answer['error']}")
            return answer["ok"]

    def close(self) -> None:
        """End it, if need be by force; idempotent."""
        if self._process.poll() is None:
            try:
                self._send({"id": 0, "do": "quit"})
                self._process.wait(QUIT_S)
            except (RunnerError, subprocess.TimeoutExpired):
                self._process.kill()
        self._process.wait()
        self._reader.join(QUIT_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close_quietly(pipe)
        if not self._stderr.closed:
            self._stderr.close()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise RunnerError(f"the Node process is gone: {error}\n{self._printed()}") from error

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "id" in told:
                self._answers.put(told)
            else:
                self._hear(told)
        self._answers.put(None)

    def _printed(self) -> str:
        if self._stderr.closed:
            return ""
        handle = self._stderr.fileno()
        size = os.fstat(handle).st_size
        # Not read(): the child writes where the position is that both share.
        return os.pread(handle, STDERR_BYTES, max(0, size - STDERR_BYTES)).decode(errors="replace")


def _close_quietly(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:
        return  # it was never flushed to a process that is dead
