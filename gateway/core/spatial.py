"""The buddy check over a day: which values stand out among those of the same ten minutes.

Text: spec/quality.md section 2. A station is compared with trusted stations of other owners, one
of each owner, so keys that cost nothing say nothing. What nobody could compare costs nothing
either, and is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gateway.core.buddy import Bools, Ints, Limits, Near, Stats, buddy_check, departure
from gateway.core.neighbour import Key, Neighbour, Suspect, in_resolution, in_time
from gateway.core.quality import JudgedKey
from gateway.core.quantities import Quantity
from gateway.core.rules import SpatialRules


class Row(NamedTuple):
    """One (quantity, channel) of one station; station: its place in the list of stations."""

    station: int
    key: Key
    judged: JudgedKey


class SpatialDay(NamedTuple):
    """suspects: by row; alone: windows with a reading and without a comparison, by row."""

    suspects: list[dict[int, Suspect]]
    alone: list[int]


def rows_of(stations: Sequence[Neighbour], quantity: int) -> list[Row]:
    """Return every channel of a quantity; of each station the lowest comes first."""
    return [
        Row(place, judged.key, judged)
        for place, station in enumerate(stations)
        for judged in sorted(station.keys, key=lambda judged: judged.key)
        if judged.declared.quantity == quantity
    ]


def speakers(rows: Sequence[Row]) -> Bools:
    """Say which rows are their station's lowest channel: that one speaks about others."""
    first = np.ones(len(rows), np.bool_)
    for index, row in enumerate(rows):
        first[index] = not index or rows[index - 1].station != row.station
    return first


def check_windows(  # noqa: PLR0917 - the rows, where they are, and the day
    rows: Sequence[Row],
    near: Near,
    quantity: Quantity,
    start_ms: int,
    length_ms: int,
    rules: SpatialRules,
) -> SpatialDay:
    """Return what stands out in every window, once it has done so for persist_windows in a row.

    near: by row. In a row means among the windows in which the row was compared.
    """
    windows = -(-length_ms // rules.window_ms)
    values, present = _newest(rows, quantity, start_ms, windows, rules.window_ms)
    limits = Limits(
        rules.neighbours_min,
        rules.threshold_milli,
        rules.sd_min[quantity.code],
        rules.iterations,
    )
    checks = [buddy_check(values[w], present[w], near, limits) for w in range(windows)]
    flags = np.array([check.flags for check in checks]).reshape(windows, len(rows))
    tested = np.array([check.tested for check in checks]).reshape(windows, len(rows))
    suspects: list[dict[int, Suspect]] = [{} for _ in rows]
    for index in np.flatnonzero(flags.any(axis=0)).tolist():
        order = np.flatnonzero(tested[:, index]).tolist()
        kept = lasting([bool(flags[window, index]) for window in order], rules.persist_windows)
        for window, stays in zip(order, kept, strict=True):
            if stays:
                suspects[index][window] = _explained(values, checks, window, index, limits)
    return SpatialDay(suspects, (present & ~tested).sum(axis=0).tolist())


def lasting(flags: Sequence[bool], run: int) -> list[bool]:
    """Return the flags that stand in an unbroken row of at least `run`."""
    kept = list(flags)
    begin = 0
    for place, flag in enumerate([*flags, False]):
        if flag:
            continue
        if place - begin < run:
            kept[begin:place] = [False] * (place - begin)
        begin = place + 1
    return kept


def _newest(
    rows: Sequence[Row], quantity: Quantity, start_ms: int, windows: int, window_ms: int
) -> tuple[Ints, Bools]:
    """Return the newest reading that may be compared, by window and row, and where there is one.

    The order of the day decides among readings of one time.
    """
    values = np.zeros((windows, len(rows)), np.int64)
    present = np.zeros((windows, len(rows)), np.bool_)
    for index, row in enumerate(rows):
        for item in row.judged.judged:
            if in_time(item):
                window = (item.reading.time_ms - start_ms) // window_ms
                values[window, index] = in_resolution(item, quantity.resolution)
                present[window, index] = True
    return values, present


def _explained(
    values: Ints, checks: Sequence[Stats], window: int, index: int, limits: Limits
) -> Suspect:
    check = checks[window]
    sums = int(check.number[index]), int(check.total[index]), int(check.square[index])
    return departure(int(values[window, index]), *sums, limits)
