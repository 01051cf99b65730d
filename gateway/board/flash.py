"""Flashing a board, from its port to its restart. What is written where is flash_plan's, the line
to the chip esptool_link's, and which step may follow which flash_states's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.board import esptool_link
from gateway.board.esptool_link import Differs, Garbled, Link, Silent
from gateway.board.flash_download import download, read_image
from gateway.board.flash_faults import (
    as_written,
    chip_silent,
    consent_missing,
    gave_up,
    nvs_changed,
    other_board,
)
from gateway.board.flash_plan import (
    CONFIG_MARK,
    KEY_MARK,
    Found,
    Plan,
    architecture_for,
    check_board,
    check_image,
    key_rows,
    make_plan,
)
from gateway.board.flash_states import Course, State
from gateway.board.ports import BAUD, find_port, has_lines, is_gone, lost, opened
from gateway.device.flash import BLOCK_BYTES
from gateway.device.official import (
    TABLE_BYTES,
    TABLE_OFFSET,
    Official,
    Partition,
    read_table,
    split,
)
from gateway.shell.errors import OperatorFault

if TYPE_CHECKING:
    from serial import SerialBase

Told = Callable[[int, int], None]
# (architecture, blocks of the file system, told) -> the file system
Build = Callable[[str, int, Told], bytes]

WAIT_SECONDS = 60.0
_AUTOMATIC_ATTEMPTS = 4
_PIECE_BYTES = 4096

_HOLD_BOOT = "Hold BOOT on the board, press and release RESET (EN), then release BOOT."
_PRESS_RESET = "Press RESET (EN) on the board: it starts what was written."
_WAS_SET_UP = (
    "This board was set up before. Its key, login, configuration and Wi-Fi stay. "
    "Messages that it has not sent yet are lost."
)


class Pace(NamedTuple):
    """How fast it is tried. fast: with esptool's own loader in the chip's memory."""

    baud: int
    fast: bool


PACES = (
    Pace(921_600, fast=True),
    Pace(460_800, fast=True),
    Pace(BAUD, fast=True),
    Pace(BAUD, fast=False),
)
# Without modem lines there may be no wire either: nothing says that a rate can be changed, and
# nothing but a person wakes a chip again that ran into the wrong loader.
PACES_WITHOUT_LINES = (Pace(BAUD, fast=False),) * 3


@dataclass(frozen=True)
class Wanted:
    """What is asked for. port: as `--port` has it; firmware: a file with MicroPython's image, or
    None and the url of one; digest: its SHA-256 in hex, "": not compared; board and architecture:
    None: as the chip says.
    """

    port: str
    firmware: Path | None = None
    url: str = ""
    digest: str = ""
    folder: Path = Path()
    board: str | None = None
    architecture: str | None = None
    wait_seconds: float = WAIT_SECONDS


class Show(Protocol):
    """Who watches: a person, or nobody."""

    def state(self, state: State) -> None: ...

    def progress(self, done: int, total: int) -> None: ...

    def hint(self, text: str) -> None: ...

    def consent(self, text: str) -> bool: ...


def build_file_system(architecture: str, blocks: int, told: Told) -> bytes:
    """The board's program and its loader, in a file system of that many blocks."""
    from gateway.device.board_image import firmware_version, pack_board
    from gateway.device.image import build_image

    image = build_image(None, architecture, blocks=blocks, told=told)
    return pack_board(image, version=firmware_version())


