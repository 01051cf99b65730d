"""Sensor errors: each class does what its name says, and nothing else is wrong."""

from itertools import pairwise

import numpy as np
import pytest

from simulator.seeds import stream
from simulator.sensors import FAULT_BUS_SILENT, ErrorShares, Quantity, WeatherStation
from simulator.weather import DAY_MS, Weather

START_MS = 20_000 * DAY_MS
QUANTITIES = {
    "temperature": Quantity(0, "Cel", -2),
    "humidity": Quantity(1, "%RH", -1),
    "pressure": Quantity(2, "hPa", -1),
}
TIMES = [START_MS + step * 300_000 for step in range(288)]


@pytest.fixture(scope="module")
def weather():
    return Weather(3, [52.5, 52.6], [13.4, 13.5], [40.0, 40.0])


def day(weather, error_class, seed=1):
    """Rows of one day: 288 samples x (temperature, humidity, pressure)."""
    station = WeatherStation(stream(seed, error_class), error_class, QUANTITIES, START_MS)
    return [station.read(weather, 0, time) for time in TIMES]


def column(rows, number):
    return np.array([row[number][3] for row in rows if row[number][3] is not None], float)


def test_healthy_station_follows_the_air_within_its_siting(weather):
    rows = day(weather, "healthy")
    truth = np.array([weather.at(time).temperature[0] for time in TIMES])
    error = column(rows, 0) / 100 - truth
    assert abs(error.mean()) < 4
    assert error.std() < 0.5
    assert all(row[0][:3] == (0, 0, -2) and row[2][:3] == (2, 0, -1) for row in rows)
    assert all(fault == 0 for row in rows for *_, fault in row)


def test_same_seed_same_day(weather):
    assert day(weather, "spike", 8) == day(weather, "spike", 8)
    assert day(weather, "spike", 8) != day(weather, "spike", 9)


def test_stuck_station_stands_still_from_some_moment(weather):
    temperature = column(day(weather, "stuck"), 0)
    assert len(set(temperature[36:])) == 1
    assert len(set(temperature[:5])) > 1 or temperature[0] == temperature[-1]


def test_spikes_jump(weather):
    healthy = np.abs(np.diff(column(day(weather, "healthy"), 0))).max()
    spiked = np.abs(np.diff(column(day(weather, "spike"), 0))).max()
    assert spiked > 5 * healthy


def test_noise_is_noisier(weather):
    healthy = np.diff(column(day(weather, "healthy"), 0)).std()
    assert np.diff(column(day(weather, "noise"), 0)).std() > 4 * healthy


def test_dropouts_come_in_bursts_and_name_their_fault(weather):
    rows = day(weather, "dropout")
    silent = [row[0][3] is None for row in rows]
    assert 20 < sum(silent) < 260
    assert all(fault == FAULT_BUS_SILENT for row in rows for *_, v, fault in row if v is None)
    assert all(fault == 0 for row in rows for *_, v, fault in row if v is not None)
    edges = sum(a != b for a, b in pairwise(silent))
    assert edges < sum(silent)


def test_coarse_station_rounds(weather):
    assert (column(day(weather, "coarse"), 0) % 50 == 0).all()
    assert (column(day(weather, "coarse"), 1) % 50 == 0).all()


def test_drift_grows_and_bias_stays(weather):
    def trend(error_class, seed):
        rows = day(weather, error_class, seed)
        truth = np.array([weather.at(time).pressure[0] for time in TIMES])
        error = column(rows, 2) / 10 - truth
        return error[-48:].mean() - error[:48].mean(), abs(error.mean())

    drifts = [abs(trend("drift", seed)[0]) for seed in range(12)]
    biased = [trend("bias", seed) for seed in range(12)]
    assert np.median(drifts) > 0.2
    assert max(abs(change) for change, _ in biased) < 0.1
    assert np.median([size for _, size in biased]) > 2


def test_humidity_stays_a_percentage(weather):
    for error_class in ("bias", "spike", "noise", "coarse"):
        humidity = column(day(weather, error_class), 1)
        assert humidity.min() >= 0
        assert humidity.max() <= 1000


def test_shares_are_met():
    shares = ErrorShares(stuck_ppm=200_000, coarse_ppm=100_000)
    generator = stream(1, "classes")
    drawn = [shares.draw(generator) for _ in range(5_000)]
    assert drawn.count("stuck") / 5_000 == pytest.approx(0.2, abs=0.02)
    assert drawn.count("coarse") / 5_000 == pytest.approx(0.1, abs=0.02)
    assert set(drawn) == {"stuck", "coarse", "healthy"}
