"""What the host asks a board: the calls of firmware/console.py, over the raw REPL.

Each answers with one line of JSON. A board is a stranger's machine: its answers are looked at
field by field before anything is done with them.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from gateway.board.answer import Answer
from gateway.board.ports import opened
from gateway.board.repl import Repl
from gateway.core.ids import device_id, device_name
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.printable import printable

_MARK = "cairn> "
_ANSWER_S = 30.0
# Making a key draws randomness with the radio on and signs once.
_WHOAMI_S = 60.0
_CHECK_S = 60.0
_JOIN_MARGIN_S = 20.0
# Of a program that is sent in pieces: a board's heap is small, and hex would double them.
_PIECE_BYTES = 256
_PROGRAM = "console"
# Where the program is, the loader says; where that is damaged, it is most likely still here.
_OPEN = f"""\
import sys
try:
    import launch
    _at = launch.folder()
except (ImportError, AttributeError, OSError):
    _at = "/a"
if _at not in sys.path:
    sys.path.insert(0, _at)
try:
    import {_PROGRAM}
    print("{_MARK}{{\\"ok\\": true}}")
except ImportError as _error:
    print("{_MARK}{{\\"ok\\": false, \\"code\\": \\"absent\\", \\"detail\\": \\"no program\\"}}")
"""


@dataclass(frozen=True, slots=True)
class StationFacts:
    """What a board says of its stored configuration; sha256: of its bytes, None if it does not
    say.
    """

    network: str
    cell: str
    owner: str | None
    broker: str
    time: str
    sensors: tuple[tuple[int, ...], ...]
    sha256: str | None


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """Who a board is and how it stands; `said` is all of its answer."""

    device: str
    public_key: bytes
    firmware: str
    architecture: str
    counter: int
    chip: str
    wifi: bool
    config: StationFacts | None
    said: Mapping[str, Any]

    @property
    def provisioned(self) -> bool:
        return self.config is not None


class Console:
    """A board behind an entered Repl. open() comes first."""

    def __init__(self, repl: Repl) -> None:
        self._repl = repl

    def open(self) -> None:
        """Load the program; board_without_cairn if there is none."""
        if not self._asked(_OPEN, _ANSWER_S).ok:
            raise OperatorFault(
                "MicroPython runs on this board, and Cairn does not.",
                "Its file system holds no program of Cairn, or one that is damaged.",
                "`cairn board flash`; the board's key, configuration and Wi-Fi stay.",
                Code.BOARD_WITHOUT_CAIRN,
            )

    def asked_who(self) -> Answer:
        """The answer to whoami() as it came: a board that cannot say who it is names a code."""
        return self._call("whoami()", _WHOAMI_S)

    def whoami(self) -> BoardFacts:
        """Who it is. A pristine board makes its key now. board_refused: it cannot say."""
        answer = self.asked_who()
        if not answer.ok:
            raise refused("say who it is", answer)
        try:
            return _facts(answer.facts)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise _unreadable(f"who it is ({error!r})") from error

    def provision(self, config: bytes) -> None:
        """Have a configuration checked and stored, whole or not at all."""
        self._done("take a configuration", "begin()")
        for start in range(0, len(config), _PIECE_BYTES):
            piece = config[start : start + _PIECE_BYTES]
            self._done("take a configuration", f"put({piece!r})")
        self._done("store the configuration", "provision()")

    def wifi(self, ssid: str, password: str) -> None:
        """Store the name and the password of a network; "" is an open one."""
        self._done("store the Wi-Fi", f"wifi({ssid!a}, {password!a})")

    def join(self, timeout_ms: int) -> Answer:
        """Try the stored Wi-Fi."""
        return self._call(f"join({timeout_ms})", timeout_ms / 1000 + _JOIN_MARGIN_S)

    def check(self, name: str) -> Answer:
        """Try one link of the way to the gateway."""
        return self._call(f"check({name!a})", _CHECK_S)

    def forget(self, what: str, *, yes: bool = False) -> None:
        """Make the board forget `wifi`, `config`, or, with yes, `all`: its key too."""
        self._done(f"forget its {what}", f"forget({what!a}{', yes=True' if yes else ''})")

    def _done(self, what: str, call: str) -> None:
        answer = self._call(call, _ANSWER_S)
        if not answer.ok:
            raise refused(what, answer)

    def _call(self, call: str, timeout_s: float) -> Answer:
        return self._asked(f"{_PROGRAM}.{call}", timeout_s)

    def _asked(self, source: str, timeout_s: float) -> Answer:
        printed = self._repl.run(source, timeout_s)
        lines = [line for line in printed.split("\n") if line.startswith(_MARK)]
        try:
            found = json.loads(lines[-1].removeprefix(_MARK)) if lines else None
            return _answer(found)
        except (RecursionError, TypeError, ValueError) as error:
            raise _unreadable("what it was asked") from error


@contextmanager
def session(port: str) -> Iterator[Console]:
    """The program of the board on a port, for as long as it is asked; then the board restarts."""
    with opened(port) as connection:
        repl = Repl(connection)
        repl.enter()
        # Whatever happens: a board that stays at its prompt is no station.
        try:
            console = Console(repl)
            console.open()
            yield console
        except BaseException:
            # The way may be broken, and that is what has to be told.
            with suppress(OperatorFault):
                repl.leave(restart=True)
            raise
        repl.leave(restart=True)


def refused(what: str, answer: Answer) -> OperatorFault:
    """The fault of a call that the board said no to, with the board's own code in it."""
    return OperatorFault(
        f"The board did not {what}.",
        f"{(answer.detail or 'It gave no reason').rstrip('.')} (its code: {answer.code}).",
        "Look the board's code up in docs/troubleshooting.md, `Codes of a station`.",
        Code.BOARD_REFUSED,
    )


