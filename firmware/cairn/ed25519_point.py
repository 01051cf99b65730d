"""Points of edwards25519: addition, doubling, the fixed-base comb and the encodings.

A point is extended (X, Y, Z, T): x = X/Z, y = Y/Z, T = X*Y/Z (RFC 8032 section 5.1.4), with
0 <= coordinate < 2^256. Formulas: Hisil, Wong, Carter, Dawson 2008, complete on this curve.
"""

from .ed25519_tables import COMB
from .field25519 import D2, MASK, SQRT_MINUS_1, D, P, invert, power_p58, square_times

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    Point = tuple[int, int, int, int]
    Addend = tuple[int, int, int, int]

# Order of the base point (RFC 8032 section 5.1).
L = 0x1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED
# The comb covers 260 bits: bit c + 13*t + 65*b stands in column c as tooth t of block b.
COLUMNS = 13
TEETH = 5
BLOCKS = 4
BLIND_BYTES = 32

_ENTRY_BYTES = 96
_BLOCK_BYTES = 16 * _ENTRY_BYTES
_COMB_ONES = (1 << 260) - 1
_COLUMN_MASK = (1 << COLUMNS) - 1


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


def negate(point: "Point") -> "Point":
    """-point."""
    x, y, z, t = point
    return P - x % P, y, z, P - t % P


def base_multiply(scalar: int, blind: bytes = b"") -> "Point":
    """scalar * B for 0 <= scalar < L, by 52 additions and 12 doublings for every scalar.

    Each bit stands for +1 or -1, so no digit is zero and the sequence of operations is fixed.
    What still varies with the scalar: table addresses, signs, lengths of integers. A blind of
    32 secret random bytes changes all three: it adds a multiple of L to the scalar (128 choices,
    all that 260 bits allow) and starts from a random Z.
    """
    multiple = 0
    z = 1
    if blind:
        if len(blind) != BLIND_BYTES:
            raise ValueError("blind is not 32 bytes")
        multiple = blind[0] % 254
        z = int.from_bytes(blind[1:], "little") + 1
    if (scalar ^ multiple) & 1 == 0:
        multiple ^= 1  # signed digits can only write odd numbers, and L is odd
    rows = _comb_rows(scalar + multiple * L)
    point = (0, z, z, 0)
    for column in range(COLUMNS - 1, -1, -1):
        if column < COLUMNS - 1:
            point = double(point)
        for block in range(BLOCKS):
            point = add(point, _comb_entry(rows, block, column))
    return point


def _comb_rows(odd: int) -> "list[int]":
    # Digits +-1 of an odd number n: bit i of (n + 2^260 - 1) / 2 is 1 for +1 and 0 for -1.
    bits = (odd + _COMB_ONES) >> 1
    return [(bits >> (COLUMNS * i)) & _COLUMN_MASK for i in range(TEETH * BLOCKS)]


def _comb_entry(rows: "list[int]", block: int, column: int) -> "Addend":
    i = TEETH * block
    positive = (rows[i + 4] >> column) & 1
    index = (
        ((rows[i] >> column) & 1)
        | ((rows[i + 1] >> column) & 1) << 1
        | ((rows[i + 2] >> column) & 1) << 2
        | ((rows[i + 3] >> column) & 1) << 3
    )
    # The table has the entries whose top tooth is +1; the others are their negatives, which swap
    # y-x with y+x. No branch depends on the digit.
    start = block * _BLOCK_BYTES + (index ^ (15 * (1 - positive))) * _ENTRY_BYTES
    minus = start + 32 * (1 - positive)
    plus = start + 32 * positive
    t2d = int.from_bytes(COMB[start + 64 : start + 96], "little")
    return (
        int.from_bytes(COMB[minus : minus + 32], "little"),
        int.from_bytes(COMB[plus : plus + 32], "little"),
        t2d * (2 * positive - 1),
        2,
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
