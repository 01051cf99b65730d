"""Distance between two places in whole metres, in integers only. spec/rewards.md section 3.1.

libm differs between machines and h3 between versions; a slot must not. The caller brings the
sine table (tables.parse_trig).
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt

from gateway.core.tables import TRIG_SCALE, SinCos, TrigTable

EARTH_RADIUS_M = 6_371_009

# (latitude, longitude) in millionths of a degree.
Point = tuple[int, int]
Vector = tuple[int, int, int]

_QUARTER_E6 = 90_000_000
_HALVINGS = 2
# Centres of neighbours are compared again and again; 2**16 of them keep a walk's surroundings.
_VECTORS_CACHED = 1 << 16


class Sphere:
    """The sphere of radius 6,371,009 m on which all distances that decide pay are measured."""

    def __init__(self, trig: TrigTable) -> None:
        self._trig = trig
        self._vector = lru_cache(_VECTORS_CACHED)(self._unit_vector)

    def distance_m(self, a: Point, b: Point) -> int:
        """Return the great-circle distance of `a` and `b` in metres, rounded.

        Within 0.5 m + 1e-6 m of the exact arc. Latitude beyond 90 or longitude beyond 180 degrees
        is a caller's bug: ValueError.
        """
        ax, ay, az = self._vector(a)
        bx, by, bz = self._vector(b)
        difference = isqrt((ax - bx) ** 2 + (ay - by) ** 2 + (az - bz) ** 2)
        total = isqrt((ax + bx) ** 2 + (ay + by) ** 2 + (az + bz) ** 2)
        # tan(arc/2) = |a-b| / |a+b| is well conditioned everywhere, antipodes included.
        tangent = difference * TRIG_SCALE // (total + 2 * TRIG_SCALE)
        for _ in range(_HALVINGS):
            root = isqrt(TRIG_SCALE * TRIG_SCALE + tangent * tangent)
            tangent = tangent * TRIG_SCALE // (TRIG_SCALE + root)
        sixteenth = _arctan(tangent)
        return (16 * EARTH_RADIUS_M * sixteenth + TRIG_SCALE // 2) // TRIG_SCALE

    def position_cm(self, point: Point) -> Vector:
        """Return the place as seen from the Earth's centre, in centimetres, each rounded down."""
        x, y, z = self._vector(point)
        radius_cm = 100 * EARTH_RADIUS_M
        scaled = (x * radius_cm, y * radius_cm, z * radius_cm)
        return scaled[0] // TRIG_SCALE, scaled[1] // TRIG_SCALE, scaled[2] // TRIG_SCALE

    def _unit_vector(self, point: Point) -> Vector:
        latitude_e6, longitude_e6 = point
        if abs(latitude_e6) > _QUARTER_E6 or abs(longitude_e6) > 2 * _QUARTER_E6:
            raise ValueError(f"{point} is no place: latitude is within 90, longitude within 180")
        sin_lat, cos_lat = self._sin_cos(abs(latitude_e6))
        east_e6 = abs(longitude_e6)
        behind = east_e6 > _QUARTER_E6
        sin_lon, cos_lon = self._sin_cos(2 * _QUARTER_E6 - east_e6 if behind else east_e6)
        # Signs go on after the floor, so that mirrored places have mirrored vectors.
        x = cos_lat * cos_lon // TRIG_SCALE
        y = cos_lat * sin_lon // TRIG_SCALE
        return (
            -x if behind else x,
            -y if longitude_e6 < 0 else y,
            -sin_lat if latitude_e6 < 0 else sin_lat,
        )

    def _sin_cos(self, angle_e6: int) -> SinCos:
        """Sine and cosine of an angle of the first quadrant, scale 10**18."""
        degrees, rest = divmod(angle_e6, 1_000_000)
        thousandths, millionths = divmod(rest, 1_000)
        trig = self._trig
        coarse = _add(trig.degrees[degrees], trig.thousandths[thousandths])
        return _add(coarse, trig.millionths[millionths])


def _add(x: SinCos, y: SinCos) -> SinCos:
    """Angle addition of two angles whose sum stays in the first quadrant."""
    return (
        (x[0] * y[1] + x[1] * y[0]) // TRIG_SCALE,
        (x[1] * y[1] - x[0] * y[0]) // TRIG_SCALE,
    )


def _arctan(tangent: int) -> int:
    """The arctan by its series, scale 10**18; the argument is at most tan(11.25 degrees)."""
    square = tangent * tangent
    total, power, k = 0, tangent, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power = power * square // (TRIG_SCALE * TRIG_SCALE)
        k += 2
    return total
