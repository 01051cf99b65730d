"""Made-up series are what their names say, and no attacker knows more than it could."""

import numpy as np
import pytest

from simulator.fabricated import (
    BACKFILL_MS,
    BIAS_C,
    FORECAST_SD_C,
    INTIME_MS,
    MISSING,
    Carriers,
    downburst,
    fabricate,
    front,
    gross,
    read_netatmo,
    region,
    synthetic,
)

DAYS = 7
TWIN = synthetic(1, 80, DAYS)
NETWORK = np.arange(60)
TARGETS = np.arange(60, 80)


@pytest.fixture(scope="module")
def attacks():
    made_up = fabricate(np.random.default_rng(3), TWIN, TARGETS, NETWORK)
    return {attack.name: attack for attack in made_up}


def test_the_twin_follows_from_its_seed_alone():
    again, other = synthetic(1, 80, DAYS), synthetic(2, 80, DAYS)
    assert np.array_equal(TWIN.degrees, again.degrees, equal_nan=True)
    assert not np.array_equal(TWIN.degrees, other.degrees, equal_nan=True)
    assert TWIN.degrees.shape == (24 * DAYS, 80)
    assert 0.005 < np.isnan(TWIN.degrees).mean() < 0.03
    assert not gross(TWIN).any()


def test_attacks_follow_from_the_generator_alone(attacks):
    for attack in fabricate(np.random.default_rng(3), TWIN, TARGETS, NETWORK):
        assert np.array_equal(attack.degrees, attacks[attack.name].degrees, equal_nan=True)


def test_only_what_needs_released_values_comes_late(attacks):
    late = {name for name, attack in attacks.items() if attack.delay_ms >= BACKFILL_MS}
    assert late == {"backfill"}
    assert min(attack.delay_ms for attack in attacks.values()) == INTIME_MS


def test_frozen_stands_still_from_the_first_day_on(attacks):
    spread = np.ptp(attacks["frozen"].degrees[24:], axis=0)
    assert not spread.any()


def test_bias_and_replay_are_the_honest_series_moved(attacks):
    honest = TWIN.degrees[:, TARGETS]
    off = attacks["bias"].degrees - honest
    assert np.allclose(off[~np.isnan(off)], BIAS_C)
    replayed = attacks["replay"].degrees
    assert np.array_equal(replayed[24:], honest[:-24], equal_nan=True)


def test_a_forecast_has_the_regions_weather_and_errors_of_its_own(attacks):
    errors = attacks["forecast_copy"].degrees - region(TWIN)[:, None]
    errors -= errors.mean(axis=0)
    assert 0.5 * FORECAST_SD_C < errors.std() < 1.2 * FORECAST_SD_C
    between = np.corrcoef(np.diff(errors, axis=0).T)
    assert abs(between[np.triu_indices(len(TARGETS), 1)].mean()) < 0.05


def test_clones_are_stations_of_the_network_in_their_rings(attacks):
    apart = TWIN.distances_km()
    for name, low, high in (("clone_near", 5, 10), ("clone_far", 20, 40)):
        attack = attacks[name]
        assert set(attack.sources) <= set(NETWORK.tolist())
        assert np.array_equal(attack.degrees, TWIN.degrees[:, attack.sources], equal_nan=True)
        for target, source in zip(TARGETS, attack.sources, strict=True):
            ring = (apart[target, NETWORK] >= low) & (apart[target, NETWORK] <= high)
            assert not ring.any() or low <= apart[target, source] <= high
    # Nobody sends a copy before it has heard the source.
    assert attacks["clone_near"].delay_ms > INTIME_MS


def test_a_front_crosses_from_west_to_east_and_stays():
    lon_e6 = np.array([13_000_000, 13_738_000], dtype=np.int64)  # 50 km apart
    flat = Carriers(0, np.full((24, 2), 10.0), np.full(2, 52_500_000, dtype=np.int64), lon_e6)
    degrees = front(flat, 5, 8.0, 10.0)
    assert degrees[:, 0].tolist() == [10.0] * 6 + [2.0] * 18
    assert degrees[9, 1] == 10.0
    assert degrees[23, 1] == 2.0


def test_a_downburst_is_cold_inside_and_gone_after_three_hours():
    degrees = downburst(TWIN, 30, 12.0, 5.0, 0)
    fall = TWIN.degrees - degrees
    assert np.nanmax(abs(np.delete(fall, (30, 31, 32), axis=0))) == 0
    apart = TWIN.distances_km()[0]
    there = ~np.isnan(fall[30])
    assert np.allclose(fall[30, there & (apart < 2.5)], 12.0)
    assert np.allclose(fall[30, there & (apart > 7.5)], 0.0)


def test_broken_stations_are_no_carriers(tmp_path):
    hours = 48
    tenths = np.random.default_rng(1).integers(0, 100, (hours, 3)).astype(np.int16)
    tenths[:, 1] = 55
    tenths[: hours // 2, 2] = MISSING
    path = tmp_path / "stations.npz"
    places = {"lat": np.array([52.1, 52.2, 52.3]), "lon": np.array([13.1, 13.2, 13.3])}
    np.savez(path, ta10=tenths, hour=np.arange(5, 5 + hours), **places)
    carriers = read_netatmo(path)
    assert len(carriers) == 1
    assert carriers.first_hour == 24
    assert carriers.degrees[0, 0] == tenths[19, 0] / 10
    assert (carriers.lat_e6[0], carriers.lon_e6[0]) == (52_100_000, 13_100_000)
