"""The keys that sign releases, as files, and the document in which the root says which count.

A release key belongs to one person and its file to that person's machine; the root key signs the
trust document wherever it is kept, and that document is carried to where releases are built.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nacl.signing import SigningKey

from gateway.core.cose import Role
from gateway.core.ids import device_id
from gateway.core.releases import KEYS_MAX, Trust, trust_payload
from gateway.core.verify import key_acceptable
from gateway.shell.bundle_file import write_whole
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network, sign_with
from gateway.shell.release_folder import opened_trust
from gateway.shell.secret_files import damaged, read_secret, write_once

TRUST = "release-trust.cbor"
WHAT = "a release key"
_SEED_BYTES = 32
_TRUST_BYTES_MAX = 4_096


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key and where it is. public: the file with its public half, for whoever signs trust."""

    path: Path
    public: Path
    public_key: bytes


def make_keys(folder: Path, number: int) -> list[KeyFile]:
    """Make release-1.key, release-2.key ... and their public halves. Nothing is overwritten."""
    paths = [folder / f"release-{n}.key" for n in range(1, number + 1)]
    for path in paths:
        if path.exists():
            raise _present(path)
    made = []
    for path in paths:
        key = SigningKey(secrets.token_bytes(_SEED_BYTES))
        try:
            write_once(path, bytes(key))
        except FileExistsError as error:
            raise _present(path) from error
        public_key = bytes(key.verify_key)
        public = path.with_suffix(".pub")
        write_whole(public, public_key.hex().encode() + b"\n")
        made.append(KeyFile(path, public, public_key))
    return made


def read_key(path: Path, what: str = WHAT) -> SigningKey:
    """The key in a file of 64 hex digits."""
    try:
        return SigningKey(bytes.fromhex(read_secret(path, what)))
    except ValueError as error:
        raise damaged(path, what) from error


def read_public_key(text: str) -> bytes:
    """A public key as 64 hex digits, or the name of a file that holds them."""
    path = Path(text)
    try:
        found = path.read_text("ascii").strip() if path.is_file() else text
        key = bytes.fromhex(found)
    except (OSError, ValueError):
        key = b""
    if not key_acceptable(key):
        raise OperatorFault(
            f"{text} is no public key.",
            "It must be 64 hex digits of an Ed25519 key, or a file that holds them.",
            "Name the .pub file that `cairn release keys init` wrote.",
            Code.RELEASE_REFUSED,
        )
    return key


def make_trust(
    network: Network, root: SigningKey, keys: Sequence[bytes], *, threshold: int, serial: int
) -> bytes:
    """The trust document that says: `threshold` of these keys make a release."""
    fault = ""
    if len(set(keys)) != len(keys):
        fault = "A key stands in it twice; it would count once."
    elif not 1 <= threshold <= len(keys) <= KEYS_MAX:
        fault = f"{threshold} of {len(keys)} keys cannot be: 1 to {KEYS_MAX}, enough to sign."
    elif bytes(root.verify_key) != network.genesis.root_key:
        fault = "The root key is that of another network: boards pin the one in the genesis."
    if fault:
        raise OperatorFault(
            "This trust document would be refused by every board.",
            fault,
            "Correct the keys, the threshold, or the root key's file.",
            Code.RELEASE_REFUSED,
        )
    payload = trust_payload(Trust(serial, threshold, tuple(keys)))
    return sign_with(root, network.network_id, Role.ROOT, payload)[0]


def read_trust(path: Path, network: Network) -> tuple[bytes, Trust]:
    """A trust document and its exact bytes."""
    try:
        with path.open("rb") as handle:
            data = handle.read(_TRUST_BYTES_MAX)
    except OSError as error:
        raise OperatorFault(
            f"There is no trust document {path}.",
            f"{error.strerror}.",
            "Make it where root.key is, with `cairn release keys trust`, and copy it there.",
            Code.RELEASE_MISSING,
        ) from error
    return data, opened_trust(data, network)


def kid_of(key: bytes) -> str:
    """How a release key is named: as in bundles, in hex."""
    return device_id(key).hex()


def _present(path: Path) -> OperatorFault:
    return OperatorFault(
        f"{path} exists already.",
        "Keys are never overwritten: releases that it signed would lose a signer.",
        "Use another folder, or move the old file away.",
        Code.KEYS_EXIST,
    )
