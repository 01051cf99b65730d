"""Inputs of an epoch that do not fit together are the operator's fault, with a code."""

from dataclasses import replace

import pytest

from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import EpochError
from gateway.core.operator import OperatorKind
from gateway.core.rules import rules_hash
from tests.unit.gateway.epoch_kit import CELLS, DAY, END_MS, OWNER, RULES, START_MS, Net


@pytest.fixture
def net():
    return Net()


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
        (lambda i: replace(i, epoch=DAY + 1), "epoch_order"),
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
        (lambda i: replace(i, tables={**i.tables, "trig": b""}), "epoch_files"),
        (lambda i: replace(i, tables={**i.tables, "radio": b""}), "epoch_files"),
        (lambda i: replace(i, tables={**i.tables, "regions": b""}), "epoch_files"),
        (lambda i: replace(i, tables={"trig": i.tables["trig"]}), "epoch_tables"),
        (lambda i: replace(i, entropy=b"\x80"), "epoch_entropy"),
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


def test_rules_that_are_logged_when_their_day_has_begun_are_refused(net):
    text = RULES.replace(b"threshold_ppm = 500_000", b"threshold_ppm = 400_000")
    net.close()
    net.event(OperatorKind.RULES, START_MS, [DAY + 1, rules_hash(text)])
    net.rules, net.rules_serial = text, 2
    with pytest.raises(EpochError, match="had begun") as caught:
        net.close()
    assert caught.value.code == "epoch_operator_event"


def test_operator_events_whose_times_run_backwards_are_refused(net):
    net.event(OperatorKind.ANCHOR, END_MS, [OWNER[:16], 1])
    net.event(OperatorKind.ANCHOR, END_MS - 1, [OWNER[:16], 0])
    with pytest.raises(EpochError, match="event 2 is dated before") as caught:
        net.close()
    assert caught.value.code == "epoch_operator_event"


def test_an_event_of_tomorrow_holds_back_what_is_dated_before_it(net):
    net.event(OperatorKind.ANCHOR, END_MS, [OWNER[:16], 1])
    net.close()
    net.event(OperatorKind.ANCHOR, END_MS - 1, [OWNER[:16], 0])
    with pytest.raises(EpochError, match="event 2 is dated before"):
        net.close()
