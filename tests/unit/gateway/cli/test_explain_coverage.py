"""Coverage on the page of `cairn explain`: numbers, names, and the advice that matters first."""

import pytest

from gateway.cli.explain_coverage import print_coverage, proof_advice
from gateway.core.coverage.model import Link, PlaceResult, StationCoverage
from gateway.core.epoch_inputs import Finding
from gateway.core.explain_coverage import coverage_tree, finding_tree
from gateway.core.ids import device_name
from gateway.core.rules import parse_rules
from gateway.core.slots import StationClass
from gateway.core.verdicts import ADVICE, Verdict
from tests.unit.gateway.epoch_kit import RULES

RULE_SET = parse_rules(RULES)
OWN, NEAR, STRANGER = (bytes([number]) * 16 for number in (1, 2, 3))
PLACE = PlaceResult(
    observations=5,
    heard=4,
    second_z_milli=1_500,
    max_z_milli=2_750,
    odds_milli=12_345,
    full_odds_milli=13_000,
    best=(48_000_000, 11_000_000),
    best_m=3_210,
    radius_m=900,
    verdict=Verdict.PLACE_IMPLAUSIBLE,
    zs_milli=((NEAR, -1_500), (STRANGER, 2_750)),
)
STATION = StationCoverage(
    device=OWN,
    expected=12,
    heard=9,
    witnesses=1,
    witness_ppm=1_000_000,
    listening_hours=23,
    hops=None,
    place=PLACE,
    v_ppm=20_000,
    u_ppm=500_000,
    station_class=StationClass.UNPROVEN,
    near_proof=False,
    unrevealed=False,
    findings=(),
)


def link(witness, verdict, heard=3, weight_ppm=1_000_000):
    return Link(OWN, witness, 0, heard, 9, -12_050, 1_234, verdict, weight_ppm)


LINKS = (
    link(NEAR, Verdict.HEARD),
    link(STRANGER, Verdict.NO_ANCHOR_PATH),
)


def tree(station=STATION, links=LINKS, findings=()):
    return {
        "station": device_name(OWN),
        "epoch": 7,
        "usefulness": {"verifiability_ppm": 20_000},
        "coverage": coverage_tree(station, links, RULE_SET),
        "findings": [finding_tree(Finding(verdict, 1, ())) for verdict in findings],
    }


@pytest.fixture
def page(capsys):
    def show(given):
        print_coverage(given, " --data d")
        return capsys.readouterr().out

    return show


def test_it_multiplies_usefulness_and_verifiability(page):
    assert page(tree()).startswith("\nCoverage: 1 % = 50 % usefulness x 2 % verifiability\n")


def test_it_names_the_witnesses_that_count_and_lists_all(page):
    text = page(tree())
    (counted,) = [line for line in text.splitlines() if line.startswith("witnesses")]
    assert device_name(NEAR) in counted
    assert device_name(STRANGER) not in counted
    assert text.count(device_name(STRANGER)) == 1
    assert "-120.50 dB" in text
    for verdict in (Verdict.HEARD, Verdict.NO_ANCHOR_PATH):
        assert ADVICE[verdict].what in text
    assert ADVICE[Verdict.NO_ANCHOR_PATH].do in text


def test_it_shows_the_place_test_with_its_limits(page):
    text = page(tree())
    place = RULE_SET.place
    assert (
        f"place_implausible: odds against it 12.345 of at most {place.odds_limit_milli / 1000:.3f}"
        " nats" in text
    )
    assert f"|z| 1.500 of at most {place.second_z_limit_milli / 1000:.3f}, " in text
    assert "most likely 3210 m away" in text


def test_it_shows_the_command_for_single_beacons(page):
    command = f"Each beacon: cairn coverage show {device_name(OWN)} --epoch 7 --data d\n"
    assert command in page(tree())


def test_a_day_without_a_reveal_says_that_no_beacon_counts(page):
    text = page(tree(STATION._replace(unrevealed=True)))
    assert "the day's secret was not revealed in time" in text
    assert "not revealed" not in page(tree())


def test_a_station_that_nobody_heard(page):
    silent = STATION._replace(heard=0, witnesses=0, witness_ppm=0, place=None, u_ppm=0)
    text = page(tree(silent, links=()))
    assert "beacons        0 of 12 heard" in text
    assert "none that counts" in text
    assert "place          not tested" in text
    assert "excess" not in text


def test_an_epoch_without_coverage(page):
    assert "Coverage: none" in page({**tree(), "coverage": None})


@pytest.mark.parametrize(
    "findings, first",
    [
        ([Verdict.NOT_HEARD, Verdict.PLACE_IMPLAUSIBLE], Verdict.PLACE_IMPLAUSIBLE),
        ([Verdict.FEW_WITNESSES, Verdict.NO_ANCHOR_PATH], Verdict.NO_ANCHOR_PATH),
        ([Verdict.NO_COMMIT, Verdict.NOT_HEARD], Verdict.NO_COMMIT),
        ([Verdict.UNREVEALED], Verdict.UNREVEALED),
        ([Verdict.HOLE, Verdict.FEW_WITNESSES], Verdict.FEW_WITNESSES),
    ],
)
def test_advice_begins_with_what_to_mend_first(findings, first):
    advice = proof_advice(tree(findings=findings))
    assert advice == f"{first.name.lower()} keeps it at 2 %: {ADVICE[first].do}"


def test_without_any_obstacle_an_audit_is_what_helps():
    assert proof_advice(tree(findings=[Verdict.HOLE])).startswith("Ask the operator for an audit")
