"""The arithmetic of `cairn bench quality`, and its command without anything to measure with."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from gateway.cli import bench_quality, bench_quality_text
from gateway.cli.bench import bench
from gateway.cli.bench_coverage_stats import Estimate
from gateway.cli.bench_quality import _strict, _titan_bar, auc, load_carriers, measure_quality
from gateway.cli.bench_quality_seed import DETECTORS
from gateway.shell.errors import OperatorFault

ATTACKS = {
    "backfill", "bias", "clone_far", "clone_near", "clone_noisy", "forecast_copy", "frozen",
    "replay",
}  # fmt: skip


def test_auc_counts_ties_by_half():
    assert auc([0, 0], [1, 1]) == 1
    assert auc([1, 1], [0]) == 0
    assert auc([0, 1, 2, 3], [1]) == pytest.approx(1.5 / 4)
    honest, attackers = np.random.default_rng(1).normal(0, 1, (2, 60))
    pairs = [(a > h) + (a == h) / 2 for a in attackers for h in honest]
    assert auc(honest, attackers) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    "op, low, high, met",
    [("<", 0.1, 0.9, True), ("<", 0.9, 1.0, False), (">", 0.1, 0.2, True), (">", 0.0, 0.9, False)],
)
def test_a_strict_bar_is_met_by_the_whole_interval(op, low, high, met):
    limit = 1.0 if op == "<" else 0.0
    assert _strict("pay", Estimate((low + high) / 2, low, high), op, limit)["met"] is met
    assert _strict("pay", Estimate(None, None, None), op, limit)["met"] is False


def test_without_titanlib_its_bars_are_missed_and_say_why(monkeypatch):
    found = _titan_bar("buddy_equals_titanlib", None, "<=", 0)
    assert (found["value"], found["met"]) == (None, False)
    assert "titanlib" in found["reason"]
    assert _titan_bar("x", 0, "<=", 0)["met"] is True
    assert _titan_bar("x", 19.9, ">=", 20)["met"] is False


def test_without_data_the_carriers_are_synthetic(tmp_path):
    for folder in (None, tmp_path):
        carriers, origin = load_carriers(folder)
        assert origin == "synthetic"
        assert len(carriers) == bench_quality.TWIN_STATIONS


def test_a_picture_needs_matplotlib(monkeypatch):
    monkeypatch.setattr(bench_quality_text, "find_spec", lambda _: None)
    with pytest.raises(OperatorFault) as caught:
        bench_quality_text.require_plotting()
    assert "matplotlib" in caught.value.why


@pytest.mark.slow
def test_the_command_measures_and_prints(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_quality, "oracle", lambda: None)
    plot = tmp_path / "found.png"
    arguments = ["quality", "--data", str(tmp_path), "--seeds", "1"]
    done = CliRunner().invoke(bench, [*arguments, "--json", "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["carriers"] == "synthetic"
    assert set(result["attacks"]) == ATTACKS
    assert all(set(rows) == set(DETECTORS) for rows in result["attacks"].values())
    bars = {bar["name"]: bar["met"] for bar in result["bars"]}
    assert bars.pop("buddy_equals_titanlib") is bars.pop("buddy_speedup_10000") is False
    assert all(bars.values()), bars
    assert plot.stat().st_size > 1_000
    bench_quality_text.print_quality(result)


@pytest.mark.slow
def test_a_seed_gives_the_same_figures_again(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_quality, "oracle", lambda: None)
    monkeypatch.setattr(bench_quality, "TWIN_STATIONS", 150)
    one, other = (measure_quality(tmp_path, 1, lambda _done, _total: None) for _ in range(2))
    assert one == other
