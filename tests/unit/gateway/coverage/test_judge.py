"""Whole days judged: honest meshes, rings, lone pairs, griefers. spec/coverage.md 6 to 10."""

from dataclasses import replace

import pytest

from gateway.core.coverage.judge import Extras, judge_links
from gateway.core.epoch_inputs import Finding
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import (
    PPM,
    RULES,
    TABLES,
    city,
    device_of,
    findings_of,
    link,
    member,
    mesh,
    slots_of,
)

WITNESSED = RULES.verifiability.witnessed_ppm
UNPROVEN = RULES.verifiability.unproven_ppm


def judged(members, links, *, unrevealed=(), hours=24, expected=10, extras=None):
    coverage = judge_links(
        members,
        links,
        {one.device: expected for one in members},
        slots_of(links),
        {one.device: hours for one in members},
        frozenset(unrevealed),
        RULES,
        TABLES,
        **({"extras": extras} if extras else {}),
    )
    return coverage, {station.device: station for station in coverage.stations}


def station_of(stations, label):
    return stations[device_of(label)]


def test_an_honest_city_is_witnessed_and_fully_useful():
    members = city()
    coverage, stations = judged(members, mesh(*members))
    assert [one.device for one in coverage.stations] == sorted(stations)
    for one in coverage.stations:
        assert one.station_class is StationClass.WITNESSED
        assert (one.v_ppm, one.u_ppm) == (WITNESSED, PPM)
        assert (one.expected, one.heard, one.listening_hours) == (10, 10, 24)
        assert one.place.verdict is Verdict.PLACE_PLAUSIBLE
        assert one.near_proof
        assert one.findings == ()
    assert {stations[m.device].hops for m in members} == {0, 1}
    between_anchors = {(device_of("anchor 0"), device_of("anchor 1"))}
    for one in coverage.links:
        same = {(one.beaconer, one.witness), (one.witness, one.beaconer)} & between_anchors
        assert one.verdict is (Verdict.SAME_OWNER if same else Verdict.HEARD)
        assert one.weight_ppm == (0 if same else PPM)


def test_witnesses_are_owners_and_not_keys():
    members = city()
    _, stations = judged(members, mesh(*members))
    # Seven others; the two anchors are of one owner.
    assert station_of(stations, "s0").witnesses == 7
    assert station_of(stations, "s0").witness_ppm == 7 * PPM
    assert station_of(stations, "anchor 0").witnesses == 7


@pytest.mark.parametrize("heard_by, full", [(2, False), (3, True)])
def test_full_verifiability_takes_three_owners_with_a_path(heard_by, full):
    members = city()
    links = mesh(*members)
    witnesses = ["anchor 0", "s1", "s2"][:heard_by]
    kept = {device_of(label) for label in witnesses}
    links = [one for one in links if one.beaconer != device_of("s0") or one.witness in kept]
    _, stations = judged(members, links)
    one = station_of(stations, "s0")
    assert (one.witnesses, one.witness_ppm) == (heard_by, heard_by * PPM)
    # Its path is longer by one: the anchors' owner is one voice, s1 the second.
    assert one.hops == 2
    assert (one.v_ppm == WITNESSED) is full
    assert (one.station_class is StationClass.WITNESSED) is full
    assert one.near_proof
    assert findings_of(one).get(Verdict.FEW_WITNESSES) == (None if full else 2)


def test_three_witnesses_behind_one_connection_are_not_enough():
    members = city()
    tags = members[0].net_tags
    by_label = {"anchor 0", "s1", "s2"}
    kept = {device_of(label) for label in by_label}
    members = [one._replace(net_tags=tags) for one in members]
    links = [
        one for one in mesh(*members) if one.beaconer != device_of("s0") or one.witness in kept
    ]
    _, stations = judged(members, links)
    assert station_of(stations, "s0").witness_ppm == 1_500_000
    assert station_of(stations, "s0").v_ppm == UNPROVEN


def test_usefulness_is_beacons_heard_and_hours_listened():
    members = city()
    _, stations = judged(members, mesh(*members), hours=7, expected=30)
    # 500,000 * 10 // 30 + 500,000 * 7 // 24.
    assert station_of(stations, "s3").u_ppm == 166_666 + 145_833


def test_more_beacons_heard_than_were_due_are_no_more_than_all():
    members = city()
    _, stations = judged(members, mesh(*members), expected=9)
    assert station_of(stations, "s3").heard == 9
    assert station_of(stations, "s3").u_ppm == PPM


def test_a_late_commit_earns_its_share_of_the_beacon_part():
    members = city()
    extras = Extras(share_ppm={device_of("s3"): 250_000})
    _, stations = judged(members, mesh(*members), extras=extras)
    assert station_of(stations, "s3").u_ppm == 125_000 + 500_000
    assert station_of(stations, "s4").u_ppm == PPM


def test_the_unrevealed_keep_their_listening_part_alone():
    members = city()
    _, stations = judged(members, mesh(*members), unrevealed=[device_of("s3")])
    one = station_of(stations, "s3")
    assert one.unrevealed
    assert one.u_ppm == 500_000
    assert not station_of(stations, "s4").unrevealed


