"""Messages of an epoch: forks, holes, quarantine, clocks, and readings that earn less."""

import pytest

from gateway.core.genesis import DAY_MS
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.state import decode_state
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import (
    DAY,
    END_MS,
    HOUR_MS,
    HUMIDITY,
    MINUTE_MS,
    START_MS,
    Net,
    day_row,
    findings_of,
    row_of,
)


@pytest.fixture
def net():
    return Net()


def test_quarantined_readings_are_unpaid_until_an_appeal(net):
    board = net.station()
    pairs = board.day()
    net.send(pairs)
    net.event(OperatorKind.QUARANTINE, START_MS, [board.kid, 3, 74, "bench"])
    row = row_of(net.close(), board)
    assert findings_of(row) == {Verdict.QUARANTINED: 72}
    assert row.quality_ppm == 500_000
    (penalty,) = row.quantities[0].penalties
    assert (penalty.verdict, penalty.windows) == (Verdict.QUARANTINED, 72)


def test_an_appeal_lifts_exactly_its_range(net):
    board = net.station()
    net.event(OperatorKind.QUARANTINE, START_MS, [board.kid, 3, 74, "bench"])
    net.event(OperatorKind.QUARANTINE, START_MS, [board.kid, 3, 14, "bench"])
    net.event(OperatorKind.APPEAL, START_MS, [board.kid, 3, 74, 1])
    assert findings_of(day_row(net, board)) == {Verdict.QUARANTINED: 12}


def test_readings_at_a_forked_seq_are_unpaid(net):
    board = net.station()
    pairs = board.day()
    net.send(pairs)
    twin = board.reading(START_MS + HOUR_MS, 1_700, seq=5, prev=b"p" * 16)
    net.admit(twin, START_MS + HOUR_MS, net_tag=b"elsewher")
    row = row_of(net.close(), board)
    assert findings_of(row) == {Verdict.FORKED: 2}
    assert {p.verdict for p in row.quantities[0].penalties} == {Verdict.FORKED}
    assert row.quality_ppm == 143 * 1_000_000 // 144


def test_a_fork_with_an_earlier_epoch_is_found(net):
    board = net.station()
    day_row(net, board)
    net.admit(board.reading(END_MS + 5, 1_700, seq=5, prev=b"p" * 16), END_MS + 6)
    assert findings_of(row_of(net.close(), board)) == {Verdict.FORKED: 1}


def test_a_key_that_sends_from_two_networks_is_a_clone(net):
    board = net.station()
    for prev, tag in ((b"p" * 16, b"network1"), (b"q" * 16, b"network2")):
        net.admit(board.reading(START_MS + 60, 1_500, seq=3, prev=prev), START_MS + 61, tag)
    findings = findings_of(row_of(net.close(), board))
    assert findings == {Verdict.FORKED: 2, Verdict.CLONE: 1}


def test_holes_are_found_and_closed_by_gaps(net):
    board = net.station()
    board.seq += 5
    net.admit(board.reading(START_MS + HOUR_MS, 1500), START_MS + HOUR_MS)
    assert findings_of(row_of(net.close(), board)) == {Verdict.HOLE: 5}
    net.admit(board.make(Kind.GAP, [3, 7, 5, 1], END_MS), END_MS)
    assert findings_of(row_of(net.close(), board)) == {}


def test_what_waits_for_tomorrow_is_no_hole_in_today(net):
    board = net.station()
    time_ms = START_MS + 23 * HOUR_MS
    net.admit(board.make(Kind.COMMIT, [DAY + 1, bytes(32)], time_ms), time_ms + 1)
    board.seq += 3
    net.admit(board.reading(time_ms + 2, 1500), time_ms + 3)
    # What the outbox dropped in the evening is said after midnight, hours before the close.
    net.admit(board.make(Kind.GAP, [4, 6, 3, 1], END_MS + 1), END_MS + 2)
    assert findings_of(row_of(net.close(), board)) == {}
    assert findings_of(row_of(net.close(), board)) == {}
    assert decode_state(net.opening).delivered[board.kid] == (((1, 3), (7, 8)), ((4, 6),))


