from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.chain import Before, ChainFindings, ChainLink, chain_findings
from gateway.core.model import DeviceMessage, Gap, GapReason, NotEvaluated, TimeSource
from gateway.core.ranges import contains, holes, union

TAG, OTHER_TAG = b"network1", b"network2"


def link(name, seq, prev=None, gap=None, tag=TAG):
    """A message with an id made from one number; prev defaults to one that nobody shares."""
    body = NotEvaluated() if gap is None else Gap(gap[0], gap[1], 0, GapReason(gap[2]))
    prev = b"p" + name.to_bytes(15, "big") if prev is None else prev
    message = DeviceMessage(
        name.to_bytes(32, "big"), bytes(16), 16, 1, 1, seq, prev, 0, TimeSource.NONE, 0, body
    )
    return ChainLink(message, tag)


def ids(*names):
    return tuple(name.to_bytes(32, "big") for name in names)


def test_a_clean_chain_finds_nothing():
    findings = chain_findings([link(1, 1, bytes(16)), link(2, 2), link(3, 3)])
    assert findings == ChainFindings(
        forks=(), unpaid=frozenset(), is_clone=False, holes=(), after=Before(((1, 3),), ())
    )


def test_two_ids_with_one_seq_are_a_fork():
    findings = chain_findings([link(1, 1), link(9, 2), link(2, 2), link(3, 3)])
    assert [(fork.shared, fork.ids) for fork in findings.forks] == [(2, ids(2, 9))]
    assert findings.unpaid == {*ids(2, 9)}
    assert not findings.is_clone


def test_two_ids_with_one_prev_are_a_fork():
    findings = chain_findings([link(1, 1), link(2, 2, b"q" * 16), link(3, 3, b"q" * 16)])
    assert [(fork.shared, fork.ids) for fork in findings.forks] == [(b"q" * 16, ids(2, 3))]


def test_zero_prev_is_shared_freely_by_lost_chains_only():
    lost = [link(2, 5, bytes(16), gap=(2, 4, 2)), link(3, 9, bytes(16), gap=(6, 8, 2))]
    assert not chain_findings([link(1, 1, bytes(16)), *lost]).forks
    dropped = link(4, 10, bytes(16), gap=(7, 7, 1))
    assert chain_findings([link(1, 1, bytes(16)), *lost, dropped]).unpaid == {*ids(1, 4)}


def test_a_clone_is_a_fork_from_two_networks():
    assert chain_findings([link(1, 1), link(2, 1, tag=OTHER_TAG)]).is_clone
    assert not chain_findings([link(1, 1), link(2, 1, tag=b"")]).is_clone
    assert not chain_findings([link(1, 1), link(2, 2, tag=OTHER_TAG)]).is_clone
    # Each of two forks from its own network says nothing.
    each_at_home = [link(1, 1), link(2, 1), link(3, 2, tag=OTHER_TAG), link(4, 2, tag=OTHER_TAG)]
    assert not chain_findings(each_at_home).is_clone


def test_holes_and_gaps():
    found = chain_findings([link(1, 1), link(2, 4), link(3, 8, gap=(5, 6, 1))])
    assert found.holes == ((2, 3), (7, 7))
    assert found.after == Before(((1, 1), (4, 4), (8, 8)), ((5, 6),))


def test_a_message_beats_a_gap_that_covers_its_seq():
    before = chain_findings([link(1, 1), link(2, 3, gap=(2, 2, 1))]).after
    late = chain_findings([link(3, 2)], before)
    assert not late.forks
    assert late.after.by_message == ((1, 3),)


def test_a_seq_of_an_earlier_epoch_is_a_fork():
    before = chain_findings([link(1, 1), link(2, 2)]).after
    findings = chain_findings([link(3, 2), link(4, 3)], before)
    assert [(fork.shared, fork.ids) for fork in findings.forks] == [(2, ids(3))]


PREVS = st.sampled_from([bytes(16), b"a" * 16, b"b" * 16, b"c" * 16, None])
SEQS = st.integers(1, 8)


