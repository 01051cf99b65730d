"""A board's raw REPL as bytes in and bytes out, with the ways in which one can be bad.

Times are a fake clock's: a read with nothing to read takes its timeout.
"""

from collections.abc import Callable

BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Wire:
    """A pyserial object over a function: bytes written to bytes that come back."""

    port = "fake"
    timeout: float | None = 1.0
    write_timeout: float | None = None

    def __init__(self, answer: Callable[[bytes], bytes], clock: Clock) -> None:
        self._answer, self._clock = answer, clock
        self.inbox = bytearray()
        self.written = bytearray()
        self.broken: Exception | None = None

    @property
    def in_waiting(self) -> int:
        if self.broken is not None:
            raise self.broken
        return len(self.inbox)

    def read(self, size: int = 1) -> bytes:
        if self.broken is not None:
            raise self.broken
        if not self.inbox:
            self._clock.now += self.timeout or 0
        data = bytes(self.inbox[:size])
        del self.inbox[:size]
        return data

    def write(self, data: bytes) -> int:
        if self.broken is not None:
            raise self.broken
        self.written += data
        self.inbox += self._answer(data)
        return len(data)


class FakeRepl:
    """paste: `yes`, `refused`, or `old` (a REPL that never heard of it). run: source to (printed,
    traceback). overflowed: the host sent more than the window that it had been given.
    """

    def __init__(
        self,
        run: Callable[[str], tuple[str, str]] = lambda source: (source, ""),
        *,
        paste: str = "yes",
        window: int = 128,
        noise: bytes = b"",
        deaf_interrupts: int = 0,
    ) -> None:
        self._run, self._paste, self._window, self._noise = run, paste, window, noise
        self._deaf = deaf_interrupts
        self._mode = "friendly"
        self._line = bytearray()
        self._room = self._step = 0
        self.overflowed = False
        self.resets = 0
        self.sources: list[str] = []

    def __call__(self, data: bytes) -> bytes:
        out = b""
        for byte in data:
            out += self._noise + self._one(bytes((byte,)))
        return out

    def _one(self, byte: bytes) -> bytes:
        if self._mode == "paste":
            return self._pasted(byte)
        if byte == b"\x03":
            self._line.clear()
            if self._deaf:
                self._deaf -= 1
                return b"busy\r\n"
            return b"\r\n" if self._mode == "raw" else b"\r\n>>> "
        if byte == b"\x01":
            return self._control_a()
        if self._mode == "friendly":
            return byte
        if byte == b"\x02":
            self._mode = "friendly"
            return b"\r\n>>> "
        if byte == b"\x04":
            return self._end()
        self._line += byte
        return b""

    def _control_a(self) -> bytes:
        if self._mode == "raw" and self._line == b"\x05A":
            self._line.clear()
            if self._paste == "yes":
                self._mode, self._room, self._step = "paste", self._window, 0
                return b"R\x01" + self._window.to_bytes(2, "little")
            if self._paste == "refused":
                return b"R\x00"
        if self._deaf:
            return b""
        self._mode = "raw"
        self._line.clear()
        return BANNER

    def _pasted(self, byte: bytes) -> bytes:
        if byte == b"\x04":
            self._mode = "raw"
            return b"\x04" + self._ran()
        self._room -= 1
        self._step += 1
        self.overflowed = self.overflowed or self._room < 0
        self._line += byte
        if self._step == self._window:
            self._room, self._step = self._room + self._window, 0
            return b"\x01"
        return b""

    def _end(self) -> bytes:
        if not self._line:
            self.resets += 1
            return b"OK\r\nMPY: soft reboot\r\nboot.py speaks\r\n" + BANNER
        return b"OK" + self._ran()

    def _ran(self) -> bytes:
        source = self._line.decode("utf-8", "replace")
        self._line.clear()
        self.sources.append(source)
        printed, raised = self._run(source)
        return printed.encode() + b"\x04" + raised.encode() + b"\x04>"
