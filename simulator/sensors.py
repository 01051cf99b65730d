"""What a station's sensors make of the air: siting, sensor errors, faults, rounding.

It turns truth into the integers that a board samples, and knows nothing of time zones, networks
or pay. The siting figures are those of citizen stations in Berlin, January 2017: station bias of
sd 1.0 degC, own diurnal pattern of sd 0.38 degC; 1.2-1.4 % of readings missing, 3.6-4.1 % of
stations grossly bad.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

from simulator.seeds import happens
from simulator.weather import DAY_MS, HOUR_MS, Weather, diurnal

# (quantity, channel, exponent, value or None, fault code): a row of Board.sample.
Sample = tuple[int, int, int, "int | None", int]

FAULT_BUS_SILENT = 1

STATION_BIAS_SD_C = 1.0
STATION_DIURNAL_SD_C = 0.38
NOISE_SD = {"temperature": 0.05, "humidity": 0.4, "pressure": 0.04}
BIAS_SD = {"temperature": 3.0, "humidity": 12.0, "pressure": 8.0}
DRIFT_SD_PER_DAY = {"temperature": 0.8, "humidity": 3.0, "pressure": 0.8}
NOISY_FACTOR = 20.0
SPIKE_SD = {"temperature": 25.0, "humidity": 40.0, "pressure": 60.0}
SPIKE_PPM = 20_000
COARSE_STEP = {"temperature": 0.5, "humidity": 5.0, "pressure": 1.0}
# Gilbert-Elliott, a loose plug: the bus falls silent in bursts. Mean lengths 1/p samples.
BURST_BEGINS_PPM = 30_000
BURST_ENDS_PPM = 20_000
SILENT_IN_BURST_PPM = 900_000


class Sampler(Protocol):
    """Whatever stands behind `Board.sample` of one station."""

    async def sample(self) -> list[Sample]: ...


@dataclass(frozen=True, slots=True)
class Quantity:
    """Code, SenML unit and default exponent of one entry of spec/quantities.toml."""

    code: int
    unit: str
    exponent: int


@dataclass(frozen=True, slots=True)
class ErrorShares:
    """Share of stations in each error class, ppm; what is left of a million is healthy."""

    bias_ppm: int = 0
    drift_ppm: int = 0
    noise_ppm: int = 0
    spike_ppm: int = 0
    stuck_ppm: int = 0
    dropout_ppm: int = 0
    coarse_ppm: int = 0

    def draw(self, generator: random.Random) -> str:
        """Name of the class of one station; `healthy` for most."""
        drawn = generator.randrange(1_000_000)
        for field in fields(self):
            drawn -= int(getattr(self, field.name))
            if drawn < 0:
                return field.name.removesuffix("_ppm")
        return "healthy"


class WeatherStation:
    """Thermometer, hygrometer and barometer of one station; survives the board's restarts.
    latest: what was read last.
    """

    def __init__(
        self,
        generator: random.Random,
        error_class: str,
        quantities: Mapping[str, Quantity],
        start_ms: int,
    ) -> None:
        self.error_class = error_class
        self.latest: list[Sample] = []
        self._generator = generator
        self._quantities = [(name, quantities[name]) for name in NOISE_SD]
        self._start_ms = start_ms
        self._station_bias_c = generator.gauss(0, STATION_BIAS_SD_C)
        self._station_diurnal_c = generator.gauss(0, STATION_DIURNAL_SD_C)
        self._bias = dict.fromkeys(NOISE_SD, 0.0)
        self._drift = dict.fromkeys(NOISE_SD, 0.0)
        self._stuck_from_ms: int | None = None
        self._stuck: dict[str, float] = {}
        self._in_burst = False
        if error_class == "bias":
            self._bias = {name: generator.gauss(0, sd) for name, sd in BIAS_SD.items()}
        elif error_class == "drift":
            self._drift = {name: generator.gauss(0, sd) for name, sd in DRIFT_SD_PER_DAY.items()}
        elif error_class == "stuck":
            self._stuck_from_ms = start_ms + generator.randrange(DAY_MS // 8)

    @property
    def stuck(self) -> bool:
        """Whether it shows the same for ever by now."""
        return bool(self._stuck)

    def read(self, weather: Weather, index: int, time_ms: int) -> list[Sample]:
        """One sample of every sensor of station `index` of the field."""
        truth = weather.at(time_ms)
        air = {
            "temperature": float(truth.temperature[index]) + self._siting_c(time_ms),
            "humidity": float(truth.humidity[index]),
            "pressure": float(truth.pressure[index]),
        }
        silent = self._bus_is_silent()
        self.latest = [
            (quantity.code, 0, quantity.exponent, None, FAULT_BUS_SILENT)
            if silent
            else (
                quantity.code,
                0,
                quantity.exponent,
                self._integer(name, self._measured(name, air[name], time_ms), quantity),
                0,
            )
            for name, quantity in self._quantities
        ]
        return self.latest

    def _siting_c(self, time_ms: int) -> float:
        hour = (time_ms % DAY_MS) / HOUR_MS
        return self._station_bias_c + self._station_diurnal_c * diurnal(hour)

    def _bus_is_silent(self) -> bool:
        if self.error_class != "dropout":
            return False
        change = BURST_ENDS_PPM if self._in_burst else BURST_BEGINS_PPM
        if happens(self._generator, change):
            self._in_burst = not self._in_burst
        return self._in_burst and happens(self._generator, SILENT_IN_BURST_PPM)

    def _measured(self, name: str, true_value: float, time_ms: int) -> float:
        if self._stuck_from_ms is not None and time_ms >= self._stuck_from_ms:
            return self._stuck.setdefault(name, true_value)
        days = (time_ms - self._start_ms) / DAY_MS
        noise = self._generator.gauss(0, NOISE_SD[name])
        if self.error_class == "noise":
            noise *= NOISY_FACTOR
        elif self.error_class == "spike" and happens(self._generator, SPIKE_PPM):
            noise += self._generator.gauss(0, SPIKE_SD[name])
        return true_value + self._bias[name] + self._drift[name] * days + noise

    def _integer(self, name: str, value: float, quantity: Quantity) -> int:
        if name == "humidity":
            value = min(max(value, 0.0), 100.0)
        if self.error_class == "coarse":
            step = COARSE_STEP[name]
            value = math.floor(value / step + 0.5) * step
        return math.floor(value * 10.0**-quantity.exponent + 0.5)
