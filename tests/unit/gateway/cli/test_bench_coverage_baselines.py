"""The coverage bench's baselines, and its table of real radio on a small synthetic twin."""

import math

import numpy as np
import pytest

from gateway.cli import bench_coverage_baselines as baselines
from gateway.cli.bench_coverage_judge import open_bench
from gateway.cli.bench_coverage_real import accusations, real_radio
from simulator.baselines.helium_2026 import beyond_max_distance, rssi_limit_dbm
from simulator.campusiot import EIRP_DBM, Hearing, StationDay, apart_m, displace

TOWN = (45_190_000, 5_720_000)


@pytest.fixture(scope="module")
def bench():
    return open_bench(1)


def test_helium_rules_for_arrays_are_those_for_one_report(bench):
    levels = np.array([-13_000, -9_950, -9_901, -8_000, -5_999, -2_000])
    powers = np.array([1_600, 700])
    metres = np.array([351.0, 1_000.0, 20_000.0, 100_999.0, 101_000.0])
    grid = np.meshgrid(levels, powers, metres, indexing="ij")
    refused = baselines._are_refused(*grid, bench)
    frequency_hz = bench.region.frequency_khz * 1_000
    for level, power, apart, found in zip(*(part.flat for part in (*grid, refused)), strict=True):
        limit = rssi_limit_dbm(int(power) // 100, 0, 0, int(apart), frequency_hz)
        expected = math.trunc(level / 100) > limit or beyond_max_distance(int(apart))
        assert found == expected, (level, power, apart)
    assert 0 < refused.sum() < refused.size


def test_helium_refuses_witnesses_next_door(bench):
    near = baselines._are_refused(np.array([-12_000]), np.array([1_600]), np.array([340.0]), bench)
    assert near.tolist() == [True]


def gateways():
    """Eight of them, in two rings around the town."""
    return [displace(TOWN, 1_000 + 2_000 * (i % 2), i / 8) for i in range(8)]


def heard(place, transmitter, day):
    """A day over links without any shadow: 31.2 dB at 1 m, 27 dB a decade."""
    hearings = []
    for i, gateway in enumerate(gateways()):
        loss = 31.2 + 27 * math.log10(max(apart_m(place, gateway), 1))
        hearings.append(Hearing(f"gateway {i}", gateway, EIRP_DBM - loss, 12, 0))
    return StationDay(transmitter, day, place, tuple(hearings))


def test_true_places_pass_and_displaced_ones_do_not():
    places = [displace(TOWN, 700 + 200 * i, i / 3) for i in range(3)]
    days = [heard(place, f"t{i}", day) for i, place in enumerate(places) for day in range(2)]
    table = {row["displaced_km"]: row for row in accusations(days, bearings=3)}
    assert list(table) == [0, 1, 2, 5, 10, 20, 50]
    assert table[0]["cairn"] == 0.0
    assert table[0]["claims"] == 6
    assert table[20]["claims"] == 18
    assert table[20]["cairn"] == 1.0
    assert table[0]["helium_2026_receptions"] == 0.0
    # A weak signal is below free space wherever the claim is: that is what Helium's rule misses.
    assert table[20]["helium_2026_receptions"] < 0.9 < table[20]["cairn"]


def test_without_the_data_there_is_no_table(tmp_path):
    assert real_radio(tmp_path) == {}
