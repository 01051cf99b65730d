"""Strict parsers of releases, and who must have signed one (spec/protocol.md section 13).

Bytes in, tuples out; what breaks a rule raises ReleaseError and nothing else. Its code is one of:
malformed, bad_trust, weak_key, trust_rolled_back, other_architecture, rolled_back, bad_signature,
too_few_signatures.
"""

from . import cbor, cose, limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from .keyring import Keyring

    # name, size, SHA-256
    Row = tuple[str, int, bytes]
    # kid, signature
    Signed = tuple[bytes, bytes]
    # counter, version, architecture, files
    Manifest = tuple[int, str, str, list[Row]]

APPLICATION = "application.mpy"
_RESERVED = ("release", "main.py")
_TRUST = "release-keys"
# In a path it stands in an architecture's place.
_INDEX = "index"
_VERSION = 16
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/"
_ARCHITECTURE_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# The points of small order have these ordinates on the curve modulo _P, and 0, 1 and -1.
_P = (1 << 255) - 19
_WEAK = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"


class ReleaseError(ValueError):
    """A refused release, and why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def parse_index(data: bytes) -> "list[Row]":
    """(architecture, size, SHA-256) of each bundle."""
    rows = _list(_decode(data, limits.INDEX_BYTES_MAX))
    if not 1 <= len(rows) <= limits.ARCHITECTURES_MAX:
        raise ReleaseError("malformed")
    found = []
    for row in rows:
        name, size, digest = _list(row, 3)
        _architecture(name)
        _uint(size, 1, limits.BUNDLE_BYTES_MAX)
        found.append((name, size, _bytes(digest, 32)))
    _ascending([row[0].encode() for row in found])
    return found


def parse_bundle(data: bytes) -> "tuple[bytes, bytes, list[Signed]]":
    """(trust document, manifest, [(kid, signature)])."""
    trust, manifest, rows = _list(_decode(data, limits.BUNDLE_BYTES_MAX), 3)
    if not isinstance(trust, bytes) or not isinstance(manifest, bytes):
        raise ReleaseError("malformed")
    signatures = []
    for row in _list(rows):
        kid, signature = _list(row, 2)
        signatures.append((_bytes(kid, 16), _bytes(signature, 64)))
    if len(signatures) > limits.RELEASE_KEYS_MAX:
        raise ReleaseError("malformed")
    _ascending([kid for kid, _ in signatures])
    return trust, manifest, signatures


def parse_trust(payload: bytes) -> "tuple[int, int, list[bytes]]":
    """(serial, threshold, public keys)."""
    version, name, serial, threshold, keys = _list(_decode(payload, limits.BUNDLE_BYTES_MAX), 5)
    _uint(version, _VERSION, _VERSION)
    if name != _TRUST:
        raise ReleaseError("malformed")
    _uint(serial, 1, limits.INT_MAX)
    keys = [_bytes(key, 32) for key in _list(keys)]
    if not 1 <= len(keys) <= limits.RELEASE_KEYS_MAX or len(set(keys)) != len(keys):
        raise ReleaseError("malformed")
    _uint(threshold, 1, len(keys))
    return serial, threshold, keys


def parse_manifest(payload: bytes) -> "Manifest":
    """(counter, version, architecture, [(name, size, SHA-256)])."""
    fields = _list(_decode(payload, limits.BUNDLE_BYTES_MAX), 5)
    version, counter, text, architecture, rows = fields
    _uint(version, _VERSION, _VERSION)
    _uint(counter, 1, limits.INT_MAX)
    _text(text, limits.FIRMWARE_TEXT_BYTES_MAX)
    for letter in text:
        if not " " <= letter <= "~":
            raise ReleaseError("malformed")
    _architecture(architecture)
    files = []
    for row in _list(rows):
        name, size, digest = _list(row, 3)
        _name(name)
        files.append((name, _uint(size, 0, limits.RELEASE_FILE_BYTES_MAX), _bytes(digest, 32)))
    names = [name.encode() for name, _, _ in files]
    if len(files) > limits.RELEASE_FILES_MAX or APPLICATION.encode() not in names:
        raise ReleaseError("malformed")
    _ascending(names)
    return counter, text, architecture, files


async def verified(
    data: bytes,
    *,
    keyring: "Keyring",
    network_id: bytes,
    root_key: bytes,
    architecture: str,
    floor: int,
    trust_serial: int,
) -> "tuple[int, Manifest]":
    """(serial of its trust document, manifest) of a bundle that this board may install. floor: a
    counter has to be higher; trust_serial: a serial must not be lower. Cheap checks come first.
    """
    trust, payload, signatures = parse_bundle(data)
    del data  # a fifth of what is free on a small chip
    opened, serial, threshold, keys = _opened(trust, network_id)
    # Its rows are made again at the end: they are larger than all that a verification holds.
    counter, _, made_for = parse_manifest(payload)[:3]
    if opened.kid != cose.kid_of(root_key):
        raise ReleaseError("bad_trust")
    if serial < trust_serial:
        raise ReleaseError("trust_rolled_back")
    if not await keyring.valid(root_key, opened):
        raise ReleaseError("bad_trust")
    for trusted in keys:
        if is_weak(trusted):
            raise ReleaseError("weak_key")
    if made_for != architecture:
        raise ReleaseError("other_architecture")
    if counter <= floor:
        raise ReleaseError("rolled_back")
    aad = cose.external_aad(network_id, "release")
    by_kid = {cose.kid_of(key): key for key in keys}
    good = 0
    for kid, signature in signatures:
        key = by_kid.get(kid)
        if key is None:
            continue
        signed = cose.sig_structure(cose.protected(kid), aad, payload)
        if not await keyring.valid(key, cose.Sign1(kid, payload, signature, signed)):
            raise ReleaseError("bad_signature")
        good += 1
        if good == threshold:
            return serial, parse_manifest(payload)
    raise ReleaseError("too_few_signatures")


def _opened(trust: bytes, network_id: bytes) -> "tuple[cose.Sign1, int, int, list[bytes]]":
    """A trust document and its content; its signature is still to be checked."""
    try:
        opened = cose.open1(trust, network_id, "root")
    except cose.CoseError:
        raise ReleaseError("malformed")
    serial, threshold, keys = parse_trust(opened.payload)
    return opened, serial, threshold, keys


def is_weak(public_key: bytes) -> bool:
    """Whether the key is a point of small order, for which anybody can sign (RFC 8032 5.1.3)."""
    y = (int.from_bytes(public_key, "little") & ((1 << 255) - 1)) % _P
    eighth = int.from_bytes(bytes.fromhex(_WEAK), "little")
    return y in (0, 1, _P - 1, eighth, _P - eighth)


def _name(name: "Any") -> None:
    _text(name, limits.RELEASE_NAME_BYTES_MAX)
    for letter in name:
        if letter not in _LETTERS:
            raise ReleaseError("malformed")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise ReleaseError("malformed")
    if name in _RESERVED:
        raise ReleaseError("malformed")


def _architecture(name: "Any") -> None:
    _text(name, limits.ARCHITECTURE_BYTES_MAX)
    for letter in name:
        if letter not in _ARCHITECTURE_LETTERS:
            raise ReleaseError("malformed")
    if name == _INDEX:
        raise ReleaseError("malformed")


def _ascending(keys: "list[bytes]") -> None:
    for index in range(1, len(keys)):
        if keys[index - 1] >= keys[index]:
            raise ReleaseError("malformed")


def _decode(data: bytes, size_max: int) -> "Any":
    if len(data) > size_max:
        raise ReleaseError("malformed")
    try:
        return cbor.decode(data)
    except cbor.CborError:
        raise ReleaseError("malformed")


def _list(value: "Any", length: int = -1) -> "list[Any]":
    if not isinstance(value, list) or length not in (-1, len(value)):
        raise ReleaseError("malformed")
    return value


def _uint(value: "Any", low: int, high: int) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise ReleaseError("malformed")
    return value


def _bytes(value: "Any", size: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise ReleaseError("malformed")
    return value


def _text(value: "Any", size_max: int) -> None:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= size_max:
        raise ReleaseError("malformed")
