import pytest

from gateway.core.coverage.evidence import hour_of
from gateway.core.coverage.links import SILENT_REACH_M, Distances, build_links
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import RULES, SPHERE, heard, member, sent_of

BEACONER, WITNESS = member("beaconer"), member("witness", north_km=2)
SENT = sent_of(BEACONER.device)
ALL_DAY = 0xFFFFFF


def links_of(rows, *members, proven=None, place=RULES.place, sent=SENT):
    by_device = {one.device: one for one in members or (BEACONER, WITNESS)}
    return build_links(
        by_device,
        {BEACONER.device: sent},
        rows,
        proven=proven or {},
        distances=Distances(by_device, SPHERE.distance_m),
        rules=place,
    )


def test_a_link_sums_up_its_rows():
    rows = [heard(WITNESS.device, SENT[0], 11_000), heard(WITNESS.device, SENT[1], 11_001)]
    (link,) = links_of(rows)
    assert link[:5] == (BEACONER.device, WITNESS.device, 0, 2, 0)
    # The floor of -11,000.5.
    assert link.excess_cdb == -11_001
    assert link.distance_m == SPHERE.distance_m(BEACONER.centre, WITNESS.centre)
    assert (link.verdict, link.weight_ppm) == (Verdict.HEARD, 0)


def test_refused_rows_are_neither_heard_nor_silent():
    refused = [
        heard(WITNESS.device, one)._replace(verdict=Verdict.WRONG_DELAY) for one in SENT[1:]
    ]
    rows = [heard(WITNESS.device, SENT[0]), *refused]
    (link,) = links_of(rows, proven={WITNESS.device: ALL_DAY})
    assert (link.heard, link.silent) == (1, 0)
    assert links_of(refused, proven={WITNESS.device: ALL_DAY}) == []


def test_few_beacons_in_the_provable_hours_are_no_silence():
    hours = {hour_of(one.slot) for one in SENT}
    for bits in (1 << hour for hour in hours):
        few = sum(bits >> hour_of(one.slot) & 1 for one in SENT)
        assert few < RULES.place.silent_min
        assert links_of([], proven={WITNESS.device: bits}) == []


def test_silence_is_counted_in_provable_hours_alone():
    hours = {hour_of(one.slot) for one in SENT[1:4]}
    bits = sum(1 << hour for hour in hours)
    silent = sum(hour_of(one.slot) in hours for one in SENT[1:])
    (link,) = links_of([heard(WITNESS.device, SENT[0])], proven={WITNESS.device: bits})
    assert (link.heard, link.silent) == (1, silent)
    assert silent < len(SENT) - 1


def test_as_many_impossible_rows_as_others_make_an_impossible_link():
    good = [heard(WITNESS.device, one, 11_000) for one in SENT[:2]]
    loud = [
        heard(WITNESS.device, one, 3_000)._replace(verdict=Verdict.BEYOND_FREE_SPACE)
        for one in SENT[2:4]
    ]
    (link,) = links_of([*good, *loud])
    assert (link.verdict, link.heard, link.excess_cdb) == (Verdict.BEYOND_FREE_SPACE, 2, -7_000)
    (link,) = links_of([*good, loud[0]])
    assert (link.verdict, link.heard, link.excess_cdb) == (Verdict.HEARD, 2, -11_000)


def test_every_radio_has_its_own_link():
    over_espnow = heard(WITNESS.device, SENT[0], 5_000)
    over_espnow = over_espnow._replace(row=over_espnow.row._replace(radio=1))
    links = links_of([heard(WITNESS.device, SENT[0]), over_espnow])
    assert [(one.radio, one.excess_cdb) for one in links] == [(0, -11_000), (1, -5_000)]


def test_a_listening_station_that_reported_nothing_is_a_silent_link():
    (link,) = links_of([], proven={WITNESS.device: ALL_DAY})
    assert (link.verdict, link.heard, link.silent) == (Verdict.SILENT, 0, len(SENT))
    assert link.excess_cdb == 0


@pytest.mark.parametrize("beacons, links", [(3, 0), (4, 1)])
def test_few_unheard_beacons_are_no_silence(beacons, links):
    found = links_of([], proven={WITNESS.device: ALL_DAY}, sent=SENT[:beacons])
    assert len(found) == links


@pytest.mark.parametrize("changes", [{"mains": False}, {"fine": False}])
def test_the_silence_of_a_station_without_witness_duty_says_nothing(changes):
    changed = WITNESS._replace(**changes)
    assert links_of([], BEACONER, changed, proven={WITNESS.device: ALL_DAY}) == []


def test_silence_ends_at_its_reach():
    kilometres = SILENT_REACH_M / 1000
    near, far = (
        member("near", north_km=kilometres - 0.1),
        member("far", north_km=-kilometres - 0.1),
    )
    east = member("east", east_km=-kilometres + 0.1)
    aside = member("aside", north_km=1, east_km=kilometres + 0.1)
    proven = dict.fromkeys((one.device for one in (near, far, east, aside)), ALL_DAY)
    links = links_of([], BEACONER, near, far, east, aside, proven=proven)
    assert {link.witness for link in links} == {near.device, east.device}
    assert max(link.distance_m for link in links) <= SILENT_REACH_M


def test_of_many_silent_stations_the_nearest_are_kept():
    many = [member(f"silent {k}", north_km=(1 + k / 10) * (-1) ** k) for k in range(60)]
    links = links_of([], BEACONER, *many, proven={one.device: ALL_DAY for one in many})
    assert {link.witness for link in links} == {
        one.device for one in many[: RULES.place.observations_max]
    }


def test_strangers_and_a_station_s_own_rows_make_no_link():
    rows = [heard(WITNESS.device, SENT[0]), heard(BEACONER.device, SENT[0])]
    assert links_of(rows, BEACONER) == []
    assert links_of(rows, WITNESS) == []
    proven = {BEACONER.device: ALL_DAY, bytes(16): ALL_DAY}
    assert links_of([], proven=proven) == []
