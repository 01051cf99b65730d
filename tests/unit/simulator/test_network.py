"""Network faults: rates, exact counts, partitions, and healing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.network import Faults, Network, flip_bit

HOUR_MS = 3_600_000


def network(faults, stations=10, seed=1):
    return Network(faults, seed, start_ms=0, end_ms=24 * HOUR_MS, stations=stations)


def test_without_faults_everything_arrives_once_and_whole():
    quiet = network(Faults())
    for number in range(500):
        data = number.to_bytes(4, "big")
        [delivery] = quiet.carry(number % 10, data, number, up=True)
        assert (delivery.data, delivery.corrupted) == (data, False)
        assert 0 < delivery.delay_ms < 1_000
    assert all(quiet.reachable(station, HOUR_MS) for station in range(10))


def test_a_connection_keeps_its_order_and_only_the_fault_breaks_it():
    def arrivals(faults):
        line = network(faults)
        return [ms + line.carry(2, b"x", ms, up=True)[0].delay_ms for ms in range(0, 9_000, 30)]

    kept, broken = arrivals(Faults()), arrivals(Faults(reorder_ppm=100_000))
    assert kept == sorted(kept)
    assert broken != sorted(broken)


def test_counts_are_what_came_out():
    poor = network(
        Faults(drop_ppm=200_000, duplicate_ppm=100_000, reorder_ppm=50_000, corrupt_ppm=30_000)
    )
    copies = corrupted = lost = 0
    for number in range(4_000):
        deliveries = poor.carry(number % 10, b"message", number, up=True)
        lost += not deliveries
        copies += max(len(deliveries) - 1, 0)
        corrupted += sum(d.corrupted for d in deliveries)
        assert all((d.data != b"message") == d.corrupted for d in deliveries)
    counts = poor.counts
    assert (counts.dropped, counts.duplicated, counts.corrupted_up) == (lost, copies, corrupted)
    assert lost / 4_000 == pytest.approx(0.2, abs=0.03)
    assert counts.corrupted_down == 0


def test_a_station_has_the_same_luck_whatever_the_others_do():
    faults = Faults(drop_ppm=300_000)
    alone, crowded = network(faults), network(faults)
    for number in range(50):
        crowded.carry(4, b"x", number, up=True)
        assert bool(alone.carry(3, b"x", number, up=True)) == bool(
            crowded.carry(3, b"x", number, up=True)
        )


def test_partition_cuts_off_its_stations_for_its_time():
    cut = network(Faults(partitions=1, partition_minutes=60, partition_stations_ppm=500_000))
    down_ms = [
        sum(not cut.reachable(station, ms) for ms in range(0, 24 * HOUR_MS, 60_000)) * 60_000
        for station in range(10)
    ]
    assert set(down_ms) == {0, HOUR_MS}
    cut.heal()
    assert all(cut.reachable(s, ms) for s in range(10) for ms in range(0, 24 * HOUR_MS, HOUR_MS))


def test_nothing_happens_before_its_time_or_after_healing():
    late = network(Faults(from_minute=60, drop_ppm=1_000_000))
    assert late.carry(0, b"x", HOUR_MS - 1, up=True)
    assert not late.carry(0, b"x", HOUR_MS, up=True)
    late.heal()
    assert late.carry(0, b"x", HOUR_MS, up=True)


@given(st.binary(min_size=1, max_size=64), st.integers(0, 2**32))
def test_flip_changes_exactly_one_bit(data, seed):
    flipped = flip_bit(data, random.Random(seed))
    difference = int.from_bytes(data, "big") ^ int.from_bytes(flipped, "big")
    assert difference.bit_count() == 1
    assert len(flipped) == len(data)
