"""The place test: honest stations pass, displaced claims do not, and no one witness decides."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.coverage.model import Link, Observation
from gateway.core.coverage.place import judge_place, witness_offsets
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import RULES, TABLES

PLACE = RULES.place
CLAIM = (47_370_000, 8_540_000)
NORTH_E6 = 1e6 / 111_195
EAST_E6 = NORTH_E6 / math.cos(math.radians(47.37))
SILENT = (Verdict.SILENT, 0)


def at(east_m, north_m):
    return CLAIM[0] + round(north_m * NORTH_E6), CLAIM[1] + round(east_m * EAST_E6)


def model_cdb(metres, exponent=2.7):
    """The excess of a link in the model's own middle."""
    metres = math.hypot(metres, PLACE.cell_m)
    return round(-PLACE.reference_cdb - 2_700 * 3 - 1000 * exponent * math.log10(metres / 1000))


def town(true=(0, 0), *, count=16, spacing=1_200, offset_cdb=0, scatter=0, seed=1, exponent=2.7):
    """Witnesses on a square grid around the claim, and what they heard of a station at `true`."""
    generator = random.Random(seed)
    side = math.isqrt(count)
    seen = []
    for index in range(count):
        east, north = ((part - (side - 1) / 2) * spacing for part in divmod(index, side))
        metres = math.hypot(east - true[0], north - true[1])
        excess = model_cdb(metres, exponent) + offset_cdb + round(generator.gauss(0, scatter))
        heard = 12 if excess > PLACE.audible_cdb else 0
        seen.append(
            Observation(
                bytes([index]) * 16,
                at(east, north),
                excess if heard else 0,
                heard,
                12 - heard,
                0,
            )
        )
    return seen


def judged(seen, rules=PLACE, claim=CLAIM):
    return judge_place(claim, seen, rules, TABLES)


def test_a_station_where_it_says_is_plausible():
    result = judged(town())
    assert result.verdict is Verdict.PLACE_PLAUSIBLE
    assert (result.observations, result.heard) == (16, 16)
    assert result.odds_milli == 0
    assert result.best_m < PLACE.displaced_min_m


@pytest.mark.parametrize("offset_cdb", [-900, 0, 900])
@pytest.mark.parametrize("exponent", [2.3, 2.7, 3.2])
def test_neither_a_bad_antenna_nor_the_towns_exponent_convicts(offset_cdb, exponent):
    for seed in range(4):
        seen = town(offset_cdb=offset_cdb, scatter=700, seed=seed, exponent=exponent)
        assert judged(seen).verdict is not Verdict.PLACE_IMPLAUSIBLE


@pytest.mark.parametrize("offset_cdb", [-800, 0, 800])
def test_a_station_far_from_its_claim_is_found_out_whatever_its_power(offset_cdb):
    seen = town((9_000, 4_000), count=36, offset_cdb=offset_cdb, scatter=300)
    result = judged(seen)
    assert result.verdict is Verdict.PLACE_IMPLAUSIBLE
    assert result.odds_milli > PLACE.odds_limit_milli
    assert result.best_m > 2_000


def test_one_griefer_convicts_nobody():
    seen = town(scatter=300)
    for rssi in (-15_500, -4_000):
        for victim in (0, 5, 15):
            lied = [*seen]
            lied[victim] = lied[victim]._replace(excess_cdb=rssi)
            assert judged(lied).verdict is not Verdict.PLACE_IMPLAUSIBLE
    silent = [*seen]
    silent[5] = silent[5]._replace(heard=0, silent=12, excess_cdb=0)
    assert judged(silent).verdict is not Verdict.PLACE_IMPLAUSIBLE


def test_silence_near_the_claim_speaks():
    """The same levels from afar say more when those beside the claim heard nothing."""
    far = [one for one in town((9_000, 0), count=36) if one.centre[1] > CLAIM[1] + 20_000]
    near = [one._replace(heard=0, silent=12, excess_cdb=0) for one in town(count=9, spacing=400)]
    near = [one._replace(witness=bytes([200 + index]) * 16) for index, one in enumerate(near)]
    assert judged(far + near).full_odds_milli > judged(far).full_odds_milli + 1_000


