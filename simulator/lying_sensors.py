"""Readings that nobody took, and links that hold readings back until copying them pays."""

from __future__ import annotations

import math
import random

from cairn.boards import base

from simulator.run import StationPlan
from simulator.sensors import NOISE_SD, Quantity, Sample, Sampler, WeatherStation
from simulator.watch import header_of
from simulator.weather import HOUR_MS, Weather
from simulator.world import World

READINGS = 1
# Readings are released 40 min after their ten-minute window began; the copier needs a moment.
HOLD_MS = 45 * 60_000
FORECAST_ERROR_SD = {"temperature": 0.6, "humidity": 3.0, "pressure": 0.3}
FORECAST_MEMORY_H = 3.0
# So that a copy is not equal digit by digit, which any comparison finds.
COPY_NOISE_SD = {"temperature": 0.05, "humidity": 0.3, "pressure": 0.03}


class FrozenSampler:
    """Says its first values for ever."""

    def __init__(self, honest: Sampler) -> None:
        self._honest = honest
        self._first: list[Sample] = []

    async def sample(self) -> list[Sample]:
        now = await self._honest.sample()
        self._first = self._first or now
        return self._first if now else []


class ForecastSampler:
    """The region's mean, as a forecast service sells it, with an error that wanders: AR(1)."""

    def __init__(
        self,
        field: Weather,
        generator: random.Random,
        quantities: dict[str, Quantity],
        honest: Sampler,
        world: World,
    ) -> None:
        self._field = field
        self._generator = generator
        self._quantities = quantities
        self._honest = honest
        self._world = world
        self._errors = {name: generator.gauss(0, sd) for name, sd in FORECAST_ERROR_SD.items()}
        self._at_ms = world.now_ms

    async def sample(self) -> list[Sample]:
        # It asks the real sensors for the time alone: before and after the run there is nothing.
        if not await self._honest.sample():
            return []
        now_ms = self._world.now_ms
        truth = self._field.at(now_ms)
        means = {
            "temperature": float(truth.temperature.mean()),
            "humidity": float(truth.humidity.mean()),
            "pressure": float(truth.pressure.mean()),
        }
        kept = math.exp(-(now_ms - self._at_ms) / HOUR_MS / FORECAST_MEMORY_H)
        self._at_ms = now_ms
        rows = []
        for name, sd in FORECAST_ERROR_SD.items():
            fresh = self._generator.gauss(0, sd) * math.sqrt(1 - kept * kept)
            self._errors[name] = self._errors[name] * kept + fresh
            value = means[name] + self._errors[name]
            rows.append(_row(self._quantities[name], name, value))
        return rows


class CloneSampler:
    """A neighbour's newest values with a little noise. A real copier reads them from the products
    and signs them with an older time; here it knows them at once, and its link holds them back.
    """

    def __init__(
        self,
        neighbour: WeatherStation,
        generator: random.Random,
        quantities: dict[str, Quantity],
        honest: Sampler,
    ) -> None:
        self._neighbour = neighbour
        self._names = {quantities[name].code: name for name in NOISE_SD}
        self._generator = generator
        self._honest = honest

    async def sample(self) -> list[Sample]:
        own = await self._honest.sample()
        if not own:
            return []
        return [self._copied(row) for row in self._neighbour.latest or own]

    def _copied(self, row: Sample) -> Sample:
        quantity, channel, exponent, value, fault = row
        if value is None:
            return row
        sd = COPY_NOISE_SD[self._names[quantity]] * 10.0**-exponent
        noise = math.floor(self._generator.gauss(0, sd) + 0.5)
        return quantity, channel, exponent, value + noise, fault


class WithholdingLink(base.Link):
    """Tells the firmware that readings have left, and lets them out when HOLD_MS are over: the
    firmware sends again whatever gets no receipt.
    """

    def __init__(self, world: World, inner: base.Link) -> None:
        self._world = world
        self._inner = inner
        self._first_ms: dict[int, int] = {}

    async def publish(self, message: bytes) -> bool:
        header = header_of(message)
        if header.kind == READINGS:
            now_ms = self._world.now_ms
            if now_ms < self._first_ms.setdefault(header.seq, now_ms) + HOLD_MS:
                return True
        return await self._inner.publish(message)

    async def receive(self) -> tuple[str, bytes]:
        return await self._inner.receive()

    def state(self) -> str:
        return self._inner.state()


def frozen(plan: StationPlan, world: World) -> Sampler:
    return FrozenSampler(plan.sampler(world))


def forecast(
    plan: StationPlan,
    field: Weather,
    generator: random.Random,
    quantities: dict[str, Quantity],
    world: World,
) -> Sampler:
    return ForecastSampler(field, generator, quantities, plan.sampler(world), world)


def clone(
    plan: StationPlan,
    neighbour: WeatherStation,
    generator: random.Random,
    quantities: dict[str, Quantity],
    world: World,
) -> Sampler:
    return CloneSampler(neighbour, generator, quantities, plan.sampler(world))


def _row(quantity: Quantity, name: str, value: float) -> Sample:
    if name == "humidity":
        value = min(max(value, 0.0), 100.0)
    scaled = math.floor(value * 10.0**-quantity.exponent + 0.5)
    return quantity.code, 0, quantity.exponent, scaled, 0
