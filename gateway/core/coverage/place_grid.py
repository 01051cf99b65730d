"""The plane around a claimed place and the places that are tried on it. spec/place.md section 3.

Coordinates are whole metres east and north of the claim, int64. The plane is the equirectangular
one at the claim's latitude: within 1 % for everything that a beacon can reach, and a claim that
is judged on a plane a little too wide is judged by the same plane everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt

import numpy as np

from gateway.core.coverage.radio import COS_SCALE, Ints, RadioTables, cosine
from gateway.core.geometry import Point

# One degree of a great circle of the sphere of geometry.py, in metres.
_DEGREE_M = 111_195
_E6 = 1_000_000
_HALF_TURN_E6 = 180_000_000
# cos 89.9 degrees: nearer to a pole the plane is no plane, but the arithmetic stays finite.
_COS_MIN = 1_745


def to_plane(origin: Point, points: Sequence[Point], tables: RadioTables) -> Ints:
    """Return (n, 2) metres east and north of `origin`; |values| <= 20_015_100."""
    degrees = np.array(points, dtype=np.int64).reshape(-1, 2) - np.array(origin, dtype=np.int64)
    north = degrees[:, 0] * _DEGREE_M // _E6
    east = (degrees[:, 1] + _HALF_TURN_E6) % (2 * _HALF_TURN_E6) - _HALF_TURN_E6
    # |east| <= 1.8e8: the products stay below 2.1e13.
    east = (east * _DEGREE_M // _E6) * _cos(origin, tables) // COS_SCALE
    return np.stack([east, north], axis=1)


def from_plane(origin: Point, east_m: int, north_m: int, tables: RadioTables) -> Point:
    """Return the point that lies there, latitude within 90 degrees and longitude within 180."""
    latitude = origin[0] + north_m * _E6 // _DEGREE_M
    longitude = origin[1] + east_m * COS_SCALE // _cos(origin, tables) * _E6 // _DEGREE_M
    longitude = (longitude + _HALF_TURN_E6) % (2 * _HALF_TURN_E6) - _HALF_TURN_E6
    return max(-90_000_000, min(90_000_000, latitude)), longitude


def _cos(origin: Point, tables: RadioTables) -> int:
    return max(_COS_MIN, cosine(origin[0], tables))


def circles(rings_m: Sequence[int], bearings: int, tables: RadioTables) -> Ints:
    """Return (1 + rings * bearings, 2): the centre, then every ring from its first bearing on.

    Every other ring is turned by half a step, so that the places cover the plane more evenly.
    """
    half_step = _HALF_TURN_E6 // bearings
    turns = range(0, 2 * bearings * half_step, half_step)
    ways = np.array(
        [(cosine(angle - 90 * _E6, tables), cosine(angle, tables)) for angle in turns],
        dtype=np.int64,
    )
    rings = [radius * ways[ring % 2 :: 2] // COS_SCALE for ring, radius in enumerate(rings_m)]
    return np.concatenate([np.zeros((1, 2), np.int64), *rings])


def ring_areas(rings_m: Sequence[int], bearings: int) -> Ints:
    """Return (1 + rings * bearings,): the area that each of the circles' places stands for, in
    units of pi * m^2 / (4 * bearings): from half way to the ring before to half way to the next.
    """
    edges = [0]
    edges += [a + b for a, b in zip((0, *rings_m), rings_m, strict=False)]
    edges.append(2 * rings_m[-1])
    squares = [edge * edge for edge in edges]
    areas = [squares[1] * bearings]
    for inner, outer in pairwise(squares[1:]):
        areas += [outer - inner] * bearings
    return np.array(areas, dtype=np.int64)


def squared(places: Ints, witnesses: Ints) -> Ints:
    """Return (places, witnesses): squared distances in m^2, below 2**54."""
    east = places[:, None, 0] - witnesses[None, :, 0]
    north = places[:, None, 1] - witnesses[None, :, 1]
    return east * east + north * north


def length_m(east_m: int, north_m: int) -> int:
    """Return the length of a vector in whole metres, floored."""
    return isqrt(east_m * east_m + north_m * north_m)
