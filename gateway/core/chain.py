"""Forks, clones and holes of one device, from the set of its messages (protocol section 5.6).

Nothing here knows the order in which messages arrived: whoever holds the set finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.cose import ID16_BYTES
from gateway.core.model import DeviceMessage, Gap, GapReason
from gateway.core.ranges import Ranges, contains, holes, union

NO_PREV = bytes(ID16_BYTES)


class ChainLink(NamedTuple):
    """A message with an admission entry, and the network that it came from."""

    message: DeviceMessage
    net_tag: bytes


class Before(NamedTuple):
    """What earlier epochs left: seqs that messages took, and seqs that only gaps cover."""

    by_message: Ranges = ()
    by_gap: Ranges = ()


NOTHING_BEFORE = Before()


class Fork(NamedTuple):
    """Messages with one seq or one prev. ids: all of them in these inputs, ascending; the first
    two are shown as evidence. There is one alone if its seq was taken in an earlier epoch. Those
    of a later epoch alone are left to that.
    """

    shared: int | bytes
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ChainFindings:
    """unpaid: ids whose readings the forks take the pay of; holes: seqs below the high-water mark
    that nothing delivers; by_message and by_gap: `Before` of the next epoch.
    """

    forks: tuple[Fork, ...]
    unpaid: frozenset[bytes]
    is_clone: bool
    holes: Ranges
    after: Before


def chain_findings(
    links: Iterable[ChainLink],
    before: Before = NOTHING_BEFORE,
    waiting: Iterable[ChainLink] = (),
) -> ChainFindings:
    """Findings on one device from its messages of an epoch and what earlier epochs left.

    waiting: admitted by the close, but of a later epoch, which will settle them. They fill no hole
    above the last seq of `links`. A message beats a gap that covers its seq. A prev is compared
    with those of these inputs alone.
    """
    by_id = {link.message.message_id: link for link in links}
    all_by_id = by_id | {link.message.message_id: link for link in waiting}
    forks = tuple(
        fork
        for fork in (*_seq_forks(all_by_id, before.by_message), *_prev_forks(all_by_id))
        if not by_id.keys().isdisjoint(fork.ids)
    )
    unpaid = frozenset(message_id for fork in forks for message_id in fork.ids)
    tags = ({all_by_id[message_id].net_tag for message_id in fork.ids} - {b""} for fork in forks)
    after = _delivered(by_id, before)
    known = _delivered(all_by_id, after)
    missing = holes(union((*known.by_message, *known.by_gap)))
    high = max((last for _, last in (*after.by_message, *after.by_gap)), default=0)
    return ChainFindings(
        forks,
        unpaid,
        any(len(tags_of_fork) > 1 for tags_of_fork in tags),
        # Above the high-water mark of this epoch the next one looks.
        tuple((first, last) for first, last in missing if first <= high),
        after,
    )


def _delivered(by_id: dict[bytes, ChainLink], before: Before) -> Before:
    seqs = ((link.message.seq, link.message.seq) for link in by_id.values())
    return Before(union((*before.by_message, *seqs)), union((*before.by_gap, *_gaps(by_id))))


def _seq_forks(by_id: dict[bytes, ChainLink], taken: Ranges) -> tuple[Fork, ...]:
    groups: dict[int, list[bytes]] = {}
    for message_id, link in by_id.items():
        groups.setdefault(link.message.seq, []).append(message_id)
    return tuple(
        Fork(seq, tuple(sorted(ids)))
        for seq, ids in sorted(groups.items())
        if len(ids) > 1 or contains(taken, seq)
    )


def _prev_forks(by_id: dict[bytes, ChainLink]) -> tuple[Fork, ...]:
    groups: dict[bytes, list[bytes]] = {}
    for message_id, link in by_id.items():
        prev = link.message.prev
        if prev != NO_PREV or not _is_chain_lost(link.message):
            groups.setdefault(prev, []).append(message_id)
    return tuple(
        Fork(prev, tuple(sorted(ids))) for prev, ids in sorted(groups.items()) if len(ids) > 1
    )


def _is_chain_lost(message: DeviceMessage) -> bool:
    return isinstance(message.body, Gap) and message.body.reason is GapReason.CHAIN_LOST


def _gaps(by_id: dict[bytes, ChainLink]) -> Ranges:
    return tuple(
        (link.message.body.first, link.message.body.last)
        for link in by_id.values()
        if isinstance(link.message.body, Gap)
    )
