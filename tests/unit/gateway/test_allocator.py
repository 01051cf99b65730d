"""Allocation of single, readable cases; the theorems are in tests/property."""

import pytest

from gateway.core.allocator import Share, allocate, carry_after, offered, points
from gateway.core.rules import PPM, parse_rules
from gateway.core.verdicts import Verdict

TOKEN = 10**18
PROVEN, UNPROVEN = False, True


@pytest.fixture(scope="module")
def rules(repo_root):
    return parse_rules((repo_root / "spec/rules/0001.toml").read_bytes()).allocation


def test_points_are_three_falling_segments(rules):
    million = 10**6
    stated = {0: 0, 1: 100, PPM: 100 * million, PPM + 1: 100 * million + 50}
    stated |= {2 * PPM: 150 * million, 3 * PPM: 175 * million, 9 * PPM: 175 * million}
    assert {u_ppm: points(u_ppm, rules) for u_ppm in stated} == stated


def test_a_lone_full_station_earns_the_rate_cap(rules):
    (allocation,) = allocate(14_400 * TOKEN, [Share(b"a", 7, 1_000, PPM, PROVEN)], rules).values()
    assert allocation.pay == allocation.rate_cap == 150 * TOKEN
    assert allocation.bound is Verdict.PAID_RATE_CAP
    assert allocation.pool_share == 14_400 * TOKEN
    assert allocation.unproven_share is None
    assert (allocation.cell_u_ppm, allocation.cell_points) == (PPM, 10**8)
    assert allocation.all_points == 10**11


def test_a_lone_unproven_station_earns_its_part_of_the_cap(rules):
    shares = [Share(b"a", 7, 1_000, 20_000, UNPROVEN)]
    assert allocate(14_400 * TOKEN, shares, rules)[b"a"].pay == 3 * TOKEN
    # 5 % of a small pool is less than that.
    allocation = allocate(20 * TOKEN, shares, rules)[b"a"]
    assert (allocation.pay, allocation.bound) == (TOKEN, Verdict.PAID_UNPROVEN_SHARE)


def test_a_cells_weight_counts_in_share_and_cap(rules):
    shares = [Share(b"a", 7, 1_000, PPM, PROVEN), Share(b"b", 8, 3_000, PPM, PROVEN)]
    paid = allocate(400 * TOKEN, shares, rules)
    assert [paid[name].pay for name in (b"a", b"b")] == [100 * TOKEN, 300 * TOKEN]
    assert [paid[name].rate_cap for name in (b"a", b"b")] == [150 * TOKEN, 450 * TOKEN]


def test_equal_terms_report_the_pool_share(rules):
    allocation = allocate(150 * TOKEN, [Share(b"a", 7, 1_000, PPM, PROVEN)], rules)[b"a"]
    assert allocation.pool_share == allocation.rate_cap
    assert allocation.bound is Verdict.PAID_POOL_SHARE
    allocation = allocate(0, [Share(b"a", 7, 1_000, 20_000, UNPROVEN)], rules)[b"a"]
    assert allocation.pool_share == allocation.unproven_share == 0
    assert allocation.bound is Verdict.PAID_POOL_SHARE


def test_nothing_to_divide_and_nobody_to_pay(rules):
    assert allocate(TOKEN, [], rules) == {}
    useless = [Share(b"a", 7, 1_000, 0, UNPROVEN), Share(b"b", 8, 0, PPM, PROVEN)]
    assert {a.pay for a in allocate(TOKEN, useless, rules).values()} == {0}


@pytest.mark.parametrize(
    "pool, shares",
    [
        (-1, []),
        (1, [Share(b"a", 7, 1, PPM + 1, PROVEN)]),
        (1, [Share(b"a", 7, 1, -1, PROVEN)]),
        (1, [Share(b"a", 7, -1, 1, PROVEN)]),
        (1, [Share(b"a", 7, 1, 1, PROVEN), Share(b"b", 7, 2, 1, PROVEN)]),
        (1, [Share(b"a", 7, 1, 1, PROVEN), Share(b"a", 8, 1, 1, PROVEN)]),
    ],
)
def test_what_only_a_bug_can_ask_is_refused(rules, pool, shares):
    with pytest.raises(ValueError, match=r"pool|ppm|twice"):
        allocate(pool, shares, rules)


def test_carry(rules):
    assert offered(100, 59, rules) == 101
    assert carry_after(100, 59, 101, rules) == 58
    assert carry_after(100, 59, 0, rules) == 159
    with pytest.raises(ValueError, match="102 paid of 101"):
        carry_after(100, 59, 102, rules)
    with pytest.raises(ValueError, match="-1 paid"):
        carry_after(100, 59, -1, rules)
