"""Buddies over a day: whose values stand out, for how long, and who may say so."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.core.neighbourhood import check_neighbours
from gateway.core.rules import PPM
from gateway.core.spatial import lasting
from gateway.core.station_day import score_day
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import DAY, HOUR_MS, HUMIDITY, PRESSURE, TEMPERATURE
from tests.unit.gateway.quality_kit import (
    KNOWN,
    RULES_1,
    SPHERE,
    as_day,
    hourly,
    judged_key,
    neighbour,
    place,
)

KEY = (TEMPERATURE, 0)
AIR = [1_000 + 20 * hour for hour in range(24)]
LIMIT = 800  # 4 deviations of at least 2 degC


def ring(count, *, trusted=True, first=100, owner=None, values=AIR):
    """Stations around the origin, none of them at one place."""
    return [
        neighbour(
            first + number,
            [value + number for value in values],
            at=place(number + 1, number % 3),
            trusted=trusted,
            owner=b"" if owner is None else owner(number),
        )
        for number in range(count)
    ]


def raised(hours, by):
    return [value + by if hour in hours else value for hour, value in enumerate(AIR)]


def outcome(station, others, rules=RULES_1):
    return check_neighbours(DAY, [station, *others], KNOWN, SPHERE, rules)[station.device]


def suspects(station, others):
    """Hours of the day whose window is suspect."""
    windows = outcome(station, others).suspects.get(KEY, {})
    return [window // 6 for window in sorted(windows)]


def test_what_stands_out_for_three_windows_is_suspect():
    station = neighbour(1, raised(range(8, 12), 1_000), trusted=False)
    assert suspects(station, ring(6)) == [8, 9, 10, 11]


@pytest.mark.parametrize("hours", [[8], [8, 9], [8, 9, 11, 12], [0, 1, 22, 23]])
def test_what_passes_sooner_is_not(hours):
    """A front's edge, a passing exhaust: two windows, or two and two."""
    assert suspects(neighbour(1, raised(hours, 1_000)), ring(6)) == []


def test_a_window_without_a_reading_does_not_break_the_row():
    values = raised(range(8, 12), 1_000)
    values[9] = None
    assert suspects(neighbour(1, values), ring(6)) == [8, 10, 11]


@pytest.mark.parametrize("by, found", [(LIMIT, 0), (LIMIT + 20, 24), (-LIMIT - 20, 24)])
def test_the_least_deviation_is_two_degrees(by, found):
    flat = [[1_000] * 24] * 6
    others = [neighbour(100 + n, values, at=place(n + 1, 0)) for n, values in enumerate(flat)]
    # A constant series is not a flat line yet: the first six hours pass, the rest are suspect.
    station = neighbour(1, [1_000 + by + hour % 2 for hour in range(24)])
    values = outcome(station, others).suspects.get(KEY, {})
    assert len(values) == (6 if found else 0)


def test_the_distance_and_what_was_allowed_are_told():
    windows = outcome(neighbour(1, raised(range(8, 12), 1_000)), ring(6)).suspects[KEY]
    away, most = windows[8 * 6]
    # Neighbours are 0 to 5 above the air: 2.5 in the mean.
    assert (away, most) == (998, LIMIT)


def test_five_neighbours_are_wanted_and_fewer_cost_nothing():
    station = neighbour(1, raised(range(24), 2_000))
    few = outcome(station, ring(4))
    assert few.suspects == {}
    assert [(f.verdict, f.count) for f in few.findings] == [(Verdict.NO_NEIGHBOURS, 24)]
    enough = outcome(station, ring(5))
    assert len(enough.suspects[KEY]) == 24
    assert enough.findings == ()


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(ring(30, trusted=False), id="keys that nobody proved"),
        pytest.param(ring(30, owner=lambda _: b"\x01" * 20), id="one owner"),
        pytest.param(ring(30, owner=lambda _: b"\x07" * 20), id="the station's own owner"),
        pytest.param(ring(4) + ring(20, first=200, owner=lambda _: b"\x01" * 20)[16:], id="far"),
    ],
)
def test_they_say_nothing(others):
    station = neighbour(1, raised(range(24), 2_000), owner=b"\x07" * 20)
    assert outcome(station, others).suspects == {}


def test_late_readings_are_not_compared_and_say_nothing():
    late_ms = 2 * HOUR_MS
    far = raised(range(24), 2_000)
    assert outcome(neighbour(1, far, delay_ms=late_ms), ring(6)).suspects == {}
    late = [
        neighbour(100 + n, AIR, at=place(n + 1, 0), delay_ms=late_ms if n < 2 else 1_000)
        for n in range(6)
    ]
    assert outcome(neighbour(1, far), late).suspects == {}


