"""The buddy and isolation checks against sums worked out with fractions, pair by pair."""

from fractions import Fraction
from random import Random

import numpy as np
import pytest

from gateway.core import buddy
from gateway.core.buddy import (
    Limits,
    buddy_check,
    departure,
    find_near,
    find_nearest,
    isolation_check,
    to_positions,
)
from tests.unit.gateway.quality_kit import SPHERE

LIMITS = Limits(5, 4_000, 100, 1)
RADIUS_CM = 1_500_000


def positions(places):
    return to_positions([SPHERE.position_cm(place) for place in places])


def lists(near):
    return [near.who[a:b].tolist() for a, b in zip(near.start[:-1], near.start[1:], strict=True)]


def square(a, b):
    return sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True))


def brute_nearest(where, radius_cm, may, owners, nearest):
    """The definition, one pair after the other."""
    found = []
    for i, here in enumerate(where):
        close = sorted(
            (square(here, there), j)
            for j, there in enumerate(where)
            if may[j] and owners[j] != owners[i] and square(here, there) <= radius_cm**2
        )
        seen, chosen = set(), []
        for _, j in close:
            if owners[j] not in seen:
                seen.add(owners[j])
                chosen.append(j)
        found.append(chosen[:nearest])
    return found


def brute_flags(values, present, neighbours, limits):
    """Fractions instead of cross-multiplied integers."""
    flags = [False] * len(values)
    for _ in range(limits.iterations):
        use = [there and not flag for there, flag in zip(present, flags, strict=True)]
        new = []
        for i, value in enumerate(values):
            near = [values[j] for j in neighbours[i] if use[j]]
            if not use[i] or len(near) < limits.num_min:
                new.append(False)
                continue
            n, mean = len(near), Fraction(sum(near), len(near))
            variance = sum((x - mean) ** 2 for x in near) / n * (1 + Fraction(1, n))
            least = max(variance, Fraction(limits.sd_min) ** 2)
            threshold = Fraction(limits.threshold_milli, 1_000)
            new.append((value - mean) ** 2 > threshold**2 * least)
        flags = [a or b for a, b in zip(flags, new, strict=True)]
    return flags


def town(seed, stations=120, spread_e6=400_000, centre=(52_500_000, 13_400_000)):
    random = Random(seed)
    return [
        (centre[0] + random.randrange(spread_e6), centre[1] + random.randrange(spread_e6))
        for _ in range(stations)
    ]


@pytest.mark.parametrize(
    "centre",
    [(52_500_000, 13_400_000), (89_700_000, -200_000), (-100_000, 179_800_000), (-33_000_000, 0)],
)
@pytest.mark.parametrize("batch", [1, 40, 1 << 21])
def test_neighbours_are_those_of_the_definition_everywhere(monkeypatch, centre, batch):
    monkeypatch.setattr(buddy, "_PAIRS_MAX", batch)
    places = [
        (min(lat, 90_000_000), (lon + 180_000_000) % 360_000_000 - 180_000_000)
        for lat, lon in town(1, centre=centre)
    ]
    where = positions(places)
    random = Random(2)
    may = np.array([random.random() < 0.7 for _ in places])
    owners = np.array([random.randrange(60) for _ in places])
    everybody = np.arange(len(places))
    whole = brute_nearest(where, RADIUS_CM, may | True, everybody, len(places))
    assert sum(map(len, whole)) > len(places)
    assert [sorted(row) for row in lists(find_near(where, RADIUS_CM))] == [
        sorted(row) for row in whole
    ]
    found = find_nearest(where, RADIUS_CM, may, owners, 4)
    assert lists(found) == brute_nearest(where, RADIUS_CM, may, owners, 4)


def test_equal_distances_go_by_the_smaller_index():
    where = positions([(0, 0), (0, 1_000), (0, -1_000), (1_000, 0), (-1_000, 0)])
    found = find_nearest(where, RADIUS_CM, np.ones(5, bool), np.arange(5), 3)
    assert lists(found)[0] == brute_nearest(where, RADIUS_CM, [True] * 5, range(5), 3)[0]


def test_somebody_else_at_the_same_place_is_a_neighbour():
    where = positions([(47_000_000, 8_000_000)] * 3)
    assert [sorted(row) for row in lists(find_near(where, 1))] == [[1, 2], [0, 2], [0, 1]]


