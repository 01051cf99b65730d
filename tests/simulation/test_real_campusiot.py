"""The place rules on real LoRa links: calibrated on some transmitters, judged on the others.

The data are not ours to ship. Its synthetic twin, with the same shapes, always runs.
"""

import pytest

from gateway.cli.bench_campusiot import calibrated, campus_rules, judge_hearings
from gateway.core.coverage.radio import parse_radio_tables
from gateway.core.rules import parse_rules
from gateway.core.verdicts import Verdict
from simulator import campusiot
from simulator.campusiot import Hearing, StationDay, displace, evaluate
from tests.simulation.place_towns import build_town, name, point

PER_TRANSMITTER = 40


@pytest.fixture(scope="module")
def rules(repo_root):
    return parse_rules((repo_root / "spec" / "rules" / "0001.toml").read_bytes()).place


@pytest.fixture(scope="module")
def tables(repo_root):
    return parse_radio_tables((repo_root / "spec" / "tables" / "radio.csv").read_bytes())


@pytest.fixture(scope="module")
def campus(shared_data):
    return shared_data / "campusiot"


def by_displacement(days, rules, tables):
    table = evaluate(days, lambda others: calibrated(others, rules, tables))
    return {row.displaced_km: row for row in table}


@pytest.mark.slow
def test_displaced_claims_on_real_links(campus, rules, tables):
    days = campusiot.load(campus, PER_TRANSMITTER)
    assert len({day.transmitter for day in days}) >= 5
    table = by_displacement(days, rules, tables)
    # Honest: two of 135. Free space alone: nothing at 10 km, 3 % of receptions at 20 km.
    assert table[0].ours <= 0.03
    assert table[10].helium_reception <= 0.01
    assert table[20].helium_reception <= 0.04
    assert table[20].ours >= 0.35
    assert table[50].ours >= 0.65
    for km in (5, 10, 20, 50):
        assert table[km].ours > table[km].helium_any


def test_the_genuine_109_km_link_passes_ours_and_not_heliums_rules(campus, rules, tables):
    heard = campusiot.far_link(campus)
    assert sum(one.heard for one in heard) > 8_000
    real = campus_rules(rules)
    result = judge_hearings(campusiot.SAINT_EYNARD, heard, {}, real, tables)
    assert result.verdict is Verdict.PLACE_UNPROVEN  # two witnesses; never implausible
    assert result.second_z_milli < real.second_z_limit_milli
    assert result.odds_milli < real.odds_limit_milli
    assert all(campusiot.helium_refuses(campusiot.SAINT_EYNARD, one) for one in heard)


def synthetic_days(rules, tables, seed):
    """Days of a made-up town in the shape of the real ones."""
    town = build_town(seed, rules, tables, stations=40, radius_m=4_000)
    days = []
    for beaconer in range(0, 40, 2):
        hearings = tuple(
            Hearing(
                name(witness).hex(),
                point(town.claims[witness]),
                float(town.excess[beaconer, witness]) / 100 + campusiot.EIRP_DBM,
                int(town.heard[beaconer, witness]),
                0,
            )
            for witness in range(40)
            if witness != beaconer and town.heard[beaconer, witness] > 0
        )
        if len(hearings) >= 3:
            place = point(town.claims[beaconer])
            days.append(StationDay(f"transmitter {beaconer}", seed, place, hearings))
    return days


@pytest.mark.slow
def test_the_synthetic_twin(rules, tables):
    days = [day for seed in (1, 2) for day in synthetic_days(rules, tables, seed)]
    table = by_displacement(days, rules, tables)
    assert table[0].ours <= 0.1
    assert table[50].ours >= 0.5
    assert table[50].ours > table[5].ours
    assert table[5].helium_reception <= 0.05


def test_a_displaced_claim_is_as_far_away_as_it_says():
    for km in campusiot.DISPLACEMENTS_KM:
        for turn in (0.1, 0.6):
            moved = displace(campusiot.SAINT_EYNARD, km * 1000, turn)
            assert campusiot.apart_m(campusiot.SAINT_EYNARD, moved) == pytest.approx(
                km * 1000, rel=0.01
            )