def test_when_everybody_moves_nobody_stands_out():
    drop = [value - 1_500 * (hour >= 12) for hour, value in enumerate(AIR)]
    everybody = ring(8, values=drop)
    said = check_neighbours(DAY, everybody, KNOWN, SPHERE, RULES_1)
    assert all(one.suspects == {} for one in said.values())


def test_where_half_of_them_have_a_front_behind_them_nobody_stands_out():
    drop = [value - 1_000 * (hour >= 12) for hour, value in enumerate(AIR)]
    everybody = ring(5) + ring(5, first=200, values=drop)
    said = check_neighbours(DAY, everybody, KNOWN, SPHERE, RULES_1)
    assert all(one.suspects == {} for one in said.values())


def test_liars_among_the_neighbours_are_left_out_of_the_second_round():
    """One neighbour far off hides a station that is off less: not in the second round."""
    station = neighbour(1, raised(range(24), 1_100))
    others = [*ring(9), neighbour(99, raised(range(24), 3_000), at=place(0, 2))]
    assert len(outcome(station, others).suspects[KEY]) == 24
    once = replace(RULES_1, spatial=replace(RULES_1.spatial, iterations=1))
    assert outcome(station, others, once).suspects == {}


def test_every_channel_is_compared_with_the_others_lowest():
    station = neighbour(1, AIR)
    second = judged_key(hourly(raised(range(24), 2_000), name=b"n"), channel=1)
    both = station._replace(keys=(second, *station.keys))
    assert outcome(both, ring(6)).suspects.keys() == {(TEMPERATURE, 1)}
    # As a neighbour it speaks with its lowest channel, whatever stands first.
    odd = [one._replace(keys=(second, *one.keys)) for one in ring(6)]
    assert outcome(neighbour(1, AIR), odd).suspects == {}


def test_pressure_is_not_compared_since_it_follows_the_height():
    assert PRESSURE not in RULES_1.spatial.sd_min
    assert {TEMPERATURE, HUMIDITY} == set(RULES_1.spatial.sd_min)


def test_the_order_of_the_stations_changes_nothing():
    everybody = [neighbour(1, raised(range(8, 20), 1_000)), *ring(9)]
    said = check_neighbours(DAY, everybody, KNOWN, SPHERE, RULES_1)
    for seed in range(4):
        shuffled = [everybody[i] for i in np.random.default_rng(seed).permutation(10)]
        assert check_neighbours(DAY, shuffled, KNOWN, SPHERE, RULES_1) == said


def test_a_suspect_window_costs_half_of_it():
    station = neighbour(1, raised(range(8, 12), 1_000))
    said = outcome(station, ring(6))
    day = score_day(as_day(station), said, RULES_1)
    alone = score_day(as_day(station), None, RULES_1)
    (quantity,) = day.quantities
    suspect_ppm = RULES_1.quality.suspect_ppm
    assert alone.quality_ppm == PPM
    assert quantity.credit_ppm == 20 * PPM + 4 * suspect_ppm
    (penalty,) = quantity.penalties
    assert (penalty.verdict, penalty.readings, penalty.windows) == (Verdict.BUDDY, 4, 4)
    assert (penalty.observed, penalty.limit) == (998, LIMIT)


def test_all_readings_of_a_suspect_window_are_suspect():
    """Whoever reports every minute must not save a window with the reading before the newest."""
    station = neighbour(1, raised(range(8, 12), 1_000))
    more = [
        reading._replace(time_ms=reading.time_ms + 30_000, message_id=b"x" * 32)
        for reading in hourly(raised(range(8, 12), 1_000))
    ]
    key = judged_key([*hourly(raised(range(8, 12), 1_000)), *more])
    busy = station._replace(keys=(key,))
    (quantity,) = score_day(as_day(busy), outcome(busy, ring(6)), RULES_1).quantities
    assert [(p.verdict, p.readings) for p in quantity.penalties] == [(Verdict.BUDDY, 8)]


@pytest.mark.parametrize(
    "flags, run, kept",
    [
        ("", 3, ""),
        ("111", 3, "111"),
        ("110", 3, "000"),
        ("0111011", 3, "0111000"),
        ("1", 1, "1"),
        ("11011110", 4, "00011110"),
    ],
)
def test_lasting(flags, run, kept):
    assert lasting([flag == "1" for flag in flags], run) == [flag == "1" for flag in kept]
