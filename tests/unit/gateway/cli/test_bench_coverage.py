"""`cairn bench coverage`: figures follow from counts, bars from figures; the verb shows both."""

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from gateway.cli import bench_coverage, main
from gateway.cli.bench_coverage import SYSTEMS, document
from gateway.cli.bench_coverage_attacks import HARMS
from gateway.cli.bench_coverage_baselines import HELIUM, NONE
from gateway.cli.bench_coverage_measure import (
    BAR_LIE,
    LIES,
    OURS,
    LieCounts,
    SeedCounts,
    measure_seed,
)
from gateway.core.rules import parse_rules
from gateway.shell.spec_files import read_spec

pytestmark = pytest.mark.slow

LIMIT = float(parse_rules(read_spec("rules/0001.toml")).place.odds_limit_milli)
BARS = {
    "unproven_1000_pool_share",
    "lone_pair_coverage_pay_ratio",
    "ring_10_coverage_pay_ratio",
    "bench_of_10_in_town_pay_ratio",
    "lie_3km_tpr",
    "false_alarms_at_rule_limits",
    "colluders_2_of_5_tpr",
    "colluders_2_of_5_in_town_tpr",
    "griefing_cost",
    "honest_kept",
}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Intervals have tests of their own; here they only cost time."""
    monkeypatch.setattr("gateway.cli.bench_coverage_stats.RESAMPLES", 20)


def lie(scores, **changes):
    honest = [float(score) for score in range(100)]
    return replace(LieCounts(scores=scores, town_scores=honest), **changes)


def seed(**changes):
    """A seed in which every bar is met."""
    caught = [LIMIT + 1] * 4
    attacks = ("pair", "ring", "bench_in_town")
    kinds = [f"{kind}_{n}" for kind in ("five_alone", "in_town_free_power") for n in (1, 2, 3)]
    return replace(
        SeedCounts(
            lies={one.name: lie(caught) for one in LIES},
            pay_ratios={system: dict.fromkeys(attacks, 0.0) for system in SYSTEMS},
            pool_shares=dict.fromkeys(SYSTEMS, 0.04),
            colluders={kind: list(caught) for kind in (*kinds, "five_alone_free_power_2")},
            five_scores=[0.0] * 100,
            kept=(99.5, 100.0),
            harmed=dict.fromkeys(HARMS, (1.0, 100.0)),
        ),
        **changes,
    )


def bars(*seeds):
    return {bar["name"]: bar for bar in document(list(seeds), 100)["bars"]}


def test_all_bars_are_there_and_can_be_met():
    found = bars(seed(), seed())
    assert set(found) == BARS
    assert all(bar["met"] for bar in found.values())
    assert found["honest_kept"]["value"] == 0.995
    assert found["griefing_cost"]["value"] == 0.01


def test_the_lie_bar_is_the_worse_of_the_rules_limits_and_of_one_per_cent():
    # Above what 1 % of honest stations exceed, but below the rules' limit: nobody is refused.
    loose = seed(lies={one.name: lie([LIMIT - 1] * 4) for one in LIES})
    assert bars(loose)["lie_3km_tpr"]["value"] == 0.0
    shown = document([loose], 100)["lies"][BAR_LIE.name]
    assert shown["tpr_at_rule_limits"]["value"] == 0.0
    assert shown["tpr_at_1pct_fpr"]["value"] == 1.0
    # Above the rules' limit, but so are honest ones: at 1 % false alarms it is not caught.
    honest = [LIMIT + 2.0] * 5 + [0.0] * 95
    strict = lie([LIMIT + 1] * 4, town_scores=honest, town_implausible=5)
    found = bars(seed(lies={one.name: strict for one in LIES}))
    assert found["lie_3km_tpr"]["value"] == 0.0
    assert found["false_alarms_at_rule_limits"]["value"] == 0.05
    assert found["false_alarms_at_rule_limits"]["met"] is False


def test_a_liar_who_was_not_tested_counts_neither_way():
    half = seed(lies={one.name: lie([LIMIT + 1], untested=3) for one in LIES})
    shown = document([half], 100)["lies"][BAR_LIE.name]
    assert shown["liars"] == 4
    assert shown["tpr_at_rule_limits"]["value"] == 1.0
    assert shown["untested"]["value"] == 0.75
    none = seed(lies={one.name: lie([], untested=4) for one in LIES})
    bar = bars(none)["lie_3km_tpr"]
    assert (bar["value"], bar["met"]) == (None, False)


def test_colluders_alone_are_held_against_stations_judged_by_five():
    kinds = seed().colluders
    weak = seed(
        colluders={kind: [LIMIT + 1, None] for kind in kinds}, five_scores=[LIMIT + 5] * 100
    )
    found = bars(weak)
    assert found["colluders_2_of_5_tpr"]["value"] == 0.0
    assert found["colluders_2_of_5_in_town_tpr"]["value"] == 1.0
    assert document([weak], 100)["colluders"]["five_alone_2"]["untested"]["value"] == 0.5


def test_infinite_scores_are_refused_at_any_limit():
    refused = seed(lies={one.name: lie([math.inf] * 2) for one in LIES}, five_scores=[math.inf])
    assert bars(refused)["lie_3km_tpr"]["value"] == 1.0
    limits = document([refused], 100)["odds_limit_milli"]
    assert limits == {"rules": LIMIT, "town_1pct": 98.0, "by_five_1pct": None}
    json.dumps(document([refused], 100), allow_nan=False)


def test_the_worst_griefer_decides():
    worse = {**seed().harmed, "grief_faint": (3.0, 100.0), "relayed": (50.0, 100.0)}
    bar = bars(seed(harmed=worse))["griefing_cost"]
    assert (bar["value"], bar["met"]) == (0.03, False)


@pytest.fixture(scope="module")
def measured():
    """Counts of a village, by the real rules."""
    return measure_seed(2, 24, empty=10)


def test_a_measured_village_fills_every_figure(measured):
    result = document([measured], 24)
    json.dumps(result, allow_nan=False)
    assert all(bar["value"] is not None for bar in result["bars"])
    assert set(result["lies"]) == {one.name for one in LIES}
    assert result["replayed_rows"] > 0
    assert result["replayed_rows_counted"] == 0


def test_what_attackers_earn_in_a_village(measured):
    ratios = measured.pay_ratios
    for attack in ("pair", "ring", "replay"):
        assert ratios[OURS][attack] == 0.0
    # Both baselines pay each key that only its fellows hear like an honest station.
    for baseline in (NONE, HELIUM):
        assert ratios[baseline]["pair"] == pytest.approx(2.0, rel=0.05)
        assert ratios[baseline]["ring"] == pytest.approx(10.0, rel=0.05)
    # There is a radio in that place, so everybody pays it.
    assert ratios[OURS]["relayed_claim"] == pytest.approx(1.0, rel=0.05)
    assert ratios[HELIUM]["replay"] == 0.0
    assert measured.pool_shares[OURS] <= 0.05
    assert measured.pool_shares[HELIUM] > measured.pool_shares[OURS]


def test_honest_stations_of_a_village_keep_their_worth(measured):
    kept, full = measured.kept
    assert 0 < kept <= full


@pytest.fixture
def canned(monkeypatch):
    """The verb, without its worlds: one seed that misses a bar."""
    missed = document([seed(kept=(50.0, 100.0))], 100)

    def measure(seeds, stations, progress):
        progress(seeds, seeds)
        return {**missed, "seeds": seeds, "stations": stations}

    monkeypatch.setattr(bench_coverage, "measure_coverage", measure)
    return missed


def cairn(*arguments):
    return CliRunner().invoke(main, ["bench", "coverage", *map(str, arguments)])


def test_a_missed_bar_stays_in_the_answer_and_is_no_failure(canned, tmp_path):
    done = cairn("--seeds", 3, "--json", "--data", tmp_path)
    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    assert told["seeds"] == 3
    assert "real_radio" not in told
    (missed,) = [bar for bar in told["bars"] if not bar["met"]]
    assert (missed["name"], missed["value"]) == ("honest_kept", 0.5)


def test_people_get_tables_with_intervals(canned, tmp_path):
    text = cairn("--data", tmp_path).stdout
    lines = text.splitlines()
    assert lines[0].split() == ["measured", "value", "95", "%", "bar", "met"]
    shown = {line.split()[0]: line.split()[-1] for line in lines[1 : 1 + len(BARS)]}
    assert {name: word == "yes" for name, word in shown.items()} == {
        bar["name"]: bar["met"] for bar in canned["bars"]
    }
    for name in (*SYSTEMS, *(one.name for one in LIES), "grief_loud", "five_alone_2"):
        assert name in text
    assert "1.000 [1.000, 1.000]" in text


def test_plot_is_a_picture_of_the_lies(canned, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "lies.svg"
    assert cairn("--data", tmp_path, "--plot", out).exit_code == 0
    assert "lie 3km" in out.read_text()
    refused = cairn("--data", tmp_path, "--plot", tmp_path / "none" / "lies.png")
    assert refused.exit_code == 3
    assert "file_unwritable" in refused.stderr


@pytest.mark.parametrize("arguments", [("--seeds", 0), ("--stations", 19)])
def test_too_little_is_wrong_use(arguments):
    assert cairn(*arguments).exit_code == 2
