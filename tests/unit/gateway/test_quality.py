"""The self checks one by one, on spec/quantities.toml and spec/rules/0001.toml."""

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Declared
from gateway.core.quality import (
    Flag,
    Reading,
    Standing,
    judge,
    release_ms,
    score,
    station_quality_ppm,
)
from gateway.core.quantities import parse_quantities
from gateway.core.rules import PPM, parse_rules
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import (
    HOUR_MS,
    MINUTE_MS,
    PRESSURE,
    QUANTITIES,
    RULES,
    START_MS,
    TEMPERATURE,
)

DAY_MS = 86_400_000
RULES_1 = parse_rules(RULES)
KNOWN = parse_quantities(QUANTITIES)
SUSPECT_PPM = RULES_1.quality.suspect_ppm
LATE_PPM = RULES_1.release.late_ppm


def reading(minute, value, exponent=-2, *, fault=0, delay_ms=1_000, unpaid=None, name=b"m"):
    time_ms = START_MS + minute * MINUTE_MS
    return Reading(
        time_ms, name.ljust(32, b"\0"), 0, value, exponent, fault, time_ms + delay_ms, unpaid
    )


def flags(readings, quantity=TEMPERATURE, standing=None):
    judged, _ = judge(KNOWN[quantity], readings, standing, RULES_1)
    return [(item.flag, item.verdict) for item in judged]


def quality(readings, interval_min=10, quantity=TEMPERATURE, standing=None, rules=RULES_1):
    judged, _ = judge(KNOWN[quantity], readings, standing, rules)
    return score(Declared(quantity, 0, interval_min * MINUTE_MS), judged, START_MS, DAY_MS)


