"""Our buddy check against titanlib's: the same flags, and how long each takes.

titanlib (LGPL, MET Norway) is a test-time oracle and no dependency. Timings of one run only
compare with each other: rounds are interleaved and medians taken.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gateway.core.buddy import Bools, Ints, Limits, buddy_check, find_near, to_positions
from gateway.core.geometry import EARTH_RADIUS_M, Sphere

RADIUS_M = 15_000
STATIONS = 10_000
ROUNDS = 5
WINDOWS = 144
# About 17, 37 and 143 neighbours each: a country, a state, a city.
SIDES_DEG = {"country": 6.0, "state": 4.0, "city": 2.0}
LIMITS = Limits(5, 4_000, 100, 2)
# titanlib measures on a sphere of the equator's radius, in 32-bit floats good to half a metre.
_TITAN_EARTH_M = 6_378_137
_TIE_CM = 150


class Town(NamedTuple):
    """Places in millionths of a degree and values in hundredths."""

    lat_e6: Ints
    lon_e6: Ints
    values: Ints


def oracle() -> ModuleType | None:
    """Return titanlib, or None where it is not installed."""
    try:
        return import_module("titanlib")
    except ImportError:
        return None


def random_town(seed: int, stations: int, side_deg: float) -> Town:
    """Return stations with normal values, 3 % of which are off by 4 to 15 degrees."""
    generator = np.random.default_rng(seed)
    lat = 51.0 + generator.uniform(-side_deg / 2, side_deg / 2, stations)
    lon = 10.0 + generator.uniform(-side_deg, side_deg, stations) * 0.75
    values = generator.normal(1_000, 120, stations)
    wrong = generator.random(stations) < 0.03
    off = generator.choice([-1, 1], stations) * generator.uniform(400, 1_500, stations)
    values[wrong] += off[wrong]
    return Town(*(np.rint(part).astype(np.int64) for part in (lat * 1e6, lon * 1e6, values)))


def compare_flags(titan: ModuleType, town: Town, sphere: Sphere, limits: Limits) -> dict[str, int]:
    """Return how many values both judged, flagged, and judged differently; ties are left out.

    A tie has a neighbour within 1.5 m of the radius, or a value that a thousandth more or less of
    a deviation would decide otherwise.
    """
    positions = _positions(town, sphere)
    ours = _ours(town, positions, limits)
    theirs = np.array(_titan(titan, town, limits)()) != 0
    tied = _tied(town, positions, limits)
    return {
        "judged": int((~tied).sum()),
        "tied": int(tied.sum()),
        "flagged": int((ours & ~tied).sum()),
        "different": int(((ours != theirs) & ~tied).sum()),
    }


def time_check(titan: ModuleType, town: Town, sphere: Sphere) -> dict[str, Any]:
    """Return both medians in seconds and their ratio, neighbour search on both sides included.

    day: the ratio over the 144 windows of a day, where ours looks for neighbours once.
    """
    positions, there = _positions(town, sphere), np.ones(len(town.values), np.bool_)
    theirs = _titan(titan, town, LIMITS)
    titan_s, near_s, check_s = [], [], []
    for _ in range(ROUNDS):
        titan_s.append(_seconds(theirs))
        near_s.append(_seconds(lambda: find_near(positions, 100 * RADIUS_M)))
        near = find_near(positions, 100 * RADIUS_M)
        check_s.append(_seconds(lambda: buddy_check(town.values, there, near, LIMITS)))  # noqa: B023
    slow, search, check = (statistics.median(times) for times in (titan_s, near_s, check_s))
    return {
        "titanlib_s": round(slow, 4),
        "ours_s": round(search + check, 4),
        "ratio": round(slow / (search + check), 1),
        "day_ratio": round(WINDOWS * slow / (search + WINDOWS * check), 1),
        "neighbours": round(len(near.who) / len(town.values), 1),
    }


def _positions(town: Town, sphere: Sphere) -> Ints:
    pairs = zip(town.lat_e6.tolist(), town.lon_e6.tolist(), strict=True)
    return to_positions([sphere.position_cm(place) for place in pairs])


def _ours(town: Town, positions: Ints, limits: Limits) -> Bools:
    near = find_near(positions, 100 * RADIUS_M)
    return buddy_check(town.values, np.ones(len(town.values), np.bool_), near, limits).flags


def _titan(titan: ModuleType, town: Town, limits: Limits) -> Callable[[], Any]:
    """titanlib's check of the town, its tree built."""
    nowhere = np.zeros(len(town.values))
    points = titan.Points(town.lat_e6 / 1e6, town.lon_e6 / 1e6, nowhere)
    radius_m = RADIUS_M * _TITAN_EARTH_M / EARTH_RADIUS_M
    numbers = [radius_m], [limits.num_min], limits.threshold_milli / 1e3, 0.0, 0.0
    return lambda: titan.buddy_check(
        points, town.values / 100, *numbers, limits.sd_min / 100, limits.iterations
    )


def _tied(town: Town, positions: Ints, limits: Limits) -> Bools:
    wide = np.diff(find_near(positions, 100 * RADIUS_M + _TIE_CM).start)
    tied = wide != np.diff(find_near(positions, 100 * RADIUS_M - _TIE_CM).start)
    below, above = (
        _ours(town, positions, limits._replace(threshold_milli=limits.threshold_milli + off))
        for off in (-1, 1)
    )
    return np.asarray(tied | (below != above), dtype=np.bool_)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
