"""The same flags as titanlib 0.4.0, MET Norway's own implementation, away from ties."""

import numpy as np
import pytest

from gateway.cli.bench_quality_buddy import LIMITS, RADIUS_M, compare_flags, random_town
from gateway.core.buddy import Limits, find_near, isolation_check, to_positions
from tests.unit.gateway.quality_kit import SPHERE

titanlib = pytest.importorskip("titanlib")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "limits",
    [LIMITS, Limits(3, 2_000, 50, 1), Limits(8, 2_500, 100, 3), Limits(1, 3_000, 150, 2)],
)
def test_buddy_flags_are_titanlibs(seed, limits):
    counts = compare_flags(titanlib, random_town(seed, 1_500, 1.2), SPHERE, limits)
    assert counts["different"] == 0
    assert counts["judged"] > 1_000
    assert counts["flagged"] > 10


def test_a_difference_would_be_seen():
    town = random_town(0, 1_500, 1.2)
    stricter = LIMITS._replace(threshold_milli=3_000)

    class Shifted:
        Points = titanlib.Points

        @staticmethod
        def buddy_check(*arguments):
            arguments = list(arguments)
            arguments[4] = stricter.threshold_milli / 1_000
            return titanlib.buddy_check(*arguments)

    assert compare_flags(Shifted, town, SPHERE, LIMITS)["different"] > 0


@pytest.mark.parametrize("num_min", [1, 5, 12])
def test_isolation_flags_are_titanlibs(num_min):
    town = random_town(9, 800, 1.5)
    pairs = zip(town.lat_e6.tolist(), town.lon_e6.tolist(), strict=True)
    where = to_positions([SPHERE.position_cm(place) for place in pairs])
    ours = isolation_check(np.ones(800, bool), find_near(where, 100 * RADIUS_M), num_min)
    points = titanlib.Points(town.lat_e6 / 1e6, town.lon_e6 / 1e6, np.zeros(800))
    theirs = titanlib.isolation_check(points, num_min, RADIUS_M * 6_378_137 / 6_371_009)
    wide, narrow = (np.diff(find_near(where, 100 * RADIUS_M + d).start) for d in (500, -500))
    clear = wide == narrow
    assert (ours == (np.array(theirs) != 0))[clear].all()
    assert num_min == 1 or 0 < ours.sum() < 800
