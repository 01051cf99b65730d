"""What a store must do, whatever database is behind it.

Everything given to one call of `commit` becomes durable together or not at all. A store knows
positions, bytes and hashes; it knows nothing of what the messages mean.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.model import AdmissionEntry
from gateway.core.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of the admission log with the exact bytes of its message."""

    entry: AdmissionEntry
    data: bytes


@dataclass(frozen=True, slots=True)
class Centre:
    """Where a scoring cell's centre was fixed, in 10^-6 degree."""

    cell: int
    lat_e6: int
    lon_e6: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An arrival that got no entry: counted, and kept as a sample for a while.

    stands_for: itself and others of its verdict of which no sample was kept.
    """

    verdict: Verdict
    recv_ms: int
    device: bytes
    data: bytes
    stands_for: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """What one ingest step writes. Centres belong to cells that these entries name first."""

    entries: tuple[Logged, ...] = ()
    centres: tuple[Centre, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class LogHead:
    """Length of a log and its chain hash after the last entry."""

    length: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link of an entropy chain as it was published: the chain's value and what was mixed in."""

    slot: int
    chain: bytes
    external: bytes


@dataclass(frozen=True, slots=True)
class StoredEpoch:
    """A closed epoch. Ranges are half-open positions in the two logs.

    coverage: the encoded coverage table, b"" for an epoch that has none.
    """

    epoch: int
    rules: int
    admission_first: int
    admission_last: int
    operator_first: int
    operator_last: int
    manifest_hash: bytes
    manifest: bytes
    closing: bytes
    outcome: bytes
    attestation: bytes
    coverage: bytes = b""


class EntropyLog(Protocol):
    """What was said of entropy. Whatever is added is durable when the call returns."""

    def commits(self, first: int, last: int) -> dict[int, bytes]:
        """Signed commits of the days first <= day < last, by day."""

    def add_commit(self, day: int, data: bytes) -> None:
        """Keep the commit of a day. ValueError if there is one: it is made once."""

    def newest(self) -> StoredLink | None:
        """The link of the highest slot."""

    def links(self, first: int, last: int) -> tuple[StoredLink, ...]:
        """Links of the slots first <= slot < last, in order."""

    def add_link(self, link: StoredLink) -> None:
        """Keep a link. ValueError unless its slot is above that of the newest."""


class Store(Protocol):
    """One network's truth. Every method raises OperatorFault when the database fails it."""

    @property
    def network_id(self) -> bytes: ...

    @property
    def entropy(self) -> EntropyLog: ...

    def commit(self, batch: Batch) -> None:
        """Write a batch in one durable transaction, extending the admission log's chain.

        ValueError (a bug of the caller) if an id is stored already; then nothing is written.
        """

    def known_id(self, message_id: bytes) -> bool: ...

    def admission_head(self) -> LogHead: ...

    def operator_head(self) -> LogHead: ...

    def admission_hash(self, length: int) -> bytes:
        """Chain hash of the admission log after its first `length` entries."""

    def operator_hash(self, length: int) -> bytes:
        """Chain hash of the operator log after its first `length` events."""

    def entries(self, first: int, last: int) -> tuple[AdmissionEntry, ...]:
        """Entries at positions first <= p < last, in order."""

    def iterate(self, first: int = 0) -> Iterator[Logged]:
        """Every entry from `first` on with its message, in order, without holding them all."""

    def messages(self, message_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Exact bytes by id; ids that are not stored are left out."""

    def append_event(self, event_id: bytes, data: bytes) -> None:
        """Add one operator event. ValueError if the id is stored already."""

    def events(self, first: int, last: int) -> tuple[bytes, ...]:
        """Operator events at positions first <= p < last, in order."""

    def centre(self, cell: int) -> Centre | None: ...

    def centres(self, first: int, last: int) -> tuple[Centre, ...]:
        """Centres of the cells first named by entries at positions first <= p < last, by cell."""

    def refused_counts(self) -> dict[Verdict, int]: ...

    def refused_samples(self, verdict: Verdict) -> tuple[Refused, ...]:
        """The newest refused arrivals of one verdict, newest first; at most `samples_max`."""

    def login_counters(self, devices: Collection[bytes]) -> dict[bytes, int]:
        """The highest login counter of each of these ids that has logged in before."""

    def record_logins(self, logins: Sequence[tuple[bytes, int]]) -> tuple[bool, ...]:
        """Raise login counters, in order and in one durable transaction.

        False for a counter that is not above the highest stored, also by an earlier one of the
        same call; then the stored one stands.
        """

    def store_epoch(self, closed: StoredEpoch) -> None:
        """Keep a closed epoch. Storing the same one again changes nothing.

        ValueError if another result is stored for it: a settled epoch is never rewritten.
        """

    def epoch(self, number: int) -> StoredEpoch | None: ...

    def epoch_numbers(self) -> tuple[int, ...]: ...

    def close(self) -> None: ...
