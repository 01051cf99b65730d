"""The weather that is really there: a reproducible field over space and time.

It owns truth and knows nothing of sensors or stations' faults. Random Fourier features (Rahimi and
Recht, 2007): a sum of cosines with random wave numbers approximates a Gaussian field with a
chosen covariance, needs no grid, and any (place, time) follows from the seed alone. Calibrated on
citizen thermometers in Berlin in January 2017: regional diurnal range 2.3 degC; residuals of sd
0.92 degC whose autocorrelation is .88, .61, .40 at 1, 3, 6 h; semivariogram sill .40 by 25 km, of
which .18 is there at no distance at all (that part belongs to the station: see sensors.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.seeds import derive

Array = npt.NDArray[np.float64]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EARTH_RADIUS_KM = 6371.0088

LOCAL_MODES = 256
REGIONAL_MODES = 64
LOCAL_SD_C = 0.47  # sqrt(.40 - .18): the part of the sill that distance explains
REGIONAL_SD_C = 0.79  # with the local part: 0.92 degC
LENGTH_KM = 7.0
MEMORY_H = 7.0
DIURNAL_RANGE_C = 2.3
WARMEST_HOUR = 14.0
DEW_POINT_DEPRESSION_C = 3.0
DEW_POINT_SD_C = 1.2
PRESSURE_HPA = 1015.0
PRESSURE_SD_HPA = 6.0
PRESSURE_MEMORY_H = 60.0
METRES_PER_HPA = 8.3
LAPSE_C_PER_M = 0.0065
# Features of an exponential covariance have Cauchy frequencies; the cut keeps a rare draw from
# wiggling faster than any thermometer follows.
FREQUENCY_MAX_PER_H = 6.0


@dataclass(frozen=True, slots=True)
class Truth:
    """Air at every station at one time: degC, %RH, hPa at station height; one entry each."""

    temperature: Array
    humidity: Array
    pressure: Array


@dataclass(frozen=True, slots=True)
class _Modes:
    """Features sqrt(2/n) cos(k.x + w t + phase), sd 1 in sum."""

    east: Array
    north: Array
    per_hour: Array
    phase: Array

    def at_origin(self, hours: float) -> float:
        angles = self.per_hour * hours + self.phase
        return float(np.cos(angles).sum() * math.sqrt(2 / len(angles)))


class Weather:
    """The field at a fixed set of stations; one vectorised evaluation a step, the last few kept.

    Positions are degrees and metres above sea level; times unix ms. Every sample within one step
    of `step_ms` sees the air of the step's beginning.
    """

    def __init__(
        self,
        seed: int,
        lat_deg: list[float],
        lon_deg: list[float],
        height_m: list[float],
        *,
        mean_c: float = 8.0,
        step_ms: int = 60_000,
    ) -> None:
        self._step_ms = step_ms
        self._mean_c = mean_c
        self._height_m = np.asarray(height_m, dtype=np.float64)
        east, north = _plane_km(np.asarray(lat_deg), np.asarray(lon_deg))
        self._lon_deg = float(np.mean(lon_deg))
        generator = np.random.Generator(
            np.random.PCG64(int.from_bytes(derive(seed, "weather"), "big"))
        )
        self._local = _modes(generator, LOCAL_MODES, LENGTH_KM, MEMORY_H)
        self._regional = _modes(generator, REGIONAL_MODES, math.inf, MEMORY_H)
        self._dew_point = _modes(generator, REGIONAL_MODES, math.inf, PRESSURE_MEMORY_H / 3)
        self._pressure = _modes(generator, REGIONAL_MODES, math.inf, PRESSURE_MEMORY_H)
        # cos(a + b) = cos a cos b - sin a sin b: the part in space is worked out once.
        space = np.outer(east, self._local.east) + np.outer(north, self._local.north)
        scale = LOCAL_SD_C * math.sqrt(2 / LOCAL_MODES)
        self._cosine = np.cos(space) * scale
        self._sine = np.sin(space) * scale
        self._steps: dict[int, Truth] = {}

    def at(self, time_ms: int) -> Truth:
        """The air at every station in the step that holds time_ms."""
        step = time_ms // self._step_ms
        truth = self._steps.get(step)
        if truth is None:
            if len(self._steps) >= 4:
                del self._steps[next(iter(self._steps))]
            truth = self._steps[step] = self._evaluate(step * self._step_ms)
        return truth

    def _evaluate(self, time_ms: int) -> Truth:
        hours = time_ms / HOUR_MS
        solar_hour = (time_ms % DAY_MS) / HOUR_MS + self._lon_deg / 15
        regional = self._mean_c + REGIONAL_SD_C * self._regional.at_origin(hours)
        regional += DIURNAL_RANGE_C / 2 * diurnal(solar_hour)
        angles = self._local.per_hour * hours + self._local.phase
        local = self._cosine @ np.cos(angles) - self._sine @ np.sin(angles)
        temperature = regional + local - LAPSE_C_PER_M * self._height_m
        dew_point = self._mean_c - DEW_POINT_DEPRESSION_C
        dew_point += DEW_POINT_SD_C * self._dew_point.at_origin(hours)
        humidity = 100 * vapour_pressure_hpa(np.minimum(dew_point, temperature))
        humidity = np.minimum(humidity / vapour_pressure_hpa(temperature), 100.0)
        sea_level = PRESSURE_HPA + PRESSURE_SD_HPA * self._pressure.at_origin(hours)
        return Truth(temperature, humidity, sea_level - self._height_m / METRES_PER_HPA)


def diurnal(solar_hour: float) -> float:
    """The day's course in -1..1, highest at WARMEST_HOUR."""
    return math.cos((solar_hour - WARMEST_HOUR) / 24 * 2 * math.pi)


def vapour_pressure_hpa(temperature_c: Array) -> Array:
    """Saturation over water, Magnus formula with the WMO's coefficients (WMO-No. 8, annex 4.B)."""
    return np.asarray(6.112 * np.exp(17.62 * temperature_c / (243.12 + temperature_c)))


def _modes(
    generator: np.random.Generator, count: int, length_km: float, memory_h: float
) -> _Modes:
    # Bivariate Student-t wave numbers with 1 degree of freedom: exponential covariance in space.
    width = np.sqrt(generator.chisquare(1, count)) * length_km
    per_hour = np.clip(
        generator.standard_cauchy(count) / memory_h, -FREQUENCY_MAX_PER_H, FREQUENCY_MAX_PER_H
    )
    return _Modes(
        east=generator.standard_normal(count) / width,
        north=generator.standard_normal(count) / width,
        per_hour=per_hour,
        phase=generator.uniform(0, 2 * math.pi, count),
    )


def _plane_km(lat_deg: Array, lon_deg: Array) -> tuple[Array, Array]:
    """East and north of the stations' middle; good to a percent over a region."""
    middle_lat, middle_lon = float(np.mean(lat_deg)), float(np.mean(lon_deg))
    north = np.radians(lat_deg - middle_lat) * EARTH_RADIUS_KM
    east = np.radians(lon_deg - middle_lon) * EARTH_RADIUS_KM * math.cos(math.radians(middle_lat))
    return east, north
