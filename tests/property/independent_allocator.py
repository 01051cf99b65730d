"""A second allocator, written from spec/rewards.md alone: exact fractions, one list of dicts.

It shares no code with gateway.core and is slow on purpose; test_allocator.py holds the two
against each other.
"""

import csv
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isqrt
from pathlib import Path

SCALE = 10**18


@dataclass(frozen=True)
class Station:
    name: bytes
    place: tuple[int, int]
    rank: int
    since: int
    cell: int
    quality: int
    verifiability: int


@dataclass(frozen=True)
class Parameters:
    threshold: int
    distance: int
    divisor: int
    segment: int
    slopes: list[int]
    cap: int
    reentry: int
    weight: int
    weights: dict[int, int]


def pay_epoch(
    stations: list[Station],
    emission: int,
    carry: int,
    p: Parameters,
    trig: dict[tuple[int, int], tuple[int, int]],
) -> tuple[dict[bytes, int], dict[bytes, tuple[bytes, int]], int]:
    """Return pay by holder, (blocker, metres) by standby station, and the carry afterwards."""
    holders, standby = walk(stations, p, trig)
    rows = [
        {
            "name": s.name,
            "cell": s.cell,
            "u": floor(Fraction(s.quality * s.verifiability, 1_000_000)),
            "free": s.rank == 2,
        }
        for s in holders
    ]
    pool = emission + floor(Fraction(carry, p.reentry))
    pay = divide(pool, rows, p)
    return pay, standby, carry + emission - sum(pay.values())


def divide(pool: int, rows: list[dict], p: Parameters) -> dict[bytes, int]:
    """Section 4: each term a fraction, the smallest of them, floored once."""
    free = [row for row in rows if row["free"]]
    pay = {}
    for row in rows:
        terms = [
            pool * part(row, rows, p),
            p.cap * earned(row, rows, p) / (p.weight * p.slopes[0] * p.segment),
        ]
        if row["free"]:
            terms.append(floor(Fraction(pool, p.divisor)) * part(row, free, p))
        pay[row["name"]] = floor(min(terms))
    return pay


def part(row: dict, rows: list[dict], p: Parameters) -> Fraction:
    """The station's part of all points, among `rows`."""
    every = sum(
        p.weights.get(cell, p.weight) * concave(usefulness(cell, rows), p)
        for cell in {other["cell"] for other in rows}
    )
    return earned(row, rows, p) / every if every else Fraction(0)


def earned(row: dict, rows: list[dict], p: Parameters) -> Fraction:
    """The station's part of its cell's weighted points."""
    together = usefulness(row["cell"], rows)
    if not together:
        return Fraction(0)
    weight = p.weights.get(row["cell"], p.weight)
    return weight * concave(together, p) * Fraction(row["u"], together)


def usefulness(cell: int, rows: list[dict]) -> int:
    return sum(row["u"] for row in rows if row["cell"] == cell)


def concave(u: int, p: Parameters) -> int:
    bounds = [(j * p.segment, (j + 1) * p.segment) for j in range(len(p.slopes))]
    return sum(
        slope * (min(max(u, low), high) - low)
        for slope, (low, high) in zip(p.slopes, bounds, strict=True)
    )


def walk(
    stations: list[Station], p: Parameters, trig: dict[tuple[int, int], tuple[int, int]]
) -> tuple[list[Station], dict[bytes, tuple[bytes, int]]]:
    """Section 3: everybody against every earlier holder."""
    able = [s for s in stations if s.quality >= p.threshold]
    holders: list[Station] = []
    standby = {}
    for station in sorted(able, key=lambda s: (s.rank, s.since, s.name)):
        gaps = [metres(station.place, holder.place, trig) for holder in holders]
        if gaps and min(gaps) < p.distance:
            standby[station.name] = holders[gaps.index(min(gaps))].name, min(gaps)
        else:
            holders.append(station)
    return holders, standby


def read_trig(path: Path) -> dict[tuple[int, int], tuple[int, int]]:
    with path.open(newline="") as handle:
        lines = csv.reader(line for line in handle if not line.startswith("#"))
        next(lines)
        return {
            (int(step), int(index)): (int(sine), int(cosine))
            for step, index, sine, cosine in lines
        }


def metres(
    a: tuple[int, int], b: tuple[int, int], trig: dict[tuple[int, int], tuple[int, int]]
) -> int:
    """Section 3.1, step by step."""
    va, vb = unit(a, trig), unit(b, trig)
    p = isqrt(sum((x - y) ** 2 for x, y in zip(va, vb, strict=True)))
    q = isqrt(sum((x + y) ** 2 for x, y in zip(va, vb, strict=True)))
    t = p * SCALE // (q + 2 * SCALE)
    for _ in "12":
        t = t * SCALE // (SCALE + isqrt(SCALE**2 + t**2))
    arc, power, k, sign = 0, t, 1, 1
    while power:
        arc += sign * (power // k)
        power, k, sign = power * t * t // SCALE**2, k + 2, -sign
    return (16 * 6_371_009 * arc + SCALE // 2) // SCALE


def unit(
    place: tuple[int, int], trig: dict[tuple[int, int], tuple[int, int]]
) -> tuple[int, int, int]:
    lat, lon = place
    (sin_lat, cos_lat), (sin_lon, cos_lon) = (
        sin_cos(abs(lat), trig),
        sin_cos(min(abs(lon), 180_000_000 - abs(lon)), trig),
    )
    west = -1 if lon < 0 else 1
    far = -1 if abs(lon) > 90_000_000 else 1
    south = -1 if lat < 0 else 1
    return (
        far * (cos_lat * cos_lon // SCALE),
        west * (cos_lat * sin_lon // SCALE),
        south * sin_lat,
    )


def sin_cos(angle: int, trig: dict[tuple[int, int], tuple[int, int]]) -> tuple[int, int]:
    s, c = trig[1_000_000, angle // 1_000_000]
    for step in (1_000, 1):
        ds, dc = trig[step, angle // step % 1_000]
        s, c = (s * dc + c * ds) // SCALE, (c * dc - s * ds) // SCALE
    return s, c