def test_few_witnesses_say_nothing():
    seen = town((9_000, 4_000), count=36)
    few = seen[: PLACE.observations_min - 1]
    assert judged(few).verdict is Verdict.PLACE_UNPROVEN
    assert judged([]).verdict is Verdict.PLACE_UNPROVEN
    silent = [one._replace(heard=0, silent=12) for one in seen]
    assert judged(silent).verdict is Verdict.PLACE_UNPROVEN


def test_limits_are_the_rules():
    result = judged(town((9_000, 4_000), count=36, scatter=300))
    lax = replace(PLACE, odds_limit_milli=result.odds_milli, second_z_limit_milli=10**6)
    assert judged(town((9_000, 4_000), count=36, scatter=300), lax).verdict in {
        Verdict.PLACE_PLAUSIBLE,
        Verdict.PLACE_REVIEW,
    }
    strict = replace(lax, odds_limit_milli=result.odds_milli - 1)
    seen = town((9_000, 4_000), count=36, scatter=300)
    assert judged(seen, strict).verdict is Verdict.PLACE_IMPLAUSIBLE


def test_the_largest_z_alone_is_a_review():
    seen = town()
    seen[3] = seen[3]._replace(excess_cdb=seen[3].excess_cdb + 4_500)
    result = judged(seen)
    assert result.max_z_milli > PLACE.review_z_limit_milli > result.second_z_milli
    assert result.verdict is Verdict.PLACE_REVIEW


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_order_decides_nothing(generator, seed):
    seen = town((2_000, 1_000), count=100, scatter=500, seed=seed)
    shuffled = [*seen]
    generator.shuffle(shuffled)
    assert judged(shuffled) == judged(seen)


observations = st.lists(
    st.builds(
        Observation,
        st.binary(min_size=16, max_size=16),
        st.tuples(st.integers(-90_000_000, 90_000_000), st.integers(-180_000_000, 180_000_000)),
        st.integers(-(2**53), 2**53),
        st.integers(0, 1_440),
        st.integers(0, 1_440),
        st.integers(-3_000, 3_000),
    ),
    max_size=12,
    unique_by=lambda one: one.witness,
)


@given(observations, st.sampled_from([CLAIM, (90_000_000, 0), (-89_999_999, 179_999_999)]))
def test_absurd_observations_give_a_verdict(seen, claim):
    result = judged(seen, claim=claim)
    assert result.verdict in {
        Verdict.PLACE_UNPROVEN,
        Verdict.PLACE_PLAUSIBLE,
        Verdict.PLACE_REVIEW,
        Verdict.PLACE_IMPLAUSIBLE,
    }
    assert 0 <= result.odds_milli <= result.full_odds_milli + 10**6


def link(witness, beaconer, residual_cdb, metres=1_000, **changes):
    link = Link(
        bytes([beaconer]) * 16,
        bytes([witness]) * 16,
        0,
        12,
        0,
        model_cdb(metres) + residual_cdb,
        metres,
        Verdict.HEARD,
        10**6,
    )
    return link._replace(**changes)


def test_a_witnesss_offset_is_the_median_of_its_links():
    links = [link(1, beaconer, 1_000) for beaconer in range(2, 32)]
    links += [link(9, beaconer, 0) for beaconer in range(2, 32)]
    offsets = witness_offsets(links, PLACE, TABLES)
    assert 700 <= offsets[bytes([1]) * 16] <= 1_000
    assert 0 <= offsets[bytes([9]) * 16] <= 300
    # A few liars among its beaconers move nothing.
    lied = [one._replace(excess_cdb=-4_000) if i < 5 else one for i, one in enumerate(links)]
    assert witness_offsets(lied, PLACE, TABLES) == offsets


def test_links_without_weight_or_sound_give_no_offset():
    links = [link(1, 2, 500, weight_ppm=0), link(1, 3, 500, heard=0), link(1, 4, 500, radio=1)]
    assert witness_offsets(links, PLACE, TABLES) == {}
    huge = [link(1, beaconer, 10**7) for beaconer in range(2, 40)]
    [offset] = witness_offsets(huge, PLACE, TABLES).values()
    assert offset == PLACE.witness_offset_max_cdb
