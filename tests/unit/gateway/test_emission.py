"""Schedules: each value, and that no schedule pays more than its bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.emission import (
    Constant,
    Geometric,
    Halving,
    LinearTaper,
    Table,
    emission,
    supply_bound,
)
from gateway.core.rules import parse_rules

amounts = st.integers(0, 2_000)
periods = st.integers(1, 5)
schedules = st.one_of(
    st.builds(Constant, amounts, st.integers(1, 50)),
    st.builds(Halving, amounts, periods),
    st.builds(
        lambda initial, numerator, more, period: Geometric(
            initial, numerator, numerator + more, period
        ),
        amounts,
        st.integers(0, 8),
        st.integers(1, 8),
        periods,
    ),
    st.builds(LinearTaper, amounts, st.integers(1, 50)),
    st.builds(Table, st.lists(amounts, min_size=1, max_size=8).map(tuple), periods),
)


@pytest.mark.parametrize(
    "schedule, first",
    [
        (Constant(5, 2), [5, 5, 0, 0]),
        (Halving(9, 2), [9, 9, 4, 4, 2, 2, 1, 1, 0]),
        (Geometric(100, 2, 3, 1), [100, 66, 44, 29, 19]),
        (LinearTaper(10, 3), [10, 6, 3, 0, 0]),
        (Table((3, 0, 7), 2), [3, 3, 0, 0, 7, 7, 0]),
    ],
)
def test_first_epochs(schedule, first):
    assert [emission(index, schedule) for index in range(len(first))] == first


def test_before_the_genesis_is_a_bug():
    with pytest.raises(ValueError, match="before the genesis"):
        emission(-1, Constant(1, 1))


@given(schedules)
def test_the_sum_of_all_epochs_stays_within_the_bound(schedule):
    # The slowest of these, (8/9)^k from 2,000 at five epochs a step, is 0 after 65 steps.
    whole = sum(emission(index, schedule) for index in range(400))
    assert emission(400, schedule) == 0
    assert whole <= supply_bound(schedule)
    if isinstance(schedule, Constant | Halving | Table):
        assert whole == supply_bound(schedule)


@given(schedules, st.integers(0, 100))
def test_only_a_table_may_rise(schedule, index):
    if not isinstance(schedule, Table):
        assert emission(index + 1, schedule) <= emission(index, schedule)


def test_the_first_rules_never_pass_max_supply(repo_root):
    rules = parse_rules((repo_root / "spec/rules/0001.toml").read_bytes()).emission
    steps = 80
    whole = sum(730 * emission(730 * step, rules.schedule) for step in range(steps))
    assert emission(730 * steps, rules.schedule) == 0
    assert 0 < rules.max_supply - whole < 10**6
    assert emission(0, rules.schedule) == emission(729, rules.schedule) == 14_400 * 10**18
    assert emission(730, rules.schedule) == 7_200 * 10**18
