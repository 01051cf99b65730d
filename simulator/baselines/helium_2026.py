"""Helium's proof-of-coverage rules as they stood when it retired them, in July 2026.

Written from the facts of oracles-iot at 11a5797 (iot_verifier): the witness checks that look at
radio and place, the reward units of HIP-15 as amended by HIP-83, and the density scale of HIP-17
with the parameters of HIP-104. A baseline to compare with, not a part of this network: floats.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

import h3

LIGHT_M_PER_S = 2.998e8  # theirs, four digits
FREQUENCY_TOLERANCE_HZ = 100_000
DISTANCE_CELLS_MIN = 8  # of resolution 11: about 350 m
DISTANCE_CELL_RESOLUTION = 11
DISTANCE_KM_MAX = 100
WITNESSES_REWARDED = 14  # the first to arrive (HIP-83); later ones are "unselected"

FULL_WITNESSES = 4
DECAY = 0.8
UNITS_MAX = 2.0

SCALE_WITHOUT_CELL = 0.2
ASSERTED_RESOLUTION = 12
COUNTED_RESOLUTION = 11


class Reason(Enum):
    """Why a witness is not counted; the names are theirs, in their order of checking."""

    INVALID_PACKET = "invalid_packet"
    INVALID_CAPABILITY = "invalid_capability"
    INVALID_FREQUENCY = "invalid_frequency"
    INVALID_REGION = "invalid_region"
    BELOW_MIN_DISTANCE = "below_min_distance"
    MAX_DISTANCE_EXCEEDED = "max_distance_exceeded"
    BAD_RSSI = "bad_rssi"
    NO_VALID_BEACONS = "gateway_no_valid_beacons"


class Hotspot(NamedTuple):
    """A beaconer or witness as asserted. cell: H3 of resolution 12; gain_ddbi: tenths of dBi."""

    cell: str
    gain_ddbi: int
    region: str = "EU868"
    full: bool = True
    beacon_was_witnessed: bool = True  # of its own, within 48 h


class Packet(NamedTuple):
    payload: bytes
    frequency_hz: int
    power_dbm: int  # conducted


class WitnessReport(NamedTuple):
    payload: bytes
    frequency_hz: int
    rssi_ddbm: int  # tenths of dBm


class DensityLevel(NamedTuple):
    """HIP-17: neighbours that must be occupied, the target per cell, and the most per cell."""

    neighbours: int
    target: int
    most: int


HIP_104: Mapping[int, DensityLevel] = MappingProxyType(
    {
        4: DensityLevel(2, 500, 1000),
        5: DensityLevel(4, 100, 200),
        6: DensityLevel(4, 25, 50),
        7: DensityLevel(4, 5, 10),
        8: DensityLevel(2, 1, 1),
        9: DensityLevel(2, 1, 1),
        10: DensityLevel(2, 1, 1),
    }
)


def verify_witness(
    beaconer: Hotspot, packet: Packet, witness: Hotspot, report: WitnessReport
) -> Reason | None:
    """Return the first of rules 6 to 13 that the report breaks, or None: it is counted."""
    metres = distance_m(beaconer.cell, witness.cell)
    if report.payload != packet.payload:
        return Reason.INVALID_PACKET
    if not witness.full:
        return Reason.INVALID_CAPABILITY
    if abs(report.frequency_hz - packet.frequency_hz) > FREQUENCY_TOLERANCE_HZ:
        return Reason.INVALID_FREQUENCY
    if witness.region != beaconer.region:
        return Reason.INVALID_REGION
    if grid_distance(beaconer.cell, witness.cell) < DISTANCE_CELLS_MIN:
        return Reason.BELOW_MIN_DISTANCE
    if beyond_max_distance(metres):
        return Reason.MAX_DISTANCE_EXCEEDED
    gains = beaconer.gain_ddbi, witness.gain_ddbi
    limit = rssi_limit_dbm(packet.power_dbm, *gains, metres, report.frequency_hz)
    if _whole(report.rssi_ddbm) > limit:
        return Reason.BAD_RSSI
    if not witness.beacon_was_witnessed:
        return Reason.NO_VALID_BEACONS
    return None


def beyond_max_distance(metres: int) -> bool:
    """Rule 11. Whole kilometres are compared, so that 100,999 m pass."""
    return metres // 1000 > DISTANCE_KM_MAX


def rssi_limit_dbm(
    power_dbm: int, beaconer_gain_ddbi: int, witness_gain_ddbi: int, metres: int, frequency_hz: int
) -> float:
    """Rule 12: the strongest signal that free space allows. Gains lose their fraction of a dB."""
    loss = free_space_loss_db(metres, frequency_hz)
    return power_dbm + _whole(beaconer_gain_ddbi) + _whole(witness_gain_ddbi) - loss


def free_space_loss_db(metres: float, frequency_hz: float) -> float:
    """20 log10(4 pi d f / c), with their speed of light; at no distance nothing is lost."""
    if metres <= 0:
        return -math.inf
    return 20 * math.log10(4 * math.pi * metres * frequency_hz / LIGHT_M_PER_S)


def distance_m(a: str, b: str) -> int:
    """Whole metres between the centres of two cells."""
    metres: float = h3.great_circle_distance(h3.cell_to_latlng(a), h3.cell_to_latlng(b), unit="m")
    return round(metres)


def grid_distance(a: str, b: str) -> int:
    """Resolution-11 cells between two cells; those too far apart for h3's grid are just far."""
    parents = (h3.cell_to_parent(cell, DISTANCE_CELL_RESOLUTION) for cell in (a, b))
    try:
        return int(h3.grid_distance(*parents))
    except (h3.H3GridNavigationError, h3.H3FailedError):
        return DISTANCE_CELLS_MIN


