"""Made-up weather for attackers, put beside real or simulated carriers.

It owns the signals, not how they are found or what they earn. A carrier is an honest station's
series by the hour. Every attack knows what such an attacker could know: a forecast is the
region's mean with persistent errors, a clone relays a sensor that stands elsewhere, and the
neighbours' middle can be had after its release only, so it arrives late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulator.sensors import STATION_BIAS_SD_C, STATION_DIURNAL_SD_C
from simulator.weather import EARTH_RADIUS_KM, HOUR_MS, Weather, diurnal

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

MISSING = -32_768
COVERAGE_MIN = 0.9
SPREAD_MIN_C = 0.05
GROSS_C = 4.0
# Of citizen thermometers in Berlin: residuals of sd 0.92 degC, .88 of which lasts an hour; a
# forecast for a district is at least as good as that.
FORECAST_SD_C = 0.92
FORECAST_MEMORY = 0.9
COPY_NOISE_C = 0.3
BIAS_C = 3.0
INTIME_MS, BACKFILL_MS = 2_000, 5_400_000


@dataclass(frozen=True, slots=True)
class Carriers:
    """Honest series by the hour. degrees: hours x stations in degC, NaN where one is missing.

    first_hour: hours since 1970; lat_e6, lon_e6: in millionths of a degree.
    """

    first_hour: int
    degrees: Array
    lat_e6: Places
    lon_e6: Places

    def __len__(self) -> int:
        return int(self.degrees.shape[1])

    def week(self, day: int, days: int) -> Carriers:
        """Return `days` whole days from the `day`-th on."""
        start = day * 24
        rows = self.degrees[start : start + days * 24]
        return Carriers(self.first_hour + start, rows, self.lat_e6, self.lon_e6)

    def some(self, chosen: Places) -> Carriers:
        """Return the chosen stations alone."""
        lat_e6, lon_e6 = self.lat_e6[chosen], self.lon_e6[chosen]
        return Carriers(self.first_hour, self.degrees[:, chosen], lat_e6, lon_e6)

    def distances_km(self) -> Array:
        """Return all distances on a plane; good to a percent over a region, for choosing."""
        north = np.radians(self.lat_e6 / 1e6) * EARTH_RADIUS_KM
        scale = EARTH_RADIUS_KM * math.cos(math.radians(float(self.lat_e6.mean()) / 1e6))
        east = np.radians(self.lon_e6 / 1e6) * scale
        apart: Array = np.hypot(north[:, None] - north, east[:, None] - east)
        return apart


@dataclass(frozen=True, slots=True)
class Attack:
    """Made-up series of some targets, hours x targets in degC, and when each value arrives."""

    name: str
    degrees: Array
    delay_ms: int
    sources: Places | None = None


def read_netatmo(path: Path) -> Carriers:
    """Return the stations of a month of citizen thermometers (.npz with ta10, lat, lon, hour).

    Those with a tenth of the hours missing, and those that stand still for the month, are left
    out: a station that is broken outright is no honest one.
    """
    with np.load(path) as data:
        tenths, first_hour = data["ta10"], int(data["hour"][0])
        lat_e6, lon_e6 = (np.rint(data[name] * 1e6).astype(np.int64) for name in ("lat", "lon"))
    there = tenths != MISSING
    degrees = np.where(there, tenths / 10, np.nan)
    usable = there.mean(axis=0) >= COVERAGE_MIN
    usable[usable] = np.nanstd(degrees[:, usable], axis=0) > SPREAD_MIN_C
    first = -first_hour % 24
    chosen = np.flatnonzero(usable)
    return Carriers(first_hour + first, degrees[first:][:, chosen], lat_e6[chosen], lon_e6[chosen])


def synthetic(seed: int, stations: int, days: int, side_km: float = 40.0) -> Carriers:
    """Return the simulator's own weather and sensors: a square of side_km about Berlin."""
    generator = np.random.default_rng(seed)
    half_deg = math.degrees(side_km / 2 / EARTH_RADIUS_KM)
    lat = 52.5 + generator.uniform(-half_deg, half_deg, stations)
    lon = 13.4 + generator.uniform(-half_deg, half_deg, stations) / math.cos(math.radians(52.5))
    weather = Weather(seed, lat.tolist(), lon.tolist(), [40.0] * stations)
    first_hour = 412_008
    rows = [weather.at((first_hour + hour) * HOUR_MS).temperature for hour in range(24 * days)]
    pattern = np.array([diurnal(hour % 24) for hour in range(24 * days)])
    siting = generator.normal(0, STATION_BIAS_SD_C, stations)
    sunny = generator.normal(0, STATION_DIURNAL_SD_C, stations)
    degrees = np.array(rows) + siting + np.outer(pattern, sunny)
    # A tenth and a half: sensor noise, and the air around one house.
    degrees += generator.normal(0, 0.15, degrees.shape)
    degrees[generator.random(degrees.shape) < 0.013] = np.nan
    to_e6 = (np.rint(values * 1e6).astype(np.int64) for values in (lat, lon))
    return Carriers(first_hour, np.round(degrees, 1), *to_e6)


def gross(carriers: Carriers) -> npt.NDArray[np.bool_]:
    """Say which stations are off by degrees all the time: indoors, or in the sun."""
    apart = carriers.degrees - region(carriers)[:, None]
    far, wild = abs(np.nanmean(apart, axis=0)) >= GROSS_C, np.nanstd(apart, axis=0) >= GROSS_C
    return np.asarray(far | wild, dtype=np.bool_)


