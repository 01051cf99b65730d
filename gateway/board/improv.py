"""Improv-serial version 1: giving a board its Wi-Fi over its cable while its program runs.

`improv-wifi.com/serial`. For a board whose image brought its configuration. It answers between
whatever else it prints, so frames are picked out of a stream. A frame is `IMPROV`, version, type,
length, data, the sum of all these bytes, and a line feed that nobody insists on.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from gateway.board.ports import is_gone, lost
from gateway.board.provision import Wifi
from gateway.board.repl import Connection
from gateway.shell.errors import Code, OperatorFault

HEADER = b"IMPROV"
VERSION = 1
DATA_BYTES_MAX = 255
_HEAD_BYTES = len(HEADER) + 3
_READ_S = 0.05
_ANSWER_S = 2.0
_TRIES = 5
# The board tries for 20 s, and ESP-IDF may take another while to say that a password is wrong.
_JOIN_S = 60.0
_SCAN_S = 20.0
_Found = TypeVar("_Found")


class Kind(IntEnum):
    """What a frame is."""

    STATE = 1
    ERROR = 2
    COMMAND = 3
    RESULT = 4


class Command(IntEnum):
    """What is asked of a board."""

    WIFI = 1
    STATE = 2
    INFO = 3
    SCAN = 4


class State(IntEnum):
    """Where a board stands. 1 is of Bluetooth alone; STOPPED: it does not serve."""

    STOPPED = 0
    READY = 2
    PROVISIONING = 3
    PROVISIONED = 4


_ERRORS = {
    1: "it could not read what was sent",
    2: "it does not know what was asked",
    3: "it could not get into that network",
    5: "it refused the host name",
    254: "it is not allowed to",
    255: "it does not know why",
}
_CANNOT_CONNECT = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """kind may be one that nobody knows yet."""

    kind: int
    data: bytes

    def encode(self) -> bytes:
        """ValueError: more data than a frame holds."""
        if len(self.data) > DATA_BYTES_MAX:
            raise ValueError(f"{len(self.data)} bytes do not fit into a frame")
        body = HEADER + bytes((VERSION, self.kind, len(self.data))) + self.data
        return body + bytes((sum(body) & 0xFF,)) + b"\n"


class Frames:
    """Picks frames out of whatever a board prints; damaged ones are passed over."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now."""
        found: list[Frame] = []
        rest = self._rest + data
        while True:
            start = rest.find(HEADER)
            if start < 0:
                # Its last bytes may be the beginning of a header.
                self._rest = rest[-(len(HEADER) - 1) :]
                return found
            rest = rest[start:]
            if len(rest) < _HEAD_BYTES:
                break
            end = _HEAD_BYTES + rest[_HEAD_BYTES - 1]
            if rest[len(HEADER)] == VERSION and len(rest) <= end:
                break
            if rest[len(HEADER)] == VERSION and sum(rest[:end]) & 0xFF == rest[end]:
                found.append(Frame(rest[_HEAD_BYTES - 2], rest[_HEAD_BYTES:end]))
                rest = rest[end + 1 :]
            else:
                # Not a frame, but a true one may begin inside it.
                rest = rest[1:]
        self._rest = rest
        return found


def command(which: int, *texts: str) -> Frame:
    """A frame that asks for something: its number, then each text behind its length."""
    data = b"".join(bytes((len(one),)) + one for one in (text.encode() for text in texts))
    return Frame(Kind.COMMAND, bytes((which, len(data))) + data)


def result(frame: Frame) -> tuple[int, list[str]] | None:
    """(command, texts) of a result; None if it is damaged."""
    data = frame.data
    if frame.kind != Kind.RESULT or len(data) < 2 or data[1] != len(data) - 2:
        return None
    texts, place = [], 2
    while place < len(data):
        end = place + 1 + data[place]
        if end > len(data):
            return None
        texts.append(data[place + 1 : end].decode("utf-8", "replace"))
        place = end
    return data[0], texts


@dataclass(frozen=True, slots=True)
class Told:
    """What a board said when it had joined: url is its next page, "" if it named none."""

    url: str
    info: tuple[str, ...]


class Improv:
    """A board that serves Improv on an open port."""

    def __init__(
        self, connection: Connection, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._port = str(getattr(connection, "port", "the port"))
        self._clock = clock
        self._frames = Frames()

    def state(self) -> State:
        """Where the board stands. improv_silent: nobody answers."""
        self._guarded(lambda: setattr(self._connection, "timeout", _READ_S))
        for _ in range(_TRIES):
            for frame in self._ask(command(Command.STATE), _ANSWER_S):
                if frame.kind == Kind.STATE and frame.data and frame.data[0] in set(State):
                    return State(frame.data[0])
        raise _silent()

    def info(self) -> tuple[str, ...]:
        """Firmware, version, chip, name; empty if the board does not say."""
        for frame in self._ask(command(Command.INFO), _ANSWER_S):
            found = result(frame)
            if found is not None and found[0] == Command.INFO:
                return tuple(found[1])
        return ()

    def scan(self) -> list[tuple[str, int]]:
        """(name, signal in dBm) of the networks that the board sees."""
        seen = []
        for frame in self._ask(command(Command.SCAN), _SCAN_S):
            found = result(frame)
            if found is None or found[0] != Command.SCAN:
                continue
            if len(found[1]) < 2:
                break
            name, rssi = found[1][:2]
            seen.append((name, int(rssi) if rssi.lstrip("-").isdecimal() else 0))
        return seen

    def join(self, wifi: Wifi) -> Told:
        """Give the board its Wi-Fi and wait until it is in."""
        self.state()
        info = self.info()
        for frame in self._ask(command(Command.WIFI, wifi.ssid, wifi.password), _JOIN_S):
            if frame.kind == Kind.ERROR and frame.data and frame.data[0]:
                raise _failed(wifi.ssid, frame.data[0])
            found = result(frame)
            if found is not None and found[0] == Command.WIFI:
                return Told((found[1] or [""])[0], info)
        raise _failed(wifi.ssid, _CANNOT_CONNECT)

    def _ask(self, frame: Frame, seconds: float) -> Iterator[Frame]:
        """Send it, and give what comes for so long."""
        self._guarded(lambda: self._connection.write(frame.encode()))
        end = self._clock() + seconds
        while self._clock() < end:
            data = self._guarded(lambda: self._connection.read(self._connection.in_waiting or 1))
            yield from self._frames.feed(data)

    def _guarded(self, act: Callable[[], _Found]) -> _Found:
        try:
            return act()
        except Exception as error:
            if is_gone(error):
                raise lost(self._port, error) from error
            raise


def _silent() -> OperatorFault:
    return OperatorFault(
        "The board does not answer to Improv.",
        "Its program serves it while it has no Wi-Fi or no configuration; this one runs nothing, "
        "something else, or has both.",
        "Press RESET and run it again; without --improv the board is set up over its prompt.",
        Code.IMPROV_SILENT,
    )


def _failed(ssid: str, error: int) -> OperatorFault:
    if error == _CANNOT_CONNECT:
        return OperatorFault(
            f"The board did not get into the Wi-Fi {ssid!r}.",
            "The password is wrong, or the network is out of reach or on 5 GHz only.",
            "Check name and password, bring the board nearer, and run it again.",
            Code.WIFI_NOT_CONNECTED,
        )
    return OperatorFault(
        f"The board refused the Wi-Fi {ssid!r}.",
        f"By Improv's error {error}, {_ERRORS.get(error, 'which nobody has defined')}.",
        "Run it again; without --improv the board is set up over its prompt.",
        Code.IMPROV_FAILED,
    )
