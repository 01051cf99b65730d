"""Releases of the boards' program: who may sign one, what is in it, may a board take it.

Normative: spec/protocol.md section 13. Bytes in, values or a Refusal out: hostile input never
raises. The firmware has its own reader of the same bytes; spec/vectors/release_* hold both to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard

from gateway.core.cbor_profile import encode, load
from gateway.core.cose import ID16_BYTES, SIGNATURE_BYTES, Role, open_envelope, signature_input
from gateway.core.ids import device_id
from gateway.core.verdicts import Verdict
from gateway.core.verify import PUBLIC_KEY_BYTES, key_acceptable, signature_valid
from gateway.core.wire import VERSION
from gateway.core.wire_bodies import FIRMWARE_BYTES_MAX, UINT_LIMIT

TRUST_TEXT = "release-keys"
KEYS_MAX = 8
FILES_MAX = 96
FILE_BYTES_MAX = 262_144
NAME_BYTES_MAX = 48
VERSION_BYTES_MAX = 32
BUNDLE_BYTES_MAX = 8_192
INDEX_BYTES_MAX = 1_024
INDEX_ROWS_MAX = 8
HASH_BYTES = 32
# What a board starts; without it a slot would hold nothing that runs.
PROGRAM = "application.mpy"
# What a board keeps in a slot about itself, and what starts it.
_RESERVED = frozenset({"release", "main.py"})
_NAME = re.compile(r"[A-Za-z0-9_.\-]+(?:/[A-Za-z0-9_.\-]+)*", re.ASCII)
_VERSION = re.compile(r"[ -~]{1,32}")
_ARCHITECTURE = re.compile(r"[a-z0-9]{1,16}")
_SHOWN = re.compile(r"cairn ([!-~]+)(?: r(0|[1-9][0-9]{0,15})(?: x([1-9][0-9]{0,15}))?)?")
INDEX = "index"


class Refusal(StrEnum):
    """Why a board does not take a release."""

    MALFORMED = "malformed"
    BAD_TRUST = "bad_trust"
    WEAK_KEY = "weak_key"
    TRUST_ROLLED_BACK = "trust_rolled_back"
    OTHER_ARCHITECTURE = "other_architecture"
    ROLLED_BACK = "rolled_back"
    BAD_SIGNATURE = "bad_signature"
    TOO_FEW_SIGNATURES = "too_few_signatures"
    OTHER_CONTENT = "other_content"


class Trust(NamedTuple):
    """Whose signatures count: `threshold` different ones of `keys` make a release."""

    serial: int
    threshold: int
    keys: tuple[bytes, ...]

    def key_of(self, kid: bytes) -> bytes | None:
        return next((key for key in self.keys if device_id(key) == kid), None)


class ReleaseFile(NamedTuple):
    name: str
    size: int
    sha256: bytes


class Manifest(NamedTuple):
    """What a board of one architecture runs; files by name, ascending."""

    counter: int
    version: str
    architecture: str
    files: tuple[ReleaseFile, ...]


class Signature(NamedTuple):
    kid: bytes
    signature: bytes


class Bundle(NamedTuple):
    """One file that a board can judge alone: exact bytes of trust document and manifest."""

    trust: bytes
    manifest: bytes
    signatures: tuple[Signature, ...]


class IndexRow(NamedTuple):
    architecture: str
    size: int
    sha256: bytes


class Standing(NamedTuple):
    """What a board is: the counter that it runs, the highest that it ever confirmed, the highest
    trust serial that it has kept.
    """

    architecture: str
    running: int = 0
    confirmed: int = 0
    trust_serial: int = 0


class Accepted(NamedTuple):
    """signers: the first `threshold` kids of trusted keys, all with a valid signature."""

    trust: Trust
    manifest: Manifest
    signers: tuple[bytes, ...]


class Shown(NamedTuple):
    """What a hello says of its program. counter: None without slots; failed: 0: none did."""

    version: str
    counter: int | None
    failed: int


# ---- who may sign


def trust_payload(trust: Trust) -> bytes:
    """The payload that the root key signs, role `root`."""
    return encode([VERSION, TRUST_TEXT, trust.serial, trust.threshold, list(trust.keys)])


def open_trust(
    data: bytes, network_id: bytes, root_key: bytes, serial_min: int = 0
) -> Trust | Refusal:
    """Read a trust document and check that the root key signed it."""
    envelope = open_envelope(data, network_id, Role.ROOT)
    if isinstance(envelope, Verdict):
        return Refusal.MALFORMED
    trust = parse_trust(envelope.payload)
    if trust is None:
        return Refusal.MALFORMED
    if envelope.kid != device_id(root_key):
        return Refusal.BAD_TRUST
    if trust.serial < serial_min:
        return Refusal.TRUST_ROLLED_BACK
    if not signature_valid(root_key, envelope.signature, envelope.to_be_signed):
        return Refusal.BAD_TRUST
    # Under a small-order key anything verifies.
    return trust if all(map(key_acceptable, trust.keys)) else Refusal.WEAK_KEY


def parse_trust(payload: bytes) -> Trust | None:
    """Read the payload of a trust document, whoever signed it."""
    match load(payload):
        case [version, text, serial, threshold, list(keys)] if _is(version, VERSION):
            return _trust(serial, threshold, keys) if text == TRUST_TEXT else None
        case _:
            return None


def _trust(serial: Any, threshold: Any, keys: list[Any]) -> Trust | None:
    fits = (
        _number(serial, 1)
        and _number(threshold, 1)
        and threshold <= len(keys) <= KEYS_MAX
        and all(_octets(key, PUBLIC_KEY_BYTES) for key in keys)
        and len(set(keys)) == len(keys)
    )
    return Trust(serial, threshold, tuple(keys)) if fits else None


# ---- what is in it


def manifest_payload(manifest: Manifest) -> bytes:
    """The payload that every signer signs, role `release`."""
    files = [list(file) for file in manifest.files]
    return encode([VERSION, manifest.counter, manifest.version, manifest.architecture, files])


def manifest_fault(manifest: Manifest) -> str:
    """What no board would take of it; "" if nothing."""
    if not _number(manifest.counter, 1):
        return f"the counter {manifest.counter} is not from 1 on"
    if not _VERSION.fullmatch(manifest.version):
        return f"the version {manifest.version!r} is not 1 to 32 printable ASCII characters"
    if not is_architecture(manifest.architecture):
        return f"the architecture {manifest.architecture!r} is no name"
    names = [file.name for file in manifest.files]
    if not 1 <= len(names) <= FILES_MAX or any(a >= b for a, b in pairwise(names)):
        return f"it is not 1 to {FILES_MAX} files in ascending order of their names"
    for file in manifest.files:
        if not is_file_name(file.name):
            return f"{file.name!r} is no name of a file"
        if not 0 <= file.size <= FILE_BYTES_MAX:
            return f"{file.name} is larger than {FILE_BYTES_MAX} bytes"
    return "" if PROGRAM in names else f"there is no {PROGRAM} in it"


def parse_manifest(data: bytes) -> Manifest | Refusal:
    """Read a manifest's payload; who signed it is not asked here."""
    match load(data):
        case [version, counter, str(text), str(architecture), list(rows)] if _is(version, VERSION):
            files = [_file(row) for row in rows]
        case _:
            return Refusal.MALFORMED
    whole = [file for file in files if file is not None]
    manifest = Manifest(counter, text, architecture, tuple(whole))
    if len(whole) != len(files) or manifest_fault(manifest):
        return Refusal.MALFORMED
    return manifest


