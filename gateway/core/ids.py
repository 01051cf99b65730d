"""Names of things: device ids, their text form, owner ids. It knows no message and no store."""

from __future__ import annotations

from base64 import b32decode, b32encode
from hashlib import sha256

from Crypto.Hash import keccak

DEVICE_ID_BYTES = 16
OWNER_ID_BYTES = 20
_NAME_CHARACTERS = 26
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")


def device_id(public_key: bytes) -> bytes:
    """First 16 bytes of SHA-256(public key): the id of a device and the kid of every role."""
    return sha256(public_key).digest()[:DEVICE_ID_BYTES]


def device_name(device: bytes) -> str:
    """The text form of a 16-byte id: 26 characters of RFC 4648 base32, lower case, no padding."""
    return b32encode(device).decode().rstrip("=").lower()


def parse_device(name: str) -> bytes | None:
    """The id that `device_name` would write as `name`, or None."""
    if len(name) != _NAME_CHARACTERS or not _ALPHABET.issuperset(name):
        return None
    device = b32decode(name.upper() + "======")
    # 26 characters hold two bits more than 16 bytes: only one spelling is the name.
    return device if device_name(device) == name else None


def owner_id(public_key: bytes) -> bytes:
    """Last 20 bytes of keccak256(Ed25519 public key), the owner id of a did:key owner."""
    return keccak.new(digest_bits=256, data=public_key).digest()[-OWNER_ID_BYTES:]
