"""Which secret a station was bound to on a day, and since when: commits and reveals.

spec/coverage.md section 3. Depends on the set of messages and their arrival times, not on order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.core.coverage.beacon import commitment
from gateway.core.coverage.entropy import DAY_SLOTS
from gateway.core.epoch_inputs import Finding
from gateway.core.genesis import DAY_MS
from gateway.core.listing import Item
from gateway.core.model import Commit, Reveal
from gateway.core.rules import CoverageRules
from gateway.core.verdicts import Verdict

_HOUR_MS = 3_600_000
_HOUR_SLOTS = 60
_EXAMPLES = 2


class Bound(NamedTuple):
    """A station's secret of a day.

    x: b"" while it is not validly revealed; first_slot: from which its beacons count, beyond the
    day if none does; unrevealed: it was bound for a part of the day and did not reveal as it must.
    """

    x: bytes
    first_slot: int
    unrevealed: bool
    findings: tuple[Finding, ...]


UNBOUND = Bound(b"", 0, unrevealed=False, findings=(Finding(Verdict.NO_COMMIT, 1, ()),))


def first_slot_of(commit_recv_ms: int, day: int, rules: CoverageRules) -> int:
    """Return from which slot of `day` a commit counts that was admitted at commit_recv_ms."""
    if commit_recv_ms < day * DAY_MS:
        return day * DAY_SLOTS
    return (commit_recv_ms // _HOUR_MS + rules.commit_hours) * _HOUR_SLOTS


def bind(epoch: int, items: Iterable[Item], rules: CoverageRules) -> Bound:
    """Return what a station's messages bound it to on day `epoch`.

    items: those of the day that count, in any order.
    """
    commits = [item for item in items if isinstance(item.message.body, Commit)]
    reveals = [item for item in items if isinstance(item.message.body, Reveal)]
    if not commits:
        return UNBOUND
    # A station that sent two could choose between them; its own order of signing decides.
    commits.sort(key=lambda item: (item.message.seq, item.entry.message_id))
    commit = commits[0]
    first_slot = first_slot_of(commit.entry.recv_ms, epoch, rules)
    x, early, wrong = _revealed(epoch, commit, reveals, rules)
    # A secret that is out too early lets anybody make up what was heard.
    unrevealed = first_slot < (epoch + 1) * DAY_SLOTS and (not x or bool(early))
    groups = (
        (Verdict.LATE_COMMIT, [commit] if first_slot > epoch * DAY_SLOTS else []),
        (Verdict.BAD_REVEAL, [*commits[1:], *wrong]),
        (Verdict.UNREVEALED, (early or [commit]) if unrevealed else []),
    )
    findings = tuple(finding_of(verdict, of) for verdict, of in groups if of)
    return Bound(b"" if unrevealed else x, first_slot, unrevealed, findings)


def finding_of(verdict: Verdict, items: Sequence[Item]) -> Finding:
    """Return a finding that counts `items` and shows the smallest ids."""
    ids = sorted(item.entry.message_id for item in items)
    return Finding(verdict, len(ids), tuple(ids[:_EXAMPLES]))


def _revealed(
    epoch: int, commit: Item, reveals: Iterable[Item], rules: CoverageRules
) -> tuple[bytes, list[Item], list[Item]]:
    """Return the secret (b"" without a reveal in its time), reveals before it, and wrong ones."""
    body = commit.message.body
    assert isinstance(body, Commit)
    from_ms = (epoch + 1) * DAY_MS + rules.reveal_after_ms
    x, early, wrong = b"", [], []
    for item in reveals:
        reveal = item.message.body
        assert isinstance(reveal, Reveal)
        if commitment(reveal.x) != body.commitment:
            wrong.append(item)
        elif item.entry.recv_ms < from_ms:
            early.append(item)
        else:
            x = reveal.x
    return x, early, wrong
