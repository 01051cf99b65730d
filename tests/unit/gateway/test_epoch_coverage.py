"""A day with radios through the whole close: who is proven, who is paid, what an audit sees."""

import random
from dataclasses import replace

import h3
import pytest

from gateway.core.audit import audit_bundle
from gateway.core.coverage.table import decode_coverage
from gateway.core.epoch import close_epoch
from gateway.core.manifest import decode_manifest
from gateway.core.operator import OperatorKind
from gateway.core.registry import cell_centre
from gateway.core.slots import StationClass
from gateway.core.state import decode_state
from gateway.core.verdicts import Verdict
from tests.unit.gateway.air_kit import Air
from tests.unit.gateway.epoch_kit import DAY, HOUR_MS, START_MS, row_of

CENTRE = (47.37, 8.54)
STEP = 0.011  # degrees of latitude, about 1,200 m


def cell_at(north, east):
    return int(h3.latlng_to_cell(CENTRE[0] + STEP * north, CENTRE[1] + 1.5 * STEP * east, 9), 16)


def owner(index):
    return bytes([index + 1]) * 20


def town(net, count=9):
    """count stations on a grid, the first three audited, each with an owner of its own."""
    boards = []
    for index in range(count):
        board = net.station(
            f"board {index}",
            anchored=index < 3,
            owner=owner(index),
            cell=cell_at(index // 3, index % 3),
        )
        net.send(board.day())
        boards.append(board)
    return boards


@pytest.fixture(scope="module")
def honest():
    net = Air()
    boards = town(net)
    net.radio_day(boards)
    inputs, outcome = net.close_with_inputs()
    return boards, inputs, outcome


def test_who_is_heard_by_independent_stations_is_proven_and_paid_for_coverage(honest):
    boards, _, outcome = honest
    for board in boards:
        row = row_of(outcome, board)
        assert (row.station_class, row.v_ppm) == (StationClass.WITNESSED, 1_000_000)
        assert row.coverage_u_ppm > 900_000
        assert 0 < row.coverage_paid < row.paid
        proven_by_radio = board not in boards[:3]
        assert (row.proof_epoch == DAY) is proven_by_radio
    totals = outcome.totals
    assert totals.coverage_paid == sum(row.coverage_paid for row in outcome.stations)
    assert totals.paid == sum(row.paid for row in outcome.stations)
    assert totals.coverage_offered == totals.offered * 300_000 // 1_000_000
    assert totals.coverage_paid <= totals.coverage_offered


def test_the_table_names_every_link_and_its_manifest_names_the_table(honest):
    boards, _, outcome = honest
    coverage = decode_coverage(outcome.coverage)
    assert [one.device for one in coverage.stations] == sorted(board.kid for board in boards)
    heard = [link for link in coverage.links if link.heard]
    assert len(heard) > 50
    assert all(link.verdict is Verdict.HEARD for link in heard)
    assert decode_manifest(outcome.manifest).entropy != decode_manifest(outcome.manifest).coverage


def test_order_changes_nothing(honest):
    _, inputs, outcome = honest
    shuffled = list(inputs.messages.items())
    random.Random(3).shuffle(shuffled)
    again = close_epoch(replace(inputs, messages=dict(shuffled)))
    assert again.manifest == outcome.manifest


def test_an_audit_reproduces_all_of_it_and_names_a_changed_table():
    net = Air()
    net.radio_day(town(net))
    sections = net.bundle()
    report = audit_bundle(sections)
    assert report.ok, report.checks
    other = bytearray(sections["coverage"])
    other[-1] ^= 1
    changed = audit_bundle({**sections, "coverage": bytes(other)})
    assert [check.name for check in changed.checks if not check.ok] == ["coverage table"]
    without = audit_bundle({**sections, "entropy": b""})
    assert "manifest" in [check.name for check in without.checks if not check.ok]


def test_a_station_that_stands_elsewhere_is_found_out_and_costs_its_witnesses_nothing(honest):
    boards, _, before = honest
    net = Air()
    mine = town(net)
    liar = mine[8]
    elsewhere = cell_centre(cell_at(-9, -2))
    net.radio_day(mine, places={liar.kid: elsewhere})
    outcome = net.close()
    row = row_of(outcome, liar)
    assert Verdict.PLACE_IMPLAUSIBLE in {finding.verdict for finding in row.findings}
    assert (row.station_class, row.v_ppm) == (StationClass.UNPROVEN, 20_000)
    assert row.coverage_paid == 0
    for board, other in zip(mine[:8], boards[:8], strict=True):
        ours, theirs = row_of(outcome, board), row_of(before, other)
        assert ours.v_ppm == theirs.v_ppm
        assert ours.coverage_u_ppm >= theirs.coverage_u_ppm * 95 // 100


def test_without_an_anchor_nobody_proves_anybody():
    net = Air()
    ring = [
        net.station(f"ring {k}", owner=owner(k), cell=cell_at(k // 3, k % 3)) for k in range(9)
    ]
    for board in ring:
        net.send(board.day())
    net.radio_day(ring)
    outcome = net.close()
    assert {row.station_class for row in outcome.stations} == {StationClass.UNPROVEN}
    assert {row.coverage_paid for row in outcome.stations} == {0}


def test_void_slots_count_for_nobody(honest):
    boards, _, before = honest
    net = Air()
    mine = town(net)
    first = DAY * 1_440
    net.event(OperatorKind.VOID_SLOT, START_MS + 20 * HOUR_MS, [[first + 60, first + 1_199]])
    net.radio_day(mine)
    after = {one.device: one for one in decode_coverage(net.close().coverage).stations}
    full = {one.device: one for one in decode_coverage(before.coverage).stations}
    # 300 of the day's 1,440 slots are left.
    left, all_day = (sum(one.expected for one in day.values()) for day in (after, full))
    assert 10 * left < 4 * all_day > 40 * len(boards)


def test_a_proof_outlives_a_day_without_radio(honest):
    _, _, _ = honest
    net = Air()
    boards = town(net, 6)
    net.radio_day(boards)
    net.close()
    net.entropy = b""
    for board in boards:
        net.send(board.day(DAY + 1))
    outcome = net.close()
    row = row_of(outcome, boards[5])
    assert (row.station_class, row.proof_epoch, row.coverage_paid) == (
        StationClass.WITNESSED,
        DAY,
        0,
    )
    [station] = [
        one for one in decode_state(outcome.closing).stations.values() if one.device == row.device
    ]
    assert station.proof_epoch == DAY
