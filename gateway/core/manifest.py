"""The manifest of an epoch: everything that decided it, named by hash, in one CBOR array.

Normative text: spec/rewards.md section 6. It knows names and numbers, not how they came about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from gateway.core.canonical import (
    MalformedError,
    amount,
    decode,
    octets,
    row,
    rows,
    uint,
)
from gateway.core.cbor_profile import encode
from gateway.core.epoch_inputs import LogRange, Totals

FORMAT = 2
# Notice (protocol section 7, kind 23) by which a gateway puts its name under a manifest:
# [ATTESTATION_CODE, "epoch <number>", manifest hash].
ATTESTATION_CODE = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The fields in the order of the array; hashes are SHA-256 unless said otherwise.

    genesis, rules, quantities and tables (by name): of the exact bytes; opening, closing: of the
    encoded states; centres, entropy, stations, coverage, after_close: of their CBOR; payout_root:
    keccak-256, as the claims contract wants it.
    """

    network_id: bytes
    genesis: bytes
    simulated: int
    epoch: int
    previous: bytes
    opening: bytes
    closing: bytes
    message_root: bytes
    messages: int
    admission: LogRange
    operator: LogRange
    rules_serial: int
    rules: bytes
    quantities: bytes
    tables: tuple[tuple[str, bytes], ...]
    centres: bytes
    entropy: bytes
    stations: bytes
    coverage: bytes
    after_close: bytes
    totals: Totals
    payout_root: bytes


def digest(data: bytes) -> bytes:
    """Return the SHA-256 by which a manifest names `data`; also of a manifest itself."""
    return hashlib.sha256(data).digest()


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the deterministic CBOR of a manifest."""
    return encode([FORMAT, *(_plain(getattr(manifest, name)) for name in FIELDS)])


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest in `data`, or raise MalformedError."""
    version, *values = row(decode(data), len(FIELDS) + 1, "the manifest")
    if version != FORMAT:
        raise MalformedError(f"a manifest of format {version!r}")
    parsed: dict[str, Any] = {
        name: _PARSERS[name](value, name) for name, value in zip(FIELDS, values, strict=True)
    }
    manifest = Manifest(**parsed)
    if encode_manifest(manifest) != data:
        raise MalformedError("the manifest is not in its deterministic encoding")
    return manifest


def attestation_text(epoch: int) -> str:
    """Return the text of the notice by which a gateway attests an epoch."""
    return f"epoch {epoch}"


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest for people and programs: hashes in hex, amounts as decimal text."""
    return {name: _readable(getattr(manifest, name)) for name in FIELDS}


def manifest_differences(ours: Manifest, theirs: Manifest) -> list[str]:
    """Return the names of the fields in which two manifests differ, in their order."""
    return [name for name in FIELDS if getattr(ours, name) != getattr(theirs, name)]


def _plain(value: Any) -> Any:
    if isinstance(value, Totals):
        return [str(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, LogRange):
        return [getattr(value, field.name) for field in fields(value)]
    return value


def _readable(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Totals):
        return {field.name: str(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, LogRange):
        return {field.name: _readable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return {name: _readable(item) for name, item in value}
    return value


def _hash(value: Any, what: str) -> bytes:
    return octets(value, (32,), what)


def _log_range(value: Any, what: str) -> LogRange:
    first, last, before, after = row(value, 4, what)
    return LogRange(uint(first, what), uint(last, what), _hash(before, what), _hash(after, what))


def _totals(value: Any, what: str) -> Totals:
    return Totals(*(amount(item, what) for item in row(value, len(fields(Totals)), what)))


def _tables(value: Any, what: str) -> tuple[tuple[str, bytes], ...]:
    tables = []
    for item in rows(value, what):
        name, table_hash = row(item, 2, what)
        if type(name) is not str:
            raise MalformedError(f"{what}: a name is not text")
        tables.append((name, _hash(table_hash, what)))
    return tuple(tables)


FIELDS = tuple(field.name for field in fields(Manifest))
_BY_TYPE: dict[Any, Callable[[Any, str], Any]] = {
    bytes: _hash,
    int: uint,
    LogRange: _log_range,
    Totals: _totals,
    tuple[tuple[str, bytes], ...]: _tables,
}
_PARSERS = {name: _BY_TYPE[hint] for name, hint in get_type_hints(Manifest).items()}
_PARSERS["network_id"] = lambda value, what: octets(value, (8,), what)
