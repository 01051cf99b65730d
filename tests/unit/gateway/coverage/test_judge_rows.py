"""Judged rows through links to a day: spec/coverage.md sections 5 to 10."""

from gateway.core.coverage.evidence import hour_of
from gateway.core.coverage.judge import judge_coverage
from gateway.core.epoch_inputs import Finding
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import (
    RULES,
    SPHERE,
    TABLES,
    city,
    heard,
    link,
    sent_of,
)


def test_a_beacon_counts_as_heard_over_lora_alone():
    members = city()
    beaconer, others = members[2], [*members[:2], *members[3:]]
    sent = sent_of(beaconer.device)
    lora = [heard(w.device, sent[0], -link(beaconer, w).excess_cdb) for w in others]
    near = [heard(others[0].device, sent[1]), heard(others[0].device, sent[2])]
    near = [one._replace(row=one.row._replace(radio=1)) for one in near]
    coverage = judge_coverage(
        members,
        {beaconer.device: sent},
        [*lora, *near],
        {},
        frozenset(),
        SPHERE.distance_m,
        RULES,
        TABLES,
    )
    one = next(one for one in coverage.stations if one.device == beaconer.device)
    assert one.heard == 1
    assert one.u_ppm == 500_000 // len(sent)


def test_rows_become_a_day():
    members = city()
    sent = {one.device: sent_of(one.device) for one in members}
    rows = [
        heard(w.device, beacon, -link(b, w).excess_cdb)
        for b in members
        for w in members
        if b is not w
        for beacon in sent[b.device]
    ]
    wrong = heard(members[2].device, sent[members[3].device][0])
    wrong = wrong._replace(
        verdict=Verdict.WRONG_DELAY, row=wrong.row._replace(message_id=b"\x07" * 32)
    )
    coverage = judge_coverage(
        members,
        sent,
        [*rows, wrong],
        {one.device: 0xFFFFFF for one in members},
        frozenset(),
        SPHERE.distance_m,
        RULES,
        TABLES,
    )
    for one in coverage.stations:
        assert one.station_class is StationClass.WITNESSED
        assert one.expected == one.heard == len(sent[one.device])
        hours = {hour_of(h.row.slot) for h in rows if h.row.witness == one.device}
        assert one.listening_hours == len(hours) > 20
        assert one.u_ppm == 500_000 + 500_000 * len(hours) // 24
    (finding,) = next(one.findings for one in coverage.stations if one.device == members[2].device)
    assert finding == Finding(Verdict.WRONG_DELAY, 1, (b"\x07" * 32,))
