"""Stations from epoch to epoch: slots, classes, owners, hellos and moves."""

import pytest

from gateway.core.operator import OperatorKind
from gateway.core.slots import StationClass
from gateway.core.state import decode_state
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import (
    CELLS,
    COARSE_CELL,
    DAY,
    END_MS,
    HOUR_MS,
    HUMIDITY,
    OWNER,
    START_MS,
    Net,
    day_row,
    findings_of,
    row_of,
)

TOKEN = 10**18
OTHER_OWNER = bytes.fromhex("22" * 20)


@pytest.fixture
def net():
    return Net()


def test_the_older_station_keeps_the_slot(net):
    elder = net.station("elder", cell=CELLS[0])
    day_row(net, elder)
    younger = net.station("younger", cell=CELLS[1])
    net.send(elder.day(DAY + 1))
    net.send(younger.day(DAY + 1))
    outcome = net.close()
    row = row_of(outcome, younger)
    assert (row.reason, row.blocked_by, row.distance_m) == (
        Verdict.STANDBY_DISTANCE,
        elder.kid,
        328,
    )
    assert row.paid == 0
    assert row_of(outcome, elder).paid > 0


def test_an_anchored_newcomer_goes_before_an_unproven_elder(net):
    elder = net.station("elder", cell=CELLS[0])
    day_row(net, elder)
    younger = net.station("younger", cell=CELLS[1], anchored=True)
    net.send(elder.day(DAY + 1))
    net.send(younger.day(DAY + 1))
    outcome = net.close()
    assert row_of(outcome, elder).blocked_by == younger.kid
    assert row_of(outcome, younger).holder


def test_seniority_survives_six_silent_days_and_not_seven(net):
    board = net.station()
    assert day_row(net, board).since_epoch == DAY
    for _ in range(6):
        net.close()
    assert day_row(net, board, epoch=DAY + 7).since_epoch == DAY
    for _ in range(7):
        net.close()
    assert decode_state(net.opening).stations[board.kid].since_epoch is None
    assert day_row(net, board, epoch=DAY + 15).since_epoch == DAY + 15


def test_an_anchor_that_is_taken_back_ends_its_class(net):
    board = net.station(anchored=True)
    day_row(net, board)
    net.event(OperatorKind.ANCHOR, END_MS, [board.kid, 0])
    row = day_row(net, board, epoch=DAY + 1)
    assert (row.station_class, row.since_epoch) == (StationClass.UNPROVEN, DAY + 1)
    assert row.v_ppm == 20_000


def test_pay_is_held_until_somebody_owns_the_station(net):
    board = net.station(owner=None)
    net.send(board.day())
    first = net.close()
    row = row_of(first, board)
    assert (row.reason, row.paid, row.held, row.owner) == (
        Verdict.NO_OWNER,
        3 * TOKEN,
        3 * TOKEN,
        b"",
    )
    assert first.payout_root == bytes(32)
    net.admit(board.claim(END_MS + 1), END_MS + 2)
    net.send(board.day(DAY + 1))
    second = net.close()
    row = row_of(second, board)
    assert (row.held, row.cumulative) == (0, 6 * TOKEN)
    assert second.tree.amounts == {OWNER: 6 * TOKEN}


def test_the_operators_owner_goes_before_the_claimed_one(net):
    board = net.station()
    net.event(OperatorKind.OWNER, START_MS, [board.kid, OTHER_OWNER])
    assert day_row(net, board).owner == OTHER_OWNER


def test_the_claim_with_the_highest_seq_counts_at_once_and_a_forked_one_never(net):
    board = net.station()
    net.admit(board.claim(START_MS + 5, OTHER_OWNER), START_MS + 6)
    assert day_row(net, board).owner == OTHER_OWNER
    seq = board.seq + 1
    for owner, name in ((OWNER, b"one"), (bytes(20), b"two")):
        prev = name.ljust(16)
        net.admit(board.claim(END_MS, owner, seq=seq, prev=prev), END_MS + 1)
    row = row_of(net.close(), board)
    assert row.owner == OTHER_OWNER
    assert findings_of(row)[Verdict.FORKED] == 2


def test_one_owner_of_two_stations_has_one_leaf(net):
    one, two = net.station("one"), net.station("two", cell=CELLS[2])
    net.send(one.day())
    net.send(two.day())
    outcome = net.close()
    assert outcome.tree.amounts == {OWNER: 6 * TOKEN}
    assert {row.cumulative for row in outcome.stations} == {6 * TOKEN}


def test_a_first_hello_counts_at_once_and_a_second_tomorrow(net):
    board = net.station(declared=[(0, 0, 600_000)])
    board.declared = [[0, 0, 600_000], [HUMIDITY, 0, 600_000]]
    net.admit(board.hello(START_MS + 5), START_MS + 6)
    assert [q.quantity for q in day_row(net, board).quantities] == [0]
    row = day_row(net, board, epoch=DAY + 1)
    assert [q.quantity for q in row.quantities] == [0, HUMIDITY]
    assert row.quality_ppm == 500_000


def test_a_move_takes_effect_tomorrow_and_resets_anchor_and_seniority(net):
    board = net.station(anchored=True)
    net.send(board.day())
    board.cell = CELLS[3]
    net.admit(board.hello(START_MS + HOUR_MS), START_MS + HOUR_MS)
    row = row_of(net.close(), board)
    assert (row.scoring_cell, row.station_class) == (CELLS[0], StationClass.WITNESSED)
    row = day_row(net, board, epoch=DAY + 1)
    assert (row.scoring_cell, row.station_class, row.since_epoch) == (
        CELLS[3],
        StationClass.UNPROVEN,
        DAY + 1,
    )


def test_a_coarse_cell_stays_unproven_unless_it_is_anchored(net):
    coarse = net.station("coarse", cell=COARSE_CELL)
    net.send(coarse.day())
    assert findings_of(row_of(net.close(), coarse)) == {Verdict.CELL_TOO_COARSE: 1}
    net.event(OperatorKind.ANCHOR, END_MS, [coarse.kid, 1])
    row = day_row(net, coarse, epoch=DAY + 1)
    assert (findings_of(row), row.station_class) == ({}, StationClass.WITNESSED)
    assert row.reward_cell == row.scoring_cell == COARSE_CELL


def test_stations_without_a_hello_have_no_row_but_their_messages_are_listed(net):
    board = net.board()
    message_id = net.admit(board.reading(START_MS + 60, 1500), START_MS + 61)
    outcome = net.close()
    assert (outcome.stations, outcome.listed) == ((), (message_id,))


def test_a_slow_promise_is_measured_against_the_slowest_that_the_rules_allow(net):
    board = net.station(declared=[[0, 0, 24 * HOUR_MS]])
    net.send([(START_MS + HOUR_MS, board.reading(START_MS + HOUR_MS, 1500))])
    row = row_of(net.close(), board)
    (temperature,) = row.quantities
    assert (temperature.interval_ms, temperature.expected, temperature.full) == (HOUR_MS, 24, 1)
    assert row.quality_ppm == 1_000_000 // 24
    assert (row.paid, row.reason) == (0, Verdict.LOW_QUALITY)