@st.composite
def links(draw):
    count = draw(st.integers(0, 7))
    made = []
    for name in range(1, count + 1):
        seq = draw(SEQS)
        gap = None
        if seq > 1 and draw(st.booleans()):
            first = draw(st.integers(1, seq - 1))
            gap = (first, draw(st.integers(first, seq - 1)), draw(st.integers(0, 2)))
        tag = draw(st.sampled_from([TAG, OTHER_TAG, b""]))
        made.append(link(name, seq, draw(PREVS), gap, tag))
    return made


@given(links(), st.data())
def test_any_order_and_any_copies_find_the_same(made, data):
    shuffled = data.draw(st.permutations(made))
    copies = data.draw(st.lists(st.sampled_from(made))) if made else []
    assert chain_findings([*shuffled, *copies]) == chain_findings(made)


@given(links(), st.integers(0, 7))
def test_findings_agree_with_the_definition(made, split):
    before = chain_findings(made[:split]).after
    found = chain_findings(made[split:], before)
    old = {one.message.seq for one in made[:split]}
    new = [one.message for one in made[split:]]
    unpaid = set()
    for message in new:
        lost = isinstance(message.body, Gap) and message.body.reason == GapReason.CHAIN_LOST
        zero = message.prev == bytes(16)
        for other in new:
            if other is message:
                continue
            other_lost = isinstance(other.body, Gap) and other.body.reason == GapReason.CHAIN_LOST
            same_prev = other.prev == message.prev and not (zero and (lost or other_lost))
            if other.seq == message.seq or same_prev:
                unpaid.add(message.message_id)
        if message.seq in old:
            unpaid.add(message.message_id)
    assert found.unpaid == unpaid
    covered = {one.message.seq for one in made}
    for one in made:
        if isinstance(one.message.body, Gap):
            covered |= set(range(one.message.body.first, one.message.body.last + 1))
    missing = set(range(1, max(covered, default=0))) - covered
    assert {seq for first, last in found.holes for seq in range(first, last + 1)} == missing


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5))))
def test_ranges_are_sets(pairs):
    ranges = [(first, first + more) for first, more in pairs]
    numbers = {n for first, last in ranges for n in range(first, last + 1)}
    merged = union(ranges)
    assert {n for first, last in merged for n in range(first, last + 1)} == numbers
    assert all(one[1] + 1 < two[0] for one, two in pairwise(merged))
    assert {n for n in range(40) if contains(merged, n)} == numbers
    missing = {n for first, last in holes(merged) for n in range(first, last + 1)}
    assert missing == set(range(1, max(numbers, default=0))) - numbers


def test_what_waits_for_its_epoch_fills_holes_and_shows_forks_but_is_not_settled():
    links = [link(1, 1), link(3, 3), link(9, 9)]
    waiting = [link(2, 2), link(20, 20), link(21, 21, gap=(4, 7, 1)), link(13, 3)]
    findings = chain_findings(links, waiting=waiting)
    assert findings.holes == ((8, 8),)
    assert [(fork.shared, fork.ids) for fork in findings.forks] == [(3, ids(3, 13))]
    assert findings.after == Before(((1, 1), (3, 3), (9, 9)), ())
    # Settled in turn, the other half of the fork is found by its seq; what was between is a hole.
    later = chain_findings(waiting, findings.after)
    assert [(fork.shared, fork.ids) for fork in later.forks] == [(3, ids(13))]
    assert later.holes == ((8, 8), (10, 19))


def test_a_fork_of_a_later_epoch_alone_is_left_to_it():
    waiting = [link(2, 2), link(3, 2), link(4, 4, b"q" * 16), link(5, 5, b"q" * 16)]
    findings = chain_findings([link(1, 1)], waiting=waiting)
    assert (findings.forks, findings.unpaid, findings.holes) == ((), frozenset(), ())
    shared = chain_findings([link(1, 1, b"q" * 16)], waiting=waiting)
    assert shared.unpaid == {*ids(1, 4, 5)}