def test_a_coarse_cell_stays_unproven_and_is_not_placed():
    members = [one._replace(fine=one.device != device_of("s3")) for one in city()]
    coverage, stations = judged(members, mesh(*members))
    one = station_of(stations, "s3")
    assert (one.v_ppm, one.u_ppm, one.hops, one.place) == (UNPROVEN, 0, None, None)
    assert not one.near_proof
    verdicts = {one.verdict for one in coverage.links if one.witness == device_of("s3")}
    assert verdicts == {Verdict.NO_WITNESS_DUTY}


def test_a_battery_station_is_witnessed_and_witnesses_nobody():
    members = [one._replace(mains=one.device != device_of("s3")) for one in city()]
    _, stations = judged(members, mesh(*members))
    assert station_of(stations, "s3").v_ppm == WITNESSED
    assert station_of(stations, "s0").witnesses == 6


def two_cities():
    """Two cities 14 km apart; all stations hear the beacons of their own city."""
    north = [
        one._replace(
            device=device_of(f"north {k}"),
            owner=b"n%019d" % k,
            net_tags=frozenset({b"n%07d" % k}),
            centre=(one.centre[0] + 14 * 8_993, one.centre[1]),
        )
        for k, one in enumerate(city())
    ]
    return city(), north


def test_a_lie_of_14_km_is_implausible_and_loses_everything():
    south, north = two_cities()
    links = [*mesh(*south), *mesh(*north)]
    liar = device_of("s3")
    # It says that it stands in the northern city, where everybody listens and nobody hears it.
    members = [
        one._replace(centre=(one.centre[0] + 14 * 8_993, one.centre[1]))
        if one.device == liar
        else one
        for one in south
    ]
    silences = [link(south[5], one, heard=0, silent=10, excess_cdb=0) for one in north]
    assert south[5].device == liar
    coverage, stations = judged([*members, *north], [*links, *silences])
    one = stations[liar]
    assert one.place.verdict is Verdict.PLACE_IMPLAUSIBLE
    assert one.place.best_m > 9_000
    assert (one.v_ppm, one.u_ppm, one.hops, one.near_proof) == (UNPROVEN, 0, None, False)
    assert Verdict.PLACE_IMPLAUSIBLE in findings_of(one)
    # It is nobody's witness any more, and its links say so.
    assert station_of(stations, "s0").witnesses == 6
    of_liar = {link.verdict for link in coverage.links if link.witness == liar}
    assert of_liar == {Verdict.NO_ANCHOR_PATH}
    honest = [one for one in stations.values() if one.device != liar]
    assert {one.v_ppm for one in honest} == {WITNESSED}


def test_one_lying_witness_costs_its_victim_nothing():
    members = city()
    honest = mesh(*members)
    lies = [
        one._replace(excess_cdb=one.excess_cdb - 4_000)
        if (one.beaconer, one.witness) == (device_of("s0"), device_of("s6"))
        else one
        for one in honest
    ]
    _, before = judged(members, honest)
    _, after = judged(members, lies)
    one = station_of(after, "s0")
    assert one.place.verdict in {Verdict.PLACE_PLAUSIBLE, Verdict.PLACE_REVIEW}
    assert (one.v_ppm, one.u_ppm) == (WITNESSED, PPM)
    assert one.place.max_z_milli > station_of(before, "s0").place.max_z_milli


def ring(size=10, north_km=1.0):
    return [member(f"ring {k}", north_km=north_km, east_km=k * 0.6) for k in range(size)]


@pytest.mark.parametrize("size", [2, 10])
def test_a_ring_that_praises_itself_earns_nothing(size):
    liars = ring(size)
    coverage, stations = judged(liars, mesh(*liars))
    for one in stations.values():
        assert (one.v_ppm, one.u_ppm, one.hops, one.heard) == (UNPROVEN, 0, None, 0)
        assert not one.near_proof
        assert findings_of(one)[Verdict.NO_ANCHOR_PATH] == size - 1
    assert {one.verdict for one in coverage.links} == {Verdict.NO_ANCHOR_PATH}


def test_a_ring_that_claims_to_hear_a_city_changes_nothing_in_it():
    members, liars = city(), ring()
    honest = mesh(*members)
    # The ring's reports: it hears itself, and everybody as loud as one bench.
    lies = [link(a, b, excess_cdb=-4_000) for a in members for b in liars]
    _, before = judged(members, honest)
    _, after = judged([*members, *liars], [*honest, *mesh(*liars), *lies])
    for one in members:
        assert after[one.device] == before[one.device]
    assert {after[one.device].u_ppm for one in liars} == {0}


