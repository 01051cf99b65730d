"""Where a message belongs in time: mapped boots, arrivals, and days that a body names."""

from itertools import permutations

import pytest

from gateway.core.clockmap import BOOTS_KEPT, BootClock, boot_clocks, newest_boots, place
from gateway.core.genesis import DAY_MS
from gateway.core.model import Kind
from gateway.core.rules import parse_rules
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from tests.unit.gateway.epoch_kit import DAY, HOUR_MS, MINUTE_MS, RULES, START_MS, Net

RULES_1 = parse_rules(RULES)
NET = Net()


def message(data):
    return decode(data, NET.id).message


def placed(data, recv_ms, clocks=None):
    return place(message(data), recv_ms, clocks or {}, RULES_1)


def test_a_message_belongs_to_the_day_of_its_own_time():
    board = NET.board()
    before = placed(board.reading(START_MS - 1, 1500), START_MS + HOUR_MS)
    after = placed(board.reading(START_MS, 1500), START_MS + HOUR_MS)
    assert (before.epoch, after.epoch) == (DAY - 1, DAY)
    assert (before.fault, after.utc_ms) == (None, START_MS)


@pytest.mark.parametrize("ahead_ms, fault", [(120_000, None), (120_001, Verdict.FUTURE)])
def test_two_slots_ahead_are_allowed(ahead_ms, fault):
    at = placed(NET.board().reading(START_MS + ahead_ms, 1500), START_MS)
    assert at.fault is fault
    assert at.utc_ms == (START_MS if fault else START_MS + ahead_ms)


def test_a_boot_without_a_clock_is_unmapped_and_listed_where_it_arrived():
    data = NET.board().reading(5_000, 1500, source=0)
    at = placed(data, START_MS + DAY_MS)
    assert at == (START_MS + DAY_MS, DAY + 1, Verdict.UNMAPPED)


def test_a_clock_maps_its_boot_alone():
    board = NET.board()
    clocks = boot_clocks({}, [message(board.clock(START_MS + HOUR_MS, 1, START_MS - 60_000))])
    assert placed(board.reading(61_000, 1, source=0), START_MS + HOUR_MS, clocks) == (
        START_MS + 1_000,
        DAY,
        None,
    )
    board.boot = 2
    assert placed(board.reading(61_000, 1, source=0), START_MS, clocks).fault is Verdict.UNMAPPED
    other = NET.board("other")
    assert placed(other.reading(61_000, 1, source=0), START_MS, clocks).fault is Verdict.UNMAPPED


def test_the_least_uncertain_clock_counts_then_the_smallest_id():
    board = NET.board()
    messages = [
        message(board.clock(START_MS, 1, START_MS - offset, uncertainty_ms))
        for offset, uncertainty_ms in ((1, 900), (2, 40), (3, 40))
    ]
    best = min(messages[1:], key=lambda m: m.message_id)
    for order in permutations(messages):
        (clock,) = boot_clocks({}, order).values()
        assert clock == BootClock(40, best.message_id, best.body.utc_at_boot_ms)
    known = {(board.kid, 1): BootClock(7, bytes(32), 1)}
    assert boot_clocks(known, messages) == known


def test_the_newest_boots_of_each_device_are_kept():
    clock = BootClock(1, bytes(32), START_MS)
    clocks = {(b"a", boot): clock for boot in range(100)} | {(b"b", 3): clock}
    kept = newest_boots(clocks)
    assert sorted(kept) == [(b"a", boot) for boot in range(100 - BOOTS_KEPT, 100)] + [(b"b", 3)]


def test_a_commit_belongs_to_the_day_that_it_names_up_to_tomorrow():
    board = NET.board()
    commits = [
        board.make(Kind.COMMIT, [day, bytes(32)], START_MS + MINUTE_MS)
        for day in (DAY - 1, DAY, DAY + 1, DAY + 2)
    ]
    at = [placed(data, START_MS + MINUTE_MS) for data in commits]
    assert [(p.epoch, p.fault) for p in at] == [
        (DAY - 1, None),
        (DAY, None),
        (DAY + 1, None),
        (DAY, Verdict.FUTURE),
    ]
