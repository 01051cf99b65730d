"""One station's day: its listed messages as readings per quantity, judged and scored.

It joins messages and quality.py; it knows nothing of pay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from gateway.core.epoch_inputs import Finding, QuantityQuality
from gateway.core.listing import Item
from gateway.core.model import Declared, Readings
from gateway.core.quality import Reading, judge, score, station_quality_ppm
from gateway.core.quantities import Quantity
from gateway.core.rules import Rules
from gateway.core.state import StationState
from gateway.core.stations import Standings
from gateway.core.verdicts import Verdict

Key = tuple[int, int]
_EXAMPLES = 2


class StationDay(NamedTuple):
    """readings: how many values and faults of declared quantities fell into the day."""

    quality_ppm: int
    quantities: tuple[QuantityQuality, ...]
    standings: Standings
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


def evaluate_day(
    station: StationState,
    epoch: int,
    items: Iterable[Item],
    unpaid: Mapping[bytes, Verdict],
    *,
    quantities: Mapping[int, Quantity],
    rules: Rules,
) -> StationDay:
    """Return the day of one station.

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
    results = []
    standings = []
    for promise in declared:
        key = (promise.quantity, promise.channel)
        judged, standing = judge(wanted[key], day.series[key], stood.get(key), rules)
        results.append(score(_measured(promise, rules), judged, start_ms, length_ms))
        if standing is not None:
            standings.append((*key, standing))
    readings = sum(map(len, day.series.values()))
    return StationDay(
        station_quality_ppm(results),
        tuple(results),
        tuple(standings),
        day.findings(),
        readings,
    )


def _measured(promise: Declared, rules: Rules) -> Declared:
    """Return what a promise is measured against: a slower one than the rules allow is not."""
    interval_ms = min(promise.interval_ms, rules.quality.interval_ms_max)
    return replace(promise, interval_ms=interval_ms)
