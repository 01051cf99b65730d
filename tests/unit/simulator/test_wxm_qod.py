"""The published rules, and what the notes found that they let through."""

import numpy as np

from simulator.baselines.titan_buddy import flagged_share
from simulator.baselines.wxm_qod import CONSTANT_MIN, HIGH_C, LOW_C, score, valid

HOURS = 24


def column(*values):
    return np.array(values, dtype=float)[:, None]


def test_a_made_up_sine_is_worth_everything_and_so_is_one_ten_degrees_off():
    hours = np.arange(7 * HOURS)
    sine = 10 + 4 * np.sin(hours / HOURS * 2 * np.pi)[:, None]
    noisy = sine + np.random.default_rng(1).normal(0, 0.2, sine.shape)
    assert score(noisy)[0] == 1
    assert score(noisy + 10)[0] == 1


def test_missing_values_cost():
    assert score(column(1, 2, np.nan, 4))[0] == 0.75


def test_the_range():
    assert valid(column(LOW_C), 60).all()
    assert valid(column(HIGH_C), 60).all()
    assert not valid(column(LOW_C - 0.1), 60).any()
    assert not valid(column(HIGH_C + 0.1), 60).any()


def test_jumps_are_scaled_with_the_pause_and_capped():
    assert valid(column(0, 15), 60)[:, 0].tolist() == [True, True]
    assert valid(column(0, 15.1), 60)[:, 0].tolist() == [True, False]
    assert valid(column(0, 3), 1)[:, 0].tolist() == [True, True]
    assert valid(column(0, 3.1), 1)[:, 0].tolist() == [True, False]
    assert valid(column(0, np.nan, 6), 1)[:, 0].tolist() == [True, False, True]


def test_four_hours_without_change_are_too_long():
    assert CONSTANT_MIN == 240
    assert valid(column(5, 5, 5, 5), 60).all()
    assert not valid(column(5, 5, 5, 5, 5), 60).any()
    mixed = valid(column(1, 5, 5, 5, 5, 5, 2), 60)[:, 0]
    assert mixed.tolist() == [True, *[False] * 5, True]


def test_the_share_of_hours_in_which_titan_flags():
    degrees = np.array([[1.0, 2.0], [np.nan, 2.0], [3.0, 2.0]])
    seen = []

    def check(values, there):
        seen.append((values.tolist(), there.tolist()))
        return np.array([True, False])

    assert flagged_share(degrees, check).tolist() == [1.0, 0.0]
    assert seen[0] == ([100, 200], [True, True])
    assert seen[1] == ([0, 200], [False, True])
