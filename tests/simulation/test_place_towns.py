"""The place rules against made-up towns: error rates, not examples. docs/decisions/0011 quotes
the nightly's figures; the first tests are a few of its towns.
"""

import numpy as np
import pytest

from gateway.core.coverage.place import judge_place
from gateway.core.coverage.radio import parse_radio_tables
from gateway.core.rules import parse_rules
from gateway.core.verdicts import Verdict
from tests.simulation.place_towns import (
    build_town,
    griefs,
    judge_honest,
    observe,
    observe_lie,
    point,
    tell_lie,
)

# What a liar may do about its constant power; the worst of them for us counts.
BOOSTS_DB = (-10.0, 0.0, 10.0)


@pytest.fixture(scope="module")
def rules(repo_root):
    return parse_rules((repo_root / "spec" / "rules" / "0001.toml").read_bytes()).place


@pytest.fixture(scope="module")
def tables(repo_root):
    return parse_radio_tables((repo_root / "spec" / "tables" / "radio.csv").read_bytes())


def towns(seeds, rules, tables):
    return [(seed, build_town(seed, rules, tables)) for seed in seeds]


def convicted(results):
    return np.mean([one.verdict is Verdict.PLACE_IMPLAUSIBLE for one in results])


def false_alarms(made, rules, tables, every):
    """Share of honest stations that are convicted, of every so many stations of the towns."""
    return convicted(
        judge_honest(town, station, rules, tables)
        for _, town in made
        for station in range(0, len(town.claims), every)
    )


def caught(made, rules, tables, distance_m, *, lies, colluders=0, inside=True):
    """Share of lies that are not proven, with the power that is best for the liars as a group."""
    passed = {boost: [] for boost in BOOSTS_DB}
    for seed, town in made:
        rng = np.random.default_rng((seed, 1))
        for _ in range(lies):
            lie = tell_lie(town, rng, distance_m, inside=inside)
            for boost in BOOSTS_DB if lie else ():
                said = observe_lie(town, lie, rng, boost, colluders)
                verdict = judge_place(point(lie.claim), said, rules, tables).verdict
                fine = verdict in {Verdict.PLACE_PLAUSIBLE, Verdict.PLACE_REVIEW}
                passed[boost].append(fine)
    assert all(len(each) >= lies for each in passed.values())
    return 1 - max(np.mean(each) for each in passed.values())


def griefed(made, rules, tables, victims):
    """Share of honest stations that one forging witness gets convicted, its best forgery each."""
    hit = []
    for seed, town in made:
        rng = np.random.default_rng((seed, 2))
        for victim, griefer in rng.choice(len(town.claims), (victims, 2), replace=False).tolist():
            before = judge_honest(town, victim, rules, tables).verdict
            after = [
                judge_place(point(town.claims[victim]), said, rules, tables).verdict
                for said in griefs(town, victim, griefer)
            ]
            harmed = Verdict.PLACE_IMPLAUSIBLE in after
            hit.append(harmed and before is not Verdict.PLACE_IMPLAUSIBLE)
    return np.mean(hit)


def test_a_few_towns(rules, tables):
    made = towns(range(3), rules, tables)
    assert false_alarms(made, rules, tables, every=4) <= 0.02
    assert caught(made, rules, tables, 3_000, lies=4) >= 0.8
    assert caught(made, rules, tables, 10_000, lies=4, inside=False) >= 0.9
    assert griefed(made, rules, tables, victims=4) <= 0.1


def test_the_radio_alone_convicts_the_liar(rules, tables):
    """The same claims by a station that is there are left alone: it is not the place claimed."""
    made = towns(range(3), rules, tables)
    assert caught(made, rules, tables, 0.0, lies=4) == 0.0


def test_the_order_of_witnesses_does_not_matter(rules, tables):
    _, town = towns([5], rules, tables)[0]
    said = observe(town, town.excess[7], town.heard[7], without=7)
    assert len(said) > rules.observations_max  # so that some are chosen and some are not
    expected = judge_place(point(town.claims[7]), said, rules, tables)
    shuffled = [said[i] for i in np.random.default_rng(1).permutation(len(said))]
    assert judge_place(point(town.claims[7]), shuffled, rules, tables) == expected


@pytest.mark.nightly
def test_many_towns(rules, tables):
    made = towns(range(1_000, 1_040), rules, tables)
    assert false_alarms(made, rules, tables, every=1) <= 0.002
    assert caught(made, rules, tables, 3_000, lies=6) >= 0.95
    assert caught(made, rules, tables, 10_000, lies=6, inside=False) >= 0.95
    assert caught(made, rules, tables, 3_000, lies=6, colluders=2) >= 0.8
    assert griefed(made, rules, tables, victims=10) <= 0.02
