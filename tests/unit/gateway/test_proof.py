"""Classes and verifiability: what the evidence of one day and of earlier ones comes to."""

from dataclasses import replace

import pytest

from gateway.core.coverage.model import PlaceResult, StationCoverage
from gateway.core.proof import prove
from gateway.core.rules import parse_rules
from gateway.core.slots import StationClass
from gateway.core.state import StationState
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import CELLS, RULES

RULES_1 = parse_rules(RULES)
EPOCH = 100
STATION = StationState(b"d" * 16, b"k" * 32, 90, 1, (), CELLS[0])
WITNESSED, PEER_CHECKED, UNPROVEN = StationClass
FULL, HALF, LOW = 1_000_000, 500_000, 20_000


def heard(
    station_class=WITNESSED, *, near_proof=True, verdict=Verdict.PLACE_PLAUSIBLE, unrevealed=False
):
    place = PlaceResult(4, 4, 0, 0, 0, 0, (0, 0), 0, 0, verdict, ())
    return StationCoverage(
        device=STATION.device,
        expected=12,
        heard=12,
        witnesses=4,
        witness_ppm=4_000_000,
        listening_hours=24,
        hops=1,
        place=place,
        v_ppm=FULL,
        u_ppm=FULL,
        station_class=station_class,
        near_proof=near_proof,
        unrevealed=unrevealed,
        findings=(),
    )


def judged(coverage, station=STATION, epoch=EPOCH, *, anchored=False, agrees=False):
    return prove(station, epoch, RULES_1, coverage, anchored=anchored, agrees=agrees)


@pytest.mark.parametrize(
    "coverage, agrees, expected",
    [
        (None, False, (UNPROVEN, LOW)),
        (None, True, (UNPROVEN, LOW)),
        (heard(), False, (WITNESSED, FULL)),
        (heard(UNPROVEN), True, (PEER_CHECKED, HALF)),
        (heard(UNPROVEN), False, (UNPROVEN, LOW)),
        (heard(UNPROVEN, near_proof=False), True, (UNPROVEN, LOW)),
        (heard(verdict=Verdict.PLACE_REVIEW), False, (WITNESSED, FULL)),
        (heard(verdict=Verdict.PLACE_IMPLAUSIBLE), True, (UNPROVEN, LOW)),
    ],
)
def test_the_evidence_of_one_day(coverage, agrees, expected):
    assert judged(coverage, agrees=agrees)[:2] == expected


def test_an_audit_by_hand_is_full_proof_and_leaves_none_of_its_own():
    proof = judged(None, anchored=True)
    assert proof[:2] == (WITNESSED, FULL)
    assert proof.station.proof_epoch is None
    assert judged(None, proof.station)[:2] == (UNPROVEN, LOW)


def test_a_proof_lasts_until_it_lapses():
    station = judged(heard()).station
    lapse = RULES_1.slots.class_lapse_epochs
    assert judged(None, station, EPOCH + lapse - 1)[:2] == (WITNESSED, FULL)
    assert judged(None, station, EPOCH + lapse)[:2] == (UNPROVEN, LOW)


def test_weaker_evidence_neither_replaces_nor_prolongs_a_proof():
    station = judged(heard()).station
    later = judged(heard(UNPROVEN), station, EPOCH + 3, agrees=True)
    assert later[:2] == (WITNESSED, FULL)
    assert later.station.proof_epoch == EPOCH
    lapsed = judged(heard(UNPROVEN), later.station, EPOCH + 7, agrees=True)
    assert lapsed[:2] == (PEER_CHECKED, HALF)
    assert lapsed.station.proof_epoch == EPOCH + 7


def test_a_contradicted_place_ends_every_proof_at_once():
    station = judged(heard()).station
    liar = judged(heard(UNPROVEN, verdict=Verdict.PLACE_IMPLAUSIBLE), station, EPOCH + 1)
    assert liar[:2] == (UNPROVEN, LOW)
    assert judged(None, liar.station, EPOCH + 2)[:2] == (UNPROVEN, LOW)


def test_days_without_a_reveal_cap_what_a_proof_is_worth_and_are_forgotten():
    station = STATION
    for day in range(3):
        proof = judged(heard(unrevealed=True), station, EPOCH + day)
        station = proof.station
        assert proof.v_ppm == (HALF if day == 2 else FULL)
    assert station.unrevealed == (EPOCH, EPOCH + 1, EPOCH + 2)
    within = RULES_1.coverage.unrevealed_within
    assert judged(heard(), station, EPOCH + within - 1).v_ppm == HALF
    healed = judged(heard(), station, EPOCH + within)
    assert (healed.v_ppm, healed.station.unrevealed) == (FULL, (EPOCH + 1, EPOCH + 2))


def test_what_is_remembered_hangs_on_nothing_but_evidence():
    assert judged(None).station == STATION
    assert judged(heard()).station == replace(STATION, proof_class=WITNESSED, proof_epoch=EPOCH)
