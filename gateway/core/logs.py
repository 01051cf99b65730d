"""The hash chains of the admission log and the operator log: protocol section 9."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gateway.core import canonical
from gateway.core.cbor_profile import encode
from gateway.core.model import AdmissionEntry
from gateway.core.verdicts import Verdict

ADMISSION_LABEL = b"cairn admission log"
OPERATOR_LABEL = b"cairn operator log"
_VERDICTS = frozenset(Verdict)


def chain_start(label: bytes, network_id: bytes) -> bytes:
    """Return h_0 of the log named `label` in a network."""
    return hashlib.sha256(label + network_id).digest()


def chain_next(before: bytes, entry: bytes) -> bytes:
    """Return h_n from h_(n-1) and the CBOR of entry n."""
    return hashlib.sha256(before + entry).digest()


def chain_over(before: bytes, entries: Iterable[bytes]) -> bytes:
    """Return the chain after all `entries`, given as CBOR."""
    for entry in entries:
        before = chain_next(before, entry)
    return before


def admission_fields(entry: AdmissionEntry) -> tuple[bytes, int, int, int, bytes]:
    """Return the entry as the array that is logged."""
    return entry.message_id, entry.recv_ms, int(entry.verdict), entry.rules, entry.net_tag


def admission_cbor(entry: AdmissionEntry) -> bytes:
    """Return the bytes that the admission chain hashes for `entry`."""
    return encode(admission_fields(entry))


def operator_cbor(event: bytes) -> bytes:
    """Return the bytes that the operator chain hashes for a signed event."""
    return encode(event)


def parse_admission(fields: object) -> AdmissionEntry:
    """Return the entry in a decoded array, or raise MalformedError."""
    message_id, recv_ms, verdict, rules, net_tag = canonical.row(fields, 5, "an admission entry")
    if canonical.uint(verdict, "a verdict") not in _VERDICTS:
        raise canonical.MalformedError(f"an admission entry has the unknown verdict {verdict!r}")
    return AdmissionEntry(
        canonical.octets(message_id, (32,), "a message id"),
        canonical.uint(recv_ms, "recv_ms"),
        Verdict(verdict),
        canonical.uint(rules, "a rules serial"),
        canonical.octets(net_tag, (0, 8), "a net_tag"),
    )