def _file(row: Any) -> ReleaseFile | None:
    match row:
        case [str(name), size, digest] if _number(size) and _octets(digest, HASH_BYTES):
            return ReleaseFile(name, size, digest)
        case _:
            return None


def is_architecture(text: str) -> bool:
    return bool(_ARCHITECTURE.fullmatch(text)) and text != INDEX


def is_file_name(name: str) -> bool:
    """A path below a slot: no way leads out of it."""
    return (
        len(name) <= NAME_BYTES_MAX
        and bool(_NAME.fullmatch(name))
        and name not in _RESERVED
        and not {".", ".."} & set(name.split("/"))
    )


# ---- what a board fetches


def encode_bundle(bundle: Bundle) -> bytes:
    return encode([bundle.trust, bundle.manifest, [list(one) for one in bundle.signatures]])


def parse_bundle(data: bytes) -> Bundle | Refusal:
    """Take a bundle apart; what is in it is not judged here."""
    if len(data) > BUNDLE_BYTES_MAX:
        return Refusal.MALFORMED
    match load(data):
        case [bytes(trust), bytes(manifest), list(rows)] if len(rows) <= KEYS_MAX:
            signatures = [_signature(row) for row in rows]
        case _:
            return Refusal.MALFORMED
    whole = [one for one in signatures if one is not None]
    if len(whole) != len(signatures) or any(a.kid >= b.kid for a, b in pairwise(whole)):
        return Refusal.MALFORMED
    return Bundle(trust, manifest, tuple(whole))


def _signature(row: Any) -> Signature | None:
    match row:
        case [kid, signature] if _octets(kid, ID16_BYTES) and _octets(signature, SIGNATURE_BYTES):
            return Signature(kid, signature)
        case _:
            return None


