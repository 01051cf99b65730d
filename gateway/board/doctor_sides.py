"""The two sides that the doctor asks, as it sees them: a board on a cable, and a gateway.

Protocols and plain values alone, so that every outcome can be made up in a test. Real ones:
doctor_serial.py and doctor_http.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.board.answer import Answer


class BoardSide(Protocol):
    """A board on a cable. Every call may raise OperatorFault: port_*, repl_*, board_*."""

    def enter(self) -> None:
        """Open the port and interrupt the program that runs."""

    def whoami(self) -> Answer:
        """Program, key, configuration."""

    def check(self, name: str) -> Answer:
        """Ask for one link. OperatorFault if the board does not answer in time."""

    def restart(self) -> None:
        """Let the station run again; what it prints from now on is kept."""

    def said(self) -> Sequence[tuple[str, str]]:
        """(code, detail) of each line of a station that came since restart(), oldest first."""


@dataclass(frozen=True, slots=True)
class Unreached:
    """The gateway cannot be asked: where, and what the computer saw."""

    url: str
    why: str


@dataclass(frozen=True, slots=True)
class NetworkLook:
    """now_ms: the gateway's protocol time, None before the first tick of a driven clock."""

    network_id: str
    name: str
    simulated: bool
    admission_policy: str
    now_ms: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message of the device that the gateway did not admit, with the advice of its verdict."""

    verdict: str
    recv_ms: int
    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """An admitted readings message: its id, when it came, where it is in the admission log."""

    message_id: str
    recv_ms: int
    verdict: str
    position: int

    def document(self) -> dict[str, str | int]:
        return {
            "message_id": self.message_id,
            "recv_ms": self.recv_ms,
            "verdict": self.verdict,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class DeviceLook:
    """What the gateway knows of one device, registered or not. refused: newest first."""

    state: str
    last_ms: int | None = None
    last_kind: str | None = None
    registered_ms: int | None = None
    interval_ms: int | None = None
    reading: Accepted | None = None
    refused: Sequence[Refusal] = ()
    position: int = -1


REGISTERED = "registered"
WAITING = "waiting_approval"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Flag:
    """Why the newest closed epoch gave a station's readings no full worth."""

    epoch: int
    reason: str
    what: str
    do: str


class GatewaySide(Protocol):
    """A gateway over HTTP. Nothing here raises because it cannot be reached."""

    @property
    def url(self) -> str: ...

    def network(self) -> NetworkLook | Unreached: ...

    def device(self, name: str) -> DeviceLook | Unreached: ...

    def flag(self, name: str) -> Flag | None:
        """What is wrong with readings that were admitted, as far as an epoch has judged them."""

    def reaches(self, host: str, port: int) -> bool:
        """Whether this computer gets a TCP connection to where the board should."""


# Gives the device again and again until `enough` holds of it or the time is over, and its last
# state. Whoever waits decides how.
Wait = Callable[[Callable[[DeviceLook], bool]], "DeviceLook | Unreached"]
