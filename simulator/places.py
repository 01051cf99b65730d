"""Where the stations of a scenario stand, and the scoring cell that each of them signs.

It knows geometry only. Distances are on a plane around the town's middle, good to a metre over a
town; the network's own distances are worked out elsewhere, from cells alone.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import h3

SCORING_RESOLUTION = 9
METRES_PER_DEGREE = 111_195.0
TRIES_PER_STATION = 2_000
CLOSE_M_MIN = 60.0
CLOSE_M_MAX = 300.0


class TownTooSmall(ValueError):  # noqa: N818 - says what is wrong
    """The stations do not fit into the town at their spacing."""


@dataclass(frozen=True, slots=True)
class Town:
    """A disc on the ground. spacing_m: least distance between stations that are not `close`."""

    lat_deg: float = field(default=52.52, metadata={"range": (-85.0, 85.0)})
    lon_deg: float = field(default=13.405, metadata={"range": (-180.0, 180.0)})
    radius_m: int = field(default=8_000, metadata={"range": (100, 500_000)})
    spacing_m: int = field(default=900, metadata={"range": (0, 100_000)})
    height_m: int = field(default=40, metadata={"range": (-400, 6_000)})


@dataclass(frozen=True, slots=True)
class Place:
    """One station's true position; it never leaves the simulator. east_m and north_m: on the
    plane around the town's middle.
    """

    lat_deg: float
    lon_deg: float
    height_m: float
    east_m: float
    north_m: float


def lay_out(generator: random.Random, town: Town, stations: int, close: int) -> list[Place]:
    """Draw positions: the last `close` ones stand 60 to 300 m from an earlier one.

    TownTooSmall if no free spot is found.
    """
    points: list[tuple[float, float]] = []
    for _ in range(stations - close):
        points.append(_free_spot(generator, town, points))
    apart = len(points)
    for _ in range(close):
        east, north = points[generator.randrange(apart)]
        turn = generator.uniform(0, 2 * math.pi)
        distance = generator.uniform(CLOSE_M_MIN, CLOSE_M_MAX)
        points.append((east + distance * math.cos(turn), north + distance * math.sin(turn)))
    return [_place(generator, town, east, north) for east, north in points]


def scoring_cell(lat_deg: float, lon_deg: float) -> int:
    """H3 cell of resolution 9 that holds the point."""
    return int(h3.latlng_to_cell(lat_deg, lon_deg, SCORING_RESOLUTION), 16)


def _free_spot(
    generator: random.Random, town: Town, taken: list[tuple[float, float]]
) -> tuple[float, float]:
    for _ in range(TRIES_PER_STATION):
        radius = town.radius_m * math.sqrt(generator.random())
        turn = generator.uniform(0, 2 * math.pi)
        east, north = radius * math.cos(turn), radius * math.sin(turn)
        if all(math.hypot(east - e, north - n) >= town.spacing_m for e, n in taken):
            return east, north
    raise TownTooSmall(
        f"station {len(taken) + 1} finds no spot {town.spacing_m} m from the others in a town of "
        f"{town.radius_m} m radius; widen radius_m or lower spacing_m"
    )


def place_at(town: Town, east_m: float, north_m: float, height_m: float) -> Place:
    """The place that lies so far from the town's middle."""
    per_degree_east = METRES_PER_DEGREE * math.cos(math.radians(town.lat_deg))
    return Place(
        town.lat_deg + north_m / METRES_PER_DEGREE,
        town.lon_deg + east_m / per_degree_east,
        height_m,
        east_m,
        north_m,
    )


def _place(generator: random.Random, town: Town, east: float, north: float) -> Place:
    return place_at(town, east, north, town.height_m + generator.uniform(0, 20))