class Flashing:
    """One flashing. What it came to is in its attributes, after a fault too."""

    def __init__(self, wanted: Wanted, show: Show, build: Build = build_file_system) -> None:
        self.wanted = wanted
        self.port = wanted.port
        self.course = Course()
        self.found: Found | None = None
        self.official: Official | None = None
        self.plan: Plan | None = None
        self.mac = ""
        self.architecture = ""
        self.pace = PACES[0]
        self.hashes: dict[Partition, str] = {}
        self.written = False
        self._show = show
        self._build_with = build
        self._paces = list(PACES)
        self._lines = True

    def run(self) -> None:
        """Do it all; OperatorFault says what went wrong, and whether anything was written."""
        try:
            if self.wanted.firmware is not None:
                self.official = split(read_image(self.wanted.firmware, self.wanted.digest))
            self._move(State.OPENING)
            self.port = find_port(self.wanted.port)
            with opened(self.port) as connection:
                self._flash(connection)
        except OperatorFault as fault:
            self._move(State.FAILED)
            raise as_written(fault, written=self.written) from fault
        self._move(State.DONE)

    def _flash(self, connection: "SerialBase") -> None:
        try:
            self._lines = has_lines(connection)
            if not self._lines:
                self._paces = list(PACES_WITHOUT_LINES)
            link = self._reach(connection)
            self._ask()
            self._move(State.READY)
            official = self._image()
            plan = self.plan = self._build(official)
            link = self._write(connection, link, plan)
            self._restart(link)
        except Exception as error:
            if is_gone(error):
                raise lost(self.port, error) from error
            raise

    def _move(self, state: State) -> None:
        self.course.move(state)
        self._show.state(state)

    # Reaching the chip

    def _reach(self, connection: "SerialBase") -> Link:
        """A chip that was woken and looked at, at the first pace that works."""
        while True:
            self._move(State.CONNECTING)
            link = self._wake(connection)
            check_board(link.name, self.wanted.board)
            self._move(State.INSPECTING)
            self.pace = self._paces[0]
            try:
                link.look(fast=self.pace.fast, baud=self.pace.baud)
                if self.found is None:
                    self.found, self.mac = _found(link), link.mac
            except Garbled as error:
                self._slower(error)
                continue
            if link.mac != self.mac:
                raise other_board(self.mac, link.mac)
            return link

    def _slower(self, error: Garbled) -> None:
        if len(self._paces) == 1:
            raise gave_up(error, differs=isinstance(error, Differs))
        self._paces.pop(0)

    def _wake(self, connection: "SerialBase") -> Link:
        attempts = _AUTOMATIC_ATTEMPTS if self._lines else 1
        try:
            return esptool_link.connect(connection, reset=self._lines, attempts=attempts)
        except Silent as silent:
            why = esptool_link.silent_why(silent)
        self._show.hint(_HOLD_BOOT)
        deadline = time.monotonic() + self.wanted.wait_seconds
        while time.monotonic() < deadline:
            try:
                return esptool_link.connect(connection, reset=self._lines, attempts=1)
            except Silent as silent:
                why = esptool_link.silent_why(silent) or why
        raise chip_silent(self.port, why)

    def _ask(self) -> None:
        assert self.found is not None
        if self.official is not None:
            # Before anybody is asked or waits.
            check_image(self.official, self.found)
        if self.found.provisioned and not self._show.consent(_WAS_SET_UP):
            raise consent_missing()

    # What is written

    def _image(self) -> Official:
        if self.official is None:
            self._move(State.DOWNLOADING)
            wanted = self.wanted
            data = download(wanted.url, wanted.digest, wanted.folder, self._show.progress)
            self.official = split(data)
        return self.official

    def _build(self, official: Official) -> Plan:
        assert self.found is not None
        self._move(State.BUILDING)
        space = check_image(official, self.found)
        self.architecture = self.wanted.architecture or architecture_for(self.found.chip)
        blocks = space.size // BLOCK_BYTES
        data = self._build_with(self.architecture, blocks, self._show.progress)
        return make_plan(official, self.found, data)

    def _write(self, connection: "SerialBase", link: Link, plan: Plan) -> Link:
        while True:
            try:
                self._move(State.FLASHING)
                self._write_ranges(link, plan)
                self._move(State.VERIFYING)
                _verify(link, plan)
                self._move(State.VERIFYING_PROTECTED)
                self._compare_protected(link, plan)
            except Garbled as error:
                self._slower(error)
                link = self._reach(connection)
                self._move(State.READY)
                # It is built already.
                self._move(State.BUILDING)
            else:
                return link

    def _write_ranges(self, link: Link, plan: Plan) -> None:
        if not self.hashes:
            self.hashes = {row: _sure_md5(link, row) for row in plan.protected}
        done = 0
        for one in plan.ranges:
            self.written = True
            before = done

            def told(part: int, _total: int, before: int = before) -> None:
                self._show.progress(before + part, plan.size)

            link.write(one, told)
            done += len(one.data)

    def _compare_protected(self, link: Link, plan: Plan) -> None:
        for row in plan.protected:
            if _sure_md5(link, row) != self.hashes[row]:
                raise nvs_changed(row.name)

    def _restart(self, link: Link) -> None:
        self._move(State.REBOOTING)
        if self._lines:
            try:
                link.restart()
            except Exception as error:
                # A chip's own USB is away for a moment when it restarts.
                if not isinstance(error, Garbled) and not is_gone(error):
                    raise
            else:
                return
        self._show.hint(_PRESS_RESET)


def _found(link: Link) -> Found:
    partitions = read_table(link.read(TABLE_OFFSET, TABLE_BYTES))
    marks: set[bytes] = set()
    for row in key_rows(partitions):
        if row.end <= link.flash_bytes:
            marks |= _marks(link, row)
    keyed = KEY_MARK in marks
    return Found(link.name, link.flash_bytes, partitions, keyed, keyed and CONFIG_MARK in marks)


def _marks(link: Link, row: Partition) -> set[bytes]:
    """Which marks the row holds. Reading is slow, so it ends when all are found."""
    if link.md5(row.offset, row.size) == _md5(b"\xff" * row.size):
        return set()
    wanted = {KEY_MARK, CONFIG_MARK}
    found: set[bytes] = set()
    tail = b""
    for offset in range(row.offset, row.end, _PIECE_BYTES):
        piece = tail + link.read(offset, _PIECE_BYTES)
        found |= {mark for mark in wanted if mark in piece}
        if found == wanted:
            break
        tail = piece[-max(map(len, wanted)) :]
    return found


def _verify(link: Link, plan: Plan) -> None:
    for one in plan.ranges:
        if link.md5(one.offset, len(one.data)) != _md5(one.data):
            raise Differs(f"{one.name} reads back differently")


def _sure_md5(link: Link, row: Partition) -> str:
    """What two answers in a row agree on: a wrong one must neither hide nor feign a change."""
    answer = link.md5(row.offset, row.size)
    for _ in range(3):
        before, answer = answer, link.md5(row.offset, row.size)
        if answer == before:
            return answer
    raise Garbled(f"the MD5 of {row.name} is another one each time")


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()
