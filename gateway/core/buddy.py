"""TITAN's buddy and isolation checks in integers: does a value stand out among its neighbours?

Names and meaning are those of titanlib 0.4.0 (MET Norway), which the tests hold it against. It
knows positions and numbers, not stations, quantities or pay. Text: spec/quality.md section 2.

Distances are straight lines through the Earth in centimetres, so poles and the date line are
nothing special, and no cosine is needed per pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd, isqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_INT64_MAX = 2**63 - 1
# Cells of a smaller edge would make their three numbers too long for one 64-bit key.
_EDGE_CM_MIN = 1 << 15
_AXIS = 1 << 17
# 2**21 pairs of eight bytes a column: some 100 MB at the peak, however dense the network.
_PAIRS_MAX = 1 << 21
_AROUND = tuple(x * _AXIS * _AXIS + y * _AXIS for x, y in product((-1, 0, 1), repeat=2))
_AHEAD = tuple(offset for offset in _AROUND if offset > 0)
_NO_PAIRS = (np.empty(0, np.int64), np.empty(0, np.int64))


class Near(NamedTuple):
    """Neighbours of every place: who[start[i]:start[i + 1]] are those of place i."""

    start: Ints
    who: Ints


class Limits(NamedTuple):
    """num_min: neighbours wanted; sd_min: least standard deviation, in units of the values."""

    num_min: int
    threshold_milli: int
    sd_min: int
    iterations: int


class Stats(NamedTuple):
    """flags: who stands out; tested: who had enough neighbours once; the rest: sums over these."""

    flags: Bools
    tested: Bools
    number: Ints
    total: Ints
    square: Ints


def find_near(positions: Ints, radius_cm: int) -> Near:
    """Return all neighbours within radius_cm of every row of positions (n x 3, cm).

    Nobody is its own neighbour; somebody else at the same place is one.
    """
    shelf = _Shelf(positions, np.arange(len(positions)), radius_cm)
    keys = shelf.keys
    low, high = shelf.columns(keys, _AHEAD)
    # In its own column a place looks at what stands behind it only, so every pair comes once.
    low = np.column_stack((np.arange(1, len(keys) + 1), low))
    high = np.column_stack((np.searchsorted(keys, keys + 1, side="right"), high))
    found = [_NO_PAIRS]
    for here, there in _batches(low, high):
        close = _squares(shelf.sorted, shelf.sorted, here, there) <= radius_cm * radius_cm
        found.append((shelf.order[here[close]], shelf.order[there[close]]))
    one, other = (np.concatenate(ends) for ends in zip(*found, strict=True))
    return _by_row(np.concatenate((one, other)), np.concatenate((other, one)), len(positions))


def find_nearest(positions: Ints, radius_cm: int, may: Bools, owners: Ints, nearest: int) -> Near:
    """Return for every place the nearest neighbours of other owners, one of each, nearest first.

    may: who can be a neighbour; owners: a number each. Of equal distances the smaller index is
    nearer.
    """
    shelf = _Shelf(positions, np.flatnonzero(may), radius_cm)
    low, high = shelf.columns(shelf.key(positions), _AROUND)
    found = [_NO_PAIRS]
    # A batch holds whole rows, so that it can choose within them.
    for here, column in _batches(low, high):
        there = shelf.order[column]
        square = _squares(positions, positions, here, there)
        close = (square <= radius_cm * radius_cm) & (owners[here] != owners[there])
        found.append(_choose(here[close], there[close], square[close], owners, nearest))
    rows, columns = (np.concatenate(ends) for ends in zip(*found, strict=True))
    return _by_row(rows, columns, len(positions))


def buddy_check(values: Ints, present: Bools, near: Near, limits: Limits) -> Stats:
    """Flag values further from their neighbours' mean than threshold standard deviations.

    Every iteration leaves out as neighbours what the ones before flagged. The deviation is the
    population's times sqrt(1 + 1/n), as the mean of n is uncertain itself, and at least sd_min.
    Exact: cross-multiplied, in 64 bits where they provably hold, else in Python's integers.
    """
    own = values.astype(_kind(values, near, limits))
    flags, tested = np.zeros((2, len(own)), np.bool_)
    told = np.zeros((3, len(own)), own.dtype)
    for _ in range(limits.iterations):
        use = present & ~flags
        used = np.where(use, own, 0)
        number, total = _sums(use.astype(own.dtype), near), _sums(used, near)
        square = _sums(used * used, near)
        # What flagged a value is what is told of it, not the neighbours that were left later.
        told = np.where(flags, told, [number, total, square])
        enough = use & (number >= limits.num_min)
        tested |= enough
        flags |= enough & _stands_out(own, number, total, square, limits)
    return Stats(flags, tested, *told)


def isolation_check(present: Bools, near: Near, num_min: int) -> Bools:
    """Flag places with fewer than num_min present neighbours."""
    few: Bools = _sums(present.astype(np.int64), near) < num_min
    return few


def departure(value: int, count: int, total: int, square: int, limits: Limits) -> tuple[int, int]:
    """Return how far a value is from the mean, rounded up, and the most allowed, rounded down."""
    spread = (count * square - total * total) * (count + 1)
    wide_milli = isqrt(limits.threshold_milli**2 * spread // count**3)
    least_milli = limits.threshold_milli * limits.sd_min
    return -(-abs(count * value - total) // count), max(wide_milli, least_milli) // 1_000


def _kind(values: Ints, near: Near, limits: Limits) -> Any:
    """Return int64 if all that follows stays within it, else Python's integers."""
    over, under = _threshold(limits)
    most = int(np.diff(near.start).max(initial=0)) + 1
    largest = int(np.abs(values).max(initial=0)) + limits.sd_min
    # Each side of each comparison is at most this: |n*v - s| <= 2*n*largest, n*q - s*s <= (n*
    # largest)**2, and no sum is larger than these.
    bound: int = 4 * (over * under) ** 2 * most**3 * largest**2
    return np.int64 if bound <= _INT64_MAX else object


