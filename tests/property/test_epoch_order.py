"""Any order, duplication and batching of the same messages gives the same roots and the same pay.

Deliveries go through the real admission machine; only what it commits reaches the epoch.
"""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.admission import AdmissionState, Arrival, Arrivals, Commit, Committed, step
from gateway.core.epoch import close_epoch
from gateway.core.genesis import DAY_MS
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.registry import Policy
from tests.unit.gateway.epoch_kit import (
    CELLS,
    DAY,
    HOUR_MS,
    MINUTE_MS,
    OWNER,
    RULES,
    START_MS,
    Net,
)

INTERVAL_MS = 4 * HOUR_MS
# Few messages a day keep a case short; the real rules measure against one hour.
FEW = RULES.replace(b"interval_ms_max = 3_600_000", b"interval_ms_max = 14_400_000")
DECLARED = ((0, 0, INTERVAL_MS),)


@cache
def deliveries():
    """(net, hellos, rest): messages with the moment at which each is delivered.

    The moment stands for the deadline that it meets: its order within one moment is free.
    """
    net = Net(FEW)
    hellos, rest = [], []
    for number, label in enumerate(("one", "two", "three")):
        board = net.board(label, cell=CELLS[number], declared=DECLARED)
        hellos.append((START_MS, board.hello(START_MS)))
        for epoch in (DAY, DAY + 1):
            rest.append((epoch * DAY_MS + 5, board.claim(epoch * DAY_MS + 5, OWNER)))
            pairs = board.day(epoch, INTERVAL_MS)
            rest += [(time_ms + MINUTE_MS, data) for time_ms, data in pairs]
        fork = board.reading(START_MS + HOUR_MS, 1_234, seq=4, prev=b"f" * 16)
        late = board.reading(START_MS + 2 * HOUR_MS, 1_300)
        unmapped = board.reading(1_000, 1_301, source=0)
        clocks = [board.clock(START_MS + DAY_MS, 1, START_MS + k * HOUR_MS, 40) for k in (1, 2)]
        gap = board.make(Kind.GAP, [1, 3, 0, 0], START_MS + HOUR_MS)
        again = board.hello(START_MS + HOUR_MS)
        rest += [
            (START_MS + HOUR_MS, fork),
            (START_MS + 9 * HOUR_MS, late),
            (START_MS + HOUR_MS, unmapped),
            *((START_MS + DAY_MS + HOUR_MS, clock) for clock in clocks),
            (START_MS + 2 * DAY_MS + 5 * HOUR_MS, gap),
            (START_MS + HOUR_MS, again),
        ]
        if not number:
            net.event(OperatorKind.ANCHOR, START_MS, [board.kid, 1])
    return net, hellos, rest


def epochs(batches):
    """Admit batches of (moment, messages), close three times, return what decides money."""
    kit, *_ = deliveries()
    net = Net(FEW)
    net.events = list(kit.events)
    state = AdmissionState.empty(net.id, Policy.OPEN)
    for now_ms, messages in batches:
        arrivals = tuple(Arrival(None, data) for data in messages)
        state, effects = step(state, now_ms, Arrivals(arrivals, net.messages.__contains__, 1))
        for effect in effects:
            if isinstance(effect, Commit):
                ids = tuple(one.entry.message_id for one in effect.entries)
                net.entries += [one.entry for one in effect.entries]
                net.messages.update(zip(ids, (one.data for one in effect.entries), strict=True))
                net.centres.update(dict(effect.centres))
                state, _ = step(state, now_ms, Committed(ids))
    return [
        (
            outcome.message_root,
            outcome.payout_root,
            outcome.after_close,
            outcome.totals,
            [(row.device, row.paid, row.quality_ppm, row.findings) for row in outcome.stations],
        )
        for outcome in (net.close(), net.close(), net.close())
    ]


@cache
def in_order():
    _, hellos, rest = deliveries()
    return epochs([(now_ms, [data]) for now_ms, data in (*hellos, *rest)])


def shuffled(random):
    """Deliver everything in another order, some of it twice, in batches, up to 20 min later.

    Hellos go first: until one is in, the rest would be refused and sent again.
    """
    _, hellos, rest = deliveries()
    order = rest + random.choices(rest, k=random.randrange(8))
    random.shuffle(order)
    order = [*random.sample(hellos, len(hellos)), *order]
    batches = []
    while order:
        chunk, order = order[: (size := random.randint(1, 9))], order[size:]
        moments = {}
        for now_ms, data in chunk:
            moments.setdefault(now_ms, []).append(data)
        batches += [
            (now_ms + random.randrange(20 * MINUTE_MS), messages)
            for now_ms, messages in moments.items()
        ]
    return batches


def test_the_reference_pays_and_has_something_of_everything():
    first, second, third = in_order()
    assert first[3].paid > 0
    assert second[3].paid > 0
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert third[2], "the gap came after its day's close"


# Few, because each closes three epochs.
@pytest.mark.slow
@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_order_duplicates_batches_and_delays_change_nothing(random):
    assert epochs(shuffled(random)) == in_order()


@settings(max_examples=20)
@given(st.permutations(range(30)))
def test_the_order_of_the_log_changes_only_the_log(order):
    _, hellos, rest = deliveries()
    net = Net(FEW)
    for now_ms, message in [*hellos, *rest][: len(order)]:
        net.admit(message, now_ms)
    reference = close_epoch(net.inputs())
    net.entries = [net.entries[index] for index in order]
    outcome = close_epoch(net.inputs())
    assert outcome.message_root == reference.message_root
    assert outcome.stations == reference.stations
    assert outcome.payout_root == reference.payout_root
