"""What a run over MQTT must know of the network whose gateway runs in another process.

The command line implements Counterpart over that network's data directory; the simulator itself
asks for nothing more of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.control import Address
from simulator.epochs import EpochSummary
from simulator.ledger import Stored
from simulator.record import Record
from simulator.tally import Boards, Tally, Transport


@dataclass(frozen=True, slots=True)
class Target:
    """The broker: as it is named to people, and where it listens."""

    url: str
    address: Address


@dataclass(frozen=True, slots=True)
class SentReadings:
    """A readings message that was admitted: its time, and its body as the protocol has it. timed:
    the board knew UTC; else time_ms is that of its boot.
    """

    device: bytes
    time_ms: int
    timed: bool
    body: Any


@dataclass(frozen=True, slots=True)
class Refusals:
    """What the gateway did not take since the run began. named: by verdict, for people.

    deferred: from devices that were not registered yet.
    """

    rejected: int
    deferred: int
    duplicates: int
    named: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the caller of a run does for it.

    crash: kills the gateway and starts it again. anchor: has an operator anchor these devices.
    record: where every signed message goes.
    """

    anchor: Callable[[list[bytes]], None]
    crash: Callable[[], None] | None = None
    record: Record | None = None


class FleetHalted(Exception):  # noqa: N818 - says what happened
    """A run that cannot go on: what happened, why, and what to do."""

    def __init__(self, what: str, why: str, do: str) -> None:
        super().__init__(f"{what} {why} {do}")
        self.what = what
        self.why = why
        self.do = do


class Counterpart(Protocol):
    """The network and its operator, from the run's begin on."""

    @property
    def genesis(self) -> bytes: ...

    @property
    def network_id(self) -> bytes: ...

    def operator_login(self) -> tuple[str, str]:
        """Client id and password of the operator's next signed login."""

    def password_of(self, user: str) -> str | None:
        """A user's password at an external broker; None if the network has no secret for one."""

    def is_up(self) -> bool:
        """Whether the gateway's process lives."""

    def anchored(self) -> frozenset[bytes]:
        """Devices that an operator has anchored."""

    def stored(self) -> Iterable[Stored]:
        """What was admitted since the run began."""

    def readings(self) -> Iterable[SentReadings]:
        """Of what was admitted since the run began, the readings."""

    def refusals(self) -> Refusals: ...

    def epochs(self) -> tuple[EpochSummary, ...]:
        """Every epoch that was closed since the run began."""

    @property
    def carry_before(self) -> int:
        """What the network had kept for later days when the run began."""

    def next_close_ms(self) -> int:
        """When the next epoch closes, in protocol time."""

    def close(self) -> None: ...


class Planned(Protocol):
    """What must be known of a planned station to anchor it."""

    @property
    def anchored(self) -> bool: ...


def anchor_planned(
    counterpart: Counterpart, hooks: Hooks, plans: Sequence[Planned], devices: Sequence[bytes]
) -> None:
    """Have an operator anchor those of the stations that are to be and are not yet."""
    known = counterpart.anchored()
    wanted = [
        device
        for plan, device in zip(plans, devices, strict=True)
        if plan.anchored and device not in known
    ]
    if wanted:
        hooks.anchor(wanted)


def tally(
    counterpart: Counterpart,
    transport: Transport,
    *,
    corruptions: int,
    gateway_crashes: int,
    boards: Boards | None = None,
) -> Tally:
    """What a run over MQTT came to: what the network says, and what only the run knows."""
    refusals = counterpart.refusals()
    return Tally(
        rejected=refusals.rejected,
        deferred=refusals.deferred,
        corruptions=corruptions,
        duplicates=refusals.duplicates,
        gateway_crashes=gateway_crashes,
        epochs=counterpart.epochs(),
        carry_before=counterpart.carry_before,
        transport=transport,
        boards=boards,
    )
