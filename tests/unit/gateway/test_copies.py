"""Two keys on one sensor: found, and the right one of the two."""

import numpy as np
import pytest

from gateway.core.neighbour import Limit
from gateway.core.neighbourhood import _Tally, check_neighbours
from gateway.core.station_day import score_day
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import DAY, HUMIDITY, PRESSURE, TEMPERATURE
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
FLOORS = RULES_1.peers.copies[TEMPERATURE]


def day_of_air(seed, hours=24):
    random = np.random.default_rng(seed)
    return (1_000 + np.cumsum(random.integers(-60, 61, hours))).tolist()


def near(number, values, east=0, **how):
    return neighbour(number, values, at=place(east, 0), **how)


def copied(*stations, epoch=DAY):
    """Numbers of the stations that are called copies."""
    said = check_neighbours(epoch, stations, KNOWN, SPHERE, RULES_1)
    return sorted(
        int.from_bytes(device, "big")
        for device, one in said.items()
        if any(limit.verdict is Verdict.COPIED for limit in one.limits.values())
    )


def test_the_later_one_of_two_is_the_copy():
    air = day_of_air(1)
    assert copied(near(1, air, delay_ms=9_000), near(2, air, 5)) == [1]
    assert copied(near(1, air), near(2, air, 5, delay_ms=9_000)) == [2]


def test_a_constant_bias_does_not_hide_it():
    air = day_of_air(2)
    assert copied(near(1, air), near(2, [v + 250 for v in air], 5, delay_ms=9_000)) == [2]


@pytest.mark.parametrize("noise, found", [(FLOORS.day_floor, [2]), (FLOORS.day_floor + 2, [])])
def test_the_floor_of_a_day(noise, found):
    air = day_of_air(3)
    noisy = [v + (noise if hour % 2 else -noise) for hour, v in enumerate(air)]
    assert copied(near(1, air), near(2, noisy, 5, delay_ms=9_000)) == found


def test_a_proven_station_is_no_copy_of_an_unproven_one():
    """Whoever overhears a station and is quicker must not take its pay."""
    air = day_of_air(4)
    assert copied(near(1, air, delay_ms=9_000), near(2, air, 5, trusted=False)) == [2]


def test_at_one_time_the_younger_one_is_the_copy_and_then_the_larger_id():
    air = day_of_air(5)
    assert copied(near(1, air, senior=9), near(2, air, 5, senior=4)) == [1]
    assert copied(near(1, air), near(2, air, 5)) == [2]


def test_of_many_keys_on_one_sensor_one_is_paid():
    air = day_of_air(6)
    keys = [near(n, air, n, delay_ms=1_000 * n, owner=b"\x01" * 20) for n in range(1, 11)]
    assert copied(*keys) == list(range(2, 11))


def test_nobody_far_away_is_compared():
    air = day_of_air(7)
    assert copied(near(1, air), near(2, air, 40, delay_ms=9_000)) == [2]
    assert copied(near(1, air), near(2, air, 1_000, delay_ms=9_000)) == []


def test_honest_neighbours_are_no_copies():
    random = np.random.default_rng(8)
    air = np.array(day_of_air(8))
    stations = [
        near(n, (air + np.rint(random.normal(0, 12, 24)).astype(int)).tolist(), n)
        for n in range(20)
    ]
    assert copied(*stations) == []


@pytest.mark.parametrize("values", [[1_000] * 24, [1_000 + hour % 2 for hour in range(24)]])
def test_two_that_stand_still_say_nothing(values):
    assert copied(near(1, values), near(2, values, 5, delay_ms=9_000)) == []


def test_twenty_bins_are_wanted():
    air = day_of_air(9)
    for hours, found in ((19, []), (20, [2])):
        values = [v if hour < hours else None for hour, v in enumerate(air)]
        assert copied(near(1, air), near(2, values, 5, delay_ms=9_000)) == found


