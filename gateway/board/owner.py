"""Who owns a station: an address that the board names, or a key that proves it.

A proof is a COSE_Sign1 (role owner) over [device id, owner public key] (spec/wire.cddl); the
owner's key signs here, on the owner's machine, and goes nowhere.
"""

import re
import secrets
from collections.abc import Callable
from pathlib import Path

from Crypto.Hash import keccak

from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.ids import device_id, owner_id
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.secret_files import damaged, read_secret, write_once

_ADDRESS = re.compile(r"(0x)?([0-9a-fA-F]{40})")
_SEED_BYTES = 32
_WHAT = "an owner's key"


def parse_address(text: str) -> bytes:
    """20 bytes of 40 hex digits; a mixed-case one must have the checksum of EIP-55."""
    found = _ADDRESS.fullmatch(text.strip())
    if found is None:
        raise _invalid(text, "An owner is 40 hex digits, as a rule behind 0x.")
    digits = found.group(2)
    if digits not in (digits.lower(), digits.upper()) and digits != _checksummed(digits.lower()):
        raise _invalid(text, "Its capitals say that a digit was mistyped (EIP-55).")
    return bytes.fromhex(digits)


def make_owner_key(path: Path) -> bytes:
    """Make a key file; the owner id of it. keys_exist: a file is there, and stays."""
    try:
        write_once(path, secrets.token_bytes(_SEED_BYTES))
    except FileExistsError as error:
        raise OperatorFault(
            f"There is a file {path} already.",
            "A key is never overwritten: what it owns would be lost.",
            "Name another file, or use this one with --owner-key.",
            Code.KEYS_EXIST,
        ) from error
    return owner_of(path)


def owner_of(path: Path) -> bytes:
    """The owner id of a key file."""
    return owner_id(_key(path)[1])


def owner_proof(path: Path, device: bytes, network_id: bytes) -> bytes:
    """What claim_proven() of the core asks for: the owner says that this device is its own."""
    sign, public_key = _key(path)
    payload = encode([device, public_key])
    return sign1(sign, device_id(public_key), network_id, Role.OWNER, payload)[0]


def _key(path: Path) -> tuple[Callable[[bytes], bytes], bytes]:
    """(what signs, public key) of a file of 64 hex digits."""
    from nacl.signing import SigningKey

    try:
        key = SigningKey(bytes.fromhex(read_secret(path, _WHAT)))
    except ValueError as error:
        raise damaged(path, _WHAT) from error
    return lambda data: key.sign(data).signature, bytes(key.verify_key)


def _checksummed(digits: str) -> str:
    digest = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    pairs = zip(digits, digest, strict=False)
    return "".join(digit.upper() if int(nibble, 16) > 7 else digit for digit, nibble in pairs)


def _invalid(text: str, why: str) -> OperatorFault:
    return OperatorFault(
        f"{text!r} is no owner.",
        why,
        "Copy the address from the wallet, or use --owner-key with a key file.",
        Code.OWNER_INVALID,
    )
