"""COSE_Sign1 (RFC 9052 section 4.2) in the one form that Cairn uses: spec/protocol.md section 2.

Owns the envelope, the bytes that are signed and the message id. It holds no key, checks no
signature and does not look into payloads.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from gateway.core.cbor_profile import encode, load, violation
from gateway.core.verdicts import Verdict

MESSAGE_BYTES_MAX = 4096
ID16_BYTES = 16
SIGNATURE_BYTES = 64
PROTOCOL_MAJOR = 1

_TAG_SIGN1 = 0xD2
# Tag 18, array of 4, a 21-byte string {1: -8, 4: a 16-byte string}: up to the kid nothing varies.
_PREFIX = bytes.fromhex("d28455a201270450")
_KID = slice(8, 24)
_PROTECTED = slice(2, 24)
_UNPROTECTED = 24
_PAYLOAD = 25
_SIGNATURE_HEAD = b"\x58\x40"
_TAIL_BYTES = len(_SIGNATURE_HEAD) + SIGNATURE_BYTES
_EMPTY_MAP = 0xA0


class Role(StrEnum):
    """What a key signs for; bound into every signature, absent from the message."""

    ROOT = "root"
    DEVICE = "device"
    LOGIN = "login"
    CLAIM = "claim"
    OWNER = "owner"
    GATEWAY = "gateway"
    OPERATOR = "operator"
    RELEASE = "release"
    AUDITOR = "auditor"


class Envelope(NamedTuple):
    """An opened COSE_Sign1. Opened is not verified: `signature` must cover `to_be_signed`."""

    kid: bytes
    payload: bytes
    signature: bytes
    to_be_signed: bytes
    message_id: bytes


def open_envelope(data: bytes, network_id: bytes, role: Role) -> Envelope | Verdict:
    """Take an envelope apart, accepting only what `sign1` writes; never raises for any bytes."""
    if len(data) > MESSAGE_BYTES_MAX:
        return Verdict.OVERSIZE
    # The closed profile leaves one byte string to every content: comparing with it is the
    # whole check, and the parser is needed only to say what is wrong.
    start = _payload_start(data)
    end = len(data) - _TAIL_BYTES
    if (
        not data.startswith(_PREFIX)
        or start is None
        or end - start != _payload_size(data, start)
        or data[_UNPROTECTED] != _EMPTY_MAP
        or not data.startswith(_SIGNATURE_HEAD, end)
    ):
        return _fault(data)
    to_be_signed = b"".join(
        (b"\x84\x6aSignature1", data[_PROTECTED], _aad_item(network_id, role), data[_PAYLOAD:end])
    )
    return Envelope(
        data[_KID],
        data[start:end],
        data[end + len(_SIGNATURE_HEAD) :],
        to_be_signed,
        sha256(to_be_signed).digest(),
    )


def sign1(
    sign: Callable[[bytes], bytes], kid: bytes, network_id: bytes, role: Role, payload: bytes
) -> tuple[bytes, bytes]:
    """Sign a payload with sign(to_be_signed) -> 64 bytes; return (message, message id).

    ValueError if the message would exceed 4,096 bytes: the caller built too much.
    """
    item = encode(payload)
    body = _PREFIX + kid + bytes([_EMPTY_MAP]) + item
    if len(kid) != ID16_BYTES or len(body) + _TAIL_BYTES > MESSAGE_BYTES_MAX:
        raise ValueError(f"cannot sign {len(payload)} bytes with a kid of {len(kid)} bytes")
    to_be_signed = b"\x84\x6aSignature1" + body[_PROTECTED] + _aad_item(network_id, role) + item
    return body + _SIGNATURE_HEAD + sign(to_be_signed), sha256(to_be_signed).digest()


def signature_input(kid: bytes, network_id: bytes, role: Role, payload: bytes) -> bytes:
    """What a key signs of a payload whose envelope is not kept, of any length."""
    protected = (_PREFIX + kid)[_PROTECTED]
    aad = _aad_item(network_id, role)
    return b"".join((b"\x84\x6aSignature1", protected, aad, encode(payload)))


@lru_cache(maxsize=64)
def _aad_item(network_id: bytes, role: Role) -> bytes:
    """external_aad as the byte string that stands in the Sig_structure."""
    return encode(encode(["cairn", PROTOCOL_MAJOR, network_id, role.value]))


def _payload_start(data: bytes) -> int | None:
    """Position of the payload's first byte, behind a head in its shortest form."""
    if len(data) < _PAYLOAD + 3:
        return None
    head = data[_PAYLOAD]
    if 0x40 <= head < 0x58:
        return _PAYLOAD + 1
    if head == 0x58 and data[_PAYLOAD + 1] >= 24:
        return _PAYLOAD + 2
    if head == 0x59 and data[_PAYLOAD + 1]:
        return _PAYLOAD + 3
    return None


def _payload_size(data: bytes, start: int) -> int:
    if start == _PAYLOAD + 1:
        return data[_PAYLOAD] - 0x40
    return int.from_bytes(data[_PAYLOAD + 1 : start], "big")


def _fault(data: bytes) -> Verdict:
    """What keeps `data` from being an envelope; there is something."""
    item = data[1:] if data[:1] == bytes([_TAG_SIGN1]) else data
    found = violation(item, maps=True)
    if found is not None:
        return found
    parts = load(item)
    if isinstance(parts, list) and parts and isinstance(parts[0], bytes):
        found = violation(parts[0], maps=True)
    return found or Verdict.BAD_ENVELOPE
