"""Points of edwards25519: addition, doubling, the fixed-base comb and the encodings.

A point is extended (X, Y, Z, T): x = X/Z, y = Y/Z, T = X*Y/Z (RFC 8032 section 5.1.4), with
0 <= coordinate < 2^256. Formulas: Hisil, Wong, Carter, Dawson 2008, complete on this curve.
"""

from .ed25519_comb import BLOCKS, COLUMNS, ELEMENT_BYTES, ENTRY_BYTES, NEGATIVE, comb_digits
from .ed25519_tables import COMB
from .field25519 import D2, MASK, SQRT_MINUS_1, D, P, invert, power_p58, square_times

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    Point = tuple[int, int, int, int]
    Addend = tuple[int, int, int, int]


def double(point: "Point") -> "Point":
    """2 * point."""
    x, y, z, _ = point
    m = MASK
    a = x * x
    a = (a & m) + 19 * (a >> 255)
    b = y * y
    b = (b & m) + 19 * (b >> 255)
    h = a + b
    e = x + y
    e *= e
    e = h - ((e & m) + 19 * (e >> 255))
    g = a - b
    f = 2 * z * z
    f = (f & m) + 19 * (f >> 255) + g
    return _fold4(e * f, g * h, f * g, e * h)


def add(point: "Point", addend: "Addend") -> "Point":
    """point + addend, the latter as (y-x, y+x, 2dt, 2z) of its coordinates."""
    x, y, z, t = point
    minus, plus, t2d, z2 = addend
    m = MASK
    a = (y - x) * minus
    a = (a & m) + 19 * (a >> 255)
    b = (y + x) * plus
    b = (b & m) + 19 * (b >> 255)
    c = t * t2d
    c = (c & m) + 19 * (c >> 255)
    d = z * z2
    d = (d & m) + 19 * (d >> 255)
    e = b - a
    f = d - c
    g = d + c
    h = b + a
    return _fold4(e * f, g * h, f * g, e * h)


def _fold4(x: int, y: int, z: int, t: int) -> "Point":
    # Twice each: after one fold a value has up to 270 bits and would grow without bound.
    m = MASK
    x = (x & m) + 19 * (x >> 255)
    y = (y & m) + 19 * (y >> 255)
    z = (z & m) + 19 * (z >> 255)
    t = (t & m) + 19 * (t >> 255)
    return (
        (x & m) + 19 * (x >> 255),
        (y & m) + 19 * (y >> 255),
        (z & m) + 19 * (z >> 255),
        (t & m) + 19 * (t >> 255),
    )


def addend_of(point: "Point") -> "Addend":
    """The form in which add() takes a point."""
    x, y, z, t = point
    return y - x, y + x, t * D2 % P, 2 * z


def identity() -> "Point":
    """The neutral element."""
    return 0, 1, 1, 0


def subtract(point: "Point", addend: "Addend") -> "Point":
    """point - addend."""
    minus, plus, t2d, z2 = addend
    return add(point, (plus, minus, -t2d, z2))


def times16(point: "Point") -> "Point":
    """16 * point."""
    return double(double(double(double(point))))


def base_multiply(scalar: int, blind: bytes = b"") -> "Point":
    """scalar * B for 0 <= scalar < L, by 52 additions and 25 doublings for every scalar.

    What still varies with the scalar: table addresses, signs, lengths of integers. A blind of 32
    secret random bytes changes all three: see comb_digits, and Z starts random.
    """
    digits = comb_digits(scalar, blind)
    z = int.from_bytes(blind[1:], "little") + 1
    point = (0, z, z, 0)
    for column in range(COLUMNS):
        if column:
            point = double(point)
        for block in range(BLOCKS):
            point = add(point, _comb_entry(digits[BLOCKS * column + block]))
    return point


def _comb_entry(digit: int) -> "Addend":
    # The negative of an entry is the entry with the first two elements swapped and the third
    # negated. With halves of y-x and y+x, Z needs no doubling.
    negative = digit // NEGATIVE
    start = ENTRY_BYTES * (digit & (NEGATIVE - 1))
    minus = start + ELEMENT_BYTES * negative
    plus = start + ELEMENT_BYTES * (1 - negative)
    dxy = start + 2 * ELEMENT_BYTES
    return (
        int.from_bytes(COMB[minus : minus + 32], "little"),
        int.from_bytes(COMB[plus : plus + 32], "little"),
        int.from_bytes(COMB[dxy : dxy + 32], "little") * (1 - 2 * negative),
        1,
    )


def encode_point(point: "Point") -> bytes:
    """The 32-byte encoding (RFC 8032 section 5.1.2)."""
    x, y, z, _ = point
    inverse = invert(z)
    parity = (x * inverse % P) & 1
    return (y * inverse % P | parity << 255).to_bytes(32, "little")


def decode_point(data: bytes) -> "Point | None":
    """The point of a 32-byte encoding by the liberal rule of ZIP 215, None if there is none.

    y of p or more is taken modulo p, and x = 0 may carry the sign bit.
    """
    encoded = int.from_bytes(data, "little")
    y = (encoded & MASK) % P
    square = y * y % P
    u = square - 1
    v = (D * square + 1) % P
    # A square root of u/v, if there is one, is u v^3 (u v^7)^((p-5)/8) or that times sqrt(-1).
    v3 = v * v * v % P
    x = u * v3 * power_p58(u * v3 * square_times(v, 2)) % P
    check = v * x * x % P
    if check == (-u) % P:
        x = x * SQRT_MINUS_1 % P
    elif check != u % P:
        return None
    if x & 1 != encoded >> 255:
        x = -x % P
    return x, y, 1, x * y % P


def is_identity(point: "Point") -> bool:
    """Whether point is the neutral element."""
    x, y, z, _ = point
    return x % P == 0 and (y - z) % P == 0
