"""The device's key and name. The seed is made here and leaves only into the board's own storage.

A board calls open_identity once at boot; nothing else reads or writes the file "identity".
"""

from hashlib import sha256

from . import chain, cose
from .ed25519 import SEED_BYTES, Signer
from .errors import OperatorError
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Files

FILE = "identity"
# login.py's: a counter belongs to its key.
_LOGIN = "login"
_DRAWS = 8
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def device_id(public_key: bytes) -> bytes:
    """First 16 bytes of SHA-256(public key)."""
    return cose.kid_of(public_key)


def device_name(device: bytes) -> str:
    """26 characters of RFC 4648 base32, lower case, no padding."""
    bits = int.from_bytes(device, "big") << 2  # 128 bits and 2 of padding make 26 characters
    return "".join([_ALPHABET[(bits >> shift) & 31] for shift in range(125, -1, -5)])


def make_seed(
    entropy: "Callable[[int], bytes]", ticks: "Callable[[], int]", unique: bytes
) -> bytes:
    """32 bytes mixed from several draws, their timing and the chip's unique number.

    ESP-IDF promises true randomness only while a radio is on, so a generator that repeats itself
    is refused instead of being trusted.
    """
    draws: "list[bytes]" = []
    mixed = sha256(b"cairn seed" + unique)
    for _ in range(_DRAWS):
        draw = entropy(SEED_BYTES)
        if len(draw) != SEED_BYTES or draw in draws or draw == bytes([draw[0]]) * SEED_BYTES:
            raise OperatorError(
                "identity.entropy",
                "no key was made",
                "the hardware random generator repeats itself",
                "Switch the radio on before the first boot; if it stays so, replace the board.",
            )
        draws.append(draw)
        mixed.update(draw)
        mixed.update(ticks().to_bytes(8, "big"))
    return mixed.digest()


def open_identity(
    files: "Files",
    entropy: "Callable[[int], bytes]",
    ticks: "Callable[[], int]",
    unique: bytes,
    vault: "Files | None" = None,
) -> Signer:
    """The stored key, checked against its stored public key; on the first boot a new one. vault:
    where it is kept, if that is not among the files.
    """
    if vault is None:
        return _opened(files, files, entropy, ticks, unique)
    keeping = borrow("vault")
    keeping.move(files, vault)
    signer = _opened(files, vault, entropy, ticks, unique)
    keeping.bind(files, vault, signer.public_key)
    return signer


def _opened(
    files: "Files",
    vault: "Files",
    entropy: "Callable[[int], bytes]",
    ticks: "Callable[[], int]",
    unique: bytes,
) -> Signer:
    stored = vault.read(FILE)
    if stored is None:
        return _create(files, vault, make_seed(entropy, ticks, unique))
    seed, public_key = stored[:SEED_BYTES], stored[SEED_BYTES:]
    if len(seed) == SEED_BYTES:
        signer = Signer(seed)
        if signer.public_key == public_key:
            return signer
    # Signing with a damaged seed would make a new station that nobody registered.
    raise OperatorError(
        "identity.damaged",
        "the stored key cannot be used",
        "seed and public key do not belong together, so the flash is damaged",
        "Erase the board and provision it again; it becomes a new station.",
    )


def _create(files: "Files", vault: "Files", seed: bytes) -> Signer:
    signer = Signer(seed)
    # The identity comes last: a power cut before it leaves a board that starts over.
    chain.create(files)
    if vault is not files:
        vault.remove(_LOGIN)
    vault.write(FILE, seed + signer.public_key)
    return signer
