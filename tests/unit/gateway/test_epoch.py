"""Epochs closed in a row: what is listed, what is paid, and what is left to the next."""

from hashlib import sha256

import pytest

from gateway.core.cbor_profile import encode
from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import EpochError
from gateway.core.manifest import decode_manifest
from gateway.core.merkle import verify
from gateway.core.message_root import message_root
from gateway.core.operator import OperatorKind
from gateway.core.rules import rules_hash
from gateway.core.slots import StationClass
from gateway.core.state import decode_state
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import (
    CLOSE_MS,
    DAY,
    END_MS,
    HOUR_MS,
    OWNER,
    RULES,
    START_MS,
    Net,
    day_row,
    findings_of,
    row_of,
)

TOKEN = 10**18


@pytest.fixture
def net():
    return Net()


def test_an_anchored_station_earns_the_cap_and_a_proof(net):
    board = net.station(anchored=True)
    net.send(board.day())
    outcome = net.close()
    row = row_of(outcome, board)
    assert (row.quality_ppm, row.v_ppm, row.u_ppm) == (1_000_000, 1_000_000, 1_000_000)
    assert (row.paid, row.reason) == (150 * TOKEN, Verdict.PAID_RATE_CAP)
    assert (row.station_class, row.since_epoch) == (StationClass.WITNESSED, DAY)
    assert findings_of(row) == {}
    assert row.cumulative == row.paid
    assert verify(outcome.payout_root, OWNER, row.paid, outcome.tree.proof(OWNER))
    totals = outcome.totals
    assert totals.emission + totals.carry_before == totals.paid + totals.carry_after


def test_an_unproven_station_earns_a_fiftieth(net):
    row = day_row(net, net.station())
    assert (row.v_ppm, row.u_ppm, row.paid) == (20_000, 20_000, 3 * TOKEN)


def test_the_message_root_is_over_the_days_admitted_messages(net):
    board = net.station()
    ids = net.send(board.day())
    net.admit(board.reading(END_MS + 1, 1500), END_MS + 2)
    listed = [entry.message_id for entry in net.entries[:-1]]
    assert listed[2:] == ids
    outcome = net.close()
    assert outcome.listed == tuple(sorted(listed))
    assert outcome.message_root == message_root(listed)


def test_a_message_of_tomorrow_waits_for_tomorrow(net):
    board = net.station()
    early = net.admit(board.reading(END_MS + 1, 1500), END_MS + 2)
    first = net.close()
    assert [e.message_id for e in decode_state(first.closing).pending] == [early]
    second = net.close()
    assert second.listed == (early,)
    assert decode_state(second.closing).pending == ()


def test_what_comes_after_the_close_is_named_unpaid_in_the_next(net):
    board = net.station()
    net.close()
    late = net.admit(board.reading(END_MS - HOUR_MS, 1500), CLOSE_MS)
    outcome = net.close()
    assert (outcome.listed, outcome.after_close) == ((), (late,))
    assert findings_of(row_of(outcome, board)) == {Verdict.AFTER_CLOSE: 1}
    assert decode_manifest(outcome.manifest).after_close == sha256(encode([late])).digest()


@pytest.mark.parametrize("recv_ms, counts", [(CLOSE_MS - 1, True), (CLOSE_MS, False)])
def test_the_close_is_a_moment_and_not_when_it_is_carried_out(net, recv_ms, counts):
    """The gateway slept: the range of the day holds what came in at its close and later."""
    board = net.station()
    message_id = net.admit(board.reading(END_MS - HOUR_MS, 1500), recv_ms)
    first = net.close()
    assert (message_id in first.listed) is counts
    assert (message_id in net.close().after_close) is not counts


def test_below_the_threshold_nothing_is_paid(net):
    board = net.station(anchored=True)
    net.send(board.day()[:71])
    row = row_of(net.close(), board)
    assert row.quality_ppm == 71 * 1_000_000 // 144
    assert (row.paid, row.reason, row.holder, row.since_epoch) == (
        0,
        Verdict.LOW_QUALITY,
        False,
        None,
    )


def test_a_silent_station_is_told_so(net):
    board = net.station()
    assert row_of(net.close(), board).reason is Verdict.NO_READINGS


def test_an_operator_event_counts_from_the_day_that_it_was_made_in(net):
    board = net.station()
    net.event(OperatorKind.ANCHOR, END_MS, [board.kid, 1])
    assert day_row(net, board).station_class is StationClass.UNPROVEN
    assert day_row(net, board, epoch=DAY + 1).station_class is StationClass.WITNESSED


def test_the_carry_comes_back_in_thirtieths(net):
    carry = net.close().totals.carry_after
    assert carry == 14_400 * TOKEN
    totals = net.close().totals
    assert totals.offered == 14_400 * TOKEN + carry // 30
    assert totals.carry_after == 28_800 * TOKEN


def test_manifests_and_states_are_linked(net):
    first, second = net.close(), net.close()
    manifest = decode_manifest(second.manifest)
    assert manifest.previous == first.manifest_hash
    assert manifest.opening == decode_manifest(first.manifest).closing


def test_new_rules_count_from_their_first_epoch(net):
    text = RULES.replace(b"threshold_ppm = 500_000", b"threshold_ppm = 400_000")
    net.event(OperatorKind.RULES, START_MS, [DAY + 1, rules_hash(text)])
    board = net.station()
    net.close()
    net.send(board.day(DAY + 1)[:60])
    with pytest.raises(EpochError, match="rules in force"):
        close_epoch(net.inputs())
    net.rules, net.rules_serial = text, 2
    assert row_of(net.close(), board).paid > 0
