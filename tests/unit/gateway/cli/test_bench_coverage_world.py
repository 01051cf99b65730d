"""Towns and attackers of the coverage bench: they do what they say, and no more."""

import numpy as np
import pytest

from gateway.cli.bench_coverage_attacks import far_world, harm_world, liars, lie_world, mixed_world
from gateway.cli.bench_coverage_judge import (
    Case,
    by_device,
    judge,
    judged_rows,
    members_of,
    open_bench,
    pay,
    verifiable,
)
from gateway.cli.bench_coverage_place import listeners_of, place_of
from gateway.cli.bench_coverage_world import copy_air, day_of, town
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict

SEED, STATIONS = 3, 24


@pytest.fixture(scope="module")
def bench():
    return open_bench(SEED)


@pytest.fixture(scope="module")
def honest():
    return town(SEED, STATIONS)


@pytest.fixture(scope="module")
def case(bench, honest):
    return Case(honest, day_of(honest, bench.setting, SEED))


@pytest.fixture(scope="module")
def coverage(bench, case):
    return judge(case, bench)[0]


def test_a_seed_gives_one_town_and_one_day(bench, honest, case):
    again = town(SEED, STATIONS)
    assert again.names == honest.names
    assert np.array_equal(again.claim_m, honest.claim_m)
    day = day_of(again, bench.setting, SEED)
    assert np.array_equal(day.heard, case.air.heard)
    assert not np.array_equal(town(SEED + 1, STATIONS).claim_m, honest.claim_m)


def test_every_station_of_a_town_can_hold_a_slot(bench, case, coverage):
    centres = [member.centre for member in members_of(case)]
    nearest = min(
        bench.sphere.distance_m(a, b) for i, a in enumerate(centres) for b in centres[:i]
    )
    assert nearest >= bench.rules.slots.distance_min_m
    paid = pay(case, verifiable(case, coverage, bench), bench, coverage.co_located)
    assert min(one.coverage for one in paid.values()) > 0


def test_beacons_are_as_many_as_the_rules_make_due(bench, case):
    due = (case.air.slots >= 0).sum()
    expected = STATIONS * 1_440 / bench.rules.coverage.beacon_every_slots
    assert expected * 0.8 < due < expected * 1.2
    for slots in case.air.slots:
        used = slots[slots >= 0]
        assert len(set(used.tolist())) == len(used)


def test_rows_of_honest_receivers_pass_the_row_rules(bench, case):
    verdicts = {one.verdict for one in judged_rows(case, bench)}
    assert verdicts == {Verdict.HEARD}


def test_the_place_test_alone_says_what_the_whole_path_says(bench, case, coverage):
    """What attackers optimise against is what they are judged by."""
    known, stations = listeners_of(case.air, coverage, bench), by_device(coverage)
    for row in range(5):
        others = [other for other in range(STATIONS) if other != row]
        place = place_of(case, row, others, known, bench)
        assert place == stations[case.keys.names[row]].place


def test_liars_are_as_far_from_their_claims_as_they_say(honest, bench):
    amid = liars(honest, bench, 3_000.0, 4, amid=True)
    void = liars(honest, bench, 10_000.0, 4, amid=False, taken=tuple(amid.claim_m))
    for lying, metres, is_amid in ((amid, 3_000.0, True), (void, 10_000.0, False)):
        off = np.hypot(*(lying.true_m - lying.claim_m).T)
        assert np.all(np.abs(off - metres) < 250)
        for claim in lying.claim_m:
            near = int((np.hypot(*(honest.claim_m - claim).T) <= 1_000).sum())
            assert (near >= 5) == is_amid


def test_more_power_is_heard_by_more_and_fades_alike(honest, bench):
    lying = liars(honest, bench, 3_000.0, 2, amid=True)
    quiet, loud = (lie_world(honest, lying, bench, power) for power in (0.0, 12.0))
    for row in quiet.groups["liars"]:
        weak, strong = quiet.case.air.heard[row], loud.case.air.heard[row]
        assert strong.sum() > weak.sum()
        assert not (weak & ~strong).any()


def test_a_liar_reports_no_beacon_that_he_did_not_hear(honest, bench):
    lying = liars(honest, bench, 3_000.0, 2, amid=True)
    world = lie_world(honest, lying, bench, 0.0)
    truth = day_of(world.case.keys, bench.setting, SEED, "lies")
    for row in world.groups["liars"]:
        assert not (world.case.air.heard[:, row] & ~truth.heard[:, row]).any()
        assert not np.array_equal(world.case.air.rssi_cdbm[:, row], truth.rssi_cdbm[:, row])


def test_pair_and_ring_hear_only_themselves_and_earn_nothing(honest, bench):
    world = far_world(honest, bench, 6)
    coverage, _ = judge(world.case, bench)
    stations = by_device(coverage)
    paid = pay(world.case, verifiable(world.case, coverage, bench), bench, coverage.co_located)
    for group, others in (("pair", 1), ("ring", 9)):
        for row in world.groups[group]:
            name = world.case.keys.names[row]
            links = [one for one in coverage.links if one.beaconer == name and one.heard]
            assert len(links) == others
            assert {one.verdict for one in links} == {Verdict.NO_ANCHOR_PATH}
            assert stations[name].station_class is StationClass.UNPROVEN
            assert paid[name].coverage == 0
    assert len(world.groups["empty"]) == 6
    for row in world.groups["empty"]:
        assert stations[world.case.keys.names[row]].hops is None


def test_attackers_in_town_are_who_they_say(honest, bench):
    world = mixed_world(honest, bench)
    keys, air = world.case.keys, world.case.air
    assert [len(rows) for rows in world.groups.values()] == [10, 1, 1, 1, 1]
    bench_rows = list(world.groups["bench_in_town"])
    assert np.ptp(keys.true_m[bench_rows], axis=0).max() < 10
    assert np.ptp(keys.claim_m[bench_rows], axis=0).max() > 500
    (ghost,) = world.groups["ghost"]
    assert int(air.heard[ghost].any(axis=1).sum()) <= 3
    (replayer,) = world.groups["replay"]
    rows = [
        one for one in judged_rows(world.case, bench) if one.row.witness == keys.names[replayer]
    ]
    assert rows
    assert {one.verdict for one in rows} == {Verdict.UNKNOWN_TAG}
    (clone,) = world.groups["clone"]
    once = day_of(keys, bench.setting, SEED, "mixed")
    assert air.heard[clone].sum() > once.heard[clone].sum()


def test_harm_touches_its_victims_alone(honest, bench, case):
    world = harm_world(honest, bench)
    victims = {row for rows in world.groups.values() for row in rows}
    assert len(victims) == sum(len(rows) for rows in world.groups.values())
    for row in range(STATIONS):
        same = np.array_equal(world.case.air.heard[row], case.air.heard[row]) and np.array_equal(
            world.case.air.rssi_cdbm[row], case.air.rssi_cdbm[row]
        )
        assert same or row in victims
    for harm in ("grief_loud", "grief_faint", "grief_silent"):
        for row in world.groups[harm]:
            changed = (world.case.air.heard[row] != case.air.heard[row]) | (
                world.case.air.rssi_cdbm[row] != case.air.rssi_cdbm[row]
            )
            assert int(changed.any(axis=1).sum()) == 1


def test_an_edited_day_leaves_the_first_as_it_was(case):
    other = copy_air(case.air)
    other.heard[:] = False
    assert case.air.heard.any()
