"""Self-check quality of one declared quantity over one UTC day, in integers only.

Flags are QARTOD's (IOOS, Manual for Real-Time Oceanographic Data Quality Control); the tests are
gross range, rate of change and flat line, and completeness against the declared interval. Exact
text: spec/rewards.md section 10. It knows one station's readings, not where they came from, and
nothing of its neighbours (neighbourhood.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from gateway.core.epoch_inputs import Penalty, QuantityQuality
from gateway.core.model import Declared
from gateway.core.quantities import Quantity
from gateway.core.rules import PPM, Rules
from gateway.core.verdicts import Verdict

MINUTE_MS = 60_000
# QARTOD's flat line needs this many equal values (REP_CNT_SUSPECT, REP_CNT_FAIL): a station that
# reports twice a day must not be called stuck for two equal values.
FLAT_SUSPECT_READINGS = 3
FLAT_FAIL_READINGS = 5


class Flag(IntEnum):
    """QARTOD's primary flags."""

    PASS = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


class Reading(NamedTuple):
    """One value, or one sensor fault (then value is None), of a quantity.

    The order of the fields is the order of the day: time, then message id, then place in it.
    unpaid: FORKED or QUARANTINED, where the message's readings earn nothing.
    """

    time_ms: int
    message_id: bytes
    position: int
    value: int | None
    exponent: int
    fault: int
    recv_ms: int
    unpaid: Verdict | None


class Standing(NamedTuple):
    """The last good value, since when and for how many readings it has not moved.

    Carried from day to day: a sensor that is stuck for good is caught after the first day too.
    """

    value: int
    exponent: int
    since_ms: int
    readings: int
    last_ms: int


class Judged(NamedTuple):
    """A reading's flag, its credit and, unless it passed in time, why not (see Penalty)."""

    reading: Reading
    flag: Flag
    credit_ppm: int
    verdict: Verdict | None
    observed: int | None
    limit: int | None


class JudgedKey(NamedTuple):
    """A declared (quantity, channel), its readings judged by themselves, and what stands.

    declared: what the promise is measured against; judged: in the order of the day.
    """

    declared: Declared
    quantity: Quantity
    judged: tuple[Judged, ...]
    standing: Standing | None

    @property
    def key(self) -> tuple[int, int]:
        """Quantity and channel."""
        return self.declared.quantity, self.declared.channel


class _Outcome(NamedTuple):
    flag: Flag
    verdict: Verdict | None
    observed: int | None
    limit: int | None


_PASS = _Outcome(Flag.PASS, None, None, None)