def _whole(tenths: int) -> int:
    """Integer division as Rust has it: towards zero."""
    return int(tenths / 10)


def beaconer_units(witnesses: int) -> float:
    """HIP-15: reward units of a beacon that so many witnesses heard, 4 decimals."""
    if witnesses <= FULL_WITNESSES:
        return round(witnesses / FULL_WITNESSES, 4)
    return round(min(UNITS_MAX, UNITS_MAX - DECAY ** (witnesses - FULL_WITNESSES)), 4)


def witness_units(witnesses: int) -> float:
    """HIP-15: reward units of each witness of a beacon that so many heard, 4 decimals."""
    if witnesses == 0:
        return 0.0
    if witnesses <= FULL_WITNESSES:
        return 1.0
    shared = FULL_WITNESSES - (1 - DECAY ** (witnesses - FULL_WITNESSES))
    return round(min(UNITS_MAX, shared / witnesses), 4)


def density_scales(
    asserted: Iterable[str], levels: Mapping[int, DensityLevel] = HIP_104
) -> dict[str, float]:
    """HIP-17: the share of its reward that each asserted cell (resolution 12) keeps, 4 decimals.

    asserted: one entry per active hotspot, a cell as often as it has hotspots. A cell that is not
    in the answer keeps SCALE_WITHOUT_CELL.
    """
    cells = list(asserted)
    clipped = Counter(h3.cell_to_parent(cell, COUNTED_RESOLUTION) for cell in cells)
    kept: dict[str, float] = {}
    for resolution in range(COUNTED_RESOLUTION - 1, min(levels) - 1, -1):
        counts: Counter[str] = Counter()
        for cell, count in clipped.items():
            counts[h3.cell_to_parent(cell, resolution)] += count
        limits = _limits(counts, levels[resolution])
        kept |= {cell: limits[cell] / count for cell, count in counts.items()}
        clipped = Counter(limits)
    resolutions = range(COUNTED_RESOLUTION - 1, min(levels) - 1, -1)
    return {
        cell: round(math.prod(kept[h3.cell_to_parent(cell, r)] for r in resolutions), 4)
        for cell in set(cells)
    }


def _limits(counts: Mapping[str, int], level: DensityLevel) -> dict[str, int]:
    """The clipped count of each cell: the more of its neighbours are occupied, the higher."""
    limits = {}
    for cell, count in counts.items():
        # "Occupied" looks at what is clipped; clipping never takes a cell below its target.
        occupied = sum(counts.get(other, 0) >= level.target for other in h3.grid_disk(cell, 1))
        most = min(level.most, level.target * max(occupied - level.neighbours + 1, 1))
        limits[cell] = min(most, count)
    return limits
