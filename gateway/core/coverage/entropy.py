"""The entropy of a day's slots: one hash chain, committed to before it is used.

spec/coverage.md section 1. It holds no secret and publishes nothing: it hashes, and it checks what
a bundle says was published.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from gateway.core import canonical
from gateway.core.canonical import MalformedError, ascending, blob, octets, row, rows, uint
from gateway.core.cbor_profile import encode
from gateway.core.cose import MESSAGE_BYTES_MAX, Role, open_envelope
from gateway.core.genesis import SLOT_MS
from gateway.core.model import Kind
from gateway.core.statements import KeyStatement, key_in_force
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.core.wire import VERSION
from gateway.core.wire_bodies import UINT_LIMIT

DAY_SLOTS = 1440
CHAIN_BYTES = 32
EXTERNAL_BYTES_MAX = 64
# A gateway signs the commit of a day anew with every start; a day of restarts is enough.
COMMITS_MAX = 1440


class EntropyDay(NamedTuple):
    """What was published of one day's chain.

    commits: the signed entropy-commits, exact bytes, ascending; chain: the value of last_slot,
    the last slot whose link was published, from which all earlier ones follow by hashing;
    externals: (slot, bytes) where they are not empty, ascending.
    """

    commits: tuple[bytes, ...]
    last_slot: int
    chain: bytes
    externals: tuple[tuple[int, bytes], ...]


class EntropyCommit(NamedTuple):
    """A signed promise that the values of `slots` slots from first_slot hash to chain_end."""

    chain_end: bytes
    first_slot: int
    slots: int
    time_ms: int


def chain_end(last: bytes, steps: int) -> bytes:
    """Return `last` hashed `steps` times: that of a day's last slot, 1440 times, is its end."""
    value = last
    for _ in range(steps):
        value = sha256(value).digest()
    return value


def chain_value(last: bytes, last_slot: int, slot: int) -> bytes:
    """Return the value of `slot`, given that of last_slot; ValueError for a later slot."""
    if slot > last_slot:
        raise ValueError(f"slot {slot} lies behind {last_slot}: nobody can compute its value")
    return chain_end(last, last_slot - slot)


def slot_entropy(chain: bytes, external: bytes) -> bytes:
    """Return a slot's entropy from its chain value and what was mixed in, b"" for nothing."""
    return sha256(chain + external).digest()


def encode_entropy(day: EntropyDay | None) -> bytes:
    """Return the deterministic CBOR of a day's entropy, b"" for a day without any."""
    return b"" if day is None else encode(list(day))


def decode_entropy(data: bytes) -> EntropyDay | None:
    """Return the day in `data`, or raise MalformedError; no signature and no hash is checked."""
    if not data:
        return None
    fields = row(canonical.decode(data), 4, "the entropy of a day")
    commits = tuple(blob(item, "an entropy commit") for item in rows(fields[0], "commits"))
    if not 1 <= len(commits) <= COMMITS_MAX or max(map(len, commits)) > MESSAGE_BYTES_MAX:
        raise MalformedError("there are no commits, too many, or one is too long")
    ascending(commits, "commits")
    externals = tuple(_external(item) for item in rows(fields[3], "externals"))
    ascending([slot for slot, _ in externals], "slots of externals")
    return EntropyDay(
        commits,
        uint(fields[1], "the last slot"),
        octets(fields[2], (CHAIN_BYTES,), "a chain value"),
        externals,
    )


def open_entropy_commit(
    data: bytes, network_id: bytes, statements: Iterable[KeyStatement]
) -> EntropyCommit | Verdict:
    """Decode an entropy-commit to all and check that a gateway key in force then signed it."""
    envelope = open_envelope(data, network_id, Role.GATEWAY)
    if isinstance(envelope, Verdict):
        return envelope
    try:
        commit = _commit(canonical.decode(envelope.payload))
    except MalformedError:
        return Verdict.BAD_PAYLOAD
    key = key_in_force(statements, Role.GATEWAY, envelope.kid, commit.time_ms)
    if key is None:
        return Verdict.KEY_NOT_IN_FORCE
    if not signature_valid(key, envelope.signature, envelope.to_be_signed):
        return Verdict.BAD_SIGNATURE
    return commit


