"""Robust mean, spread and standard error of what several stations say of one cell.

Floats are allowed here. Sums are exactly rounded (`fsum`) and inputs sorted, so the result does
not depend on the order of the stations. docs/products.md gives the formulas.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Of a normal sample MAD * 1.4826 is the standard deviation.
_MAD_TO_SD = 1.4826
# Huber's constant: 1.5 keeps 96 % efficiency on normal data.
HUBER_K = 1.5
_ROUNDS_MAX = 50
_CONVERGED = 1e-9
_TURN = 360.0


class Estimate(NamedTuple):
    """spread: robust standard deviation between stations; error: standard error of the mean.

    Both None where one station alone speaks: it says nothing about how far others would be. All
    None where none does.
    """

    mean: float | None
    spread: float | None
    error: float | None


def estimate(values: Iterable[float], unit: float) -> Estimate:
    """Huber's M-estimate of location, anchored at the median. unit: the sensors' resolution."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return Estimate(ordered[0] if ordered else None, None, None)
    anchor = _median(ordered)
    mad = _median(sorted(abs(value - anchor) for value in ordered))
    spread = _MAD_TO_SD * mad
    # A majority of equal values makes the MAD 0: then half a step of the sensor is the scale.
    scale = max(spread, unit / 2)
    mean = anchor
    for _ in range(_ROUNDS_MAX):
        # Divided by all, not by those within k: slower than Newton, but it cannot run in circles.
        step = scale * math.fsum(_psi((v - mean) / scale) for v in ordered) / len(ordered)
        mean += step
        if abs(step) < _CONVERGED * scale:
            break
    return Estimate(mean, spread, _error(ordered, mean, scale, unit))


def estimate_direction(values: Iterable[float], unit: float) -> Estimate:
    """The same of directions in degrees: deviations from the mean direction, the short way."""
    ordered = sorted(values)
    anchor = mean_direction(ordered)
    around = estimate([_short_way(value - anchor) for value in ordered], unit)
    mean = None if around.mean is None else (anchor + around.mean) % _TURN
    return around._replace(mean=mean)


def mean_direction(values: Sequence[float]) -> float:
    """Direction of the mean vector, 0 to below 360; 0 if the vectors cancel out."""
    east = math.fsum(math.sin(math.radians(value)) for value in values)
    north = math.fsum(math.cos(math.radians(value)) for value in values)
    return math.degrees(math.atan2(east, north)) % _TURN


def _short_way(degrees: float) -> float:
    """The same turn within -180 to below 180."""
    return (degrees + _TURN / 2) % _TURN - _TURN / 2


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def _psi(residual: float) -> float:
    return max(-HUBER_K, min(HUBER_K, residual))


def _error(values: Sequence[float], mean: float, scale: float, unit: float) -> float:
    """Huber's asymptotic standard error, and the sensors' rounding, which they may share."""
    count = len(values)
    squares = math.fsum(_psi((value - mean) / scale) ** 2 for value in values)
    inner = sum(abs(value - mean) <= HUBER_K * scale for value in values)
    slope = max(inner, 1) / count
    variance = scale * scale * squares / (count * (count - 1)) / (slope * slope)
    return math.sqrt(variance + unit * unit / 12)
