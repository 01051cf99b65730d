"""The entropy chain in operation (docs/decisions/0014-entropy-operation.md).

A day's chain follows from one secret, so nothing has to be drawn or kept for it. What was said of
it is kept: a commit is made once and a link is stored before anybody sees it, so that a restart
says the same again or nothing. It has no clock and sends nothing.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway.core.canonical import MalformedError
from gateway.core.cose import Role
from gateway.core.coverage.entropy import (
    DAY_SLOTS,
    EntropyCommit,
    EntropyDay,
    chain_end,
    chain_value,
    encode_entropy,
    open_entropy,
    open_entropy_commit,
)
from gateway.core.downlink import TO_ALL, Downlink, entropy_commit_tail, entropy_link
from gateway.core.genesis import SLOT_MS
from gateway.core.ids import device_id
from gateway.core.operator import OperatorEvent, VoidSlots
from gateway.core.ranges import Ranges, contains, union
from gateway.core.statements import KeyStatement, key_in_force, open_statement
from gateway.shell import log
from gateway.shell.network import ENTROPY_SECRET, Network, NetworkKeys
from gateway.shell.secret_files import damaged, read_secret, write_once
from gateway.shell.store.base import EntropyLog, StoredLink
from gateway.shell.voice import Voice

_SECRET_BYTES = 32
_LABEL = b"cairn entropy"


class EntropyCounts(NamedTuple):
    """Of this process: links made durable, slots declared void, and the newest link's slot."""

    published: int
    void: int
    newest_slot: int | None


class _Day(NamedTuple):
    """last: the chain's value in the day's last slot, None if it is not ours to know any more."""

    commit: EntropyCommit
    data: bytes
    last: bytes | None


