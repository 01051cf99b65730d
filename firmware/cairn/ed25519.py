"""Ed25519 signing (RFC 8032 section 5.1), for board and simulator.

Points are computed in native code where that can run, in Python integers elsewhere.
"""

from .ed25519_comb import L
from .sha512 import sha512

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import ed25519_point as points
try:
    from . import ed25519_machine as points  # type: ignore[no-redef]
except (ImportError, MemoryError, SyntaxError, ValueError):
    from . import ed25519_point as points

SEED_BYTES = 32
HEDGE_BYTES = 32


class Signer:
    """Signs with the key of a 32-byte seed.

    The public key is derived here and is no argument anywhere: a signer that can be handed a
    foreign one gives two signatures with one R and two challenges, and so its secret scalar.
    blind: see ed25519_point.base_multiply.
    """

    def __init__(self, seed: bytes, blind: bytes = b"") -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError("Ed25519 seed is not 32 bytes")
        expanded = sha512(seed).digest()
        low = int.from_bytes(expanded[:32], "little")
        self._scalar = ((low & ((1 << 254) - 8)) | (1 << 254)) % L
        self._prefix = expanded[32:]
        self._public_key = points.encode_point(points.base_multiply(self._scalar, blind))

    @property
    def public_key(self) -> bytes:
        """The 32-byte public key."""
        return self._public_key

    def sign(self, message: bytes, hedge: bytes = b"", blind: bytes = b"") -> bytes:
        """The 64-byte signature of message, exactly RFC 8032's if hedge is empty.

        hedge: 32 secret random bytes for the nonce, by draft-irtf-cfrg-det-sigs-with-noise-05
        section 3: the first half of SHA-512(prefix || hedge) takes the prefix's place. Signing
        one message twice, once with a fault injected, then no longer gives two equations in one
        nonce; a hedge that repeats or is known is no worse than none; verifiers see no difference.
        blind: see ed25519_point.base_multiply; it changes no byte of the signature.
        """
        prefix = self._prefix
        if hedge:
            if len(hedge) != HEDGE_BYTES:
                raise ValueError("hedge is not 32 bytes")
            prefix = sha512(prefix + hedge).digest()[:32]
        nonce = _scalar_of(prefix, b"", message)
        commitment = points.encode_point(points.base_multiply(nonce, blind))
        challenge = _scalar_of(commitment, self._public_key, message)
        response = (nonce + challenge * self._scalar) % L
        return commitment + response.to_bytes(32, "little")


def _scalar_of(first: bytes, second: bytes, message: bytes) -> int:
    digest = sha512(first + second)
    digest.update(message)
    return int.from_bytes(digest.digest(), "little") % L
