"""Made-up thermometers among real ones: found, not paid, and honest ones left alone.

The data is not ours to ship; the synthetic twin below runs the same checks without it.
"""

import numpy as np
import pytest

from gateway.cli.bench_quality import auc, load_ground
from gateway.cli.bench_quality_buddy import LIMITS, Town, compare_flags
from gateway.cli.bench_quality_seed import DETECTORS, places, run_extremes, run_seed
from simulator.fabricated import read_netatmo, synthetic

GROUND = load_ground()


@pytest.fixture(scope="module")
def real(request):
    folder = request.getfixturevalue("shared_data")
    path = folder / "netatmo" / "netatmo_berlin_2017-01.npz"
    if not path.is_file():
        pytest.skip(f"shared data absent: no {path.name}")
    return read_netatmo(path)


@pytest.fixture(scope="module")
def twin():
    return synthetic(1, 340, 14)


def area(seed, attack, detector):
    return auc(seed.honest[attack][detector], seed.attackers[attack][detector])


def check_seed(seed, forecast_auc):
    """The bars of one week; the bench holds them over twenty."""
    ours = area(seed, "forecast_copy", "ours")
    assert ours >= forecast_auc
    assert ours > max(area(seed, "forecast_copy", other) for other in DETECTORS[:-1])
    for attack in ("frozen", "clone_near", "clone_far", "replay"):
        assert area(seed, attack, "ours") >= 0.9
    assert seed.pay["frozen"] < 0.25
    assert seed.pay["backfill"] == 0
    assert max(seed.pay["clone_near"], seed.pay["clone_far"]) < 0.25
    # Peers lift nobody that makes its weather up.
    assert seed.pay_by_class["forecast_copy"] < 0.2
    assert seed.agreeing["honest"] > 0.6
    assert seed.agreeing["forecast_copy"] < 0.1
    assert seed.disagreeing["honest"] <= 0.03
    assert seed.taken <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_real_stations(real, number):
    check_seed(run_seed(real, number, GROUND), 0.9)


@pytest.mark.slow
def test_the_synthetic_twin(twin):
    check_seed(run_seed(twin, 1, GROUND), 0.8)


@pytest.mark.slow
def test_honest_extremes_of_real_stations(real):
    assert max(run_extremes(real, 3, GROUND).values()) <= 0.01


@pytest.mark.slow
def test_honest_extremes_of_the_twin(twin):
    assert max(run_extremes(twin, 3, GROUND).values()) <= 0.01


@pytest.mark.slow
def test_flags_of_real_hours_are_titanlibs(real):
    titan = pytest.importorskip("titanlib")
    there = {place: row for row, place in enumerate(places(real))}
    for hour in (0, 200, 400):
        degrees = real.degrees[hour]
        rows = [row for row in there.values() if not np.isnan(degrees[row])]
        values = np.rint(degrees[rows] * 100).astype(np.int64)
        town = Town(real.lat_e6[rows], real.lon_e6[rows], values)
        for limits in (LIMITS, LIMITS._replace(threshold_milli=2_000)):
            counts = compare_flags(titan, town, GROUND.sphere, limits)
            assert counts["different"] == 0
            assert counts["judged"] > 0.7 * len(rows)
            assert counts["flagged"] > 0
