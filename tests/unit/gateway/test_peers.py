"""Correlation with peers: exact against numpy's floats, and what it takes to have an opinion."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.core.cubes import Cubes
from gateway.core.neighbourhood import check_neighbours
from gateway.core.peer_days import VALUE_MAX, PeerDay
from gateway.core.peers import (
    Changes,
    Table,
    _partial_ppm,
    bin_means,
    changes,
    kept_days,
    region_means,
)
from gateway.core.rules import PPM
from gateway.core.station_day import score_day
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import DAY, DAY_MS, HOUR_MS, MINUTE_MS, TEMPERATURE
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

PEERS = RULES_1.peers
KEY = (TEMPERATURE, 0)
DAYS = PEERS.days
TOWN = 10
STATIONS = 2 * TOWN


def towns(number):
    """Two towns of ten stations, 60 km apart."""
    return place(60 * (number // TOWN % 2) + number % 4, number % TOWN)


def air(seed, hours=24 * DAYS):
    """A region's weather, and what the stations of each of two towns have in common."""
    random = np.random.default_rng(seed)
    region = np.cumsum(random.normal(0, 60, hours))
    towns_own = np.cumsum(random.normal(0, 12, (2, hours)), axis=1)
    series = [
        1_000 + region + towns_own[n // TOWN] + random.normal(0, 8, hours) + 20 * n
        for n in range(STATIONS)
    ]
    return np.rint(series).astype(int), np.rint(1_000 + region).astype(int), random


def run(series, *, days=DAYS, rules=RULES_1, trusted=None, owners=None, places=towns):
    """Outcomes of the last day by number, the state carried from day to day."""
    peers = [()] * len(series)
    for day in range(days):
        stations = [
            neighbour(
                number,
                [None if v is None else int(v) for v in values[24 * day : 24 * day + 24]],
                at=places(number),
                trusted=trusted is None or trusted(number),
                owner=owners(number) if owners else b"",
                peers=peers[number],
                epoch=DAY + day,
            )
            for number, values in enumerate(series)
        ]
        said = check_neighbours(DAY + day, stations, KNOWN, SPHERE, rules)
        outcomes = [said[station.device] for station in stations]
        peers = [one.peers for one in outcomes]
    return stations, outcomes


def test_honest_stations_agree_and_forecasts_do_not():
    series, region, random = air(1)
    errors = np.cumsum(random.normal(0, 15, (20, len(region))), axis=1) * 0.5
    forecasts = np.rint(region + errors).astype(int)
    stations, said = run([*series, *forecasts], trusted=lambda number: number < STATIONS)
    honest, made_up = said[:STATIONS], said[STATIONS:]
    assert all(one.agrees for one in honest)
    assert all(one.limits == {} for one in honest)
    assert min(one.correlation_ppm for one in honest) > PEERS.agree_above_ppm
    assert not any(one.agrees for one in made_up)
    found = [n for n, one in enumerate(made_up) if one.limits]
    assert len(found) >= 2
    last = STATIONS + found[0]
    day = score_day(as_day(stations[last], DAY + DAYS - 1), said[last], RULES_1)
    assert day.quality_ppm == PEERS.disagree_ppm
    (penalty,) = day.quantities[0].penalties
    assert (penalty.verdict, penalty.limit) == (Verdict.PEERS_DISAGREE, PEERS.disagree_below_ppm)
    assert penalty.observed == said[last].correlation_ppm < PEERS.disagree_below_ppm


def test_a_copy_does_not_count_as_agreeing():
    series, *_ = air(8)
    _, said = run([*series, series[0]], places=lambda n: towns(n % STATIONS))
    assert said[-1].correlation_ppm > PEERS.agree_above_ppm
    assert not said[-1].agrees
    assert said[0].agrees


def test_a_second_channel_is_not_a_second_station():
    """Of ten thermometers on five boards only five speak, and a region wants ten."""
    series, *_ = air(9)
    stations = [
        neighbour(n, values[:24].tolist(), at=towns(n)) for n, values in enumerate(series[:6])
    ]
    twice = [
        one._replace(
            keys=(*one.keys, judged_key(hourly((series[9 + n][:24]).tolist()), channel=1))
        )
        for n, one in enumerate(stations)
    ]
    said = check_neighbours(DAY, twice, KNOWN, SPHERE, RULES_1)
    assert {mean for one in said.values() for day in one.peers for mean in day.region} == {None}


def test_five_days_are_needed():
    series, *_ = air(2)
    for days, known in ((4, False), (5, True)):
        _, said = run(series, days=days)
        assert all((one.correlation_ppm is not None) == known for one in said)


def test_in_a_network_of_one_village_nobody_can_tell():
    """What the village has in common is its region's, so honest stations share nothing else."""
    series, *_ = air(7)
    village = [*series[:TOWN], *(series[:TOWN] + 3 * np.arange(series.shape[1]) % 7)]
    noise = np.rint(np.random.default_rng(7).normal(0, 10, (2 * TOWN, series.shape[1])))
    _, said = run(np.array(village) + noise, places=lambda number: place(number % 4, number // 4))
    assert min(one.correlation_ppm for one in said) < PEERS.disagree_below_ppm
    assert all(one.limits == {} for one in said)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"trusted": lambda number: number == 0}, id="nobody else is proven"),
        pytest.param({"trusted": lambda number: number < 6}, id="a region of fewer than ten"),
        pytest.param({"owners": lambda _: b"\x01" * 20}, id="one owner"),
        pytest.param(
            {"places": lambda number: place(99 * (number % 5), 99 * (number // 5))}, id="far"
        ),
    ],
)
def test_without_independent_peers_there_is_no_opinion(how):
    series, *_ = air(3)
    _, said = run(series, **how)
    assert said[0].correlation_ppm is None
    assert not said[0].agrees
    assert said[0].limits == {}


def test_late_series_are_nobodys_peers_and_get_no_opinion():
    series, *_ = air(4)
    stations = [
        neighbour(n, values[:24].tolist(), at=place(n % 4, n // 4), delay_ms=2 * HOUR_MS)
        for n, values in enumerate(series)
    ]
    said = check_neighbours(DAY, stations, KNOWN, SPHERE, RULES_1)
    assert all(one.peers == () for one in said.values())


def test_two_peers_in_the_sun_do_not_make_an_honest_station_disagree():
    series, _, random = air(5)
    for wrong in (1, 4, 5):
        series[wrong] = np.rint(random.normal(1_000, 300, series.shape[1]))
    _, said = run(series)
    assert said[0].agrees


def test_a_series_that_stands_still_follows_nobody():
    series, *_ = air(6)
    frozen = [1_000 + (hour % 2) for hour in range(series.shape[1])]
    _, said = run([*series, frozen])
    assert said[-1].correlation_ppm < PEERS.agree_above_ppm


def test_days_older_than_a_week_are_forgotten():
    today = PeerDay(DAY, 0, 0, (1, 2), (1, 2))
    days = [today._replace(epoch=DAY - back) for back in range(1, 10)]
    other = [today._replace(epoch=DAY - 1, channel=1), today._replace(epoch=DAY - 1, own=(1,))]
    kept = kept_days([*reversed(days), *other], today, PEERS)
    assert [day.epoch for day in kept] == list(range(DAY - DAYS + 1, DAY + 1))
    # The same epoch again cannot count twice.
    assert kept_days([today], today, PEERS) == [today]
    assert kept_days([], today._replace(own=(None, None)), PEERS) == []


def test_bin_means_are_floors_of_what_passed_in_time():
    first = hourly([1_001, 1_002], every_ms=10 * MINUTE_MS)
    second = [
        reading._replace(value=value)
        for reading, value in zip(
            hourly([None] * 6 + [-1, -1, -1], every_ms=10 * MINUTE_MS), (-2, -3, -3), strict=True
        )
    ]
    readings = [*first, *second]
    late = hourly([1_090])[0]._replace(recv_ms=DAY * DAY_MS + 5 * HOUR_MS, message_id=b"l" * 32)
    keys = [judged_key([*readings, late]), judged_key([])]
    table = bin_means(keys, KNOWN[TEMPERATURE], DAY * DAY_MS, DAY_MS, HOUR_MS)
    assert table.series(0)[:3] == (1_001, -3, None)
    assert set(table.series(1)) == {None}
    assert max(abs(KNOWN[TEMPERATURE].low), KNOWN[TEMPERATURE].high) < VALUE_MAX


def test_a_region_leaves_the_station_itself_out():
    rules = replace(PEERS, region_min=2)
    own = Table(np.array([[10], [20], [31], [99]]), np.array([[True], [True], [True], [False]]))
    cubes = Cubes(np.zeros((4, 3), np.int64), rules.region_m)
    speaks = np.array([True, True, True, True])
    region = region_means(own, cubes, speaks, rules)
    assert region.values.ravel().tolist() == [25, 20, 15, 20]
    assert region.present.all()
    few = region_means(own, cubes, np.array([True, True, False, True]), rules)
    assert few.present.ravel().tolist() == [False, False, True, True]


def test_a_region_is_the_cubes_that_touch():
    edge_cm = 100 * PEERS.region_m
    where = np.array([[0, 0, 0], [edge_cm, 0, 0], [2 * edge_cm, 0, 0], [-1, -1, -1]])
    cubes = Cubes(where, PEERS.region_m)
    seen = [
        sorted(row for c in cubes.around(int(cubes.cube[i])) for row in cubes.members[c].tolist())
        for i in range(4)
    ]
    assert seen == [[0, 1, 3], [0, 1, 2], [1, 2], [0, 3]]


def test_changes_are_clipped_within_days_and_need_both_ends():
    own = (0, 100, 110, None, 120, 130)
    region = (0, 90, 95, 100, None, 105)
    days = [PeerDay(DAY, 0, 0, own, region), PeerDay(DAY - 1, 0, 0, (5, 6) * 3, (5, 6) * 3)]
    found = changes([sorted(days)], DAY, 6, 6, PEERS)
    assert found.clear.shape == (1, 5 * DAYS)
    assert found.clear[0, -5:].tolist() == [6, 5, 0, 0, 0]
    assert found.region[0, -5:].tolist() == [90, 5, 0, 0, 0]
    assert found.there[0, -5:].tolist() == [True, True, False, False, False]
    assert found.there[0].sum() == 5 + 2
    negative = PeerDay(DAY, 0, 0, (0, -100, 0, 0, 0, 0), (0,) * 6)
    assert changes([[negative]], DAY, 6, 6, PEERS).clear[0, -5:].tolist() == [-6, 6, 0, 0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_the_correlation_is_the_partial_one(seed):
    random = np.random.default_rng(seed)
    z = random.integers(-90, 90, 150)
    x = np.rint(0.3 * z + random.normal(0, 12, 150)).astype(int)
    y = np.rint((seed - 2) * 0.3 * x - 0.5 * z + random.normal(0, 12, 150)).astype(int)
    correlation = np.corrcoef([x, y, z])
    xy, xz, yz = correlation[0, 1], correlation[0, 2], correlation[1, 2]
    expected = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    sums = [150, x.sum(), y.sum(), z.sum()]
    sums += [(a * b).sum() for a, b in ((x, x), (y, y), (z, z), (x, y), (x, z), (y, z))]
    found = _partial_ppm(*(int(part) for part in sums))
    assert abs(found - expected * PPM) <= 2
    # Whoever is asked first.
    swapped = [0, 2, 1, 3, 5, 4, 6, 7, 9, 8]
    assert _partial_ppm(*(int(sums[i]) for i in swapped)) == found


def test_small_numbers_are_exact():
    # n = 4, x = 0 1 1 0, y = 0 1 0 0, z = 0 0 1 0: c(xx) 4, c(yy) = c(zz) 3, c(xy) = c(xz) 2,
    # c(yz) -1. T = 2*3 + 2 = 8, A = 4*3 - 4 = 8, B = 3*3 - 1 = 8: r = 1 exactly.
    assert _partial_ppm(4, 2, 1, 1, 2, 1, 1, 1, 1, 0) == PPM
    # z = 1 0 0 1 instead: c(xz) -4, c(yz) -2, c(zz) 4. A = 0: nothing of x is its own.
    assert _partial_ppm(4, 2, 1, 2, 2, 1, 2, 1, 0, 0) == 0


def test_what_does_not_change_says_nothing():
    assert _partial_ppm(10, 0, 0, 0, 0, 50, 0, 0, 0, 0) == 0
    assert _partial_ppm(10, 0, 0, 0, 50, 0, 0, 0, 0, 0) is None
    assert _partial_ppm(10, 0, 0, 0, 50, 50, 0, 50, 0, 0) == PPM
    assert _partial_ppm(10, 0, 0, 0, 50, 50, 0, -50, 0, 0) == -PPM


def test_changes_of_nobody():
    found = changes([], DAY, 24, 30, PEERS)
    assert isinstance(found, Changes)
    assert found.clear.shape == (0, 23 * DAYS)
