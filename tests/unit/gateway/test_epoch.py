"""Epochs closed in a row: what counts, who is paid, and what is left to the next."""

from dataclasses import replace
from hashlib import sha256

import pytest

from gateway.core.cbor_profile import encode
from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import EpochError
from gateway.core.epoch_setting import epoch_rules
from gateway.core.genesis import DAY_MS
from gateway.core.manifest import decode_manifest
from gateway.core.merkle import verify
from gateway.core.message_root import message_root
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.rules import rules_hash
from gateway.core.slots import StationClass
from gateway.core.state import decode_state
from gateway.core.verdicts import Verdict
from tests.unit.gateway.epoch_kit import (
    CELLS,
    CLOSE_AFTER_MS,
    COARSE_CELL,
    DAY,
    HOUR_MS,
    HUMIDITY,
    MINUTE_MS,
    OWNER,
    RULES,
    START_MS,
    Net,
    findings_of,
    row_of,
)

TOKEN = 10**18
OTHER_OWNER = bytes.fromhex("22" * 20)
END_MS = START_MS + DAY_MS
CLOSE_MS = END_MS + CLOSE_AFTER_MS


@pytest.fixture
def net():
    return Net()


def day_row(net, board, **options):
    net.send(board.day(**options))
    return row_of(net.close(), board)


def test_an_anchored_station_earns_the_cap_and_a_proof(net):
    board = net.station(anchored=True)
    net.send(board.day())
    outcome = net.close()
    row = row_of(outcome, board)
    assert (row.quality_ppm, row.v_ppm, row.u_ppm) == (1_000_000, 1_000_000, 1_000_000)
    assert (row.paid, row.reason) == (150 * TOKEN, Verdict.PAID_RATE_CAP)
    assert (row.station_class, row.since_epoch) == (StationClass.WITNESSED, DAY)
    assert row.findings == ()
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


def test_an_operator_event_counts_from_the_day_that_it_was_made_in(net):
    board = net.station()
    net.event(OperatorKind.ANCHOR, END_MS, [board.kid, 1])
    assert day_row(net, board).station_class is StationClass.UNPROVEN
    assert day_row(net, board, epoch=DAY + 1).station_class is StationClass.WITNESSED


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
    assert (row.findings, row.station_class) == ((), StationClass.WITNESSED)
    assert row.reward_cell == row.scoring_cell == COARSE_CELL


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


def test_stations_without_a_hello_have_no_row_but_their_messages_are_listed(net):
    board = net.board()
    message_id = net.admit(board.reading(START_MS + 60, 1500), START_MS + 61)
    outcome = net.close()
    assert (outcome.stations, outcome.listed) == ((), (message_id,))


def test_a_flat_line_is_carried_into_the_next_day(net):
    board = net.station()
    row = day_row(net, board, value=lambda _: 1500)
    assert row.quality_ppm == (36 * 1_000_000 + 108 * 500_000) // 144
    row = day_row(net, board, epoch=DAY + 1, value=lambda _: 1500)
    assert row.quality_ppm == 0


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
    event = net.event(OperatorKind.RULES, START_MS, [DAY + 1, rules_hash(text)])
    board = net.station()
    assert epoch_rules(net.genesis, net.statements, b"", (event,), DAY) == (1, rules_hash(RULES))
    net.close()
    assert epoch_rules(net.genesis, net.statements, net.opening, (), DAY + 1) == (
        2,
        rules_hash(text),
    )
    net.send(board.day(DAY + 1)[:60])
    with pytest.raises(EpochError, match="rules in force"):
        close_epoch(net.inputs())
    net.rules, net.rules_serial = text, 2
    assert row_of(net.close(), board).paid > 0


def other_network():
    return Net(simulated=False)


@pytest.mark.parametrize(
    "change, code",
    [
        (lambda i: replace(i, genesis=b""), "epoch_genesis"),
        (lambda i: replace(i, genesis=other_network().genesis), "epoch_admission_log"),
        (lambda i: replace(i, opening=b"\xff"), "epoch_opening"),
        (lambda i: replace(i, epoch=DAY - 1), "epoch_order"),
        (lambda i: replace(i, epoch=2**40), "epoch_order"),
        (lambda i: replace(i, previous_manifest=b"p" * 32), "epoch_order"),
        (lambda i: replace(i, admission=i.admission[1:]), "epoch_admission_log"),
        (lambda i: replace(i, admission=i.admission[::-1]), "epoch_admission_log"),
        (lambda i: replace(i, operator=(b"no event",)), "epoch_operator_log"),
        (lambda i: replace(i, statements=(b"",)), "epoch_statement"),
        (lambda i: replace(i, statements=()), "epoch_operator_event"),
        (lambda i: replace(i, rules_text=i.rules_text + b"\n"), "epoch_rules"),
        (lambda i: replace(i, rules_serial=2), "epoch_rules"),
        (lambda i: replace(i, tables={}), "epoch_tables"),
        (lambda i: replace(i, centres={}), "epoch_centre"),
        (lambda i: replace(i, centres={CELLS[0]: (90_000_001, 0)}), "epoch_centre"),
        (lambda i: replace(i, messages={}), "epoch_message"),
        (lambda i: replace(i, quantities_text=b""), "epoch_files"),
        (lambda i: replace(i, tables={"trig": b""}), "epoch_files"),
    ],
)
def test_inputs_that_do_not_fit_are_the_operators_fault(net, change, code):
    net.station(anchored=True)
    with pytest.raises(Exception, match=r"\.") as caught:
        close_epoch(change(net.inputs()))
    assert caught.value.code == code
    assert caught.value.do


def test_an_epoch_follows_the_one_before(net):
    net.close()
    with pytest.raises(EpochError) as caught:
        close_epoch(replace(net.inputs(), epoch=DAY + 2))
    assert caught.value.code == "epoch_order"
    with pytest.raises(EpochError) as caught:
        close_epoch(replace(net.inputs(), previous_manifest=bytes(32)))
    assert caught.value.code == "epoch_order"


def test_a_centre_is_fixed_for_good(net):
    net.station()
    net.close()
    with pytest.raises(EpochError) as caught:
        close_epoch(replace(net.inputs(), centres={CELLS[0]: (1, 1)}))
    assert caught.value.code == "epoch_centre"


def test_an_id_with_two_entries_is_refused(net):
    net.station()
    net.entries.append(net.entries[0])
    with pytest.raises(EpochError, match="two entries"):
        net.close()