def full_day(interval_min=10, value=lambda k: 1500 + k % 50):
    return [
        reading(m + interval_min // 2, value(k))
        for k, m in enumerate(range(0, 1440, interval_min))
    ]


def test_a_full_day_is_worth_everything():
    day = quality(full_day())
    assert (day.expected, day.full, day.missing, day.quality_ppm) == (144, 144, 0, PPM)
    assert day.penalties == ()


@pytest.mark.parametrize(
    "value, exponent, flag",
    [
        (6_000, -2, Flag.PASS),
        (6_001, -2, Flag.FAIL),
        (-4_500, -2, Flag.PASS),
        (-4_501, -2, Flag.FAIL),
        (60, 0, Flag.PASS),
        (61, 0, Flag.FAIL),
        (6, 1, Flag.PASS),
        (1, 2, Flag.FAIL),
        (60_000_000_000, -9, Flag.PASS),
        (60_000_000_001, -9, Flag.FAIL),
        (-45_000_000_001, -9, Flag.FAIL),
    ],
)
def test_gross_range_is_exact_in_every_exponent(value, exponent, flag):
    assert flags([reading(0, value, exponent)])[0][0] is flag


def test_the_first_reading_has_no_predecessor_and_passes_by_its_range():
    assert flags([reading(0, 1500)]) == [(Flag.PASS, None)]


@pytest.mark.parametrize(
    "minutes, change, flag",
    [
        (1, 300, Flag.PASS),
        (1, 301, Flag.SUSPECT),
        (3, 900, Flag.PASS),
        (3, 901, Flag.SUSPECT),
        (600, 1_500, Flag.PASS),
        (600, 1_501, Flag.SUSPECT),
        (0, 300, Flag.PASS),
        (0, -301, Flag.SUSPECT),
    ],
)
def test_step_grows_with_the_time_up_to_its_cap(minutes, change, flag):
    pair = [reading(0, 1000), reading(minutes, 1000 + change, name=b"n")]
    assert flags(pair)[1] == (flag, Verdict.STEP if flag is Flag.SUSPECT else None)


def test_step_across_exponents():
    pair = [reading(0, 10, 0), reading(1, 1_301, -2)]
    assert flags(pair)[1] == (Flag.SUSPECT, Verdict.STEP)
    assert flags([reading(0, 10, 0), reading(1, 13_000_000_000, -9)])[1][0] is Flag.PASS
    assert flags([reading(0, 10, 0), reading(1, 13_000_000_001, -9)])[1][0] is Flag.SUSPECT


def test_what_is_out_of_range_is_nobodys_predecessor():
    row = [reading(0, 1500), reading(10, 9_999), reading(20, 1510)]
    assert [flag for flag, _ in flags(row)] == [Flag.PASS, Flag.FAIL, Flag.PASS]


def test_quantities_without_a_step_may_jump():
    assert flags([reading(0, 0, -1), reading(1, 9_000, -1)], quantity=3)[1][0] is Flag.PASS


def test_a_flat_line_is_suspect_first_and_fails_on_the_next_day():
    day = full_day(value=lambda _: 1500)
    judged, standing = judge(KNOWN[TEMPERATURE], day, None, RULES_1)
    assert [item.flag for item in judged] == [Flag.PASS] * 36 + [Flag.SUSPECT] * 108
    assert standing == Standing(1500, -2, day[0].time_ms, 144, day[-1].time_ms)
    tomorrow = [item._replace(time_ms=item.time_ms + DAY_MS) for item in day]
    judged, _ = judge(KNOWN[TEMPERATURE], tomorrow, standing, RULES_1)
    assert {(item.flag, item.verdict) for item in judged} == {(Flag.FAIL, Verdict.FLAT_LINE)}


def test_equal_values_in_another_exponent_are_a_flat_line_too():
    row = [reading(180 * k, *((15, 0) if k % 2 else (1500, -2))) for k in range(4)]
    assert [flag for flag, _ in flags(row)] == [Flag.PASS, Flag.PASS, Flag.SUSPECT, Flag.SUSPECT]


def test_two_equal_values_a_day_are_no_flat_line():
    row = [reading(0, 1500), reading(720, 1500), reading(1439, 1500)]
    assert [flag for flag, _ in flags(row)] == [Flag.PASS, Flag.PASS, Flag.SUSPECT]


def test_yesterdays_value_is_the_first_ones_predecessor():
    standing = Standing(1000, -2, START_MS - HOUR_MS, 1, START_MS - MINUTE_MS)
    assert flags([reading(0, 1301)], standing=standing) == [(Flag.SUSPECT, Verdict.STEP)]


def test_unpaid_readings_are_not_evaluated_and_nobodys_predecessor():
    row = [reading(0, 1000), reading(1, 5_000, unpaid=Verdict.FORKED), reading(2, 1010)]
    assert flags(row) == [
        (Flag.PASS, None),
        (Flag.NOT_EVALUATED, Verdict.FORKED),
        (Flag.PASS, None),
    ]


def test_a_sensor_fault_is_missing_and_costs_its_window():
    day = full_day()
    day[7] = day[7]._replace(value=None, fault=3)
    result = quality(day)
    (penalty,) = result.penalties
    assert (penalty.verdict, penalty.windows, penalty.observed) == (Verdict.SENSOR_FAULT, 1, 3)
    assert (penalty.lost_ppm, result.missing, result.full) == (PPM, 0, 143)
    assert result.quality_ppm == 143 * PPM // 144


def test_release_is_the_end_of_the_window_and_the_grace():
    assert release_ms(START_MS, RULES_1) == START_MS + 40 * MINUTE_MS
    assert release_ms(START_MS + 599_999, RULES_1) == START_MS + 40 * MINUTE_MS
    assert release_ms(START_MS + 600_000, RULES_1) == START_MS + 50 * MINUTE_MS


@pytest.mark.parametrize("delay_ms, late", [(2_399_999, False), (2_400_000, True)])
def test_a_reading_is_late_from_the_moment_of_its_release(delay_ms, late):
    (judged,) = judge(KNOWN[0], [reading(0, 1500, delay_ms=delay_ms)], None, RULES_1)[0]
    assert judged.flag is Flag.PASS
    assert judged.credit_ppm == (LATE_PPM if late else PPM)
    assert judged.verdict is (Verdict.POST_RELEASE if late else None)


def test_a_late_reading_never_earns_more_than_its_flag_allows():
    rules = replace(RULES_1, release=replace(RULES_1.release, late_ppm=600_000))
    row = [reading(0, 1500), reading(1, 5_000, delay_ms=HOUR_MS), reading(2, 9_999)]
    judged, _ = judge(KNOWN[0], row, None, rules)
    assert [(j.credit_ppm, j.verdict) for j in judged] == [
        (PPM, None),
        (SUSPECT_PPM, Verdict.STEP),
        (0, Verdict.OUT_OF_RANGE),
    ]


def test_a_window_takes_the_best_of_its_readings():
    result = quality([reading(0, 9_999), reading(1, 1500), reading(2, None, fault=1)], 1440)
    assert (result.expected, result.quality_ppm) == (1, PPM)
    assert {(p.verdict, p.readings, p.windows) for p in result.penalties} == {
        (Verdict.OUT_OF_RANGE, 1, 0),
        (Verdict.SENSOR_FAULT, 1, 0),
    }


def test_more_readings_than_declared_earn_nothing_more():
    assert quality(full_day(5), interval_min=10).quality_ppm == PPM


@pytest.mark.parametrize("interval_min", [5, 10, 60])
def test_jitter_on_the_edge_of_the_windows_costs_nothing(interval_min):
    """Without the neighbour's window a quarter of such a day would be missing."""
    random = Random(interval_min)
    day = [
        reading(m, 1500 + m % 7)._replace(time_ms=START_MS + m * MINUTE_MS + jitter_ms)
        for m in range(0, 1440, interval_min)
        if (jitter_ms := random.randint(-interval_min * 10_000, interval_min * 10_000)) >= 0 or m
    ]
    assert 10**6 - quality(day, interval_min).quality_ppm <= 10**6 * interval_min // 1440 + 1


def test_a_burst_fills_no_more_than_two_windows():
    burst = [
        reading(0, 1500)._replace(time_ms=START_MS + 600_000 + ms) for ms in range(-90, 90, 9)
    ]
    assert quality(burst).full == 2
    assert quality([item._replace(time_ms=item.time_ms + 300_000) for item in burst]).full == 1


def test_what_is_left_of_the_day_belongs_to_the_last_window():
    result = quality([reading(1439, 1500)], interval_min=1000)
    assert (result.expected, result.quality_ppm) == (1, PPM)


def test_a_penalty_shows_its_first_example_and_its_limit():
    day = full_day()
    day[5] = day[5]._replace(value=7_000)
    day[9] = day[9]._replace(value=8_000)
    (penalty,) = quality(day).penalties
    assert (penalty.verdict, penalty.readings, penalty.windows) == (Verdict.OUT_OF_RANGE, 2, 2)
    assert (penalty.value, penalty.exponent, penalty.limit) == (7_000, -2, 6_000)
    assert penalty.time_ms == day[5].time_ms


def test_a_step_shows_the_change_against_the_limit():
    row = [reading(0, 10_000, -1), reading(10, 10_081, -1)]
    (penalty,) = quality(row, quantity=PRESSURE).penalties
    assert (penalty.observed, penalty.limit) == (81, 80)


def test_station_quality_is_the_floor_of_the_mean():
    ones = [quality(full_day()), quality([]), quality([])]
    assert station_quality_ppm(ones) == PPM // 3
    assert station_quality_ppm([]) == 0


values = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.integers(-5_000, 7_000))
readings_of_a_day = st.lists(
    st.builds(
        lambda minute, value, exponent, delay, unpaid, name: reading(
            minute,
            value,
            exponent,
            fault=0 if value is not None else 2,
            delay_ms=delay,
            unpaid=unpaid,
            name=name,
        ),
        st.integers(0, 1439),
        values,
        st.integers(-9, 6),
        st.integers(0, 2 * HOUR_MS),
        st.sampled_from([None, None, None, Verdict.FORKED, Verdict.QUARANTINED]),
        st.binary(min_size=1, max_size=8),
    ),
    max_size=40,
    unique_by=lambda item: (item.time_ms, item.message_id),
)


