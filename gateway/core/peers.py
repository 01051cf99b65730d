"""Does a series follow its peers from hour to hour? Exact partial correlation over some days.

Text: spec/quality.md section 3. A made-up series can follow a region's weather, which anybody can
look up; what it cannot know in time is how the air differs a few kilometres on. So the change of a
station's hourly mean, less its region's, is held against that of single peers, and whatever both
share with the region's change is taken out. Changes are clipped: sun on a sensor moves it by
degrees, and one afternoon would drown a week.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt
from typing import NamedTuple

import numpy as np

from gateway.core.buddy import Bools, Ints, Near
from gateway.core.cubes import Cubes
from gateway.core.neighbour import in_resolution, in_time
from gateway.core.peer_days import VALUE_MAX, PeerDay, Series
from gateway.core.quality import JudgedKey
from gateway.core.quantities import Quantity
from gateway.core.rules import PPM, PeerRules


class Table(NamedTuple):
    """One number per row and bin, and where there is one; a number that is not there is 0."""

    values: Ints
    present: Bools

    def series(self, row: int) -> Series:
        """Return a row with None where there is no number."""
        pairs = zip(self.values[row].tolist(), self.present[row].tolist(), strict=True)
        return tuple(value if there else None for value, there in pairs)


class Changes(NamedTuple):
    """Changes from bin to bin of every row, 0 where there is none.

    clear: its own less its region's, clipped; region: its region's; there: whether there is one.
    """

    clear: Ints
    region: Ints
    there: Bools


def bin_means(
    keys: Sequence[JudgedKey], quantity: Quantity, start_ms: int, length_ms: int, bin_ms: int
) -> Table:
    """Return the mean of each bin's readings that passed in time, rounded down.

    In units of the quantity's resolution; a mean beyond VALUE_MAX is none.
    """
    bins = -(-length_ms // bin_ms)
    totals = [[0] * bins for _ in keys]
    counts = [[0] * bins for _ in keys]
    for row, key in enumerate(keys):
        for item in key.judged:
            if in_time(item):
                place = (item.reading.time_ms - start_ms) // bin_ms
                totals[row][place] += in_resolution(item, quantity.resolution)
                counts[row][place] += 1
    sums, numbers = np.array(totals, dtype=object), np.array(counts, dtype=np.int64)
    means = sums.reshape(-1, bins) // np.maximum(numbers.reshape(-1, bins), 1)
    present = (numbers.reshape(-1, bins) > 0) & (abs(means) <= VALUE_MAX).astype(np.bool_)
    return Table(np.where(present, means, 0).astype(np.int64), present)


def region_means(own: Table, cubes: Cubes, speaks: Bools, rules: PeerRules) -> Table:
    """Return for every row and bin the mean of the speaking rows of its region, itself left out.

    Rounded down; none of fewer than region_min rows.
    """
    speaking = own.present & speaks[:, None]
    mine = np.array([np.where(speaking, own.values, 0), speaking.astype(np.int64)])
    by_cube = np.zeros((2, len(cubes), own.values.shape[1]), np.int64)
    for part, column in zip(by_cube, mine, strict=True):
        np.add.at(part, cubes.cube, column)
    regions = [by_cube[:, cubes.around(number)].sum(axis=1) for number in range(len(cubes))]
    total, count = np.array(regions)[cubes.cube].swapaxes(0, 1) - mine
    enough = count >= rules.region_min
    return Table(np.where(enough, total // np.maximum(count, 1), 0), enough)


def kept_days(days: Sequence[PeerDay], today: PeerDay, rules: PeerRules) -> list[PeerDay]:
    """Return the days of one series that still count, in their order, today's last.

    A day without any mean is none, nor is one of another length, which is of other rules.
    """
    first = today.epoch - rules.days + 1
    old = [
        day
        for day in days
        if day[1:3] == today[1:3]
        and first <= day.epoch < today.epoch
        and len(day.own) == len(today.own)
    ]
    has_today = any(mean is not None for mean in today.own)
    return sorted([*old, today] if has_today else old)


def changes(
    series: Sequence[Sequence[PeerDay]], last_epoch: int, bins: int, clip: int, rules: PeerRules
) -> Changes:
    """Return every series' changes over rules.days days, a row each.

    Both bins of a change are of one day, and both have a mean of their own and of the region.
    """
    shape = (2, len(series), rules.days, bins)
    values, present = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for row, days in enumerate(series):
        for day in days:
            place = rules.days - 1 - (last_epoch - day.epoch)
            for part, means in enumerate((day.own, day.region)):
                values[part, row, place] = [mean or 0 for mean in means]
                present[part, row, place] = [mean is not None for mean in means]
    both = present[0] & present[1]
    flat = (len(series), rules.days * (bins - 1))
    there = (both[..., 1:] & both[..., :-1]).reshape(flat)
    steps = np.diff(values, axis=-1).reshape(2, *flat)
    clear = np.clip(steps[0] - steps[1], -clip, clip)
    return Changes(np.where(there, clear, 0), np.where(there, steps[1], 0), there)


def opinions(series: Changes, near: Near, rules: PeerRules) -> list[int | None]:
    """Return for every row the correlation that `agreeing` of its peers reach, in ppm.

    None where fewer than peers_min have enough pairs with it. The best peers decide, not the mean
    of all: so a peer in the sun, or one that lies, does not.
    """
    said: list[list[int]] = [[] for _ in range(len(near.start) - 1)]
    lengths = np.diff(near.start)
    for place in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > place)
        peers = near.who[near.start[rows] + place]
        for row, ppm in zip(rows.tolist(), _correlations(series, rows, peers, rules), strict=True):
            if ppm is not None:
                said[row].append(ppm)
    wanted = max(rules.peers_min, rules.agreeing)
    return [
        sorted(ppms, reverse=True)[rules.agreeing - 1] if len(ppms) >= wanted else None
        for ppms in said
    ]


def can_tell(said: Sequence[int | None], near: Near, rules: PeerRules) -> list[bool]:
    """Say of every row whether most of its peers with an opinion of their own agree with theirs.

    Where honest stations do not, nothing can be told from a station that does not either: in a
    network of one village the region's change is the village's, and what is left is noise.
    """
    able = []
    for row in range(len(near.start) - 1):
        peers = near.who[near.start[row] : near.start[row + 1]].tolist()
        known = [ppm for ppm in (said[peer] for peer in peers) if ppm is not None]
        agreeing = sum(ppm >= rules.agree_above_ppm for ppm in known)
        able.append(2 * agreeing > len(known))
    return able


def _correlations(
    series: Changes, rows: Ints, peers: Ints, rules: PeerRules
) -> Iterator[int | None]:
    """Yield the partial correlation of each row and its peer, given the change of its region."""
    both = series.there[rows] & series.there[peers]
    x = np.where(both, series.clear[rows], 0)
    y = np.where(both, series.clear[peers], 0)
    z = np.where(both, series.region[rows], 0)
    # 44,640 changes of at most 2**21 at the very most: a sum of products is below 2**58.
    sums = [both.sum(axis=1), x.sum(axis=1), y.sum(axis=1), z.sum(axis=1)]
    pairs = ((x, x), (y, y), (z, z), (x, y), (x, z), (y, z))
    sums += [(one * other).sum(axis=1) for one, other in pairs]
    for row in np.array(sums).T.tolist():
        yield _partial_ppm(*row) if row[0] >= rules.pairs_min else None


def _partial_ppm(  # noqa: PLR0917 - ten sums over the pairs
    n: int, x: int, y: int, z: int, xx: int, yy: int, zz: int, xy: int, xz: int, yz: int
) -> int | None:
    """Return the partial correlation of x and y given z in ppm, towards zero.

    None if y says nothing; 0 if x does. A region that does not change takes nothing out.
    """
    own, peer, region = n * xx - x * x, n * yy - y * y, n * zz - z * z
    own_region, peer_region = n * xz - x * z, n * yz - y * z
    region = region or 1
    top = (n * xy - x * y) * region - own_region * peer_region
    left, right = own * region - own_region**2, peer * region - peer_region**2
    if not right:
        return None
    if not left:
        return 0
    size = isqrt(top * top * PPM * PPM // (left * right))
    return size if top >= 0 else -size
