"""The raw REPL of MicroPython, as much of it as bringing up a board takes.

A program that speaks it: `docs.micropython.org/en/latest/reference/repl.html#raw-mode`. Written
from that page. Sent by raw paste, whose window keeps a board without flow control from losing
bytes; a board that has none gets small pieces with pauses. What a board prints on its own before
its prompt is skipped; nothing that it says is believed further than it is read here.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from gateway.board.ports import is_gone, lost
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.printable import printable

_Found = TypeVar("_Found")

INTERRUPT = b"\x03"
RAW = b"\x01"
FRIENDLY = b"\x02"
END = b"\x04"
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_PASTE = b"\x05A\x01"
_PASTE_KNOWN = b"R\x01"
_PASTE_REFUSED = b"R\x00"
_WINDOW = b"\x01"
# Raw paste is far older than any MicroPython that the firmware runs on, yet a gateway may speak
# for somebody else's board: plain raw in pieces that fit a UART's buffer, as mpremote sends them.
_PIECE_BYTES = 256
_PIECE_PAUSE_S = 0.01
_READ_S = 0.05
_QUIET_S = 0.2
_ANSWER_S = 2.0
# A board that signs or connects sees the interrupt only when the call in C returns.
_ENTER_S = 20.0
_RESET_S = 20.0
OUTPUT_BYTES_MAX = 1 << 18
_TRACEBACK_CHARACTERS_MAX = 2_000


class Connection(Protocol):
    """What is asked of a pyserial object. read() gives b"" when nothing came within `timeout`."""

    timeout: float | None
    write_timeout: float | None

    @property
    def in_waiting(self) -> int: ...

    def read(self, size: int = 1, /) -> bytes: ...

    def write(self, data: bytes, /) -> Any: ...


class Repl:
    """One board that listens. Call enter() first and leave() last."""

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._sleep = sleep
        self._port = str(getattr(connection, "port", "the port"))
        self._buffer = bytearray()
        self._pastes = True

    def enter(self, *, reset: bool = True) -> None:
        """Stop whatever runs, into raw mode; with reset, over a soft reset that starts no main.py.

        OperatorFault: repl_silent or repl_refused.
        """
        self._guarded(self._set_timeouts)
        self._interrupt()
        if reset:
            self._write(END)
            try:
                self._until(b"soft reboot", _ANSWER_S + _ANSWER_S)
                self._until(_BANNER, _RESET_S)
            except _LateError:
                # A boot.py that asks for something, or a port that swallowed the banner.
                self._interrupt()

    def run(self, source: str, timeout_s: float) -> str:
        """What the program prints. board_raised: it ended in an exception."""
        try:
            # An empty program would be the wish for a soft reset.
            self._send(source.encode() or b"\n")
            printed = self._until(END, timeout_s)
            raised = self._until(END, _ANSWER_S)
            self._until(b">", _ANSWER_S)
        except _LateError as late:
            raise _stopped(late) from late
        if raised:
            raise _raised(raised)
        return printed.decode("utf-8", "replace").replace("\r\n", "\n")

    def leave(self, *, restart: bool) -> None:
        """Back to the prompt for people; with restart, through a reset of the chip.

        A chip's reset, not a soft one: watchdog and radio begin anew as after power-on.
        OperatorFault: as of enter(), for a program may still run, if this side was interrupted in
        the middle of a call.
        """
        if not restart:
            self._write(FRIENDLY)
            return
        try:
            self._interrupt()
            self._write(b"import machine\nmachine.reset()\n" + END)
            self._until(b"OK", _ANSWER_S)
        except _LateError:
            return  # it may be gone already
        except OperatorFault as fault:
            # A native USB port vanishes with the reset.
            if fault.code != Code.PORT_LOST:
                raise

    def _set_timeouts(self) -> None:
        # Once: over rfc2217 every change of it is a talk with the other side.
        self._connection.timeout = _READ_S
        if not self._port.startswith("rfc2217:"):  # which knows no such thing
            self._connection.write_timeout = _ANSWER_S

    def _guarded(self, act: Callable[[], _Found]) -> _Found:
        """act(), with what pyserial raises as a fault."""
        from serial import SerialTimeoutException

        try:
            return act()
        except SerialTimeoutException as error:
            raise _silent() from error
        except Exception as error:
            if is_gone(error):
                raise lost(self._port, error) from error
            raise

    def _interrupt(self) -> None:
        """Until the raw prompt is there, told apart from whatever runs and prints meanwhile."""
        end = self._clock() + _ENTER_S
        spoke = False
        while self._clock() < end:
            self._write(b"\r" + INTERRUPT + INTERRUPT)
            spoke = self._drain() or spoke
            self._write(b"\r" + RAW)
            try:
                self._until(_BANNER, _ANSWER_S)
            except _LateError as late:
                spoke = spoke or bool(late.seen)
                continue
            # What was typed ahead may have answered twice.
            self._drain()
            return
        raise _refused_prompt() if spoke else _silent()

    def _drain(self) -> bool:
        """Throw away what comes until it is quiet for a moment; whether there was anything."""
        spoke = bool(self._buffer)
        self._buffer.clear()
        quiet = self._clock() + _QUIET_S
        end = self._clock() + _ANSWER_S
        while self._clock() < min(quiet, end):
            if self._read():
                spoke = True
                self._buffer.clear()
                quiet = self._clock() + _QUIET_S
        return spoke

    def _send(self, source: bytes) -> None:
        if self._pastes and self._start_paste():
            self._paste(source)
            return
        for start in range(0, len(source), _PIECE_BYTES):
            self._write(source[start : start + _PIECE_BYTES])
            self._sleep(_PIECE_PAUSE_S)
        self._write(END)
        self._until(b"OK", _ANSWER_S)

    def _start_paste(self) -> bool:
        self._write(_PASTE)
        end = self._clock() + _ANSWER_S
        while self._clock() < end:
            self._read()
            if self._take(_PASTE_KNOWN):
                return True
            # The banner: a REPL that took the three bytes for a mode and a line.
            if self._take(_PASTE_REFUSED) or self._take(_BANNER):
                break
        else:
            # Silence: whatever it made of the bytes, a prompt anew is a known state.
            self._interrupt()
        self._pastes = False
        return False

    def _paste(self, source: bytes) -> None:
        size = int.from_bytes(self._exactly(2), "little")
        if not size:
            raise _protocol("It offered a window of no bytes.")
        room, sent = size, 0
        while sent < len(source):
            # A full window, or an early word: the board may have given up on the program.
            while not room or self._buffered():
                word = self._exactly(1)
                if word == END:
                    self._write(END)
                    return
                if word != _WINDOW:
                    raise _protocol(f"It answered {word!r} in the middle of a program.")
                room += size
            piece = source[sent : sent + room]
            self._write(piece)
            sent, room = sent + len(piece), room - len(piece)
        self._write(END)
        self._until(END, _ANSWER_S)

    def _buffered(self) -> bool:
        if not self._buffer and self._guarded(lambda: self._connection.in_waiting):
            self._read()
        return bool(self._buffer)

    def _exactly(self, size: int) -> bytes:
        end = self._clock() + _ANSWER_S
        while len(self._buffer) < size:
            if self._clock() >= end:
                raise _LateError(bytes(self._buffer))
            self._read()
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def _until(self, mark: bytes, timeout_s: float) -> bytes:
        """What comes before mark, which is taken away too."""
        end = self._clock() + timeout_s
        looked = 0
        while True:
            place = self._buffer.find(mark, looked)
            if place >= 0:
                found = bytes(self._buffer[:place])
                del self._buffer[: place + len(mark)]
                return found
            if len(self._buffer) > OUTPUT_BYTES_MAX:
                raise _protocol(f"It printed more than {OUTPUT_BYTES_MAX} bytes.")
            if self._clock() >= end:
                raise _LateError(bytes(self._buffer))
            looked = max(0, len(self._buffer) - len(mark) + 1)
            self._read()

    def _take(self, mark: bytes) -> bool:
        place = self._buffer.find(mark)
        if place < 0:
            return False
        del self._buffer[: place + len(mark)]
        return True

    def _read(self) -> int:
        def read() -> bytes:
            return self._connection.read(self._connection.in_waiting or 1)

        data = self._guarded(read)
        self._buffer += data
        return len(data)

    def _write(self, data: bytes) -> None:
        self._guarded(lambda: self._connection.write(data))


class _LateError(Exception):
    """Something did not come in time; seen: what came instead. Never leaves this module."""

    def __init__(self, seen: bytes) -> None:
        super().__init__(seen)
        self.seen = seen


def _silent() -> OperatorFault:
    return OperatorFault(
        "Nothing answers on this port.",
        "A board with MicroPython answers Ctrl-C with a prompt. This one runs something else, "
        "waits in its boot loader, or is another device.",
        "Press RESET on the board and run it again; if that does not help, `cairn board flash`.",
        Code.REPL_SILENT,
    )


def _refused_prompt() -> OperatorFault:
    return OperatorFault(
        "The board prints, and gives no prompt.",
        "Its program does not let itself be interrupted, or it is no MicroPython.",
        "Press RESET and run it again at once; if that does not help, `cairn board flash`.",
        Code.REPL_REFUSED,
    )


def _stopped(late: _LateError) -> OperatorFault:
    tail = _shown(late.seen[-200:]).strip()
    why = f"The last that it said: {tail}" if tail else "It said nothing more."
    return OperatorFault(
        "The board stopped in the middle of an answer.",
        why,
        "Press RESET on the board and run it again: what was stored is whole.",
        Code.REPL_SILENT,
    )


def _protocol(why: str) -> OperatorFault:
    return OperatorFault(
        "The board does not keep to the protocol of its prompt.",
        why,
        "Use a short data cable; if it stays so, flash MicroPython anew: `cairn board flash`.",
        Code.REPL_REFUSED,
    )


def _raised(raised: bytes) -> OperatorFault:
    return OperatorFault(
        "The board's program ended in an exception.",
        _shown(raised[-_TRACEBACK_CHARACTERS_MAX:]).strip(),
        "Flash the board again with this version, then report this text if it comes again.",
        Code.BOARD_RAISED,
    )


def _shown(data: bytes) -> str:
    """What a board printed, without what steers a terminal."""
    return printable(data.decode("utf-8", "replace").replace("\r\n", "\n"), also="\n")
