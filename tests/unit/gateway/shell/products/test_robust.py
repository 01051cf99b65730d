"""The robust mean: against a published figure, against plain statistics, and against a liar."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.shell.products.robust import (
    Estimate,
    estimate,
    estimate_direction,
    mean_direction,
)

# Copper in wholemeal flour, parts per million (Analytical Methods Committee, 1989), the example
# of Venables and Ripley, Modern Applied Statistics with S, section 5.5.
COPPER = [
    2.9, 3.1, 3.4, 3.4, 3.7, 3.7, 2.8, 2.5, 2.4, 2.4, 2.7, 2.2, 5.28, 3.37, 3.03, 3.03, 28.95,
    3.77, 3.4, 2.2, 3.5, 3.6, 3.7, 3.7,
]  # fmt: skip
UNIT = 0.01
VALUES = st.lists(st.integers(-4_500, 6_000).map(lambda n: n / 100), min_size=2, max_size=40)


def test_the_published_example():
    found = estimate(COPPER, UNIT)
    assert found.mean == pytest.approx(3.206724, abs=5e-7)
    assert found.spread == pytest.approx(0.526323, abs=5e-7)


def test_nobody_and_one_alone_say_nothing_of_the_spread():
    assert estimate([], UNIT) == Estimate(None, None, None)
    assert estimate([21.5], UNIT) == Estimate(21.5, None, None)
    assert estimate_direction([], 1) == Estimate(None, None, None)
    assert estimate_direction([359.0], 1) == Estimate(359.0, None, None)


def test_without_outliers_it_is_the_plain_mean_and_its_error():
    values = [20.0, 20.4, 20.8, 21.2, 21.6]
    found = estimate(values, 0.0)
    assert found.mean == pytest.approx(statistics.fmean(values))
    assert found.error == pytest.approx(statistics.stdev(values) / math.sqrt(5))


def test_the_error_holds_its_promise_on_normal_data():
    """About 95 of 100 intervals of two errors hold the truth: 20 stations, 2,000 times."""
    draw = random.Random(7)
    inside = 0
    for _ in range(2_000):
        found = estimate([draw.gauss(10, 2) for _ in range(20)], UNIT)
        inside += abs(found.mean - 10) <= 2 * found.error
    assert 1_830 <= inside <= 1_940


@pytest.mark.parametrize("lie", [60.0, -45.0, 1e6])
def test_one_liar_of_five_moves_little(lie):
    honest = [20.1, 20.3, 20.2, 20.4]
    found = estimate([*honest, lie], UNIT)
    assert abs(found.mean - statistics.fmean(honest)) < 0.15
    assert found.spread < 0.3


def test_equal_values_have_no_spread_but_the_sensors_rounding():
    found = estimate([7.5] * 9, UNIT)
    assert (found.mean, found.spread) == (7.5, 0.0)
    assert found.error == pytest.approx(UNIT / math.sqrt(12))


@given(VALUES, st.randoms())
def test_the_order_changes_no_bit(values, draw):
    shuffled = values[:]
    draw.shuffle(shuffled)
    assert estimate(shuffled, UNIT) == estimate(values, UNIT)
    directions = [value % 360 for value in values]
    turned = [value % 360 for value in shuffled]
    assert estimate_direction(turned, 1) == estimate_direction(directions, 1)


@given(VALUES)
def test_it_lies_among_the_values(values):
    found = estimate(values, UNIT)
    assert min(values) - 1e-9 <= found.mean <= max(values) + 1e-9
    assert found.spread >= 0
    assert found.error > 0


def test_directions_are_a_circle():
    north = mean_direction([350.0, 10.0])
    assert min(north, 360 - north) < 1e-9
    found = estimate_direction([350.0, 355.0, 5.0, 10.0, 180.0], 1)
    assert min(found.mean, 360 - found.mean) < 6
    around = estimate([-10.0, -5.0, 5.0, 10.0], 1)
    assert estimate_direction([350.0, 355.0, 5.0, 10.0], 1).spread == pytest.approx(around.spread)