@given(readings_of_a_day, st.integers(1, 1440), st.randoms(use_true_random=False))
def test_what_is_lost_explains_what_is_missing_in_any_order(day, interval_min, random):
    result = quality(day, interval_min)
    lost = sum(penalty.lost_ppm for penalty in result.penalties)
    assert result.credit_ppm + result.missing * PPM + lost == result.expected * PPM
    assert result.quality_ppm == result.credit_ppm // result.expected
    shuffled = list(day)
    random.shuffle(shuffled)
    assert quality(shuffled, interval_min) == result


@given(readings_of_a_day, st.integers(1, 1440))
def test_the_neighbours_window_never_costs_anything(day, interval_min):
    """Against the plain rule: every window takes the best reading that lies in it."""
    judged, _ = judge(KNOWN[TEMPERATURE], day, None, RULES_1)
    expected = 1440 // interval_min
    plain = {}
    for item in judged:
        minute = (item.reading.time_ms - START_MS) // MINUTE_MS
        window = min(minute // interval_min, expected - 1)
        plain[window] = max(plain.get(window, 0), item.credit_ppm)
    assert quality(day, interval_min).credit_ppm >= sum(plain.values())


@given(readings_of_a_day)
def test_range_and_step_agree_with_fractions(day):
    """The same two tests in fractions, written from the specification alone."""
    limits = KNOWN[TEMPERATURE]
    unit = Fraction(10) ** limits.resolution
    before = None
    judged, _ = judge(limits, day, None, RULES_1)
    for item in judged:
        if item.reading.value is None or item.reading.unpaid is not None:
            continue
        value = item.reading.value * Fraction(10) ** item.reading.exponent
        if not limits.low * unit <= value <= limits.high * unit:
            assert item.flag is Flag.FAIL
            continue
        assert item.verdict is not Verdict.OUT_OF_RANGE
        if before is not None:
            minutes = max(Fraction(item.reading.time_ms - before[0], MINUTE_MS), 1)
            allowed = min(limits.step_per_min * minutes, limits.step_cap) * unit
            assert (abs(value - before[1]) > allowed) == (item.flag is Flag.SUSPECT) or (
                value == before[1]
            )
        before = (item.reading.time_ms, value)
