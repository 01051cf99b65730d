"""Readings that nobody took, and links that hold readings back."""

import statistics

import cbor2
import pytest

from simulator.door import load_quantities
from simulator.lying_sensors import (
    HOLD_MS,
    CloneSampler,
    ForecastSampler,
    FrozenSampler,
    WithholdingLink,
)
from simulator.seeds import stream
from simulator.sensors import WeatherStation
from simulator.weather import DAY_MS, Weather
from simulator.world import World

HELLO, READINGS = 0, 1
STEP_MS = 600_000


def run(coroutine):
    """The result of a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


class Honest:
    """Temperatures from a list; [] before it begins."""

    def __init__(self, *values):
        self.values = list(values)

    async def sample(self):
        value = self.values.pop(0)
        return [] if value is None else [(0, 0, -2, value, 0)]


def test_a_frozen_sensor_says_its_first_value_for_ever():
    frozen = FrozenSampler(Honest(None, 2150, 2160, 1900))
    said = [run(frozen.sample()) for _ in range(4)]
    assert said == [[], *[[(0, 0, -2, 2150, 0)]] * 3]


@pytest.fixture
def field():
    degrees = [0.0, 0.05, 0.1]
    return Weather(4, degrees, degrees, [10.0] * 3)


def test_a_forecast_follows_the_regions_mean_and_wanders_around_it(field):
    world = World(0, seed=4)
    always = Honest(*[0] * 1_000)
    forecast = ForecastSampler(field, stream(4, "f"), load_quantities(), always, world)
    errors = []
    for step in range(1_000):
        world.now_ms = step * STEP_MS
        rows = {code: value for code, _, _, value, _ in run(forecast.sample())}
        truth = float(field.at(world.now_ms).temperature.mean())
        exponent = load_quantities()["temperature"].exponent
        errors.append(rows[0] * 10.0**exponent - truth)
    assert statistics.fmean(errors) == pytest.approx(0.0, abs=0.3)
    assert 0.4 < statistics.pstdev(errors) < 0.8
    ahead = statistics.correlation(errors[:-1], errors[1:])
    # exp(-10 min / 3 h)
    assert ahead == pytest.approx(0.946, abs=0.03)


def test_a_forecast_has_nothing_before_the_run_begins(field):
    forecast = ForecastSampler(
        field, stream(4, "f"), load_quantities(), Honest(None), World(0, seed=4)
    )
    assert run(forecast.sample()) == []


def test_a_clone_has_its_neighbours_values_but_for_a_little_noise(field):
    quantities = load_quantities()
    neighbour = WeatherStation(stream(4, "n"), "healthy", quantities, 0)
    clone = CloneSampler(neighbour, stream(4, "c"), quantities, Honest(*[0] * 50))
    apart = []
    for step in range(50):
        theirs = neighbour.read(field, 1, step * STEP_MS)
        copied = run(clone.sample())
        assert [row[0] for row in copied] == [row[0] for row in theirs]
        apart.append(copied[0][3] - theirs[0][3])
    assert any(apart)
    scale = 10.0 ** quantities["temperature"].exponent
    assert max(abs(one) for one in apart) * scale < 0.3


def message(kind, seq):
    payload = cbor2.dumps([16, kind, 1, seq, bytes(16), 0, [1, 0], []])
    return cbor2.dumps(cbor2.CBORTag(18, [b"", {}, payload, bytes(64)]))


class Inner:
    def __init__(self):
        self.published = []

    async def publish(self, data):
        self.published.append(data)
        return True

    def state(self):
        return "connecting"


def test_readings_are_withheld_until_the_originals_are_out_and_nothing_else_is():
    world, inner = World(DAY_MS, seed=1), Inner()
    link = WithholdingLink(world, inner)
    readings, hello = message(READINGS, 2), message(HELLO, 1)
    assert run(link.publish(hello)) is True
    assert run(link.publish(readings)) is True
    world.now_ms += HOLD_MS - 1
    assert run(link.publish(readings)) is True
    assert inner.published == [hello]
    world.now_ms += 1
    assert run(link.publish(readings)) is True
    assert inner.published == [hello, readings]
    assert link.state() == "connecting"