def _stands_out(values: Ints, number: Ints, total: Ints, square: Ints, limits: Limits) -> Bools:
    over, under = _threshold(limits)
    away = number * values - total
    spread = (number * square - total * total) * (number + 1)
    wide = under**2 * away * away * number > over**2 * spread
    return np.asarray(wide & (under * abs(away) > over * limits.sd_min * number), dtype=np.bool_)


def _threshold(limits: Limits) -> tuple[int, int]:
    """Return the threshold as a fraction in lowest terms: small numbers fit into 64 bits."""
    shared = gcd(limits.threshold_milli, 1_000)
    return limits.threshold_milli // shared, 1_000 // shared


def _sums(values: Ints, near: Near) -> Ints:
    """Sum over each place's neighbours; a running sum that wraps around does so at both ends."""
    running = np.zeros(len(near.who) + 1, values.dtype)
    np.cumsum(values[near.who], out=running[1:])
    sums: Ints = running[near.start[1:]] - running[near.start[:-1]]
    return sums


class _Shelf:
    """Places sorted into cubes of the radius, so that neighbours are in cubes that touch.

    Three cubes in a column have numbers that follow each other: a column is one range.
    """

    def __init__(self, positions: Ints, members: Ints, radius_cm: int) -> None:
        self._edge_cm = max(radius_cm, _EDGE_CM_MIN)
        keys = self.key(positions[members])
        order = np.argsort(keys, kind="stable")
        self.order: Ints = members[order]
        self.keys: Ints = keys[order]
        self.sorted: Ints = positions[self.order]

    def key(self, positions: Ints) -> Ints:
        """Return the number of each place's cube."""
        cells = positions // self._edge_cm + _AXIS // 2
        numbers: Ints = (cells[:, 0] * _AXIS + cells[:, 1]) * _AXIS + cells[:, 2]
        return numbers

    def columns(self, keys: Ints, offsets: tuple[int, ...]) -> tuple[Ints, Ints]:
        """Return where the members of each cube's columns begin and end, a column per offset."""
        cubes, cube = np.unique(keys, return_inverse=True)
        middle = cubes[:, None] + np.array(offsets)
        low = np.searchsorted(self.keys, middle - 1, side="left")
        high = np.searchsorted(self.keys, middle + 1, side="right")
        return low[cube], high[cube]


def _batches(low: Ints, high: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield (row, member) for all members low..high of every row, in batches of whole rows."""
    lengths = high - low
    totals = lengths.sum(axis=1)
    ends = np.cumsum(totals)
    first, done = 0, 0
    while first < len(totals):
        last = max(int(np.searchsorted(ends, done + _PAIRS_MAX, side="right")), first + 1)
        here = np.repeat(np.arange(first, last), totals[first:last])
        long = lengths[first:last].ravel()
        there = np.repeat(low[first:last].ravel() - (np.cumsum(long) - long), long)
        there += np.arange(len(there))
        yield here, there
        first, done = last, int(ends[last - 1])


def _squares(rows: Ints, columns: Ints, here: Ints, there: Ints) -> Ints:
    """Return the squared distances; (2 * 6.4e8 cm)**2 < 2**63."""
    total: Ints = np.zeros(len(here), np.int64)
    for axis in range(3):
        side = rows[:, axis][here]
        side -= columns[:, axis][there]
        side *= side
        total += side
    return total


def _choose(
    here: Ints, there: Ints, square: Ints, owners: Ints, nearest: int
) -> tuple[Ints, Ints]:
    """Sort pairs by row and distance, and keep the nearest, one of each owner."""
    order = np.lexsort((there, square, here))
    here, there = here[order], there[order]
    first = _first_of_each(here, owners[there])
    here, there = here[first], there[first]
    kept = _place_in_run(here) < nearest
    return here[kept], there[kept]


def _by_row(rows: Ints, columns: Ints, count: int) -> Near:
    """Return pairs as lists by row; within one in the order in which they came."""
    # 16-bit numbers are sorted by radix, several times faster.
    small = rows.astype(np.uint16) if count <= 1 << 16 else rows
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=start[1:])
    return Near(start, columns[np.argsort(small, kind="stable")])


def _first_of_each(here: Ints, group: Ints) -> Ints:
    """Return, ascending, where each pair of a row and a group stands first."""
    order = np.lexsort((group, here))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(here[order]) != 0) | (np.diff(group[order]) != 0)
    return np.sort(order[new])


def _place_in_run(here: Ints) -> Ints:
    """Return for sorted rows the place of each entry within its row."""
    places = np.arange(len(here))
    begins = np.ones(len(here), np.bool_)
    begins[1:] = np.diff(here) != 0
    run: Ints = places - np.maximum.accumulate(np.where(begins, places, 0))
    return run


def to_positions(vectors: Sequence[tuple[int, int, int]]) -> Ints:
    """Return positions in cm as an array of three columns, also of none at all."""
    return np.array(vectors, dtype=np.int64).reshape(-1, 3)