def test_strangers_can_only_ask_for_a_review():
    far = member("far", north_km=2)
    liars = ring(6)
    # All report a lone anchor's beacons at levels that no place can explain.
    links = [
        link(far, one, excess_cdb=-9_000 if k % 2 else -16_000) for k, one in enumerate(liars)
    ]
    anchor = far._replace(anchored=True)
    _, stations = judged([anchor, *liars], links)
    place = stations[far.device].place
    limits = RULES.place
    assert (
        place.second_z_milli > limits.second_z_limit_milli
        or place.odds_milli > limits.odds_limit_milli
    )
    assert place.verdict is Verdict.PLACE_REVIEW
    assert stations[far.device].hops == 0


def test_two_stations_of_one_owner_are_one_voice_on_a_place():
    members = city()
    owned = {device_of("s5"), device_of("s6")}
    members = [one._replace(owner=b"x" * 20) if one.device in owned else one for one in members]
    _, stations = judged(members, mesh(*members))
    witnesses = {witness for witness, _ in station_of(stations, "s0").place.zs_milli}
    assert len(owned & witnesses) == 1
    # Each anchor was audited itself: both are asked.
    assert {device_of("anchor 0"), device_of("anchor 1")} <= witnesses


def test_one_witness_with_a_path_makes_near_proof_and_no_path():
    members = [*city(), member("edge", north_km=9)]
    links = [*mesh(*members[:-1]), link(members[-1], members[2])]
    _, stations = judged(members, links)
    one = station_of(stations, "edge")
    assert (one.hops, one.v_ppm, one.u_ppm) == (None, UNPROVEN, 0)
    assert one.near_proof
    assert one.witnesses == 1
    assert one.place.verdict is Verdict.PLACE_UNPROVEN


def test_a_station_that_nobody_heard():
    members = [*city(), member("deaf", north_km=60)]
    _, stations = judged(members, mesh(*members[:-1]))
    one = station_of(stations, "deaf")
    assert one.place is None
    assert findings_of(one) == {Verdict.NOT_HEARD: 10}


def test_given_findings_are_merged_in_order():
    members = [*city(), member("deaf", north_km=60)]
    given = [Finding(Verdict.LATE_COMMIT, 1, ()), Finding(Verdict.UNKNOWN_TAG, 3, ())]
    extras = Extras(findings={device_of("deaf"): given})
    _, stations = judged(members, mesh(*members[:-1]), extras=extras)
    assert list(findings_of(station_of(stations, "deaf"))) == [
        Verdict.UNKNOWN_TAG,
        Verdict.LATE_COMMIT,
        Verdict.NOT_HEARD,
    ]


PAIR = [member("one"), member("two", north_km=5)]


@pytest.mark.parametrize(
    "changes, pairs",
    [
        ({"excess_cdb": -6_000}, 1),
        ({"excess_cdb": -6_001}, 0),
        ({"excess_cdb": -3_000, "verdict": Verdict.BEYOND_FREE_SPACE, "heard": 0}, 1),
        ({"radio": 1, "excess_cdb": -8_800}, 1),
        ({"radio": 1, "excess_cdb": -8_801}, 0),
        ({"radio": 2, "excess_cdb": -8_800}, 1),
        ({"radio": 1, "excess_cdb": 0, "heard": 0, "silent": 9}, 0),
        ({"excess_cdb": 0, "heard": 0, "silent": 9}, 0),
    ],
)
def test_two_boards_that_hear_each_other_at_no_loss_stand_side_by_side(changes, pairs):
    one, two = PAIR
    both = [link(one, two, **changes), link(two, one, **changes)]
    coverage, stations = judged(PAIR, both)
    smaller, larger = sorted(member.device for member in PAIR)
    assert coverage.co_located == (frozenset({(smaller, larger)}) if pairs else frozenset())
    counts = {findings_of(station).get(Verdict.CO_LOCATED, 0) for station in stations.values()}
    assert counts == {pairs}
    # One alone cannot say so of another.
    assert judged(PAIR, both[:1])[0].co_located == frozenset()


def test_short_range_links_prove_no_coverage():
    members = city()
    links = [one._replace(radio=1) for one in mesh(*members)]
    _, stations = judged(members, links)
    assert {one.u_ppm for one in stations.values() if one.hops != 0} == {0}
    assert all(one.place is None for one in stations.values())


def test_three_witnesses_at_the_end_of_all_paths_are_not_enough():
    members = city()
    kept = {device_of(label) for label in ("s1", "s2", "s4")}
    links = [
        one for one in mesh(*members) if one.beaconer != device_of("s0") or one.witness in kept
    ]
    short = replace(RULES, coverage=replace(RULES.coverage, hops_max=1))
    for rules, v_ppm in ((RULES, WITNESSED), (short, UNPROVEN)):
        coverage = judge_links(members, links, {}, {}, {}, frozenset(), rules, TABLES)
        one = next(one for one in coverage.stations if one.device == device_of("s0"))
        assert one.witness_ppm == 3 * PPM
        assert one.v_ppm == v_ppm


def test_limits_come_from_the_rules():
    members = city()
    coverage = replace(RULES.coverage, witnesses_full=8)
    stations = judge_links(
        members, mesh(*members), {}, {}, {}, frozenset(), replace(RULES, coverage=coverage), TABLES
    ).stations
    assert {one.v_ppm for one in stations} == {UNPROVEN}