def test_the_radius_is_part_of_the_neighbourhood():
    where = np.array([[0, 0, 0], [3, 4, 0]])
    assert lists(find_near(where, 5)) == [[1], [0]]
    assert lists(find_near(where, 4)) == [[], []]


def test_nobody_has_no_neighbours():
    assert lists(find_near(to_positions([]), RADIUS_CM)) == []
    empty = find_nearest(to_positions([]), RADIUS_CM, np.zeros(0, bool), np.arange(0), 3)
    assert lists(empty) == []


@pytest.mark.parametrize("iterations", [1, 2, 3])
@pytest.mark.parametrize("threshold_milli", [1_500, 2_000, 3_333, 4_000])
def test_flags_are_those_of_fractions(iterations, threshold_milli):
    limits = Limits(4, threshold_milli, 60, iterations)
    random = Random(threshold_milli + iterations)
    near = find_near(positions(town(3, 150)), RADIUS_CM)
    values = [round(random.gauss(1_000, 120)) for _ in range(150)]
    for wrong in random.sample(range(150), 12):
        values[wrong] += random.choice((-1, 1)) * random.randrange(300, 1_500)
    present = [random.random() < 0.9 for _ in values]
    expected = brute_flags(values, present, lists(near), limits)
    stats = buddy_check(np.array(values), np.array(present), near, limits)
    assert stats.flags.tolist() == expected
    assert 0 < sum(expected) < 60
    assert not (stats.flags & ~np.array(present)).any()


@pytest.mark.parametrize("scale", [1, 10**6, 10**8])
def test_values_too_large_for_64_bits_are_as_exact(scale):
    near = find_near(np.array([[i, 0, 0] for i in range(8)]), 100)
    values = np.array([0, 10, 20, 30, 40, 50, 60, 141]) * scale
    limits = Limits(5, 4_000, 1, 1)
    expected = brute_flags(values.tolist(), [True] * 8, lists(near), limits)
    assert buddy_check(values, np.ones(8, bool), near, limits).flags.tolist() == expected
    assert any(expected)


def test_exactly_at_the_threshold_is_no_flag():
    # Neighbours 0 0 0 0: no spread, so the least deviation of 100 counts, and 4 of them.
    near = find_near(np.array([[i, 0, 0] for i in range(6)]), 100)
    for value, flagged in ((400, False), (401, True), (-400, False), (-401, True)):
        flags = buddy_check(np.array([value, 0, 0, 0, 0, 0]), np.ones(6, bool), near, LIMITS).flags
        assert flags[0] == flagged


def test_too_few_neighbours_is_no_test_and_no_flag():
    near = find_near(np.array([[i, 0, 0] for i in range(5)]), 100)
    stats = buddy_check(np.array([9_999, 0, 0, 0, 0]), np.ones(5, bool), near, LIMITS)
    assert not stats.flags.any()
    assert not stats.tested.any()
    assert isolation_check(np.ones(5, bool), near, 5).all()
    assert not isolation_check(np.ones(5, bool), near, 4).any()


def test_what_flagged_a_value_is_told_of_it_when_its_neighbours_are_flagged_too():
    # 7 values, two of them far off to either side: both go in the first round, and with
    # num_min 6 nobody has enough neighbours in the second.
    near = find_near(np.array([[i, 0, 0] for i in range(7)]), 100)
    values = np.array([5_000, -5_000, 0, 1, 2, 3, 4])
    stats = buddy_check(values, np.ones(7, bool), near, Limits(6, 1_500, 1, 2))
    assert stats.flags[:2].all()
    assert stats.tested[:2].all()
    assert stats.number[0] == 6
    away, most = departure(5_000, *(int(part[0]) for part in stats[2:]), Limits(6, 1_500, 1, 2))
    assert away == 5_832  # 5000 + 4990 / 6, rounded up
    assert away > most


def test_everybody_moving_together_is_no_extreme():
    near = find_near(np.array([[i, 0, 0] for i in range(20)]), 100)
    for shift in (0, 1_500, -3_000):
        values = np.array([shift + i for i in range(20)])
        assert not buddy_check(values, np.ones(20, bool), near, LIMITS).flags.any()
