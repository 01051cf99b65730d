"""The theorems of spec/rewards.md section 8, and agreement with a second allocator."""

from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.allocator import Share, allocate, carry_after, offered, points
from gateway.core.geometry import Sphere
from gateway.core.rules import PPM, AllocationRules
from gateway.core.slots import SlotCandidate, StationClass, assign_slots
from gateway.core.tables import parse_trig
from tests.property import independent_allocator as independent

MANY = settings(max_examples=max(2_000, settings.default.max_examples))

# Rounding breaks things where pools are of a few base units; magnitude where they are not.
pools = st.one_of(st.integers(0, 60), st.integers(0, 10**25))
u_ppms = st.one_of(st.integers(0, 12), st.integers(0, PPM), st.just(PPM), st.just(20_000))
cells = st.integers(0, 3)
weights = st.sampled_from((0, 1, 3, 1_000))


@st.composite
def rule_sets(draw):
    return AllocationRules(
        unproven_pool_divisor=draw(st.sampled_from((1, 3, 20))),
        slope_segment_ppm=draw(st.sampled_from((1, 5, 1_000, PPM))),
        slopes=tuple(
            sorted(draw(st.lists(st.integers(1, 100), min_size=1, max_size=4)), reverse=True)
        ),
        rate_cap=draw(st.one_of(st.integers(0, 30), st.integers(0, 10**24), st.just(10**60))),
        carry_reentry_divisor=draw(st.sampled_from((1, 30))),
        default_cell_weight=draw(st.sampled_from((1, 7, 1_000))),
        cell_weights=dict(enumerate(draw(st.tuples(weights, weights, weights)))),
    )


@st.composite
def situations(draw, min_size=1):
    """(pool, shares, rules): up to nine stations in four cells, one of them of default weight."""
    rules = draw(rule_sets())
    drawn = draw(st.lists(st.tuples(cells, u_ppms, st.booleans()), min_size=min_size, max_size=9))
    shares = [
        Share(bytes([i]), cell, rules.weight(cell), u_ppm, unproven)
        for i, (cell, u_ppm, unproven) in enumerate(drawn)
    ]
    return draw(pools), shares, rules


def pays(pool, shares, rules):
    return {name: allocation.pay for name, allocation in allocate(pool, shares, rules).items()}


@MANY
@given(situations(min_size=0))
def test_no_more_is_paid_than_offered_and_nothing_below_zero(situation):
    pool, shares, rules = situation
    paid = pays(pool, shares, rules)
    assert sum(paid.values()) <= pool
    assert min(paid.values(), default=0) >= 0
    assert paid.keys() == {share.station for share in shares}


@MANY
@given(situations(), st.randoms(use_true_random=False))
def test_order_changes_nothing(situation, random):
    pool, shares, rules = situation
    shuffled = random.sample(shares, len(shares))
    assert allocate(pool, shuffled, rules) == allocate(pool, shares, rules)


@MANY
@given(situations(), st.data())
def test_own_quality_up_never_pays_less(situation, data):
    pool, shares, rules = situation
    mine = data.draw(st.sampled_from(shares))
    better = mine._replace(u_ppm=data.draw(st.integers(mine.u_ppm, PPM)))
    improved = [better if share is mine else share for share in shares]
    before = pays(pool, shares, rules)[mine.station]
    assert pays(pool, improved, rules)[mine.station] >= before


@MANY
@given(situations(min_size=0), cells, u_ppms, st.booleans())
def test_a_strangers_new_station_raises_nobodys_pay(situation, cell, u_ppm, unproven):
    pool, shares, rules = situation
    stranger = Share(b"stranger", cell, rules.weight(cell), u_ppm, unproven)
    before = pays(pool, shares, rules)
    after = pays(pool, [*shares, stranger], rules)
    assert all(after[station] <= pay for station, pay in before.items())


@MANY
@given(situations(), st.lists(st.tuples(cells, st.booleans()), min_size=1, max_size=4))
def test_stations_without_usefulness_change_nobodys_pay(situation, idle):
    pool, shares, rules = situation
    more = [
        Share(b"idle" + bytes([i]), cell, rules.weight(cell), 0, unproven)
        for i, (cell, unproven) in enumerate(idle)
    ]
    before = pays(pool, shares, rules)
    after = pays(pool, [*more, *shares], rules)
    assert {station: after[station] for station in before} == before
    assert all(after[share.station] == 0 for share in more)


