"""H3 cells as products use them: ranges of descendants, centres, outlines, and what meets what.

Places are known to the scoring cell only. Floats: longitude and latitude in degrees, WGS 84.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import h3

from gateway.core import h3bits

COARSEST, FINEST = 5, 8
RESOLUTIONS = range(COARSEST, FINEST + 1)
Ring = Sequence[tuple[float, float]]
_TURN = 360.0


def base_cell(scoring_cell: int) -> int:
    """The finest cell that products tell of a station: resolution 8, or the coarser one stated."""
    return h3bits.parent(scoring_cell, min(h3bits.resolution(scoring_cell), FINEST))


def parents(cell: int) -> list[int]:
    """The cells of all product resolutions that a base cell lies in, finest first."""
    finest = min(h3bits.resolution(cell), FINEST)
    return [h3bits.parent(cell, level) for level in range(finest, COARSEST - 1, -1)]


def path(cell: int) -> int:
    """A number by which a cell's descendants of any resolution are neighbours in order."""
    return cell & (1 << 52) - 1


def paths(cell: int) -> tuple[int, int]:
    """First and last path of what lies in a cell, itself included."""
    unused = 3 * (h3bits.RESOLUTION_MAX - h3bits.resolution(cell))
    last = path(cell) | (1 << unused) - 1
    return last >> unused << unused, last


def parse_cell(text: str) -> int | None:
    """The cell of a product resolution that a hex text names, or None."""
    cell = int(text, 16)
    fits = h3bits.is_valid_shape(cell) and h3bits.resolution(cell) in RESOLUTIONS
    return cell if fits and f"{cell:x}" == text else None


def cell_at(longitude: float, latitude: float, resolution: int) -> int:
    return int(h3.latlng_to_cell(latitude, longitude, resolution), 16)


@lru_cache(maxsize=65_536)
def centre(cell: int) -> tuple[float, float]:
    """Longitude and latitude, to 10^-6 degree (a decimetre)."""
    latitude, longitude = h3.cell_to_latlng(f"{cell:x}")
    return round(longitude, 6), round(latitude, 6)


@lru_cache(maxsize=65_536)
def outline(cell: int) -> tuple[tuple[float, float], ...]:
    """The corners, counter-clockwise, closed; longitudes near the centre's, so they may pass 180.

    To 10^-6 degree.
    """
    middle = centre(cell)[0]
    corners = [
        (round(_near(longitude, middle), 6), round(latitude, 6))
        for latitude, longitude in h3.cell_to_boundary(f"{cell:x}")
    ]
    return (*corners, corners[0])


def meets(cell: int, ring: Ring) -> bool:
    """Whether a cell and a closed ring have a point in common, on the plane of the degrees."""
    own = outline(cell)
    left, right = min(x for x, _ in own), max(x for x, _ in own)
    for shift in (0.0, -_TURN, _TURN):
        moved = [(x + shift, y) for x, y in ring]
        if left <= max(x for x, _ in moved) and min(x for x, _ in moved) <= right:
            return _meet(own, moved)
    return False


def _meet(one: Ring, other: Ring) -> bool:
    if max(y for _, y in one) < min(y for _, y in other):
        return False
    if max(y for _, y in other) < min(y for _, y in one):
        return False
    if _inside(one[0], other) or _inside(other[0], one):
        return True
    return any(_cross(a, b, c, d) for a, b in _edges(one) for c, d in _edges(other))


def _edges(ring: Ring) -> Iterable[tuple[tuple[float, float], tuple[float, float]]]:
    return pairwise(ring)


def _inside(point: tuple[float, float], ring: Ring) -> bool:
    """By the even-odd rule."""
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in _edges(ring):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def _cross(
    a: tuple[float, float],
    b: tuple[float, float],
    c: tuple[float, float],
    d: tuple[float, float],
) -> bool:
    """Whether the segments ab and cd have a point in common."""
    sides = (_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b))
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    touching = zip(sides, ((a, b, c), (a, b, d), (c, d, a), (c, d, b)), strict=True)
    return any(side == 0 and _between(*points) for side, points in touching)


def _side(a: tuple[float, float], b: tuple[float, float], point: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def _between(a: tuple[float, float], b: tuple[float, float], point: tuple[float, float]) -> bool:
    return min(a[0], b[0]) <= point[0] <= max(a[0], b[0]) and (
        min(a[1], b[1]) <= point[1] <= max(a[1], b[1])
    )


def _near(longitude: float, middle: float) -> float:
    return (longitude - middle + _TURN / 2) % _TURN - _TURN / 2 + middle
