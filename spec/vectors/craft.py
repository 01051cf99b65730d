"""What make_vectors.py builds with: a CBOR writer that can also write what is forbidden, and
Ed25519 arithmetic slow enough to read (RFC 8032 section 5.1), for signatures no library makes.

It shares no code with the firmware or the gateway.
"""

from hashlib import sha256, sha512
from typing import Any

Point = tuple[int, int]

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1)


class Raw(bytes):
    """Bytes that go into the encoding as they are."""

    __slots__ = ()


def cbor(value: Any) -> bytes:
    """Deterministic CBOR, except where the value holds Raw; maps keep the order given."""
    match value:
        case Raw():
            return bytes(value)
        case None:
            return b"\xf6"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list() | tuple():
            return head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            items = b"".join(cbor(key) + cbor(item) for key, item in value.items())
            return head(5, len(value)) + items
    raise TypeError(type(value))


def head(major: int, argument: int) -> bytes:
    """The initial byte and argument of an item, shortest form."""
    if argument < 24:
        return bytes([major << 5 | argument])
    info, size = next((24 + n, 1 << n) for n in range(4) if argument < 1 << 8 * (1 << n))
    return bytes([major << 5 | info]) + argument.to_bytes(size, "big")


def diagnostic(value: Any) -> str:
    """RFC 8949 diagnostic notation of a value without Raw."""
    match value:
        case None:
            return "null"
        case int():
            return str(value)
        case bytes():
            return f"h'{value.hex()}'"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "[" + ", ".join(map(diagnostic, value)) + "]"


def add(one: Point, other: Point) -> Point:
    """Sum of two points of the twisted Edwards curve, affine."""
    x1, y1 = one
    x2, y2 = other
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + y1 * x2) * pow(1 + t, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def multiply(scalar: int, point: Point) -> Point:
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def compress(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decompress(data: bytes) -> Point | None:
    """The point that 32 bytes stand for, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * SQRT_M1 % P
    if x * x % P != square:
        return None
    return (P - x if x & 1 != sign else x) % P, y % P


# RFC 8032 section 5.1: y = 4/5, x even.
BASE_BYTES = (4 * pow(5, -1, P) % P).to_bytes(32, "little")
BASE = decompress(BASE_BYTES) or IDENTITY


def torsion_point() -> Point:
    """A point of order 8: [L] of the first point on the curve that gives one."""
    for y in range(2, 100):
        point = decompress(y.to_bytes(32, "little"))
        if point is not None:
            small = multiply(ORDER, point)
            if multiply(4, small) != IDENTITY:
                return small
    raise AssertionError("there is one below 100")


class Key:
    """An Ed25519 key from the SHA-256 of a label; signs as RFC 8032 says, or crookedly."""

    def __init__(self, label: str) -> None:
        self.seed = sha256(f"cairn vectors {label}".encode()).digest()
        digest = sha512(self.seed).digest()
        self.scalar = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        self._prefix = digest[32:]
        self.public = compress(multiply(self.scalar, BASE))
        self.kid = kid(self.public)

    def sign(self, message: bytes) -> bytes:
        return self.sign_with(message, self.nonce(message))

    def nonce(self, message: bytes) -> int:
        return int.from_bytes(sha512(self._prefix + message).digest(), "little") % ORDER

    def sign_with(
        self,
        message: bytes,
        nonce: int,
        r_bytes: bytes | None = None,
        public: bytes | None = None,
    ) -> bytes:
        """Sign with a given nonce, R encoded as r_bytes, as if `public` were the key."""
        if r_bytes is None:
            r_bytes = compress(multiply(nonce, BASE))
        digest = sha512(r_bytes + (public or self.public) + message).digest()
        s = (nonce + int.from_bytes(digest, "little") * self.scalar) % ORDER
        return r_bytes + s.to_bytes(32, "little")


def kid(public: bytes) -> bytes:
    return sha256(public).digest()[:16]
