"""A board on a cable, as the doctor and `cairn board run` ask it: its console program over the raw
REPL, and afterwards the lines that the running station prints.

Whoever makes one closes it: a board that was interrupted is started again, whatever happened.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.board import station_codes
from gateway.board.answer import Answer
from gateway.board.console import Console
from gateway.board.ports import is_gone, lost, opened
from gateway.board.repl import Repl
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.printable import printable

if TYPE_CHECKING:
    from serial import SerialBase

_READ_S = 0.1
# A chip without a program says so again after each watchdog reset, twice a second or so.
_OVERHEAR_S = 1.2
# Whoever has just been seen to start is watched for longer: does it start again?
_OVERHEAR_RESET_S = 5.0
_BLANK = (b"invalid header", b"flash read err", b"No bootable app")
_RESET = b"rst:0x"
_PANIC = b"Guru Meditation"
_RESETS_MAX = 2
_LINE_BYTES_MAX = 1_024
_SAID_MAX = 256
# A native USB port goes away with a reset and comes back under its name.
_REOPEN_EVERY_S = 0.5


class SerialBoard:
    """One board behind a port. It implements doctor_sides.BoardSide."""

    def __init__(
        self, find: Callable[[], str], *, heard: Callable[[str], None] | None = None
    ) -> None:
        """find: gives the port; OperatorFault if there is none. heard: gets each line that the
        running station prints, without its end.
        """
        self._find = find
        self._port: str | None = None
        self._heard = heard or (lambda _line: None)
        self._stack = ExitStack()
        self._connection: SerialBase | None = None
        self._repl: Repl | None = None
        self._console: Console | None = None
        self._line = bytearray()
        self._said: list[tuple[str, str]] = []
        self._reopen_at = 0.0

    @property
    def console(self) -> Console:
        """The program behind the prompt, for whoever has entered."""
        assert self._console is not None, "enter() comes first"
        return self._console

    def enter(self) -> None:
        connection = self._open()
        self._overhear(connection)
        # From here on it has to be started again.
        self._repl = Repl(connection)
        self._repl.enter()
        self._console = Console(self._repl)
        self._console.open()

    def whoami(self) -> Answer:
        answer = self.console.asked_who()
        facts = dict(answer.facts)
        # It is asked for its fields; what is no such thing is as good as none.
        if not isinstance(facts.get("config"), dict):
            facts["config"] = None
        return replace(answer, facts=facts)

    def check(self, name: str) -> Answer:
        return self.console.check(name)

    def restart(self) -> None:
        repl, self._repl, self._console = self._repl, None, None
        self._line = bytearray()
        if repl is not None:
            repl.leave(restart=True)

    def listen(self, seconds: float) -> None:
        """Take in what the running station prints. A port that went away is opened again."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._connection is None and not self._opened_again():
                time.sleep(min(left, _READ_S))
                continue
            data = self._read()
            if data:
                self._take(data)

    def said(self) -> Sequence[tuple[str, str]]:
        return self._said

    def close(self) -> None:
        """Start the station again if it was interrupted, and let go of the port."""
        try:
            if self._repl is not None:
                # The way may be broken, which is why we leave.
                with suppress(OperatorFault):
                    self.restart()
        finally:
            self._shut()

    # ---- the port

    def _open(self) -> "SerialBase":
        if self._connection is None:
            # Found once: it is this board that has to come back.
            self._port = self._port or self._find()
            self._connection = self._stack.enter_context(opened(self._port))
            self._connection.timeout = _READ_S
        return self._connection

    def _shut(self) -> None:
        self._connection = None
        with suppress(OSError):
            self._stack.close()

    def _opened_again(self) -> bool:
        if time.monotonic() < self._reopen_at:
            return False
        self._reopen_at = time.monotonic() + _REOPEN_EVERY_S
        try:
            self._open()
        except OperatorFault:
            return False
        return True

    def _read(self) -> bytes:
        assert self._connection is not None
        try:
            data: bytes = self._connection.read(self._connection.in_waiting or 1)
        except Exception as error:
            if not is_gone(error):
                raise
            self._shut()
            return b""
        return data

    def _overhear(self, connection: "SerialBase") -> None:
        """What a board prints on its own says whether there is a program to interrupt at all."""
        text = bytearray()
        began = time.monotonic()
        while time.monotonic() - began < (_OVERHEAR_RESET_S if _RESET in text else _OVERHEAR_S):
            try:
                text += connection.read(connection.in_waiting or 1)
            except Exception as error:
                if is_gone(error):
                    raise lost(str(self._port), error) from error
                raise
            if any(word in text for word in _BLANK):
                raise _blank()
            if text.count(_RESET) > _RESETS_MAX:
                raise _crashing(panic=_PANIC in text)

    def _take(self, data: bytes) -> None:
        self._line += data
        *lines, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest[-_LINE_BYTES_MAX:])
        for raw in lines:
            line = _shown(raw[-_LINE_BYTES_MAX:])
            self._heard(line)
            told = station_codes.told(line)
            if told is not None:
                self._said = [*self._said, told][-_SAID_MAX:]


def _shown(raw: bytes) -> str:
    return printable(raw.decode("utf-8", "replace").strip("\r"))


def _blank() -> OperatorFault:
    return OperatorFault(
        "The chip answers, and there is no program on it.",
        "Its boot loader finds none in the flash: it was erased, or flashing was cut short.",
        "`cairn board flash --firmware FILE` with the official MicroPython image of this chip.",
        Code.BOARD_BLANK,
    )


def _crashing(*, panic: bool) -> OperatorFault:
    why = "The program crashes the chip" if panic else "Its supply breaks down, or its program"
    return OperatorFault(
        "The board starts again and again.",
        f"{why}{' (a panic of MicroPython).' if panic else ' does, before a prompt comes.'}",
        "Use another cable, a socket of its own and a supply of 500 mA or more; if it stays so, "
        "`cairn board flash --firmware FILE` again.",
        Code.BOARD_CRASHING,
    )