def week_of(one, other):
    """By day, whether the second of two is called a copy; the state carried from day to day."""
    peers = [(), ()]
    found = []
    for day in range(7):
        part, epoch = slice(24 * day, 24 * day + 24), DAY + day
        stations = [
            near(1, one[part].tolist(), peers=peers[0], epoch=epoch),
            near(2, other[part].tolist(), 5, peers=peers[1], epoch=epoch, delay_ms=9_000),
        ]
        said = check_neighbours(epoch, stations, KNOWN, SPHERE, RULES_1)
        peers = [said[station.device].peers for station in stations]
        found.append(bool(said[stations[1].device].limits))
    return found


def test_noise_below_the_floor_of_a_week_is_found_after_five_days():
    random = np.random.default_rng(10)
    air = np.array(day_of_air(10, 24 * 7))
    noisy = air + np.rint(random.normal(0, 5, len(air))).astype(int)
    assert week_of(air, noisy) == [False] * 4 + [True] * 3


def test_a_week_in_which_both_stand_still_shows_nothing():
    random = np.random.default_rng(11)
    still, other = (1_000 + np.rint(random.normal(0, 4, (2, 24 * 7))).astype(int)).tolist()
    assert week_of(np.array(still), np.array(other)) == [False] * 7


def test_of_two_limits_the_lower_holds_and_of_equal_ones_the_first():
    tally = _Tally()
    for credit_ppm, verdict in (
        (250_000, Verdict.PEERS_DISAGREE),
        (0, Verdict.COPIED),
        (0, Verdict.BUDDY),
        (250_000, Verdict.BUDDY),
    ):
        tally.limit(KEY, Limit(credit_ppm, verdict, None, None))
    assert tally.limits == {KEY: Limit(0, Verdict.COPIED, None, None)}


def test_the_copy_loses_whatever_both_declare():
    """One sensor was shown to stand behind both, so one board does."""
    air = day_of_air(11)
    wet = judged_key(hourly([500 + h for h in range(24)], name=b"w"), HUMIDITY)
    own = judged_key(hourly([100_000 + 10 * h for h in range(24)], name=b"p"), PRESSURE)
    source = near(1, air)
    source = source._replace(keys=(*source.keys, wet))
    copy = near(2, air, 5, delay_ms=9_000)
    copy = copy._replace(keys=(*copy.keys, wet, own))
    said = check_neighbours(DAY, [source, copy], KNOWN, SPHERE, RULES_1)[copy.device]
    assert said.limits.keys() == {KEY, (HUMIDITY, 0)}
    day = score_day(as_day(copy), said, RULES_1)
    assert [q.quality_ppm for q in day.quantities][:2] == [0, 0]
    assert day.quantities[2].quality_ppm > 0
    assert [(f.verdict, f.count) for f in said.findings][:1] == [(Verdict.COPIED, 1)]
    assert not said.agrees
    first = day.quantities[0].penalties[0]
    assert (first.verdict, first.observed, first.limit) == (Verdict.COPIED, 0, FLOORS.day_floor)


def test_two_channels_on_one_sensor_are_paid_once():
    air = day_of_air(12)
    one = near(1, air)
    second = judged_key(hourly(air, name=b"s"), channel=3)
    said = check_neighbours(DAY, [one._replace(keys=(*one.keys, second))], KNOWN, SPHERE, RULES_1)
    (outcome,) = said.values()
    assert outcome.limits.keys() == {(TEMPERATURE, 3)}


def test_the_order_of_the_stations_changes_nothing():
    air = day_of_air(13)
    stations = [near(n, air, n, delay_ms=1_000 + 500 * (n % 3)) for n in range(9)]
    said = check_neighbours(DAY, stations, KNOWN, SPHERE, RULES_1)
    again = check_neighbours(DAY, reversed(stations), KNOWN, SPHERE, RULES_1)
    assert again == said
    assert len(copied(*stations)) == 8