class EntropyChain:
    """Commits and links of one gateway, on its store."""

    def __init__(
        self,
        keys: NetworkKeys,
        stored: EntropyLog,
        voice: Voice,
        statements: Sequence[KeyStatement],
    ) -> None:
        self._keys = keys
        self._stored = stored
        self._voice = voice
        self._statements = tuple(statements)
        self._kid = device_id(bytes(keys.gateway.verify_key))
        self._secret: bytes | None = None
        self._days: dict[int, _Day] = {}
        self._newest = stored.newest()
        self._told_days: set[int] = set()
        self._told_slot = -1
        self._looked_back = False
        self._published = 0
        self._void = 0

    @property
    def counts(self) -> EntropyCounts:
        newest = self._newest
        return EntropyCounts(self._published, self._void, newest.slot if newest else None)

    def downlinks(
        self,
        now_ms: int,
        external: bytes,
        *,
        late_ms: int,
        void: Ranges,
        declare: Callable[[Ranges], bool],
    ) -> list[Downlink]:
        """What is to be said at protocol time now_ms: commits, then the present slot's link.

        void: what the operator log declares so; declare logs more and says whether it could. All
        that is returned is durable, and so are the voids that come before it.
        """
        told = self._commits(now_ms)
        slot = now_ms // SLOT_MS
        late = now_ms - slot * SLOT_MS > late_ms
        due = not late and self._can_tell(slot, void)
        if due or not self._looked_back:
            self._looked_back = True
            missed = self._missed(slot + 1 if late else slot, void)
            if missed:
                # A gap that is not in the log would count as published once the chain goes on.
                declared = declare(missed)
                due = due and declared
                self._void += declared * sum(last - first + 1 for first, last in missed)
        return [*told, self._link(slot, external)] if due else told

    def _commits(self, now_ms: int) -> list[Downlink]:
        """Those of today and tomorrow that this process has not told yet."""
        today = now_ms // SLOT_MS // DAY_SLOTS
        self._told_days = {day for day in self._told_days if day >= today}
        told = []
        for day in (today, today + 1):
            if day in self._told_days:
                continue
            found = self._day(day) or self._commit(day, now_ms)
            if found is not None:
                self._told_days.add(day)
                told.append(Downlink(TO_ALL, entropy_commit_tail(day), found.data))
        return told

    def _can_tell(self, slot: int, void: Ranges) -> bool:
        """May the link of this slot be told? Not if it is void, or this process told it."""
        day = self._day(slot // DAY_SLOTS)
        return (
            day is not None
            and day.last is not None
            and slot * SLOT_MS >= day.commit.time_ms
            and slot > self._told_slot
            and (self._newest is None or self._newest.slot <= slot)
            and not contains(void, slot)
        )

    def _missed(self, before: int, void: Ranges) -> Ranges:
        """Slots below `before` of days with a commit that were not published and are not void."""
        since = self._newest.slot + 1 if self._newest is not None else 0
        missed: list[tuple[int, int]] = []
        for number in self._stored.commits(since // DAY_SLOTS, (before - 1) // DAY_SLOTS + 1):
            day = self._day(number)
            if day is not None:
                commit = day.commit
                first = max(since, commit.first_slot, -(-commit.time_ms // SLOT_MS))
                last = min(before, commit.first_slot + commit.slots) - 1
                missed += _without(first, last, void)
        return union(missed)

    def _link(self, slot: int, external: bytes) -> Downlink:
        """The link of a slot, durable; the one that is stored, if it is."""
        newest = self._newest
        if newest is None or newest.slot != slot:
            day = self._day(slot // DAY_SLOTS)
            assert day is not None
            assert day.last is not None
            end = day.commit.first_slot + day.commit.slots - 1
            newest = StoredLink(slot, chain_value(day.last, end, slot), external)
            self._stored.add_link(newest)
            self._newest = newest
            self._published += 1
        self._told_slot = slot
        return entropy_link(slot, newest.chain, newest.external)

    # ---- days

    def _day(self, number: int) -> _Day | None:
        """A day that has a stored commit, None else."""
        if number not in self._days:
            data = self._stored.commits(number, number + 1).get(number)
            if data is None:
                return None
            commit = open_entropy_commit(data, self._keys.network_id, self._statements)
            if not isinstance(commit, EntropyCommit):
                log.trouble("entropy_commit_unusable", day=number, verdict=commit.name.lower())
                return None
            self._keep(number, data, commit)
        return self._days[number]

    def _keep(self, number: int, data: bytes, commit: EntropyCommit) -> None:
        value = self._last_value(number)
        ours = chain_end(value, commit.slots) == commit.chain_end
        if not ours:
            # The secret was lost and made again. What was promised can only be left out.
            log.trouble("entropy_secret_changed", day=number)
        self._days = {day: kept for day, kept in self._days.items() if day >= number - 1}
        self._days[number] = _Day(commit, data, value if ours else None)

    def _commit(self, day: int, now_ms: int) -> _Day | None:
        # Signed by a key that is not in force it would be worse than none: an audit refuses it.
        if key_in_force(self._statements, Role.GATEWAY, self._kid, now_ms) is None:
            return None
        end = chain_end(self._last_value(day), DAY_SLOTS)
        data = self._voice.entropy_commit(end, day * DAY_SLOTS, DAY_SLOTS, now_ms)
        self._stored.add_commit(day, data)
        return self._day(day)

    def _last_value(self, day: int) -> bytes:
        if self._secret is None:
            self._secret = entropy_secret(self._keys.keys_folder)
        return hmac.digest(self._secret, _LABEL + day.to_bytes(8, "big"), hashlib.sha256)


def entropy_secret(keys_folder: Path) -> bytes:
    """The secret behind every day's chain; made at the first call of a network without one."""
    path = keys_folder / ENTROPY_SECRET
    if not path.exists():
        with suppress(FileExistsError):
            write_once(path, secrets.token_bytes(_SECRET_BYTES))
    text = read_secret(path, "the entropy secret")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != _SECRET_BYTES:
        raise damaged(path, "the entropy secret")
    return secret


def void_slots(events: Iterable[OperatorEvent]) -> Ranges:
    """What the operator log declares void."""
    return union(
        one for event in events if isinstance(event.body, VoidSlots) for one in event.body.ranges
    )


def entropy_of_day(stored: EntropyLog, network: Network, day: int) -> bytes:
    """What an epoch's inputs hold of entropy; b"" if none was published, or none that holds.

    Nothing that is wrong with it may keep an epoch from closing: then no slot of it counts.
    """
    commits = stored.commits(day, day + 1)
    links = stored.links(day * DAY_SLOTS, (day + 1) * DAY_SLOTS)
    if not commits or not links:
        return b""
    externals = tuple((link.slot, link.external) for link in links if link.external)
    newest = links[-1]
    encoded = encode_entropy(
        EntropyDay(tuple(commits.values()), newest.slot, newest.chain, externals)
    )
    network_id, root_key = network.network_id, network.genesis.root_key
    opened = [open_statement(one, network_id, root_key) for one in network.statements]
    statements = tuple(one for one in opened if isinstance(one, KeyStatement))
    try:
        open_entropy(encoded, day, network_id, statements, ())
    except MalformedError as error:
        log.trouble("entropy_unusable", day=day, why=str(error))
        return b""
    return encoded


def _without(first: int, last: int, void: Ranges) -> list[tuple[int, int]]:
    """The slots from first to last, both inside, that lie in no range of `void`."""
    left = []
    for low, high in void:
        if low > last:
            break
        if first < low:
            left.append((first, low - 1))
        first = max(first, high + 1)
    if first <= last:
        left.append((first, last))
    return left
