"""How what neighbours say lowers a day, and that it never raises one."""

from dataclasses import replace

import pytest

from gateway.core.epoch_inputs import Finding
from gateway.core.neighbour import Limit, NeighbourOutcome, in_resolution, in_time
from gateway.core.quality import Flag, Judged, Reading
from gateway.core.rules import PPM
from gateway.core.station_day import score_day
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import HOUR_MS, TEMPERATURE
from tests.unit.gateway.quality_kit import RULES_1, as_day, hourly, judged_key, neighbour

KEY = (TEMPERATURE, 0)
AIR = [1_000 + 20 * hour for hour in range(24)]
NOTHING = NeighbourOutcome({}, {}, agrees=False, peers=(), findings=(), correlation_ppm=None)
SUSPECT_PPM = RULES_1.quality.suspect_ppm
LATE_PPM = RULES_1.release.late_ppm


def scored(outcome, values=AIR, **how):
    return score_day(as_day(neighbour(1, values, **how)), outcome, RULES_1)


def test_nothing_said_is_nothing_lost():
    alone = scored(None)
    assert alone == scored(NOTHING)
    assert alone.quality_ppm == PPM


def test_findings_follow_the_days_own():
    finding = Finding(Verdict.NO_NEIGHBOURS, 24, ())
    day = as_day(neighbour(1, AIR))._replace(findings=(Finding(Verdict.WRONG_DAY, 1, ()),))
    found = score_day(day, NOTHING._replace(findings=(finding,)), RULES_1).findings
    assert [one.verdict for one in found] == [Verdict.WRONG_DAY, Verdict.NO_NEIGHBOURS]


def test_a_limit_holds_for_every_reading_and_is_told():
    limit = Limit(250_000, Verdict.PEERS_DISAGREE, -5, 50_000)
    day = scored(NOTHING._replace(limits={KEY: limit}))
    (quantity,) = day.quantities
    assert day.quality_ppm == 250_000
    (penalty,) = quantity.penalties
    assert (penalty.verdict, penalty.windows, penalty.lost_ppm) == (
        Verdict.PEERS_DISAGREE,
        24,
        24 * 750_000,
    )
    assert (penalty.observed, penalty.limit) == (-5, 50_000)


def test_another_quantitys_limit_costs_nothing():
    limit = Limit(0, Verdict.COPIED, None, None)
    assert scored(NOTHING._replace(limits={(TEMPERATURE, 1): limit})) == scored(NOTHING)


def test_the_smaller_credit_names_the_verdict():
    values = [7_000 if hour == 3 else value for hour, value in enumerate(AIR)]
    said = NOTHING._replace(
        limits={KEY: Limit(SUSPECT_PPM, Verdict.PEERS_DISAGREE, 0, 0)},
        suspects={KEY: {6 * hour: (900, 800) for hour in range(12)}},
    )
    (quantity,) = scored(said, values).quantities
    lost = {penalty.verdict: penalty.windows for penalty in quantity.penalties}
    # The buddies came first, and the limit takes no more from what is suspect already.
    assert lost == {Verdict.OUT_OF_RANGE: 1, Verdict.BUDDY: 11, Verdict.PEERS_DISAGREE: 12}


def test_what_is_late_is_not_paid_more_for_being_suspect():
    said = NOTHING._replace(suspects={KEY: {0: (900, 800)}})
    late = scored(said, delay_ms=2 * HOUR_MS)
    assert late.quality_ppm == LATE_PPM
    assert [p.verdict for p in late.quantities[0].penalties] == [Verdict.POST_RELEASE]


@pytest.mark.parametrize("credit_ppm", [0, 250_000, PPM])
def test_neighbours_never_raise_a_credit(credit_ppm):
    limit = Limit(credit_ppm, Verdict.COPIED, None, None)
    said = NOTHING._replace(limits={KEY: limit}, suspects={KEY: {6: (1, 1)}})
    for how in ({}, {"delay_ms": 2 * HOUR_MS}):
        assert scored(said, **how).quality_ppm <= scored(None, **how).quality_ppm


def test_standings_do_not_change():
    said = NOTHING._replace(limits={KEY: Limit(0, Verdict.COPIED, None, None)})
    assert scored(said).standings == scored(None).standings != ()


def judged(value, exponent, flag=Flag.PASS, verdict=None):
    return Judged(Reading(0, b"", 0, value, exponent, 0, 0, None), flag, PPM, verdict, None, None)


@pytest.mark.parametrize(
    "value, exponent, expected",
    [(15, 0, 1_500), (150, -1, 1_500), (1_500, -2, 1_500), (15_009, -3, 1_500), (-1, -9, -1)],
)
def test_values_are_floored_to_the_resolution(value, exponent, expected):
    assert in_resolution(judged(value, exponent), -2) == expected


def test_only_what_passed_in_time_speaks():
    assert in_time(judged(1, 0))
    assert not in_time(judged(1, 0, Flag.SUSPECT, Verdict.STEP))
    assert not in_time(judged(1, 0, Flag.PASS, Verdict.POST_RELEASE))
    late = judged_key(hourly(AIR, delay_ms=2 * HOUR_MS))
    assert not any(map(in_time, late.judged))
    # Late rules do not matter: a late reading whose credit is not cut is late all the same.
    kind = replace(RULES_1, release=replace(RULES_1.release, late_ppm=PPM))
    generous = judged_key(hourly(AIR, delay_ms=2 * HOUR_MS), rules=kind)
    assert not any(map(in_time, generous.judged))
