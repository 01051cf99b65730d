"""Ed25519 verification by ZIP 215, in slices, so that a board keeps serving its radio meanwhile.

ZIP 215 (the Zcash rule): A and R are decoded liberally, S must be below L, and the equation is
checked times the cofactor, [8][S]B = [8]R + [8][k]A. It is the one rule under which a signature
cannot be valid in a batch and invalid alone. It accepts keys of small order, for which anybody
can sign anything: whoever learns a key must refuse those first (spec/protocol.md section 2).
"""

from .ed25519 import points  # type: ignore[attr-defined]
from .ed25519_comb import L
from .sha512 import sha512

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .ed25519_point import Addend, Point

# Four blocks of SHA-512 in plain Python cost a board about as much as 16 doublings do.
_HASH_BYTES = 512
_DIGITS = 64
_DIGITS_PER_STEP = 4


class Verification:
    """One signature under check. Call step() until it returns True or False.

    A step is at most 512 bytes of hashing, one point decoded, one base multiplication (half the
    work of a signature, the longest) or 16 doublings with 4 additions; a message of n bytes takes
    ceil(n / 512) + 20 steps, a signature that fails early takes fewer. Wrong lengths are False.
    """

    def __init__(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        self._verdict: "bool | None" = None
        self._work = _work(public_key, message, signature)

    def step(self) -> "bool | None":
        """Does the next slice; None while unfinished, then the verdict, also when asked again."""
        if self._verdict is None:
            self._verdict = next(self._work)
        return self._verdict


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether signature (64 bytes) is public_key's (32 bytes) over message, in one go."""
    verification = Verification(public_key, message, signature)
    while True:
        verdict = verification.step()
        if verdict is not None:
            return verdict


def _work(public_key: bytes, message: bytes, signature: bytes) -> "Iterator[bool | None]":
    if len(public_key) != 32 or len(signature) != 64:
        yield False
        return
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        yield False
        return
    point = points.decode_point(public_key)
    if point is None:
        yield False
        return
    yield None
    commitment = points.decode_point(signature[:32])
    if commitment is None:
        yield False
        return
    r = points.addend_of(commitment)
    del commitment
    digest = sha512(signature[:32] + public_key)
    for start in range(0, len(message), _HASH_BYTES):
        yield None
        digest.update(message[start : start + _HASH_BYTES])
    k = int.from_bytes(digest.digest(), "little") % L
    yield None
    base = points.addend_of(points.base_multiply(s))
    yield None
    multiples = _multiples(point)
    point = points.identity()
    digits = _signed_digits(k)
    for high in range(_DIGITS, 0, -_DIGITS_PER_STEP):
        yield None
        for i in range(high - 1, high - _DIGITS_PER_STEP - 1, -1):
            point = _subtract_digit(points.times16(point), multiples, digits[i])
    # [S]B - [k]A - R, times 16 instead of 8: no point has an order that the further 2 removes.
    point = points.subtract(points.add(point, base), r)
    yield points.is_identity(points.times16(point))


def _signed_digits(k: int) -> "list[int]":
    """k < 2^255 in 64 digits -8..7 of base 16, lowest first."""
    digits = []
    carry = 0
    for byte in k.to_bytes(32, "little"):
        for nibble in (byte & 15, byte >> 4):
            digit = nibble + carry
            carry = (digit + 8) >> 4
            digits.append(digit - 16 * carry)
    return digits


def _multiples(point: "Point") -> "list[Addend]":
    """The addends of 1..8 times point, which is used up."""
    first = points.addend_of(point)
    out = [first]
    for _ in range(7):
        point = points.add(point, first)
        out.append(points.addend_of(point))
    return out


def _subtract_digit(point: "Point", multiples: "list[Addend]", digit: int) -> "Point":
    # Branching on digits is fine here: nothing in a verification is secret.
    if digit > 0:
        return points.subtract(point, multiples[digit - 1])
    if digit < 0:
        return points.add(point, multiples[-digit - 1])
    return point
