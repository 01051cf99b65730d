"""Distances: against floating point, and exactly where symmetry says what they must be."""

import importlib.util
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.geometry import EARTH_RADIUS_M, Sphere
from gateway.core.tables import TableError, parse_trig

MANY = settings(max_examples=max(2_000, settings.default.max_examples))
POLE = 90_000_000
HALF_TURN = 180_000_000
points = st.tuples(st.integers(-POLE, POLE), st.integers(-HALF_TURN, HALF_TURN))
steps = st.integers(-20_000, 20_000)


@pytest.fixture(scope="module")
def text(repo_root):
    return (repo_root / "spec/tables/trig.csv").read_bytes()


@pytest.fixture(scope="module")
def sphere(text):
    return Sphere(parse_trig(text))


def arc_m(a, b):
    """Great-circle distance in floating point, well conditioned everywhere (Kahan)."""
    va, vb = (
        (
            math.cos(math.radians(lat / 1e6)) * math.cos(math.radians(lon / 1e6)),
            math.cos(math.radians(lat / 1e6)) * math.sin(math.radians(lon / 1e6)),
            math.sin(math.radians(lat / 1e6)),
        )
        for lat, lon in (a, b)
    )
    apart = math.dist(va, vb)
    opposite = math.dist(va, [-x for x in vb])
    return EARTH_RADIUS_M * 2 * math.atan2(apart, opposite)


def haversine_m(a, b):
    lat_a, lon_a, lat_b, lon_b = (math.radians(x / 1e6) for x in (*a, *b))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))


def test_the_generator_writes_the_committed_bytes(repo_root, text):
    path = repo_root / "spec/tables/make_tables.py"
    spec = importlib.util.spec_from_file_location("make_tables", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.trig_csv().encode() == text


@MANY
@given(points, points)
def test_far_apart(sphere, a, b):
    metres = sphere.distance_m(a, b)
    assert abs(metres - arc_m(a, b)) <= 0.500_01
    # haversine loses digits near the antipode: hence the relative term.
    assert abs(metres - haversine_m(a, b)) <= max(1, 1e-5 * metres)


@MANY
@given(points, steps, steps)
def test_neighbours(sphere, a, north, east):
    latitude = max(-POLE, min(POLE, a[0] + north))
    b = latitude, max(-HALF_TURN, min(HALF_TURN, a[1] + east))
    assert abs(sphere.distance_m(a, b) - arc_m(a, b)) <= 0.500_01


@MANY
@given(points, points)
def test_symmetry(sphere, a, b):
    metres = sphere.distance_m(a, b)
    assert sphere.distance_m(b, a) == metres
    assert sphere.distance_m((-a[0], a[1]), (-b[0], b[1])) == metres
    assert sphere.distance_m((a[0], -a[1]), (b[0], -b[1])) == metres
    assert sphere.distance_m(a, a) == 0


@given(st.integers(-POLE, POLE), points)
def test_both_sides_of_the_antimeridian_are_one_place(sphere, latitude, other):
    east, west = (latitude, HALF_TURN), (latitude, -HALF_TURN)
    assert sphere.distance_m(east, west) == 0
    assert sphere.distance_m(east, other) == sphere.distance_m(west, other)


@given(st.sampled_from((POLE, -POLE)), points, points)
def test_a_pole_is_one_place(sphere, pole, a, b):
    assert sphere.distance_m((pole, a[1]), (pole, b[1])) == 0
    assert sphere.distance_m((pole, a[1]), b) == sphere.distance_m((pole, 0), b)


def test_known_distances(sphere):
    # A quarter and a half of the circumference, and one degree: pi * R / 2, pi * R, pi * R / 180.
    assert sphere.distance_m((0, 0), (POLE, 0)) == 10_007_558
    assert sphere.distance_m((0, 0), (0, HALF_TURN)) == 20_015_115
    assert sphere.distance_m((45_000_000, 7), (-45_000_000, 7 - HALF_TURN)) == 20_015_115
    assert sphere.distance_m((0, 0), (0, 1_000_000)) == 111_195


@pytest.mark.parametrize("point", [(POLE + 1, 0), (-POLE - 1, 0), (0, HALF_TURN + 1)])
def test_no_such_place(sphere, point):
    with pytest.raises(ValueError, match="is no place"):
        sphere.distance_m(point, (0, 0))


@pytest.mark.parametrize(
    "old, new",
    [
        (b"step_e6,index", b"step,index"),
        (b"1000000,89,", b"1000000,90,"),
        (b"1000000,90,1000000000000000000", b"1000000,90,1000000000000000001"),
        (b"1000000,1,17452406437283513", b"1000000,1,-17452406437283513"),
        (b"1000000,1,17452406437283513", b"1000000,1,1.5"),
        (b"1,999,", b"1,999,0,"),
        (b"1,999,17435839226540,999999999847995755\n", b""),
    ],
)
def test_a_changed_table_is_refused(text, old, new):
    assert text.count(old) == 1 or old == b"1,999,"
    with pytest.raises(TableError) as caught:
        parse_trig(text.replace(old, new))
    assert caught.value.code == "bad_table"
    assert all((caught.value.what, caught.value.why, caught.value.do))