def region(carriers: Carriers) -> Array:
    """Return the median of all stations by the hour, NaN where none has a value."""
    middle = np.full(len(carriers.degrees), np.nan)
    known = ~np.isnan(carriers.degrees).all(axis=1)
    middle[known] = np.nanmedian(carriers.degrees[known], axis=1)
    return middle


def fabricate(
    generator: np.random.Generator, carriers: Carriers, targets: Places, pool: Places
) -> list[Attack]:
    """Return every attack on the targets' places.

    pool: stations that a clone may relay; those of `sources` are in the network themselves.
    """
    honest = carriers.degrees[:, targets]
    apart = carriers.distances_km()
    near, far = (_sources(generator, apart, targets, pool, *km) for km in ((5, 10), (20, 40)))
    noise = generator.normal(0, COPY_NOISE_C, honest.shape)
    series: Mapping[str, tuple[Array, int, Places | None]] = {
        "frozen": (_frozen(generator, honest), INTIME_MS, None),
        "bias": (honest + BIAS_C, INTIME_MS, None),
        "forecast_copy": (_forecast(generator, carriers, len(targets)), INTIME_MS, None),
        "replay": (_replay(honest), INTIME_MS, None),
        "clone_near": (carriers.degrees[:, near], 2 * INTIME_MS, near),
        "clone_far": (carriers.degrees[:, far], 2 * INTIME_MS, far),
        "clone_noisy": (carriers.degrees[:, far] + noise, 2 * INTIME_MS, far),
        "backfill": (_neighbours(apart, carriers, targets, pool) + noise, BACKFILL_MS, None),
    }
    return [
        Attack(name, np.round(degrees, 1), delay_ms, sources)
        for name, (degrees, delay_ms, sources) in series.items()
    ]


def _frozen(generator: np.random.Generator, honest: Array) -> Array:
    """Stuck at a value of the first day, from then on."""
    frozen = honest.copy()
    for station in range(honest.shape[1]):
        begin = int(generator.integers(0, 12))
        there = np.flatnonzero(~np.isnan(honest[begin:, station]))
        if len(there):
            frozen[begin:, station] = honest[begin + there[0], station]
    return frozen


def _forecast(generator: np.random.Generator, carriers: Carriers, count: int) -> Array:
    """The region's mean, a bias of the site, and errors that last (AR(1))."""
    hours = len(carriers.degrees)
    shocks = generator.normal(0, FORECAST_SD_C, (hours, count))
    errors = shocks.copy()
    fresh = math.sqrt(1 - FORECAST_MEMORY**2)
    for hour in range(1, hours):
        errors[hour] = FORECAST_MEMORY * errors[hour - 1] + fresh * shocks[hour]
    bias = generator.normal(0, STATION_BIAS_SD_C, count)
    made_up: Array = region(carriers)[:, None] + errors + bias
    return made_up


def _replay(honest: Array) -> Array:
    replayed = honest.copy()
    replayed[24:] = honest[:-24]
    return replayed


def _neighbours(apart: Array, carriers: Carriers, targets: Places, pool: Places) -> Array:
    """The median of the six nearest stations of the pool."""
    columns = []
    for target in targets:
        others = pool[pool != target]
        nearest = others[np.argsort(apart[target, others], kind="stable")[:6]]
        columns.append(region(carriers.some(nearest)))
    return np.array(columns).T


def _sources(  # noqa: PLR0917 - who, of whom, how far
    generator: np.random.Generator,
    apart: Array,
    targets: Places,
    pool: Places,
    low_km: float,
    high_km: float,
) -> Places:
    """A station of the pool for each target, in the ring if there is one, else the next best."""
    chosen = []
    for target in targets:
        others = pool[pool != target]
        ring = others[(apart[target, others] >= low_km) & (apart[target, others] <= high_km)]
        middle = (low_km + high_km) / 2
        nearest = others[np.argmin(abs(apart[target, others] - middle))]
        chosen.append(int(generator.choice(ring)) if len(ring) else int(nearest))
    return np.array(chosen, dtype=np.int64)


def front(carriers: Carriers, hour: int, drop_c: float, speed_kmh: float) -> Array:
    """Return the series with a front that crosses them from the west, for good.

    The air falls by drop_c where the front has passed; it begins in the west at `hour`.
    """
    scale = EARTH_RADIUS_KM * math.cos(math.radians(float(carriers.lat_e6.mean()) / 1e6))
    east_km = np.radians((carriers.lon_e6 - carriers.lon_e6.min()) / 1e6) * scale
    hours = np.arange(len(carriers.degrees))[:, None]
    crossed: Array = np.clip((hours - hour) * speed_kmh - east_km, 0, speed_kmh) / speed_kmh
    return np.round(carriers.degrees - drop_c * crossed, 1)


def downburst(carriers: Carriers, hour: int, drop_c: float, radius_km: float, at: int) -> Array:
    """Return the series with a cold pool about one station that fades within three hours."""
    inside = np.clip(1.5 - carriers.distances_km()[at] / radius_km, 0, 1)
    fading = np.zeros(len(carriers.degrees))
    fading[hour : hour + 3] = np.array([1.0, 0.6, 0.3])[: len(fading[hour : hour + 3])]
    return np.round(carriers.degrees - drop_c * np.outer(fading, inside), 1)