class _Series:
    """Applies the tests to readings in the order of the day.

    Values are compared in units of the finest exponent that occurs, which is what comparing by
    cross-multiplication amounts to: every factor is a power of ten and nothing is rounded.
    """

    def __init__(self, quantity: Quantity, exponent: int, standing: Standing | None) -> None:
        self._quantity = quantity
        self._exponent = exponent
        self._unit = 10 ** (quantity.resolution - exponent)
        self._low = quantity.low * self._unit
        self._high = quantity.high * self._unit
        self.standing = standing
        self._scaled = 0 if standing is None else self._scale(standing.value, standing.exponent)

    def test(self, reading: Reading) -> _Outcome:
        """Return the outcome of a reading with a value; in range, it is the next standing."""
        assert reading.value is not None
        scaled = self._scale(reading.value, reading.exponent)
        if scaled < self._low:
            return _Outcome(Flag.FAIL, Verdict.OUT_OF_RANGE, None, self._quantity.low)
        if scaled > self._high:
            return _Outcome(Flag.FAIL, Verdict.OUT_OF_RANGE, None, self._quantity.high)
        before, before_scaled, time_ms = self.standing, self._scaled, reading.time_ms
        self._scaled = scaled
        if before is not None and scaled == before_scaled:
            stood = before._replace(readings=before.readings + 1, last_ms=time_ms)
            self.standing = stood
            return self._flat(stood)
        self.standing = Standing(reading.value, reading.exponent, time_ms, 1, time_ms)
        # The very first value has no predecessor: it passes by its range alone.
        if before is None or not self._quantity.step_per_min:
            return _PASS
        return self._step(abs(scaled - before_scaled), time_ms - before.last_ms)

    def _step(self, change: int, elapsed_ms: int) -> _Outcome:
        # Within a minute the minute's change is allowed: a sensor's noise does not shrink with
        # the interval.
        limit = self._quantity.step_per_min * max(elapsed_ms, MINUTE_MS)
        limit = min(limit, self._quantity.step_cap * MINUTE_MS)
        if change * MINUTE_MS <= limit * self._unit:
            return _PASS
        observed = -(-change // self._unit)
        return _Outcome(Flag.SUSPECT, Verdict.STEP, observed, limit // MINUTE_MS)

    def _flat(self, stood: Standing) -> _Outcome:
        limits = (
            (Flag.FAIL, self._quantity.flat_fail_min, FLAT_FAIL_READINGS),
            (Flag.SUSPECT, self._quantity.flat_suspect_min, FLAT_SUSPECT_READINGS),
        )
        elapsed_ms = stood.last_ms - stood.since_ms
        for flag, limit_min, readings in limits:
            if limit_min and stood.readings >= readings and elapsed_ms >= limit_min * MINUTE_MS:
                return _Outcome(flag, Verdict.FLAT_LINE, elapsed_ms // MINUTE_MS, limit_min)
        return _PASS

    def _scale(self, value: int, exponent: int) -> int:
        return value if exponent == self._exponent else value * 10 ** (exponent - self._exponent)


def release_ms(time_ms: int, rules: Rules) -> int:
    """Return when a value measured at time_ms is released: its window's end and the grace."""
    window_ms = rules.release.window_ms
    return (time_ms // window_ms + 1) * window_ms + rules.release.grace_ms


def judge(
    quantity: Quantity, readings: Sequence[Reading], standing: Standing | None, rules: Rules
) -> tuple[list[Judged], Standing | None]:
    """Return every reading of the day judged, in the order of the day, and the new standing.

    Unpaid readings are not evaluated and are nobody's predecessor.
    """
    exponents = {reading.exponent for reading in readings if reading.value is not None}
    if standing is not None:
        exponents.add(standing.exponent)
    series = _Series(quantity, min(exponents | {quantity.resolution}), standing)
    credits_ppm = {
        Flag.PASS: PPM,
        Flag.SUSPECT: rules.quality.suspect_ppm,
        Flag.FAIL: 0,
    }
    judged = []
    for reading in sorted(readings):
        if reading.unpaid is not None:
            judged.append(Judged(reading, Flag.NOT_EVALUATED, 0, reading.unpaid, None, None))
        elif reading.value is None:
            fault = Verdict.SENSOR_FAULT
            judged.append(Judged(reading, Flag.MISSING, 0, fault, reading.fault, None))
        else:
            outcome = series.test(reading)
            judged.append(_credit(reading, outcome, credits_ppm[outcome.flag], rules))
    return judged, series.standing


def _credit(reading: Reading, outcome: _Outcome, credit_ppm: int, rules: Rules) -> Judged:
    """Cap the credit of a late reading; the smaller of two credits names the verdict."""
    late_ppm = rules.release.late_ppm
    # Within the grace nothing is late, whatever its window: no need to ask when that ends.
    in_grace = reading.recv_ms - reading.time_ms < rules.release.grace_ms
    # Who passed and is late is told so even where it costs nothing: the late are nobody's peers.
    if (credit_ppm > late_ppm or outcome.verdict is None) and not in_grace:
        released_ms = release_ms(reading.time_ms, rules)
        if reading.recv_ms >= released_ms:
            late = Verdict.POST_RELEASE
            return Judged(reading, outcome.flag, late_ppm, late, reading.recv_ms, released_ms)
    return Judged(reading, outcome.flag, credit_ppm, *outcome[1:])


def lowered(
    item: Judged, credit_ppm: int, verdict: Verdict, observed: int | None, limit: int | None
) -> Judged:
    """Return the reading with at most that credit; if it already has no more, as it was."""
    if item.credit_ppm <= credit_ppm:
        return item
    return item._replace(credit_ppm=credit_ppm, verdict=verdict, observed=observed, limit=limit)


def score(
    declared: Declared, judged: Sequence[Judged], day_start_ms: int, length_ms: int
) -> QuantityQuality:
    """Return the quality of a quantity from its readings, judged, in the order of the day.

    The day has length_ms // interval_ms windows (what is left over belongs to the last). Each
    earns the best credit of the readings in it, of equal ones the first; one that is left over
    counts for a window next to it that has none.
    """
    interval_ms = declared.interval_ms
    expected = max(length_ms // interval_ms, 1)
    best: dict[int, Judged] = {}
    for item in judged:
        choice = _windows(item.reading.time_ms - day_start_ms, interval_ms, expected)
        held = best.get(choice[0])
        left: Judged | None = item
        if held is None or item.credit_ppm > held.credit_ppm:
            best[choice[0]], left = item, held
        if left is not None and left.credit_ppm:
            choice = _windows(left.reading.time_ms - day_start_ms, interval_ms, expected)
            free = next((window for window in choice if window not in best), None)
            if free is not None:
                best[free] = left
    credit_ppm = sum(item.credit_ppm for item in best.values())
    return QuantityQuality(
        quantity=declared.quantity,
        channel=declared.channel,
        interval_ms=interval_ms,
        expected=expected,
        full=sum(item.credit_ppm == PPM for item in best.values()),
        missing=expected - len(best),
        credit_ppm=credit_ppm,
        quality_ppm=credit_ppm // expected,
        penalties=tuple(_penalties(judged, list(best.values()))),
    )


def _windows(offset_ms: int, interval_ms: int, expected: int) -> tuple[int, ...]:
    """Return the windows that a reading may count for, its own first.

    The next one follows if it is less than a quarter of the interval away: a board that samples
    on the edge of its windows must not lose a quarter of its day to its clock's jitter.
    """
    window = min(offset_ms // interval_ms, expected - 1)
    inside_ms = offset_ms - window * interval_ms
    if 4 * inside_ms < interval_ms and window > 0:
        return window, window - 1
    if 4 * (interval_ms - inside_ms) < interval_ms and window < expected - 1:
        return window, window + 1
    return (window,)


def station_quality_ppm(quantities: Sequence[QuantityQuality]) -> int:
    """Return the floor of the mean over a station's declared quantities; 0 of none."""
    return sum(q.quality_ppm for q in quantities) // len(quantities) if quantities else 0


def _penalties(judged: Sequence[Judged], decisive: Sequence[Judged]) -> Iterator[Penalty]:
    """Yield a penalty per verdict, by its code."""
    hits: dict[Verdict, list[Judged]] = {}
    for item in judged:
        if item.verdict is not None:
            hits.setdefault(item.verdict, []).append(item)
    for verdict in sorted(hits):
        first = hits[verdict][0]
        lost = [PPM - item.credit_ppm for item in decisive if item.verdict is verdict]
        yield Penalty(
            verdict=verdict,
            readings=len(hits[verdict]),
            windows=len(lost),
            lost_ppm=sum(lost),
            message_id=first.reading.message_id,
            time_ms=first.reading.time_ms,
            value=first.reading.value,
            exponent=first.reading.exponent,
            observed=first.observed,
            limit=first.limit,
        )
