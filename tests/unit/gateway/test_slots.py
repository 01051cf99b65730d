"""Slots by seniority, against brute force and with a newcomer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.geometry import Sphere
from gateway.core.slots import (
    HOLDER,
    SlotCandidate,
    SlotDecision,
    StationClass,
    assign_slots,
    seniority,
)
from gateway.core.tables import parse_trig

MANY = settings(max_examples=max(2_000, settings.default.max_examples))
DISTANCE_MIN_M = 500


@pytest.fixture(scope="module")
def sphere(repo_root):
    return Sphere(parse_trig((repo_root / "spec/tables/trig.csv").read_bytes()))


# A corner of a small field each: temperate, at the date line, on the equator, around both poles.
CORNERS = ((47_370_000, 8_540_000), (-17_000_000, 179_995_000), (-4_000, -4_000))
fields = st.sampled_from(CORNERS).flatmap(
    lambda corner: st.tuples(
        st.integers(corner[0], corner[0] + 15_000),
        st.integers(corner[1], corner[1] + 20_000).map(
            lambda lon: (lon + 180_000_000) % 360_000_000 - 180_000_000
        ),
    )
)
polar = st.tuples(
    st.sampled_from((1, -1)).flatmap(
        lambda sign: st.integers(89_990_000, 90_000_000).map(lambda lat: sign * lat)
    ),
    st.integers(-180_000_000, 180_000_000),
)
high = st.tuples(st.integers(84_000_000, 84_009_000), st.integers(-30_000, 30_000))
places = st.one_of(fields, polar, high)
details = st.tuples(places, st.sampled_from(StationClass), st.integers(0, 3))


@st.composite
def candidate_lists(draw, min_size=0, max_size=14):
    drawn = draw(st.lists(details, min_size=min_size, max_size=max_size))
    names = draw(st.permutations(range(len(drawn))))
    return [
        SlotCandidate(bytes([name]), *fields) for name, fields in zip(names, drawn, strict=True)
    ]


def blocked(by, distance_m):
    return SlotDecision(holder=False, blocked_by=by, distance_m=distance_m)


def brute_force(candidates, distance_min_m, distance):
    holders, decisions = [], {}
    for candidate in sorted(candidates, key=seniority):
        near = sorted(
            (distance(candidate.centre, holder.centre), at) for at, holder in enumerate(holders)
        )
        if near and near[0][0] < distance_min_m:
            metres, at = near[0]
            decisions[candidate.station] = blocked(holders[at].station, metres)
        else:
            holders.append(candidate)
            decisions[candidate.station] = HOLDER
    return decisions


@MANY
@given(candidate_lists(), st.sampled_from((0, 1, 60, DISTANCE_MIN_M, 5_000, 4_000_000)))
@pytest.mark.slow
def test_the_grid_misses_nobody(sphere, candidates, distance_min_m):
    decisions = assign_slots(candidates, distance_min_m, sphere.distance_m)
    assert decisions == brute_force(candidates, distance_min_m, sphere.distance_m)


@MANY
@given(
    st.lists(
        st.tuples(st.integers(-90_000_000, 90_000_000), st.integers(-180_000_000, 180_000_000)),
        max_size=12,
    ),
    st.integers(0, 21_000_000),
)
@pytest.mark.slow
def test_the_grid_misses_nobody_on_the_whole_earth(sphere, centres, distance_min_m):
    candidates = [
        SlotCandidate(bytes([i]), centre, StationClass.UNPROVEN, 0)
        for i, centre in enumerate(centres)
    ]
    decisions = assign_slots(candidates, distance_min_m, sphere.distance_m)
    assert decisions == brute_force(candidates, distance_min_m, sphere.distance_m)


@given(candidate_lists(min_size=1), st.randoms(use_true_random=False))
def test_order_changes_nothing(sphere, candidates, random):
    shuffled = random.sample(candidates, len(candidates))
    decisions = assign_slots(candidates, DISTANCE_MIN_M, sphere.distance_m)
    assert assign_slots(shuffled, DISTANCE_MIN_M, sphere.distance_m) == decisions


@given(candidate_lists(min_size=1), places, st.sampled_from(StationClass))
def test_a_newcomer_neither_displaces_nor_bridges_in_its_class_or_above(
    sphere, candidates, place, station_class
):
    newcomer = SlotCandidate(b"newcomer", place, station_class, 4)
    before = assign_slots(candidates, DISTANCE_MIN_M, sphere.distance_m)
    after = assign_slots([newcomer, *candidates], DISTANCE_MIN_M, sphere.distance_m)
    for candidate in candidates:
        if candidate.station_class <= station_class:
            assert after[candidate.station] == before[candidate.station]


@given(candidate_lists(min_size=1), places)
def test_no_unproven_key_keeps_a_slot_from_a_proven_station(sphere, candidates, place):
    proven = [c for c in candidates if c.station_class != StationClass.UNPROVEN]
    alone = assign_slots(proven, DISTANCE_MIN_M, sphere.distance_m)
    free_key = SlotCandidate(b"", place, StationClass.UNPROVEN, 0)
    together = assign_slots([*candidates, free_key], DISTANCE_MIN_M, sphere.distance_m)
    assert {c.station: together[c.station] for c in proven} == alone


def test_across_classes_a_slot_can_move():
    """The counterexample that spec/rewards.md section 8 states."""
    line = {(0, 0): 0, (0, 1): 400, (0, 2): 800}

    def along(a, b):
        return abs(line[a] - line[b])

    middle = SlotCandidate(b"middle", (0, 1), StationClass.UNPROVEN, 0)
    right = SlotCandidate(b"right", (0, 2), StationClass.UNPROVEN, 1)
    newcomer = SlotCandidate(b"new", (0, 0), StationClass.PEER_CHECKED, 9)
    before = assign_slots([middle, right], DISTANCE_MIN_M, along)
    after = assign_slots([middle, right, newcomer], DISTANCE_MIN_M, along)
    assert before == {b"middle": HOLDER, b"right": blocked(b"middle", 400)}
    assert after == {
        b"new": HOLDER,
        b"middle": blocked(b"new", 400),
        b"right": HOLDER,
    }


def test_the_nearest_holder_is_named_and_the_senior_of_equals(sphere):
    west, east, far = (0, 0), (0, 9_000), (0, 7_500)
    holders = [
        SlotCandidate(b"z", west, StationClass.UNPROVEN, 0),
        SlotCandidate(b"y", east, StationClass.UNPROVEN, 1),
    ]
    between = SlotCandidate(b"a", (0, 4_500), StationClass.UNPROVEN, 2)
    nearer = SlotCandidate(b"b", far, StationClass.UNPROVEN, 2)
    decisions = assign_slots([*holders, between, nearer], 600, sphere.distance_m)
    assert decisions[b"a"] == blocked(b"z", 500)
    assert decisions[b"b"] == blocked(b"y", 167)


def test_exactly_the_slot_distance_is_far_enough(sphere):
    # 4,497 millionths of a degree along the equator are 500.05 m.
    pair = [
        SlotCandidate(b"a", (0, 0), StationClass.UNPROVEN, 0),
        SlotCandidate(b"b", (0, 4_497), StationClass.UNPROVEN, 0),
    ]
    assert sphere.distance_m(pair[0].centre, pair[1].centre) == 500
    assert assign_slots(pair, 500, sphere.distance_m)[b"b"] == HOLDER
    assert not assign_slots(pair, 501, sphere.distance_m)[b"b"].holder


def test_a_station_given_twice_is_a_bug(sphere):
    twice = [SlotCandidate(b"a", (0, at), StationClass.UNPROVEN, 0) for at in (0, 9_000_000)]
    with pytest.raises(ValueError, match="twice"):
        assign_slots(twice, 500, sphere.distance_m)


def test_stations_side_by_side_share_one_slot_however_far_their_cells_are(sphere):
    near, far = (47_370_000, 8_540_000), (47_470_000, 8_540_000)
    first, second, third = (
        SlotCandidate(name * 16, place, StationClass.WITNESSED, since)
        for name, place, since in (
            (b"a", near, 1),
            (b"b", far, 2),
            (b"c", (48_000_000, 8_540_000), 3),
        )
    )
    walk = (third, second, first)
    pairs = frozenset({(first.station, second.station), (first.station, third.station)})
    decisions = assign_slots(walk, DISTANCE_MIN_M, sphere.distance_m, pairs)
    assert decisions == {
        first.station: HOLDER,
        second.station: blocked(first.station, 0),
        third.station: blocked(first.station, 0),
    }
    # Who holds no slot blocks nobody.
    chain = frozenset({(first.station, second.station), (second.station, third.station)})
    decisions = assign_slots(walk, DISTANCE_MIN_M, sphere.distance_m, chain)
    assert decisions[third.station] == HOLDER
