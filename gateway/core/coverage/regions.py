"""Where beacons may be sent and what a receiver there can hear: parsed from spec/regions.toml.

LoRa alone is regional; the 2.4 GHz radios obey one rule everywhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.core.faults import CoreFault

_MAGNITUDE_MAX = 10**9
_PREAMBLE_SYMBOLS = 8
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Region:
    """LoRa beacons in one regulatory region.

    frequencies_khz: by channel; eirp_cdbm: the most that is allowed, and a beacon's at step 0;
    sensitivity_cdbm, snr_floor_cdb, noise_floor_cdbm: of a receiver with 6 dB noise figure;
    duty_ppm: share of time on the air, 1,000,000 where there is no such limit; dwell_ms within
    dwell_window_ms: the longest on one channel, 0 where there is no such limit.
    """

    name: str
    code: int
    frequencies_khz: tuple[int, ...]
    eirp_cdbm: int
    spreading_factor: int
    bandwidth_khz: int
    coding_rate: int
    sensitivity_cdbm: int
    snr_floor_cdb: int
    noise_floor_cdbm: int
    duty_ppm: int
    dwell_ms: int
    dwell_window_ms: int

    @property
    def frequency_khz(self) -> int:
        """The lowest one: free-space loss is smallest there, so no channel is judged harder."""
        return min(self.frequencies_khz)


class RegionsError(CoreFault):
    """A regions file that cannot be used."""

    def __init__(self, why: str) -> None:
        what = "The regions file cannot be used"
        do = "Take spec/regions.toml of the release again"
        super().__init__(what, why, do, "bad_regions")


# Bounds of each number; what lies outside is no LoRa.
_RANGES = {
    "code": (1, 255),
    "eirp_cdbm": (-3_000, 4_000),
    "spreading_factor": (7, 12),
    "bandwidth_khz": (125, 500),
    "coding_rate": (1, 4),
    "sensitivity_cdbm": (-15_000, -8_000),
    "snr_floor_cdb": (-2_500, 0),
    "noise_floor_cdbm": (-13_000, -8_000),
    "duty_ppm": (1, _PPM),
    "dwell_ms": (0, 10_000),
    "dwell_window_ms": (0, 3_600_000),
}
_KEYS = {"name", "frequencies_khz", *_RANGES}


def parse_regions(text: bytes) -> Mapping[str, Region]:
    """Return the regions by name, or raise RegionsError; unknown keys are refused."""
    try:
        document = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise RegionsError(f"it is not TOML in UTF-8 ({error})") from error
    tables = document.pop("region", None)
    if document or not isinstance(tables, list) or not tables:
        raise RegionsError("it must hold [[region]] tables and nothing else")
    regions = [_region(table) for table in tables]
    by_name = {region.name: region for region in regions}
    if len(by_name) != len(regions) or len({region.code for region in regions}) != len(regions):
        raise RegionsError("a name or a code is given twice")
    return by_name


def airtime_us(region: Region, frame_bytes: int) -> int:
    """Return the time on the air of a frame in microseconds, rounded up.

    Semtech AN1200.13 with explicit header, CRC on and a preamble of 8 symbols; the low data rate
    optimisation is on where a symbol takes more than 16 ms.
    """
    factor = region.spreading_factor
    slow = 2 if (1 << factor) > 16 * region.bandwidth_khz else 0
    bits = 8 * frame_bytes - 4 * factor + 28 + 16
    blocks = -(-max(bits, 0) // (4 * (factor - slow)))
    # In quarters of a symbol, for the 4.25 that end a preamble.
    quarters = 4 * (_PREAMBLE_SYMBOLS + 8 + blocks * (region.coding_rate + 4)) + 17
    return -(-quarters * (1 << factor) * 1000 // (4 * region.bandwidth_khz))


def _region(table: Any) -> Region:
    if not isinstance(table, dict) or set(table) != _KEYS:
        raise RegionsError(f"a region must have exactly the keys {sorted(_KEYS)}")
    name, frequencies = table["name"], table["frequencies_khz"]
    if not isinstance(name, str) or not 1 <= len(name) <= 16:
        raise RegionsError("a name must be 1 to 16 characters")
    if not isinstance(frequencies, list) or not 1 <= len(frequencies) <= 16:
        raise RegionsError(f"{name}: frequencies_khz must list 1 to 16 channels")
    if any(type(khz) is not int or not 100_000 <= khz <= 1_000_000 for khz in frequencies):
        raise RegionsError(f"{name}: a frequency is no integer of 100,000 to 1,000,000 kHz")
    if len(set(frequencies)) != len(frequencies):
        raise RegionsError(f"{name}: a frequency is listed twice")
    for key, (low, high) in _RANGES.items():
        if type(table[key]) is not int or not low <= table[key] <= high:
            raise RegionsError(f"{name}: {key} is no integer of {low} to {high}")
    numbers = {key: table[key] for key in _RANGES}
    region = Region(name=name, frequencies_khz=tuple(frequencies), **numbers)
    if bool(region.dwell_ms) != bool(region.dwell_window_ms):
        raise RegionsError(f"{name}: dwell_ms and dwell_window_ms go together")
    return region
