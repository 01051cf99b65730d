"""The weather: reproducible, smooth, physically possible, and as rough as Berlin's."""

import numpy as np
import pytest

from simulator.weather import DAY_MS, DIURNAL_RANGE_C, Weather

JANUARY_MS = 17_167 * DAY_MS
STATIONS = 300


def town(seed, side_deg=0.3):
    generator = np.random.default_rng(99)
    lat = 52.5 + generator.uniform(-side_deg / 2, side_deg / 2, STATIONS)
    lon = 13.4 + generator.uniform(-side_deg, side_deg, STATIONS)
    return lat, lon, Weather(seed, list(lat), list(lon), [40.0] * STATIONS)


def test_same_seed_same_air_in_any_order_of_asking():
    times = [JANUARY_MS + hour * 3_600_000 for hour in range(12)]
    forwards, backwards = town(4)[2], town(4)[2]
    one = {time: forwards.at(time).temperature for time in times}
    two = {time: backwards.at(time).temperature for time in reversed(times)}
    assert all((one[time] == two[time]).all() for time in times)
    assert (one[times[0]] != town(5)[2].at(times[0]).temperature).all()


def test_one_step_is_evaluated_once():
    weather = town(1)[2]
    assert weather.at(JANUARY_MS + 59_999) is weather.at(JANUARY_MS)
    assert weather.at(JANUARY_MS + 60_000) is not weather.at(JANUARY_MS)


def test_air_is_possible():
    weather = town(2)[2]
    for hour in range(48):
        truth = weather.at(JANUARY_MS + hour * 3_600_000)
        assert (truth.humidity > 5).all()
        assert (truth.humidity <= 100).all()
        assert (abs(truth.temperature) < 40).all()
        assert (abs(truth.pressure - 1_010) < 60).all()


def _temperatures(seeds, hours):
    """Hourly temperature: seeds x hours x stations."""
    return np.array(
        [
            [weather.at(JANUARY_MS + hour * 3_600_000).temperature for hour in range(hours)]
            for weather in (town(seed)[2] for seed in seeds)
        ]
    )


def test_residual_and_its_memory_are_those_of_berlin():
    # One draw of regional weather is one draw: average over many.
    field = _temperatures(range(60), 24)
    sd = field.std(axis=(0, 2)).mean()
    assert sd == pytest.approx(0.92, abs=0.12)
    lagged = field - field.mean(axis=(0, 2), keepdims=True)
    variance = (lagged**2).mean()
    correlation = {
        lag: (lagged[:, lag:] * lagged[:, :-lag]).mean() / variance for lag in (1, 3, 6, 12)
    }
    measured = {1: 0.88, 3: 0.61, 6: 0.40, 12: 0.26}
    assert correlation == pytest.approx(measured, abs=0.15)


def test_semivariogram_rises_to_its_sill():
    # Berlin: .25 at 2 km, .34 at 12 km, sill .40, of which .18 (nugget) is the station's own.
    lat, lon, _ = town(0)
    north = (lat[:, None] - lat) * 111.2
    east = (lon[:, None] - lon) * 111.2 * np.cos(np.radians(52.5))
    distance = np.hypot(north, east)
    field = _temperatures(range(40), 1)[:, 0]
    half_square = ((field[:, :, None] - field[:, None, :]) ** 2).mean(axis=0) / 2
    near = half_square[(distance > 1) & (distance < 3)].mean()
    far = half_square[(distance > 10) & (distance < 14)].mean()
    assert near == pytest.approx(0.25 - 0.18, abs=0.05)
    assert far == pytest.approx(0.34 - 0.18, abs=0.08)
    assert near < far


def test_days_are_warmer_than_nights():
    field = _temperatures(range(60), 24).mean(axis=(0, 2))
    assert field.max() - field.min() == pytest.approx(DIURNAL_RANGE_C, abs=0.8)
    assert 11 <= int(field.argmax()) <= 17
