"""Measures what tells honest thermometers from made-up ones, and what made-up ones earn.

Carriers are real if the data is there, else the simulator's. What is measured is the gateway's own
code (bench_quality_week.py); the baselines are other networks' published rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gateway.cli.bench_coverage_stats import (
    Estimate,
    Statistic,
    bar,
    estimate,
    quantile_limit,
    share_above,
)
from gateway.cli.bench_quality_buddy import (
    LIMITS,
    SIDES_DEG,
    STATIONS,
    Town,
    compare_flags,
    oracle,
    random_town,
    time_check,
)
from gateway.cli.bench_quality_seed import DETECTORS, Seed, places, run_extremes, run_seed
from gateway.cli.bench_quality_week import Ground
from gateway.core.geometry import Sphere
from gateway.core.quantities import parse_quantities
from gateway.core.rules import parse_rules
from gateway.core.tables import parse_trig
from gateway.shell.spec_files import read_spec, spec_path
from simulator.fabricated import Carriers, read_netatmo, synthetic

SEEDS = 20
EXTREME_SEEDS = 5
AUC_BAR, SPEED_BAR, FALSE_BAR = 0.90, 20.0, 0.01
REAL = Path("netatmo") / "netatmo_berlin_2017-01.npz"
TWIN_STATIONS, TWIN_DAYS = 340, 14
_TOWNS = ((1, 1_000, 1.0), (2, 3_000, 3.0), (3, 500, 0.4))
_HOURS = 24
_CENTI = 100

Progress = Callable[[int, int], None]


def load_ground() -> Ground:
    """Return rules, quantities and sphere of this software."""
    return Ground(
        parse_rules(read_spec("rules/0001.toml")),
        dict(parse_quantities(read_spec("quantities.toml"))),
        Sphere(parse_trig(read_spec("tables/trig.csv"))),
    )


def default_data() -> Path | None:
    """Return ../shared/data beside the project, if it is there."""
    folder = spec_path("rules/0001.toml").parents[2].parent / "shared" / "data"
    return folder if folder.is_dir() else None


def load_carriers(data: Path | None) -> tuple[Carriers, str]:
    """Return the real stations below `data`, or without them the simulator's; and which."""
    if data is not None and (data / REAL).is_file():
        return read_netatmo(data / REAL), REAL.name
    return synthetic(1, TWIN_STATIONS, TWIN_DAYS), "synthetic"


def measure_quality(data: Path | None, seeds: int, show: Progress) -> dict[str, Any]:
    """Return bars, tables and figures as one JSON-able object; a few minutes with 20 seeds."""
    ground = load_ground()
    carriers, origin = load_carriers(data)
    extreme_seeds = min(seeds, EXTREME_SEEDS)
    steps = seeds + 3 * extreme_seeds
    runs = []
    for number in range(seeds):
        runs.append(run_seed(carriers, number, ground))
        show(number + 1, steps)
    extremes = []
    for number in range(extreme_seeds):
        extremes.append(run_extremes(carriers, number, ground))
        show(seeds + 3 * (number + 1), steps)
    table = {name: _detectors(runs, name) for name in runs[0].attackers}
    titan = _titan(carriers, ground)
    pays = {name: _mean([run.pay[name] for run in runs]) for name in table}
    by_class = {name: _mean([run.pay_by_class[name] for run in runs]) for name in table}
    worst = {name: _mean([one[name] for one in extremes]) for name in extremes[0]}
    return {
        "bars": _bars(runs, table, pays, worst, titan),
        "carriers": origin,
        "stations": len(carriers),
        "seeds": seeds,
        "attacks": table,
        "pay_over_honest": {name: figure.as_json() for name, figure in pays.items()},
        "pay_over_honest_by_peers": {name: figure.as_json() for name, figure in by_class.items()},
        "honest_extremes_taken": {name: figure.as_json() for name, figure in worst.items()},
        "honest_taken": _mean([run.taken for run in runs]).as_json(),
        "peers_agree": _by_group([run.agreeing for run in runs]),
        "peers_disagree": _by_group([run.disagreeing for run in runs]),
        "titanlib": titan,
    }


def auc(honest: Sequence[float], attackers: Sequence[float]) -> float:
    """Return how likely an attacker is more suspicious than an honest station; ties count half."""
    order = np.sort(np.asarray(honest))
    below = np.searchsorted(order, attackers, side="left")
    equal = np.searchsorted(order, attackers, side="right") - below
    return float((below + equal / 2).mean() / len(order))


