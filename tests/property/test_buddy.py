"""Over arbitrary networks: the buddy check is the one of the definition, in any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.buddy import Limits, buddy_check, find_near, find_nearest
from tests.unit.gateway.test_buddy import brute_flags, brute_nearest, lists

COORDINATE = st.integers(-400_000, 400_000)
PLACE = st.tuples(COORDINATE, COORDINATE, COORDINATE)
VALUE = st.integers(-2_000, 2_000)
STATION = st.tuples(PLACE, VALUE, st.booleans(), st.integers(0, 5))
STATIONS = st.lists(STATION, max_size=24)
LIMITS = st.builds(
    Limits, st.integers(1, 6), st.integers(500, 6_000), st.integers(0, 300), st.integers(1, 3)
)
RADIUS_CM = 300_000


def arrays(stations):
    where = np.array([place for place, *_ in stations], dtype=np.int64).reshape(-1, 3)
    values = np.array([value for _, value, *_ in stations], dtype=np.int64)
    there = np.array([there for *_, there, _ in stations], dtype=np.bool_)
    owners = np.array([owner for *_, owner in stations], dtype=np.int64)
    return where, values, there, owners


@given(STATIONS, LIMITS)
def test_flags_are_those_of_fractions(stations, limits):
    where, values, there, _ = arrays(stations)
    near = find_near(where, RADIUS_CM)
    expected = brute_flags(values.tolist(), there.tolist(), lists(near), limits)
    assert buddy_check(values, there, near, limits).flags.tolist() == expected


@given(STATIONS, st.integers(1, 6))
def test_nearest_are_those_of_the_definition(stations, nearest):
    where, _, may, owners = arrays(stations)
    found = find_nearest(where, RADIUS_CM, may, owners, nearest)
    assert lists(found) == brute_nearest(where, RADIUS_CM, may, owners.tolist(), nearest)


@given(STATIONS, LIMITS, st.randoms())
def test_the_order_of_the_stations_changes_no_flag(stations, limits, random):
    shuffled = list(range(len(stations)))
    random.shuffle(shuffled)
    where, values, there, _ = arrays(stations)
    flags = buddy_check(values, there, find_near(where, RADIUS_CM), limits).flags
    where, values, there, _ = arrays([stations[i] for i in shuffled])
    again = buddy_check(values, there, find_near(where, RADIUS_CM), limits).flags
    assert again.tolist() == flags[shuffled].tolist()
