"""What really happened, kept apart from everybody who could be wrong about it, and what must hold.

The ledger sees each message when a board signs it and each receipt when the gateway hands it out.
At the end it compares them with what the store holds. It knows CBOR shapes, and neither boards
nor the gateway's code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import cbor2

GAP = 7
DROPPED = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of the admission log with what its message says of itself."""

    message_id: bytes
    device: bytes
    kind: int
    seq: int
    covers: tuple[int, int, int] | None  # first and last seq of a gap, and its reason


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken promise: which one, and an instance of it."""

    invariant: str
    detail: str


@dataclass(slots=True)
class Account:
    """One station: its messages by seq, and the furthest that it was promised.

    shared: several boards sign with its key. Nothing is promised to such a forger, so only its
    messages are counted, all of them in `forks`.
    """

    name: str
    shared: bool = False
    forks: set[bytes] = field(default_factory=set)
    signed: dict[int, bytes] = field(default_factory=dict)
    reused: list[int] = field(default_factory=list)
    promised_up_to: int = 0
    promised: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Counts:
    """signed: messages that a board signed and stored, and so may send. Of these, durable: in the
    gateway's store; dropped: given up by a full outbox, under a gap. cut: signatures that a power
    cut kept from the board's flash; they never left the board, and a gap covers their seqs.
    """

    signed: int
    durable: int
    dropped: int
    cut: int


class Ledger:
    """Ground truth of one run; devices are known by their 16-byte ids."""

    def __init__(self) -> None:
        self.signed_count = 0
        self._accounts: dict[bytes, Account] = {}

    def open_account(self, device: bytes, name: str) -> None:
        """Begin a station's account; a second one for the same device is a clone's."""
        if device in self._accounts:
            self._accounts[device].shared = True
        else:
            self._accounts[device] = Account(name)

    def signed(self, device: bytes, to_be_signed: bytes) -> None:
        """Note a message in the moment of its signature; to_be_signed is a Sig_structure."""
        account = self._accounts[device]
        seq: int = payload_of(cbor2.loads(to_be_signed)[3])[3]
        self.signed_count += 1
        message_id = hashlib.sha256(to_be_signed).digest()
        if seq in account.signed:
            account.reused.append(seq)
        account.signed[seq] = message_id
        if account.shared:
            account.forks.add(message_id)

    def receipted(self, device: bytes, receipt: bytes) -> None:
        """Note a receipt (COSE_Sign1 bytes) that leaves the gateway."""
        account = self._accounts[device]
        up_to, _, ranges, refusals, _ = payload_of(cbor2.loads(receipt).value[2])[5]
        account.promised_up_to = max(account.promised_up_to, up_to)
        for first, last in ranges:
            account.promised.update(range(first, last + 1))
        account.refused.update(seq for seq, _ in refusals)

    def unreceipted(self) -> list[tuple[str, int]]:
        """Stations with a signed message that no receipt covers, and its seq."""
        waiting = []
        for account in self._accounts.values():
            last = max(account.signed, default=0)
            if account.shared:
                continue
            if account.promised_up_to < last:
                waiting.append((account.name, account.promised_up_to + 1))
        return waiting

    def compare(self, stored: Iterable[Stored]) -> tuple[Counts, list[Failure]]:
        """Check every promise against the store's content."""
        by_device: dict[bytes, list[Stored]] = {device: [] for device in self._accounts}
        failures = []
        for entry in stored:
            if entry.device in by_device:
                by_device[entry.device].append(entry)
            else:
                failures.append(Failure("forged", f"stored for no station: {entry}"))
        signed = durable = dropped = cut = 0
        for device, account in self._accounts.items():
            if account.shared:
                signed += len(account.forks)
                durable += len(account.forks & {entry.message_id for entry in by_device[device]})
                continue
            held = {entry.seq for entry in by_device[device]}
            failures += _doubles(account, by_device[device])
            failures += _strangers(account, by_device[device])
            failures += _broken_promises(account, held | account.refused, by_device[device])
            unheld = account.signed.keys() - held
            given_up, never_stored = _under_gaps(unheld, by_device[device])
            signed += len(account.signed) - len(never_stored)
            durable += len(held & account.signed.keys())
            dropped += len(given_up)
            cut += len(never_stored)
        return Counts(signed, durable, dropped, cut), failures


def payload_of(data: bytes) -> Any:
    """Decode a payload that our own code has signed."""
    return cbor2.loads(data)


def _under_gaps(seqs: AbstractSet[int], stored: list[Stored]) -> tuple[set[int], set[int]]:
    """Those of seqs under a gap of a full outbox, and the rest of those under any gap."""
    given_up: set[int] = set()
    covered: set[int] = set()
    for entry in stored:
        if entry.covers is not None:
            first, last, reason = entry.covers
            under = {seq for seq in seqs if first <= seq <= last}
            covered |= under
            if reason == DROPPED:
                given_up |= under
    return given_up, covered - given_up


def _doubles(account: Account, stored: list[Stored]) -> list[Failure]:
    failures = [
        Failure("seq signed once", f"{account.name} signed seq {seq} twice")
        for seq in account.reused
    ]
    seen: set[int] = set()
    for entry in stored:
        if entry.seq in seen:
            failures.append(Failure("counted once", f"{account.name} seq {entry.seq} twice"))
        seen.add(entry.seq)
    return failures


def _strangers(account: Account, stored: list[Stored]) -> list[Failure]:
    return [
        Failure("only what was signed", f"{account.name} never signed {entry.message_id.hex()}")
        for entry in stored
        if account.signed.get(entry.seq) != entry.message_id
    ]


def _broken_promises(
    account: Account, settled: set[int], stored: list[Stored]
) -> Iterable[Failure]:
    covered = set(settled)
    for entry in stored:
        if entry.covers is not None:
            covered.update(range(entry.covers[0], entry.covers[1] + 1))
    promised = account.promised | set(range(1, account.promised_up_to + 1))
    for seq in sorted(promised - covered):
        yield Failure("receipt means durable", f"{account.name} seq {seq} is receipted, not held")
    for seq in sorted(account.signed.keys() - covered - promised):
        yield Failure("nothing lost", f"{account.name} seq {seq} is neither held nor in a gap")