def _detectors(runs: Sequence[Seed], attack: str) -> dict[str, Any]:
    """AUC, and TPR at 1 and 5 % FPR, of every detector."""
    rows = {}
    for detector in DETECTORS:
        honest = [run.honest[attack][detector] for run in runs]
        made_up = [run.attackers[attack][detector] for run in runs]
        areas = [auc(h, a) for h, a in zip(honest, made_up, strict=True)]
        rows[detector] = {"auc": _mean(areas).as_json()}
        for name, rate in (("tpr_at_fpr_1", 0.01), ("tpr_at_fpr_5", 0.05)):
            rates = share_above(made_up, quantile_limit(honest, rate))
            rows[detector][name] = estimate(len(runs), rates).as_json()
    return rows


def _by_group(shares: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {name: _mean([one[name] for one in shares]).as_json() for name in shares[0]}


def _mean(figures: Sequence[float]) -> Estimate:
    return estimate(len(figures), _mean_of(figures))


def _mean_of(figures: Sequence[float]) -> Statistic:
    values = np.asarray(figures, float)
    return lambda chosen: float(values[list(chosen)].mean())


def _bars(
    runs: Sequence[Seed],
    table: dict[str, Any],
    pays: dict[str, Estimate],
    worst: dict[str, Estimate],
    titan: dict[str, Any],
) -> list[dict[str, object]]:
    areas = {
        detector: [
            auc(run.honest["forecast_copy"][detector], run.attackers["forecast_copy"][detector])
            for run in runs
        ]
        for detector in DETECTORS
    }
    best = max(
        DETECTORS[:-1], key=lambda name: float(table["forecast_copy"][name]["auc"]["value"])
    )
    ahead = [ours - theirs for ours, theirs in zip(areas["ours"], areas[best], strict=True)]
    clone = max((pays[name] for name in ("clone_near", "clone_far")), key=lambda pay: pay[0] or 0)
    extreme = max(worst.values(), key=lambda figure: figure.value or 0)
    return [
        bar("forecast_copy_auc", _mean(areas["ours"]), ">=", AUC_BAR),
        _strict("forecast_copy_above_best_baseline", _mean(ahead), ">", 0.0),
        _strict("frozen_unprofitable", pays["frozen"], "<", 1.0),
        _strict("backfill_unprofitable", pays["backfill"], "<", 1.0),
        _strict("clone_unprofitable", clone, "<", 1.0),
        bar("honest_extreme_false_punishment", extreme, "<=", FALSE_BAR),
        _titan_bar("buddy_equals_titanlib", titan.get("different"), "<=", 0),
        _titan_bar("buddy_speedup_10000", titan.get("speedup"), ">=", SPEED_BAR),
    ]


def _strict(name: str, figure: Estimate, op: str, limit: float) -> dict[str, object]:
    """A bar that must be passed, not only reached; its whole interval decides."""
    assert op in {"<", ">"}
    end = figure.high if op == "<" else figure.low
    met = end is not None and (end < limit if op == "<" else end > limit)
    return {"name": name, **figure.as_json(), "bar": limit, "op": op, "met": met}


def _titan_bar(name: str, value: float | None, op: str, limit: float) -> dict[str, object]:
    met = value is not None and (value <= limit if op == "<=" else value >= limit)
    found: dict[str, object] = {"name": name, "value": value, "bar": limit, "op": op, "met": met}
    if value is None:
        found["reason"] = "titanlib is not installed: pip install titanlib==0.4.0"
    return found


def _titan(carriers: Carriers, ground: Ground) -> dict[str, Any]:
    """Compare flags on random towns and on a day of the carriers; time the check."""
    titan = oracle()
    if titan is None:
        return {}
    towns = [random_town(seed, stations, side) for seed, stations, side in _TOWNS]
    towns += [_hour(carriers, hour) for hour in range(_HOURS)]
    limits = (LIMITS, LIMITS._replace(threshold_milli=2_500, num_min=3, iterations=1))
    found = [compare_flags(titan, town, ground.sphere, one) for town in towns for one in limits]
    sums = {name: sum(one[name] for one in found) for name in found[0]}
    speeds = {
        name: time_check(titan, random_town(4, STATIONS, side), ground.sphere)
        for name, side in SIDES_DEG.items()
    }
    return {**sums, "speedup": speeds["country"]["ratio"], "timings": speeds}


def _hour(carriers: Carriers, hour: int) -> Town:
    """The stations that have a value in one hour; of those at one place titanlib sees none."""
    degrees = carriers.degrees[hour]
    there = {
        place: row for row, place in enumerate(places(carriers)) if not np.isnan(degrees[row])
    }
    rows = sorted(there.values())
    values = np.rint(degrees[rows] * _CENTI).astype(np.int64)
    return Town(carriers.lat_e6[rows], carriers.lon_e6[rows], values)