@MANY
@given(situations())
def test_all_unproven_together_stay_within_their_part(situation):
    pool, shares, rules = situation
    paid = pays(pool, shares, rules)
    unproven = sum(paid[share.station] for share in shares if share.unproven)
    assert unproven <= pool // rules.unproven_pool_divisor


@MANY
@given(situations())
def test_each_payment_is_one_floor_of_the_exact_term(situation):
    pool, shares, rules = situation
    every = sum(
        rules.weight(cell) * points(sum(s.u_ppm for s in shares if s.cell == cell), rules)
        for cell in {share.cell for share in shares}
    )
    for share, allocation in zip(shares, allocate(pool, shares, rules).values(), strict=True):
        together = sum(s.u_ppm for s in shares if s.cell == share.cell)
        weighted = share.weight * points(together, rules)
        exact = Fraction(pool * weighted * share.u_ppm, every * together or 1)
        assert allocation.pool_share == floor(exact)
        terms = (allocation.pool_share, allocation.unproven_share, allocation.rate_cap)
        assert allocation.pay == min(term for term in terms if term is not None)


@MANY
@given(situations(), st.lists(pools, min_size=1, max_size=6), pools)
def test_nothing_is_lost_or_made_over_many_epochs(situation, emissions, carry):
    _, shares, rules = situation
    in_hand = carry
    paid_in_all = 0
    for emission in emissions:
        pool = offered(emission, in_hand, rules)
        assert emission <= pool <= emission + in_hand
        paid = sum(pays(pool, shares, rules).values())
        in_hand = carry_after(emission, in_hand, paid, rules)
        paid_in_all += paid
        assert in_hand >= 0
    assert carry + sum(emissions) == in_hand + paid_in_all


@MANY
@given(situations(), st.integers(0, PPM), st.integers(0, PPM))
def test_points_are_concave_and_start_at_zero(situation, u_ppm, more_ppm):
    _, _, rules = situation
    low, high = sorted((u_ppm, more_ppm))
    assert points(0, rules) == 0
    assert points(high, rules) >= points(low, rules)
    assert points(low, rules) * high >= points(high, rules) * low


@pytest.fixture(scope="module")
def trig_path(repo_root: Path) -> Path:
    return repo_root / "spec" / "tables" / "trig.csv"


@pytest.fixture(scope="module")
def sphere(trig_path):
    return Sphere(parse_trig(trig_path.read_bytes()))


@pytest.fixture(scope="module")
def trig(trig_path):
    return independent.read_trig(trig_path)


# Within one kilometre, so that many of them stand in each other's way.
places = st.tuples(st.integers(47_370_000, 47_379_000), st.integers(8_540_000, 8_553_000))


@st.composite
def networks(draw):
    drawn = draw(
        st.lists(
            st.tuples(places, st.integers(0, 2), st.integers(0, 2), cells, u_ppms, u_ppms),
            max_size=9,
        )
    )
    return [independent.Station(bytes([i]), *fields) for i, fields in enumerate(drawn)]


@MANY
@given(
    stations=networks(),
    rules=rule_sets(),
    emission=pools,
    carry=pools,
    threshold=st.integers(0, PPM),
)
def test_a_second_allocator_agrees(sphere, trig, *, stations, rules, emission, carry, threshold):
    able = [station for station in stations if station.quality >= threshold]
    decisions = assign_slots(
        [SlotCandidate(s.name, s.place, StationClass(s.rank), s.since) for s in able],
        500,
        sphere.distance_m,
    )
    shares = [
        Share(
            station=s.name,
            cell=s.cell,
            weight=rules.weight(s.cell),
            u_ppm=s.quality * s.verifiability // PPM,
            unproven=s.rank == StationClass.UNPROVEN,
        )
        for s in able
        if decisions[s.name].holder
    ]
    paid = pays(offered(emission, carry, rules), shares, rules)
    left = carry_after(emission, carry, sum(paid.values()), rules)
    standby = {
        name: (decision.blocked_by, decision.distance_m)
        for name, decision in decisions.items()
        if not decision.holder
    }
    parameters = independent.Parameters(
        threshold=threshold,
        distance=500,
        divisor=rules.unproven_pool_divisor,
        segment=rules.slope_segment_ppm,
        slopes=list(rules.slopes),
        cap=rules.rate_cap,
        reentry=rules.carry_reentry_divisor,
        weight=rules.default_cell_weight,
        weights=dict(rules.cell_weights),
    )
    expected = independent.pay_epoch(stations, emission, carry, parameters, trig)
    assert (paid, standby, left) == expected