def _answer(found: Any) -> Answer:
    if not isinstance(found, dict) or not isinstance(found.get("ok"), bool):
        raise TypeError("no answer")
    return Answer(
        found["ok"], _text(found.get("code") or ""), _text(found.get("detail") or ""), found
    )


def _text(value: Any) -> str:
    """A board's word without what steers a terminal."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a text")
    return printable(value)


def _facts(said: Mapping[str, Any]) -> BoardFacts:
    public_key = bytes.fromhex(said["public_key"])
    device = _text(said["device"])
    if len(public_key) != 32 or device_name(device_id(public_key)) != device:
        raise ValueError("its name is not that of its key")
    config = said["config"]
    return BoardFacts(
        device=device,
        public_key=public_key,
        firmware=_text(said["firmware"]),
        architecture=_text(said["architecture"]),
        counter=int(said["counter"]),
        chip=_text(said["chip"]),
        wifi=said["wifi"] is True,
        config=None if config is None else _station(config),
        said=said,
    )


def _station(config: dict[str, Any]) -> StationFacts:
    broker, time = config["broker"], config["time"]
    owner, digest = config["owner"], config.get("sha256")
    tls = " with TLS" if broker and broker["tls"] else ""
    return StationFacts(
        network=_text(config["network"]),
        cell=_text(config["cell"]),
        owner=None if owner is None else _text(owner),
        broker=_address(broker) + tls,
        time=_address(time),
        sensors=tuple(tuple(int(field) for field in entry) for entry in config["sensors"]),
        sha256=None if digest is None else _text(digest),
    )


def _address(of: dict[str, Any] | None) -> str:
    return "none" if not of or of["host"] is None else f"{_text(of['host'])}:{int(of['port'])}"


def _unreadable(what: str) -> OperatorFault:
    return OperatorFault(
        f"The board's answer to {what} cannot be read.",
        "It is of another version of the firmware, or the line is bad.",
        "Try another cable; then `cairn board flash`. The board's key and configuration stay.",
        Code.BOARD_REFUSED,
    )
