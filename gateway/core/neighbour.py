"""What goes into the comparison of stations with their neighbours, and what comes out.

Shapes only. spec/quality.md gives their meaning; neighbourhood.py makes the one from the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.core.epoch_inputs import Finding
from gateway.core.geometry import Point
from gateway.core.peer_days import PeerDay
from gateway.core.quality import Flag, Judged, JudgedKey
from gateway.core.verdicts import Verdict

Key = tuple[int, int]
# How far a value was from its neighbours' mean and the most allowed, in 10**resolution units.
Suspect = tuple[int, int]


class Neighbour(NamedTuple):
    """A registered station's day, judged by itself.

    owner: b"" while unknown, it then counts as its own; trusted: proven by radio or audited, so
    that it may speak about others; senior_epoch: the smaller, the longer it has been there;
    peers: what the state keeps of its late days.
    """

    device: bytes
    owner: bytes
    centre: Point
    trusted: bool
    senior_epoch: int
    keys: tuple[JudgedKey, ...]
    peers: tuple[PeerDay, ...]


class Limit(NamedTuple):
    """The most that a quantity's readings earn on this day, and why; see Penalty."""

    credit_ppm: int
    verdict: Verdict
    observed: int | None
    limit: int | None


class NeighbourOutcome(NamedTuple):
    """What the neighbours say of one station's day.

    suspects: by (quantity, channel) and release window of the day; agrees: enough peers move as
    it does; peers: what the next epoch's state keeps; correlation_ppm: the lowest of its
    quantities', as `agreeing` peers reach it, None of too few peers or pairs.
    """

    suspects: Mapping[Key, Mapping[int, Suspect]]
    limits: Mapping[Key, Limit]
    agrees: bool
    peers: tuple[PeerDay, ...]
    findings: tuple[Finding, ...]
    correlation_ppm: int | None


def in_time(item: Judged) -> bool:
    """Say whether a reading may speak about others: passed by itself, before its release."""
    return item.flag is Flag.PASS and item.verdict is None


def in_resolution(item: Judged, resolution: int) -> int:
    """Return the value in units of 10**resolution, rounded down."""
    reading = item.reading
    assert reading.value is not None
    finer = resolution - reading.exponent
    return reading.value // int(10**finer) if finer > 0 else reading.value * int(10**-finer)
