"""Rates, limits and intervals of the coverage bench."""

import math

import pytest

from gateway.cli.bench_coverage_stats import (
    Estimate,
    bar,
    estimate,
    least,
    quantile_limit,
    ratio,
    share_above,
)


def test_ratio_pools_seeds_before_it_divides():
    statistic = ratio([1.0, 0.0], [1.0, 9.0])
    assert statistic([0, 1]) == 0.1
    assert statistic([0, 0]) == 1.0
    assert math.isnan(ratio([0.0], [0.0])([0]))


def test_limit_lets_at_most_the_rate_of_honest_scores_above_it():
    honest = [[float(score) for score in range(150)], [float(score) for score in range(150, 200)]]
    limit = quantile_limit(honest, 0.01)
    assert limit([0, 1]) == 197.0
    assert share_above(honest, limit)([0, 1]) == 0.01
    # Equal scores at the limit are not above it.
    assert share_above([[5.0] * 100], quantile_limit([[5.0] * 100], 0.01))([0]) == 0.0
    # Too few for 1 %: nobody may be above.
    assert quantile_limit([[1.0, 2.0]], 0.01)([0]) == 2.0


def test_share_above_counts_infinite_scores_and_none_as_unknown():
    assert share_above([[math.inf, 1.0]], 8.0)([0]) == 0.5
    assert math.isnan(share_above([[]], 8.0)([0]))


def test_least_is_the_worse_operating_point():
    assert least([lambda _: 0.9, lambda _: 0.7])([0]) == 0.7


def test_intervals_resample_seeds_not_stations():
    # Two seeds that each give one answer a thousand times: as uncertain as two answers.
    statistic = ratio([1_000.0, 0.0], [1_000.0, 1_000.0])
    assert estimate(2, statistic) == Estimate(0.5, 0.0, 1.0)
    assert estimate(2, statistic) == estimate(2, statistic)
    assert estimate(3, ratio([1.0] * 3, [2.0] * 3)) == Estimate(0.5, 0.5, 0.5)


def test_a_figure_without_data_has_no_interval_and_meets_no_bar():
    nothing = estimate(1, ratio([0.0], [0.0]))
    assert nothing.as_json() == {"value": None, "interval_95": None}
    assert bar("b", nothing, "<=", 1.0)["met"] is False


@pytest.mark.parametrize(
    "value, op, met", [(0.05, "<=", True), (0.051, "<=", False), (0.95, ">=", True)]
)
def test_bar_says_whether_it_is_met(value, op, met):
    limit = 0.05 if op == "<=" else 0.95
    assert bar("b", Estimate(value, 0.0, 1.0), op, limit) == {
        "name": "b",
        "value": value,
        "interval_95": [0.0, 1.0],
        "bar": limit,
        "op": op,
        "met": met,
    }
