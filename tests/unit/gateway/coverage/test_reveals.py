"""What binds a station to a secret: spec/coverage.md section 3."""

from hashlib import sha256
from itertools import permutations

import pytest

from gateway.core.clockmap import Placed
from gateway.core.coverage.reveals import bind, first_slot_of
from gateway.core.listing import Item
from gateway.core.model import AdmissionEntry, Commit, DeviceMessage, Kind, Reveal, TimeSource
from gateway.core.verdicts import Verdict
from tests.unit.gateway.coverage.coverage_kit import DAY, END_MS, FIRST_SLOT, HOUR_MS, RULES

START_MS = DAY * 86_400_000
REVEAL_MS = END_MS + HOUR_MS
X, OTHER = sha256(b"x").digest(), sha256(b"other").digest()
COVERAGE = RULES.coverage


def item(body, recv_ms, seq=1):
    kind = Kind.COMMIT if isinstance(body, Commit) else Kind.REVEAL
    message_id = sha256(repr((body, recv_ms, seq)).encode()).digest()
    message = DeviceMessage(
        message_id, bytes(16), 16, kind, 1, seq, bytes(16), recv_ms, TimeSource.GATEWAY, 40, body
    )
    entry = AdmissionEntry(message_id, recv_ms, Verdict.OK, 1, b"")
    return Item(entry, message, Placed(recv_ms, DAY, None))


def commit(recv_ms=START_MS - 1, x=X, seq=1):
    return item(Commit(DAY, sha256(x).digest()), recv_ms, seq)


def reveal(recv_ms=REVEAL_MS, x=X, seq=9):
    return item(Reveal(DAY, x), recv_ms, seq)


def counts(bound):
    return {one.verdict: one.count for one in bound.findings}


def test_a_commit_before_the_day_and_a_reveal_after_it_bind_for_the_whole_day():
    bound = bind(DAY, [commit(), reveal()], COVERAGE)
    assert (bound.x, bound.first_slot, bound.unrevealed) == (X, FIRST_SLOT, False)
    assert bound.findings == ()


@pytest.mark.parametrize(
    "recv_ms, slots",
    [
        (START_MS - 1, 0),
        (START_MS, 120),
        (START_MS + HOUR_MS - 1, 120),
        (START_MS + HOUR_MS, 180),
        (END_MS - HOUR_MS - 1, 1440),
    ],
)
def test_a_late_commit_counts_from_the_second_full_hour_on(recv_ms, slots):
    assert first_slot_of(recv_ms, DAY, COVERAGE) == FIRST_SLOT + slots
    bound = bind(DAY, [commit(recv_ms), reveal()], COVERAGE)
    assert bound.first_slot == FIRST_SLOT + slots
    assert counts(bound) == ({Verdict.LATE_COMMIT: 1} if slots else {})


def test_a_station_without_a_commit_is_bound_to_nothing():
    bound = bind(DAY, [reveal()], COVERAGE)
    assert (bound.x, bound.unrevealed) == (b"", False)
    assert counts(bound) == {Verdict.NO_COMMIT: 1}


def test_no_reveal_is_unrevealed():
    bound = bind(DAY, [commit()], COVERAGE)
    assert (bound.x, bound.unrevealed) == (b"", True)
    assert counts(bound) == {Verdict.UNREVEALED: 1}


def test_a_commit_that_counts_for_nothing_of_the_day_asks_for_no_reveal():
    bound = bind(DAY, [commit(END_MS - HOUR_MS)], COVERAGE)
    assert not bound.unrevealed
    assert counts(bound) == {Verdict.LATE_COMMIT: 1}


@pytest.mark.parametrize("recv_ms, unrevealed", [(REVEAL_MS - 1, True), (REVEAL_MS, False)])
def test_a_reveal_before_its_time_is_unrevealed(recv_ms, unrevealed):
    bound = bind(DAY, [commit(), reveal(recv_ms)], COVERAGE)
    assert bound.unrevealed is unrevealed
    assert bound.x == (b"" if unrevealed else X)


def test_what_was_out_too_early_stays_so_when_it_is_revealed_again():
    bound = bind(DAY, [commit(), reveal(REVEAL_MS - 1), reveal(seq=10)], COVERAGE)
    assert bound.unrevealed
    assert bound.x == b""


def test_a_wrong_reveal_counts_nothing_and_harms_nothing():
    bound = bind(DAY, [commit(), reveal(x=OTHER)], COVERAGE)
    assert counts(bound) == {Verdict.BAD_REVEAL: 1, Verdict.UNREVEALED: 1}
    bound = bind(DAY, [commit(), reveal(REVEAL_MS - 1, OTHER), reveal()], COVERAGE)
    assert (bound.x, bound.unrevealed) == (X, False)
    assert counts(bound) == {Verdict.BAD_REVEAL: 1}


def test_of_two_commits_the_first_that_was_signed_binds_whenever_it_came():
    late_first = [commit(START_MS, X, seq=1), commit(START_MS - 1, OTHER, seq=2)]
    for items in permutations([*late_first, reveal(), reveal(x=OTHER)]):
        bound = bind(DAY, items, COVERAGE)
        assert (bound.x, bound.first_slot) == (X, FIRST_SLOT + 120)
        # The second commit, and the reveal that belongs to it.
        assert counts(bound) == {Verdict.LATE_COMMIT: 1, Verdict.BAD_REVEAL: 2}


def test_findings_show_the_two_smallest_ids():
    wrong = [reveal(x=sha256(b"%d" % k).digest(), seq=20 + k) for k in range(4)]
    bound = bind(DAY, [commit(), reveal(), *wrong], COVERAGE)
    (finding,) = bound.findings
    assert finding.count == 4
    assert finding.examples == tuple(sorted(one.entry.message_id for one in wrong)[:2])
