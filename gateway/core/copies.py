"""Two stations whose difference spreads less than honest neighbours' ever did are one sensor.

Text: spec/quality.md section 4. It finds pairs and says which of the two is the copy; it cannot
tell who built what. Copies with more noise than the floor are not found here: see peers.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from gateway.core.buddy import Bools, Ints
from gateway.core.cubes import Cubes
from gateway.core.evidence_rules import CopyRules, PeerRules
from gateway.core.neighbour import Neighbour, in_time
from gateway.core.peer_days import PeerDay
from gateway.core.peers import Table
from gateway.core.quality import JudgedKey

# 1,448**2 * 2**42 < 2**63.
_BINS_INT64 = 1_448


class Copy(NamedTuple):
    """Rows of a pair, and the sd of their difference, rounded down, against its floor."""

    one: int
    other: int
    spread: int
    floor: int


class _Moments(NamedTuple):
    """Of every row how many values there are, and that times the sum of their squares, less the
    square of their sum: number**2 times the variance.
    """

    number: Ints
    spread: Ints

    def wider(self, deviation: int, *, strictly: bool = False) -> Bools:
        """Say whose standard deviation is at least, or above, `deviation`."""
        bound = deviation**2 * self.number**2
        return np.asarray(self.spread > bound if strictly else self.spread >= bound, np.bool_)

    def told(self, others: Ints, which: Bools) -> Iterator[tuple[int, int]]:
        """Yield the rows at `which` and their standard deviations, rounded down."""
        for place in np.flatnonzero(which).tolist():
            spread = isqrt(int(self.spread[place])) // int(self.number[place])
            yield int(others[place]), spread


def find_copies(
    today: Table,
    late: Sequence[Sequence[PeerDay]],
    cubes: Cubes,
    rules: PeerRules,
    floors: CopyRules,
) -> list[Copy]:
    """Return the pairs of rows of one region that are one sensor, by today's bins or by all.

    late: the days of each row, today's last. Both must spread by `spread` themselves: two sensors
    that stand still, or a day of fog, say nothing.
    """
    week = _all_days(late, today.values.shape[1], rules)
    moves = _moments(today.values, today.present).wider(floors.spread)
    found = []
    for one, others in _pairs(cubes):
        pair = _differences(today, one, others)
        sure = moves[one] & moves[others] & (pair.number >= rules.day_bins_min)
        sure &= ~pair.wider(floors.day_floor, strictly=True)
        # Whatever spreads no more than the floor over all days has at most this on one of them.
        most = week.values.shape[1] * floors.floor**2
        likely = ~sure & (pair.number > 0) & (pair.spread <= pair.number * most)
        found += [Copy(one, *which, floors.day_floor) for which in pair.told(others, sure)]
        maybe = others[likely]
        if len(maybe):
            whole = _differences(week, one, maybe)
            both = week.present[one] & week.present[maybe]
            still = [
                _moments(week.values[rows], both) for rows in (np.full_like(maybe, one), maybe)
            ]
            sure = (whole.number >= rules.bins_min) & ~whole.wider(floors.floor, strictly=True)
            sure &= still[0].wider(floors.spread) & still[1].wider(floors.spread)
            found += [Copy(one, *which, floors.floor) for which in whole.told(maybe, sure)]
    return found


def _all_days(late: Sequence[Sequence[PeerDay]], bins: int, rules: PeerRules) -> Table:
    """Return all days of every row side by side, each day at its own place."""
    last = max((days[-1].epoch for days in late if days), default=0)
    values = np.zeros((len(late), rules.days, bins), np.int64)
    present = np.zeros(values.shape, np.bool_)
    for row, days in enumerate(late):
        for day in days:
            place = rules.days - 1 - (last - day.epoch)
            values[row, place] = [mean or 0 for mean in day.own]
            present[row, place] = [mean is not None for mean in day.own]
    flat = (len(late), rules.days * bins)
    return Table(values.reshape(flat), present.reshape(flat))


def _differences(table: Table, one: int, others: Ints) -> _Moments:
    both = table.present[one] & table.present[others]
    return _moments(table.values[others] - table.values[one], both)


def _moments(values: Ints, present: Bools) -> _Moments:
    """Return the moments of every row, in 64 bits where they provably suffice.

    A difference is at most 2 * VALUE_MAX = 2**21, so that both terms stay below 2**63.
    """
    kind: Any = np.int64 if values.shape[1] <= _BINS_INT64 else object
    kept = np.where(present, values, 0).astype(kind)
    number = present.sum(axis=1).astype(kind)
    return _Moments(number, number * (kept * kept).sum(axis=1) - kept.sum(axis=1) ** 2)


def _pairs(cubes: Cubes) -> Iterator[tuple[int, Ints]]:
    """Yield each row with the later rows of its region."""
    for number, rows in enumerate(cubes.members):
        region = np.sort(np.concatenate([cubes.members[near] for near in cubes.around(number)]))
        for row in rows.tolist():
            later = region[np.searchsorted(region, row, side="right") :]
            if len(later):
                yield row, later


def is_copy(
    one: tuple[Neighbour, JudgedKey],
    other: tuple[Neighbour, JudgedKey],
    start_ms: int,
    window_ms: int,
) -> bool:
    """Say whether `one` of a pair is the copy; the same answer whichever way it is asked.

    A trusted station is none of an untrusted one's. Else it is the one whose readings of the same
    windows came later more often, else the younger one, else that with the larger id.
    """
    (first, first_key), (second, second_key) = one, other
    if first.trusted != second.trusted:
        return second.trusted
    mine, theirs = (_arrivals(key, start_ms, window_ms) for key in (first_key, second_key))
    later = sum((mine[w] > theirs[w]) - (mine[w] < theirs[w]) for w in mine.keys() & theirs.keys())
    if later:
        return later > 0
    return (first.senior_epoch, first.device) > (second.senior_epoch, second.device)


def _arrivals(key: JudgedKey, start_ms: int, window_ms: int) -> dict[int, int]:
    """Return when the newest reading of every window came in."""
    return {
        (item.reading.time_ms - start_ms) // window_ms: item.reading.recv_ms
        for item in key.judged
        if in_time(item)
    }
