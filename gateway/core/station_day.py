"""One station's day: its listed messages as readings per quantity, judged and scored.

It joins messages, quality.py and what the neighbours say; it knows nothing of pay. Judging comes
first for all stations, since whoever passes by itself is somebody's neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway.core.epoch_inputs import Finding, QuantityQuality
from gateway.core.listing import Item
from gateway.core.model import Declared, Readings
from gateway.core.neighbour import Key, Limit, NeighbourOutcome, Suspect
from gateway.core.quality import (
    Flag,
    Judged,
    JudgedKey,
    Reading,
    judge,
    lowered,
    score,
    station_quality_ppm,
)
from gateway.core.quantities import Quantity
from gateway.core.rules import Rules
from gateway.core.state import StationState
from gateway.core.stations import Standings
from gateway.core.verdicts import Verdict

_EXAMPLES = 2


class StationDay(NamedTuple):
    """readings: how many values and faults of declared quantities fell into the day."""

    quality_ppm: int
    quantities: tuple[QuantityQuality, ...]
    standings: Standings
    findings: tuple[Finding, ...]
    readings: int


class JudgedDay(NamedTuple):
    """One station's UTC day before its neighbours are asked; readings as in StationDay."""

    start_ms: int
    length_ms: int
    keys: tuple[JudgedKey, ...]
    findings: tuple[Finding, ...]
    readings: int


class _Day:
    """Collects the readings of one station and one UTC day."""

    def __init__(self, wanted: Mapping[Key, Quantity], start_ms: int, end_ms: int) -> None:
        self.series: dict[Key, list[Reading]] = {key: [] for key in wanted}
        self.strays: dict[Verdict, dict[bytes, int]] = {
            Verdict.WRONG_DAY: {},
            Verdict.UNDECLARED: {},
        }
        self._start_ms = start_ms
        self._end_ms = end_ms

    def add(self, item: Item, utc_ms: int, body: Readings, unpaid: Verdict | None) -> None:
        message_id, recv_ms = item.entry.message_id, item.entry.recv_ms
        times_ms = [utc_ms - age_ms for age_ms in body.sample_ages_ms]
        # The oldest and the newest sample decide whether a look at each is needed.
        if times_ms[0] < self._start_ms or times_ms[-1] >= self._end_ms:
            outside = sum(not self._start_ms <= t < self._end_ms for t in times_ms)
            self.strays[Verdict.WRONG_DAY][message_id] = outside
        for column in body.columns:
            series = self.series.get((column.quantity, column.channel))
            if series is None:
                strays = self.strays[Verdict.UNDECLARED]
                values = sum(value is not None for value in column.values)
                strays[message_id] = strays.get(message_id, 0) + values
                continue
            exponent = column.exponent
            faults = dict(column.faults)
            for position, value in enumerate(column.values):
                time_ms = times_ms[position]
                if not self._start_ms <= time_ms < self._end_ms:
                    continue
                fault = faults.get(position, 0)
                if value is not None or fault:
                    series.append(
                        Reading(
                            time_ms,
                            message_id,
                            position,
                            value,
                            exponent,
                            fault,
                            recv_ms,
                            unpaid,
                        )
                    )

    def findings(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(verdict, sum(counts.values()), tuple(sorted(counts))[:_EXAMPLES])
            for verdict, counts in self.strays.items()
            if any(counts.values())
        )


def judge_day(
    station: StationState,
    epoch: int,
    items: Iterable[Item],
    unpaid: Mapping[bytes, Verdict],
    *,
    quantities: Mapping[int, Quantity],
    rules: Rules,
) -> JudgedDay:
    """Return the day of one station, every reading judged by itself.

    unpaid: FORKED or QUARANTINED by message id. Messages without a time that counts are left
    out. A declared quantity that nobody knows is not evaluated, and not part of the mean.
    """
    length_ms = rules.epoch.length_ms
    start_ms = epoch * length_ms
    declared = [d for d in station.declared if d.quantity in quantities]
    wanted = {(d.quantity, d.channel): quantities[d.quantity] for d in declared}
    day = _Day(wanted, start_ms, start_ms + length_ms)
    for item in items:
        body, placed = item.message.body, item.placed
        if isinstance(body, Readings) and placed is not None and placed.fault is None:
            day.add(item, placed.utc_ms, body, unpaid.get(item.entry.message_id))
    stood = {standing[:2]: standing[2] for standing in station.standings}
    keys = []
    for promise in declared:
        key = (promise.quantity, promise.channel)
        judged, standing = judge(wanted[key], day.series[key], stood.get(key), rules)
        keys.append(JudgedKey(_measured(promise, rules), wanted[key], tuple(judged), standing))
    readings = sum(map(len, day.series.values()))
    return JudgedDay(start_ms, length_ms, tuple(keys), day.findings(), readings)


def score_day(day: JudgedDay, neighbours: NeighbourOutcome | None, rules: Rules) -> StationDay:
    """Return the day scored, with what its neighbours say; None: nobody was asked."""
    results = []
    for key in day.keys:
        judged: Sequence[Judged] = key.judged
        if neighbours is not None:
            judged = _doubted(judged, day.start_ms, neighbours.suspects.get(key.key, {}), rules)
            judged = _limited(judged, neighbours.limits.get(key.key))
        results.append(score(key.declared, judged, day.start_ms, day.length_ms))
    return StationDay(
        station_quality_ppm(results),
        tuple(results),
        tuple((*key.key, key.standing) for key in day.keys if key.standing is not None),
        day.findings if neighbours is None else (*day.findings, *neighbours.findings),
        day.readings,
    )


def _doubted(
    judged: Sequence[Judged], start_ms: int, suspects: Mapping[int, Suspect], rules: Rules
) -> Sequence[Judged]:
    """Doubt all readings of the windows whose newest stood out among its neighbours."""
    if not suspects:
        return judged
    window_ms, credit_ppm = rules.spatial.window_ms, rules.quality.suspect_ppm
    return [
        item
        if suspect is None or item.flag is not Flag.PASS
        else lowered(item, credit_ppm, Verdict.BUDDY, *suspect)
        for item in judged
        for suspect in (suspects.get((item.reading.time_ms - start_ms) // window_ms),)
    ]


def _limited(judged: Sequence[Judged], limit: Limit | None) -> Sequence[Judged]:
    return judged if limit is None else [lowered(item, *limit) for item in judged]


def _measured(promise: Declared, rules: Rules) -> Declared:
    """Return what a promise is measured against: a slower one than the rules allow is not."""
    interval_ms = min(promise.interval_ms, rules.quality.interval_ms_max)
    return replace(promise, interval_ms=interval_ms)
