"""Who holds a paid slot and who stands by: seniority, never luck. spec/rewards.md section 3.

It knows places, classes and seniority; how distance is measured is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from gateway.core.geometry import EARTH_RADIUS_M, Point

_TURN_E6 = 360_000_000
_POLE_E6 = 90_000_000
_BOUND_E6 = 60_000_000
# A degree of latitude is 111,195 m on the sphere; one metre less keeps the rows a little too tall.
_METRES_PER_DEGREE = 111_194


class StationClass(IntEnum):
    """How far a station's claims can be contradicted; the lower class goes first."""

    WITNESSED = 0
    PEER_CHECKED = 1
    UNPROVEN = 2


class SlotCandidate(NamedTuple):
    """A station that wants a slot; `centre` is its scoring cell's, in 1e-6 degree."""

    station: bytes
    centre: Point
    station_class: StationClass
    since_epoch: int


class SlotDecision(NamedTuple):
    """Holder, or on standby with the nearest more senior holder and the distance to it."""

    holder: bool
    blocked_by: bytes | None
    distance_m: int | None


HOLDER = SlotDecision(holder=True, blocked_by=None, distance_m=None)


def seniority(candidate: SlotCandidate) -> tuple[int, int, bytes]:
    """Return the key by which candidates are walked."""
    return candidate.station_class, candidate.since_epoch, candidate.station


def assign_slots(
    candidates: Iterable[SlotCandidate],
    distance_min_m: int,
    distance: Callable[[Point, Point], int],
    co_located: frozenset[tuple[bytes, bytes]] = frozenset(),
) -> dict[bytes, SlotDecision]:
    """Return the decision for every candidate, in order of seniority.

    `distance` is Sphere.distance_m, or anything that is nowhere smaller. co_located: pairs (the
    smaller first) that stand side by side whatever their cells say; they count as 0 m apart. A
    station that is given twice is a caller's bug: ValueError.
    """
    beside = _beside(co_located)
    holders: dict[bytes, SlotCandidate] = {}
    walk = sorted(candidates, key=seniority)
    grid = _Grid(distance_min_m)
    decisions: dict[bytes, SlotDecision] = {}
    for candidate in walk:
        close = [
            (metres, seniority(holder))
            for holder in grid.around(candidate.centre)
            if (metres := distance(candidate.centre, holder.centre)) < distance_min_m
        ]
        close += [
            (0, seniority(holders[other]))
            for other in beside.get(candidate.station, ())
            if other in holders
        ]
        if close:
            metres, (_, _, blocker) = min(close)
            standby = SlotDecision(holder=False, blocked_by=blocker, distance_m=metres)
            decisions[candidate.station] = standby
        else:
            grid.add(candidate)
            holders[candidate.station] = candidate
            decisions[candidate.station] = HOLDER
    if len(decisions) != len(walk):
        raise ValueError("a station is given twice")
    return decisions


def _beside(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    others: dict[bytes, list[bytes]] = {}
    for one, other in pairs:
        others.setdefault(one, []).append(other)
        others.setdefault(other, []).append(one)
    return others


class _Grid:
    """Holders by latitude row and longitude bin, sized so that no close pair is ever missed.

    Two points d apart on a sphere of radius R differ by at most d/R in latitude, and in longitude
    by at most 2 asin(y), y = sin(d/2R) / c, c the smaller cosine of their latitudes. With
    asin y <= pi*y/3 for y <= 1/2, sin x <= x, and cos x >= (pi^2 - 4x^2) / (pi^2 + 4x^2), that is
    60 degrees * d/R * (90^2 + lat^2) / (90^2 - lat^2) while this is at most 60 degrees; beyond,
    a bin is the whole row. The integers below err on the wide side.
    """

    def __init__(self, distance_min_m: int) -> None:
        self._reach_m = distance_min_m + 1
        self._row_e6 = self._reach_m * 1_000_000 // _METRES_PER_DEGREE + 1
        self._widths: dict[int, int] = {}
        self._bins: dict[tuple[int, int], list[SlotCandidate]] = {}

    def add(self, holder: SlotCandidate) -> None:
        row, east_e6 = self._place(holder.centre)
        self._bins.setdefault((row, east_e6 // self._width_e6(row)), []).append(holder)

    def around(self, centre: Point) -> Iterator[SlotCandidate]:
        """Yield each holder that may be closer than the slot distance, once."""
        own_row, east_e6 = self._place(centre)
        for row in (own_row - 1, own_row, own_row + 1):
            width_e6 = self._width_e6(row)
            last = (_TURN_E6 - 1) // width_e6
            own = east_e6 // width_e6
            # The bin before the first is the last, and the last may be narrower than the rest.
            columns = {(own - 1) % (last + 1), own, (own + 1) % (last + 1)}
            if own >= last - 1:
                columns.add(0)
            if own == 0:
                columns.add(max(last - 1, 0))
            for column in columns:
                for holder in self._bins.get((row, column), ()):
                    if abs(holder.centre[0] - centre[0]) <= self._row_e6:
                        yield holder

    def _place(self, centre: Point) -> tuple[int, int]:
        latitude_e6, longitude_e6 = centre
        return latitude_e6 // self._row_e6, longitude_e6 % _TURN_E6

    def _width_e6(self, row: int) -> int:
        """Width of a row's bins: the widest longitude difference of a close pair from it."""
        width = self._widths.get(row)
        if width is None:
            # A pair may span this row and either neighbour, so its outermost edge counts.
            edge_e6 = max(abs((row - 1) * self._row_e6), abs((row + 2) * self._row_e6))
            room = _POLE_E6**2 - edge_e6**2
            wide = _BOUND_E6 * self._reach_m * (_POLE_E6**2 + edge_e6**2)
            width = wide // (room * EARTH_RADIUS_M) + 1 if room > 0 else _TURN_E6
            if width > _BOUND_E6:
                width = _TURN_E6
            self._widths[row] = width
        return width