def open_entropy(
    data: bytes,
    epoch: int,
    network_id: bytes,
    statements: tuple[KeyStatement, ...],
    voids: Iterable[tuple[int, int]],
) -> dict[int, bytes]:
    """Return the entropy of every slot of the day that counts, ascending by slot.

    data: an encoded EntropyDay, b"" for a day without any; voids: inclusive ranges of slots that
    the operator declared void. MalformedError if the bytes are no such document, a commit is not
    this day's or not signed, two commits differ, or the chain does not end where they say.
    """
    day = decode_entropy(data)
    if day is None:
        return {}
    first = epoch * DAY_SLOTS
    if not first <= day.last_slot < first + DAY_SLOTS:
        raise MalformedError(f"slot {day.last_slot} is not of day {epoch}")
    if any(not first <= slot <= day.last_slot for slot, _ in day.externals):
        raise MalformedError("an external belongs to a slot without a link")
    end, committed_ms = _agreed(day.commits, first, network_id, statements)
    links = _links(day, first, end)
    externals = dict(day.externals)
    left_out = _slots_of(voids, first)
    return {
        slot: slot_entropy(chain, externals.get(slot, b""))
        for slot, chain in enumerate(links, start=first)
        # A commit that is younger than a slot may have been made for what was in it.
        if slot * SLOT_MS >= committed_ms and slot not in left_out
    }


def _agreed(
    commits: tuple[bytes, ...],
    first: int,
    network_id: bytes,
    statements: tuple[KeyStatement, ...],
) -> tuple[bytes, int]:
    """Return the one chain end that all commits name, and the earliest time of a commit."""
    opened = []
    for data in commits:
        commit = open_entropy_commit(data, network_id, statements)
        if isinstance(commit, Verdict):
            raise MalformedError(f"an entropy commit is {commit.name.lower()}")
        if (commit.first_slot, commit.slots) != (first, DAY_SLOTS):
            raise MalformedError(f"an entropy commit is not for the day from slot {first}")
        opened.append(commit)
    # Whoever commits to two chains could choose between them when the beacons are known.
    if len({commit.chain_end for commit in opened}) != 1:
        raise MalformedError("there are commits to two different chains")
    return opened[0].chain_end, min(commit.time_ms for commit in opened)


def _links(day: EntropyDay, first: int, end: bytes) -> list[bytes]:
    """Return the chain values of the slots from `first` to the last published, in this order."""
    links = [day.chain]
    for _ in range(day.last_slot - first):
        links.append(sha256(links[-1]).digest())
    if sha256(links[-1]).digest() != end:
        raise MalformedError("the chain does not end where the commits say")
    links.reverse()
    return links


def _slots_of(ranges: Iterable[tuple[int, int]], first: int) -> set[int]:
    """Return the slots of inclusive ranges that lie in the day; a range may be huge."""
    slots: set[int] = set()
    for low, high in ranges:
        slots.update(range(max(low, first), min(high, first + DAY_SLOTS - 1) + 1))
    return slots


def _external(value: Any) -> tuple[int, bytes]:
    slot, external = row(value, 2, "an external")
    return uint(slot, "a slot"), octets(external, range(1, EXTERNAL_BYTES_MAX + 1), "an external")


def _commit(value: Any) -> EntropyCommit:
    version, kind, to, serial, time_ms, body = row(value, 6, "a gateway message")
    if (version, kind, to) != (VERSION, Kind.ENTROPY_COMMIT, b""):
        raise MalformedError("it is no entropy-commit to all")
    end, first_slot, slots = row(body, 3, "an entropy commit")
    for number in (serial, time_ms, first_slot, slots):
        if uint(number, "a number") >= UINT_LIMIT:
            raise MalformedError("a number is 2^53 or more")
    return EntropyCommit(octets(end, (CHAIN_BYTES,), "a chain end"), first_slot, slots, time_ms)
