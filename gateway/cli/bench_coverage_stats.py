"""Rates, thresholds and intervals of the coverage bench.

A seed is one world, and what happens in one world is not independent: intervals resample seeds,
never single stations.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 1_000
LOW, HIGH = 2.5, 97.5
_SEED = 1
_DIGITS = 4

# From the indices of the seeds that are counted, with repetition, to a figure; nan for none.
Statistic = Callable[[Sequence[int]], float]


class Estimate(NamedTuple):
    """A figure over all seeds, with the ends of its 95 % bootstrap interval; None without data."""

    value: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, object]:
        """The figure as bench documents give it."""
        interval = None if self.low is None else [self.low, self.high]
        return {"value": self.value, "interval_95": interval}


def estimate(seeds: int, statistic: Statistic) -> Estimate:
    """A statistic of all seeds, and of RESAMPLES draws of as many seeds with repetition."""
    value = statistic(range(seeds))
    if np.isnan(value):
        return Estimate(None, None, None)
    rng = np.random.default_rng(_SEED)
    draws = [statistic(rng.integers(seeds, size=seeds).tolist()) for _ in range(RESAMPLES)]
    known = [draw for draw in draws if not np.isnan(draw)]
    low, high = np.percentile(known, [LOW, HIGH])
    return Estimate(*(_rounded(number) for number in (value, low, high)))


def _rounded(number: float) -> float:
    return round(float(number), _DIGITS)


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Statistic:
    """The sum of one over the sum of the other; nan where nothing was counted."""
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)

    def statistic(chosen: Sequence[int]) -> float:
        picked = list(chosen)
        total = below[picked].sum()
        return float(above[picked].sum() / total) if total else float("nan")

    return statistic


def share_above(
    scores: Sequence[Sequence[float]], limit: float | Callable[[Sequence[int]], float]
) -> Statistic:
    """The share of scores above a limit, which may itself depend on the seeds that are counted."""
    arrays = [np.asarray(one, float) for one in scores]

    def statistic(chosen: Sequence[int]) -> float:
        pooled = np.concatenate([arrays[seed] for seed in chosen])
        bound = limit(chosen) if callable(limit) else limit
        return float((pooled > bound).mean()) if pooled.size else float("nan")

    return statistic


def least(statistics: Sequence[Statistic]) -> Statistic:
    """The smallest of several figures of the same seeds."""
    return lambda chosen: min(statistic(chosen) for statistic in statistics)


def quantile_limit(
    honest: Sequence[Sequence[float]], rate: float
) -> Callable[[Sequence[int]], float]:
    """The smallest limit that at most `rate` of the honest scores exceed."""
    arrays = [np.asarray(one, float) for one in honest]

    def limit(chosen: Sequence[int]) -> float:
        pooled = np.sort(np.concatenate([arrays[seed] for seed in chosen]))
        if not pooled.size:
            return float("nan")
        allowed = int(rate * pooled.size)
        return float(pooled[pooled.size - 1 - allowed])

    return limit


def bar(name: str, figure: Estimate, op: str, limit: float) -> dict[str, object]:
    """One bar of a bench: a figure that is unknown meets nothing."""
    assert op in {"<=", ">="}
    value = figure.value
    met = value is not None and (value <= limit if op == "<=" else value >= limit)
    return {"name": name, **figure.as_json(), "bar": limit, "op": op, "met": met}
