"""A real MicroPython behind a pty, as an ESP32 behaves: a soft reset starts it anew."""

import os
import pty
import select
import subprocess
import threading
import tty
from pathlib import Path

BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class Interpreter:
    """`path` is what a program opens. A soft reset in raw mode ends the unix port; the next one
    is put into raw mode before anybody hears of it, which is what an ESP32 does. Ctrl-C stops no
    running program here, as it does on a board: the virtual board's tests have that.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._outer, inner = pty.openpty()
        tty.setraw(self._outer)
        self.path = os.ttyname(inner)
        self._inner = inner
        self._stop = threading.Event()
        self.resets = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        os.close(self._outer)
        os.close(self._inner)

    def _run(self) -> None:
        raw = False
        while not self._stop.is_set():
            self._one(raw=raw)
            raw = True
            if not self._stop.is_set():
                self.resets += 1
                os.write(self._outer, b"MPY: soft reboot\r\n" + BANNER)

    def _one(self, *, raw: bool) -> None:
        near, far = pty.openpty()
        tty.setraw(near)
        process = subprocess.Popen(
            [str(self._program)], stdin=far, stdout=far, stderr=far, cwd=self._folder
        )
        os.close(far)
        if raw:
            self._until(near, b">>> ")
            os.write(near, b"\x01")
            self._until(near, BANNER)
        try:
            self._pump(near, process)
        finally:
            process.kill()
            process.wait()
            os.close(near)

    def _pump(self, near: int, process: "subprocess.Popen[bytes]") -> None:
        while not self._stop.is_set():
            ready, _, _ = select.select([near, self._outer], [], [], 0.02)
            for one in ready:
                try:
                    data = os.read(one, 4096)
                except OSError:
                    return
                os.write(self._outer if one == near else near, data)
            if not ready and process.poll() is not None:
                return

    def _until(self, near: int, mark: bytes) -> None:
        seen = b""
        while mark not in seen and not self._stop.is_set():
            if select.select([near], [], [], 0.1)[0]:
                seen += os.read(near, 4096)