def test_a_fork_with_a_message_that_waits_is_unpaid_on_both_days(net):
    board = net.station()
    net.send(board.day()[:1])
    twin = board.reading(END_MS + 5, 1_700, seq=3, prev=b"p" * 16)
    net.admit(twin, END_MS + 6)
    assert findings_of(row_of(net.close(), board)) == {Verdict.FORKED: 2}
    assert findings_of(row_of(net.close(), board)) == {Verdict.FORKED: 1}


def test_what_was_finally_refused_is_delivered_and_in_no_root(net):
    board = net.station()
    refused = board.make(Kind.READINGS, [], START_MS + 5)
    net.admit(refused, START_MS + 6)
    outcome = net.close()
    assert len(outcome.listed) == 2
    assert findings_of(row_of(outcome, board)) == {}
    assert decode_state(outcome.closing).delivered[board.kid].by_message == ((1, 3),)


def test_unmapped_messages_are_listed_unpaid_where_they_arrived(net):
    board = net.station()
    message_id = net.admit(board.reading(1_000, 1500, source=0), START_MS + HOUR_MS)
    outcome = net.close()
    assert message_id in outcome.listed
    row = row_of(outcome, board)
    assert findings_of(row) == {Verdict.UNMAPPED: 1}
    assert row.reason is Verdict.NO_READINGS


def test_a_clock_message_before_the_close_maps_the_day(net):
    board = net.station()
    for k in range(144):
        data = board.reading(k * 600_000 + 300_000, 1500 + k % 50, source=0)
        net.admit(data, START_MS + k * 600_000 + 301_000)
    net.admit(board.clock(END_MS + HOUR_MS, 1, START_MS), END_MS + HOUR_MS)
    assert row_of(net.close(), board).quality_ppm == 1_000_000


def test_a_clock_that_came_in_an_earlier_epoch_still_maps(net):
    board = net.station()
    net.admit(board.clock(START_MS, 1, START_MS), START_MS)
    net.close()
    net.admit(board.reading(DAY_MS + HOUR_MS, 1500, source=0), END_MS + HOUR_MS + 1)
    assert findings_of(row_of(net.close(), board)) == {}


def test_a_board_ahead_of_its_time_is_unpaid(net):
    board = net.station()
    net.admit(board.reading(START_MS + HOUR_MS, 1500), START_MS + HOUR_MS - 120_001)
    row = row_of(net.close(), board)
    assert findings_of(row) == {Verdict.FUTURE: 1}
    assert row.reason is Verdict.NO_READINGS


def test_samples_of_another_day_and_undeclared_quantities_count_nothing(net):
    board = net.station()
    columns = [[0, 0, -2, [1500, 1501]], [HUMIDITY, 0, -1, [500, 501]], [60_000, 0, 0, [1, None]]]
    time_ms = START_MS + MINUTE_MS
    net.admit(board.readings(time_ms, columns, dts=[5 * MINUTE_MS]), time_ms)
    row = row_of(net.close(), board)
    assert findings_of(row) == {Verdict.WRONG_DAY: 1, Verdict.UNDECLARED: 3}
    assert (row.quantities[0].full, row.quantities[0].missing) == (1, 143)


def test_an_unknown_declared_quantity_is_not_in_the_mean(net):
    board = net.station(declared=[(0, 0, 600_000), (60_000, 0, 600_000)])
    row = day_row(net, board)
    assert (len(row.quantities), row.quality_ppm) == (1, 1_000_000)


def test_late_readings_are_paid_at_the_late_rate(net):
    board = net.station()
    net.send(board.day(), delay_ms=HOUR_MS)
    row = row_of(net.close(), board)
    assert row.quality_ppm == 250_000
    assert row.reason is Verdict.LOW_QUALITY


def test_a_flat_line_is_carried_into_the_next_day(net):
    board = net.station()
    row = day_row(net, board, value=lambda _: 1500)
    assert row.quality_ppm == (36 * 1_000_000 + 108 * 500_000) // 144
    row = day_row(net, board, epoch=DAY + 1, value=lambda _: 1500)
    assert row.quality_ppm == 0