def encode_index(rows: Sequence[IndexRow]) -> bytes:
    return encode([list(row) for row in sorted(rows)])


def parse_index(data: bytes) -> tuple[IndexRow, ...] | Refusal:
    """Read the list of bundles, one an architecture."""
    found = load(data) if len(data) <= INDEX_BYTES_MAX else None
    if type(found) is not list or not 1 <= len(found) <= INDEX_ROWS_MAX:
        return Refusal.MALFORMED
    rows = [_index_row(row) for row in found]
    whole = [row for row in rows if row is not None]
    names = [row.architecture for row in whole]
    if len(whole) != len(rows) or any(a >= b for a, b in pairwise(names)):
        return Refusal.MALFORMED
    return tuple(whole)


def _index_row(row: Any) -> IndexRow | None:
    match row:
        case [str(text), size, digest] if _number(size, 1) and _octets(digest, HASH_BYTES):
            fits = is_architecture(text) and size <= BUNDLE_BYTES_MAX
            return IndexRow(text, size, digest) if fits else None
        case _:
            return None


# ---- may a board take it


def judge(
    data: bytes, standing: Standing, network_id: bytes, root_key: bytes
) -> Accepted | Refusal:
    """Judge a bundle as a board does that stands there: what is cheap to see comes first."""
    bundle = parse_bundle(data)
    if isinstance(bundle, Refusal):
        return bundle
    manifest = parse_manifest(bundle.manifest)
    if isinstance(manifest, Refusal):
        return manifest
    trust = open_trust(bundle.trust, network_id, root_key, standing.trust_serial)
    if isinstance(trust, Refusal):
        return trust
    if manifest.architecture != standing.architecture:
        return Refusal.OTHER_ARCHITECTURE
    if manifest.counter <= max(standing.running, standing.confirmed):
        return Refusal.ROLLED_BACK
    signers = _signers(bundle, trust, network_id)
    return signers if isinstance(signers, Refusal) else Accepted(trust, manifest, signers)


def _signers(bundle: Bundle, trust: Trust, network_id: bytes) -> tuple[bytes, ...] | Refusal:
    """Strangers' signatures do not count; behind enough valid ones nobody looks any more."""
    found: list[bytes] = []
    for one in bundle.signatures:
        valid = signature_counts(one, bundle.manifest, trust, network_id)
        if valid is False:
            return Refusal.BAD_SIGNATURE
        if valid:
            found.append(one.kid)
        if len(found) == trust.threshold:
            return tuple(found)
    return Refusal.TOO_FEW_SIGNATURES


def signature_counts(
    one: Signature, manifest: bytes, trust: Trust, network_id: bytes
) -> bool | None:
    """Whether it is valid; None if its key is not trusted."""
    key = trust.key_of(one.kid)
    if key is None:
        return None
    message = signature_input(one.kid, network_id, Role.RELEASE, manifest)
    return signature_valid(key, one.signature, message)


def find_bundle(index: bytes, architecture: str, data: bytes) -> Refusal | None:
    """Whether `data` is the bundle that the index names for an architecture."""
    rows = parse_index(index)
    if isinstance(rows, Refusal):
        return rows
    row = next((row for row in rows if row.architecture == architecture), None)
    if row is None:
        return Refusal.OTHER_ARCHITECTURE
    same = (len(data), sha256(data).digest()) == (row.size, row.sha256)
    return None if same else Refusal.OTHER_CONTENT


# ---- what a hello says


def shown_text(version: str, counter: int, failed: int = 0) -> str:
    """The firmware text of a board with slots."""
    return f"cairn {version} r{counter}" + (f" x{failed}" if failed else "")


def read_shown(text: str) -> Shown | None:
    """The same, read; None if that is not how our program names itself."""
    found = _SHOWN.fullmatch(text)
    if found is None:
        return None
    version, counter, failed = found.groups()
    return Shown(version, None if counter is None else int(counter), int(failed or 0))


def version_fits(version: str, counter: int) -> bool:
    """Whether a board can say in its hello that it runs this, or that it failed."""
    shown = shown_text(version, counter, counter)
    return read_shown(shown) is not None and len(shown.encode()) <= FIRMWARE_BYTES_MAX


# ---- plumbing


def _number(value: Any, low: int = 0) -> TypeGuard[int]:
    return type(value) is int and low <= value < UINT_LIMIT


def _is(value: Any, wanted: int) -> bool:
    return type(value) is int and value == wanted


def _octets(value: Any, size: int) -> TypeGuard[bytes]:
    return type(value) is bytes and len(value) == size
