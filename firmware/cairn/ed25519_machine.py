"""Points of edwards25519 in native code: what ed25519_point does, as programs of field25519_viper.

A point is that kernel's whole buffer with the coordinates in registers X, Y, Z, T; functions
change a point and return it. An addend is four registers. The formulas are ed25519_point's;
comments give the bounds that field25519_viper's rule asks for, where they are not u.
"""

import struct

from .ed25519_comb import ELEMENT_BYTES, comb_digits
from .ed25519_tables import COMB
from .field25519 import D2, MASK, SQRT_MINUS_1, D, P
from .field25519_viper import run

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    Point = bytearray
    Addend = bytes

_REGISTER_BYTES = 80
_POINT_BYTES = 17 * _REGISTER_BYTES
_ADDEND_START = 13 * _REGISTER_BYTES
_NO_DIGITS = b"\xff"
_FIRST_ENTRY = b"\x00\xff"
_NEGATED_ENTRY = b"\x40\xff"

# An operation is (what, target, operand, operand): 1 product, 2 square, 3 difference, 4 copy,
# 5 sum, 6 element of the table. Registers: 4 to 7 X, Y, Z, T; 8 to 12 free; 13 to 16 an addend.
_DOUBLE = (
    b"\x05\x08\x04\x04\x01\x08\x08\x05"  # 8 = e = 2x * y
    b"\x05\x09\x06\x06\x01\x09\x09\x06"  # 9 = 2z * z
    b"\x02\x04\x04\x01\x02\x05\x05\x01"  # X = x^2, Y = y^2
    b"\x05\x0a\x04\x05\x03\x0b\x05\x04"  # 10 = h = x^2 + y^2, 11 = g = y^2 - x^2: 2u each
    b"\x03\x09\x09\x0b"  # 9 = f = 2z^2 - g: 3u
    # ef, gh, fg, eh: all four as ed25519_point's, negated
    b"\x01\x04\x08\x09\x01\x05\x0b\x0a\x01\x06\x09\x0b\x01\x07\x08\x0a"
)
_ENTRY = (
    # 8, 9, 10 = the digit's (y-x)/2, (y+x)/2, dxy: 2u each
    b"\x06\x08\x00\x01\x06\x09\x01\x00\x06\x0a\x02\x02"
    b"\x03\x0b\x05\x04\x05\x0c\x05\x04"  # 11 = y - x, 12 = y + x: 2u each
    b"\x01\x0b\x0b\x08\x01\x0c\x0c\x09\x01\x07\x07\x0a"  # 11 = a, 12 = b, T = c; Z is d
)
_PLUS = (
    b"\x03\x0b\x05\x04\x05\x0c\x05\x04"  # 11 = y - x, 12 = y + x: 2u each, as the addend
    # 11 = a, 12 = b, T = c, Z = d
    b"\x01\x0b\x0b\x0d\x01\x0c\x0c\x0e\x01\x07\x07\x0f\x01\x06\x06\x10"
)
_FG = (
    b"\x03\x08\x0c\x0b\x05\x09\x0c\x0b"  # 8 = e = b - a, 9 = h = b + a: 2u each
    b"\x03\x0a\x06\x07\x05\x0b\x06\x07"  # 10 = f = d - c, 11 = g = d + c: 2u each
    b"\x01\x04\x08\x0a\x01\x05\x0b\x09\x01\x06\x0a\x0b\x01\x07\x08\x09"  # ef, gh, fg, eh
)
# _PLUS and _FG of a negative addend: y-x and y+x change places, and so do f and g.
_MINUS = (
    b"\x03\x0b\x05\x04\x05\x0c\x05\x04"
    b"\x01\x0b\x0b\x0e\x01\x0c\x0c\x0d\x01\x07\x07\x0f\x01\x06\x06\x10"
    b"\x03\x08\x0c\x0b\x05\x09\x0c\x0b"
    b"\x05\x0a\x06\x07\x03\x0b\x06\x07"
    b"\x01\x04\x08\x0a\x01\x05\x0b\x09\x01\x06\x0a\x0b\x01\x07\x08\x09"
)
# The neutral element; Z is the square of the table's number.
_START = b"\x06\x06\x00\x00\x02\x06\x06\x01\x04\x05\x06\x00\x03\x04\x06\x06\x03\x07\x06\x06"
# The addend of X, Y, Z, T; the table's number is 2d.
_ADDEND_OF = b"\x06\x08\x00\x00\x03\x0d\x05\x04\x05\x0e\x05\x04\x01\x0f\x07\x08\x05\x10\x06\x06"
# 9 = z^((p-5)/8) of z in 8.
_POWER = (
    b"\x02\x0a\x08\x01\x02\x0b\x0a\x02\x01\x0b\x0b\x08\x01\x0a\x0a\x0b"  # 10 = z^11, 11 = z^9
    b"\x02\x0a\x0a\x01\x01\x09\x0a\x0b"  # 9 = z^(2^5 - 1); below, the exponent alone
    # 9: 2^10 - 1, 10: 2^20 - 1
    b"\x02\x0a\x09\x05\x01\x09\x0a\x09\x02\x0a\x09\x0a\x01\x0a\x0a\x09"
    b"\x02\x0b\x0a\x14\x01\x0a\x0b\x0a\x02\x0a\x0a\x0a\x01\x09\x0a\x09"  # 9: 2^50 - 1
    b"\x02\x0a\x09\x32\x01\x0a\x0a\x09\x02\x0b\x0a\x64\x01\x0a\x0b\x0a"  # 10: 2^200 - 1
    b"\x02\x0a\x0a\x32\x01\x09\x0a\x09\x02\x09\x09\x02\x01\x09\x09\x08"  # 9: 2^252 - 3
)
_ENCODE = (
    # 9 = z^(8 (p-5)/8 + 3) = 1/z
    b"\x02\x09\x09\x03\x02\x0a\x08\x01\x01\x0a\x0a\x08\x01\x09\x09\x0a"
    b"\x01\x04\x04\x09\x01\x05\x05\x09"  # X = x/z, Y = y/z
)
# A square root of u/v, if there is one, is x = u v^3 (u v^7)^((p-5)/8) or sqrt(-1) x.
_DECODE = (
    b"\x06\x05\x00\x01\x06\x06\x01\x00\x06\x07\x02\x02"  # Y, Z, T = y, 1, d: 2u each
    b"\x01\x06\x06\x06"  # Z = 1
    # X = u = y^2 - 1, T = v = d y^2 + 1
    b"\x02\x08\x05\x01\x01\x07\x07\x08\x03\x04\x08\x06\x05\x07\x07\x06"
    # 12 = u v^3, 8 = u v^7
    b"\x02\x09\x07\x01\x01\x09\x09\x07\x01\x0c\x04\x09\x02\x08\x07\x02\x01\x08\x08\x0c"
)
_ROOT = b"\x01\x0c\x0c\x09\x02\x08\x0c\x01\x01\x08\x08\x07"  # 12 = x, 8 = v x^2
_OTHER = b"\x06\x08\x00\x00\x01\x0c\x0c\x08"  # 12 = x times the table's number
_NEGATE = b"\x03\x08\x08\x08\x03\x0c\x08\x0c"  # 12 = -x
_POINT = b"\x01\x04\x0c\x06\x01\x05\x05\x06\x01\x07\x0c\x05"  # X, Y, T = x, y, x * y
_END = b"\x00\x00\x00\x00"


def identity(z: int = 1) -> "Point":
    """The neutral element, with Z the square of z, 0 < z < 2^255."""
    point = bytearray(_POINT_BYTES)
    _run_with(point, _START, z)
    return point


def times16(point: "Point") -> "Point":
    """16 * point."""
    run(point, 0, _DOUBLE + _DOUBLE + _DOUBLE + _DOUBLE + _END, b"", _NO_DIGITS)
    return point


def add(point: "Point", addend: "Addend") -> "Point":
    """point + addend."""
    point[_ADDEND_START:] = addend
    run(point, 0, _PLUS + _FG + _END, b"", _NO_DIGITS)
    return point


def subtract(point: "Point", addend: "Addend") -> "Point":
    """point - addend."""
    point[_ADDEND_START:] = addend
    run(point, 0, _MINUS + _END, b"", _NO_DIGITS)
    return point


def addend_of(point: "Point") -> "Addend":
    """The form in which add() takes a point, which keeps its coordinates."""
    _run_with(point, _ADDEND_OF, D2)
    return bytes(point[_ADDEND_START:])


def base_multiply(scalar: int, blind: bytes = b"") -> "Point":
    """scalar * B for 0 <= scalar < L, by 52 additions and 26 doublings for every scalar.

    The sequence of operations is fixed and no time depends on a number; what varies with the
    scalar is table addresses. A blind of 32 secret random bytes changes those (see comb_digits),
    and Z starts random.
    """
    digits = comb_digits(scalar, blind)
    point = identity(int.from_bytes(blind[1:], "little") + 1)
    run(point, 0, _DOUBLE + _ENTRY + _FG + _ENTRY + _FG + _END, COMB, digits + _NO_DIGITS)
    return point


def encode_point(point: "Point") -> bytes:
    """The 32-byte encoding (RFC 8032 section 5.1.2); the point is used up."""
    run(point, 0, b"\x04\x08\x06\x00" + _POWER + _ENCODE + _END, b"", _NO_DIGITS)
    return (_read(point, 5) | (_read(point, 4) & 1) << 255).to_bytes(32, "little")


def decode_point(data: bytes) -> "Point | None":
    """The point of a 32-byte encoding by the liberal rule of ZIP 215, None if there is none.

    y of p or more is taken modulo p, and x = 0 may carry the sign bit.
    """
    encoded = int.from_bytes(data, "little")
    point = bytearray(_POINT_BYTES)
    table = _element(encoded & MASK) + _element(1) + _element(D)
    run(point, 0, _DECODE + _POWER + _ROOT + _END, table, _FIRST_ENTRY)
    check = _read(point, 8)
    u = _read(point, 4)
    if check == -u % P:
        _run_with(point, _OTHER, SQRT_MINUS_1)
    elif check != u:
        return None
    program = _POINT
    if _read(point, 12) & 1 != encoded >> 255:
        program = _NEGATE + _POINT
    run(point, 0, program + _END, b"", _NO_DIGITS)
    return point


def is_identity(point: "Point") -> bool:
    """Whether point is the neutral element."""
    return _read(point, 4) == 0 and _read(point, 5) == _read(point, 6)


def _run_with(point: "Point", program: bytes, number: int) -> None:
    run(point, 0, program + _END, _element(number), _FIRST_ENTRY)


def _element(number: int) -> bytes:
    return number.to_bytes(ELEMENT_BYTES, "little")


def _read(point: "Point", register: int) -> int:
    limbs = struct.unpack_from("<20i", point, register * _REGISTER_BYTES)
    number = 0
    for i in range(18, -1, -2):
        number = (number << 26) + (limbs[i + 1] << 13) + limbs[i]
    return number % P


def _check() -> None:
    # -(2d)^9 by a negated element, a square and a product: wrong where words have 64 bits.
    point = bytearray(_POINT_BYTES)
    program = b"\x06\x04\x00\x00\x02\x05\x04\x03\x01\x06\x05\x04" + _END
    run(point, 0, program, _element(D2), _NEGATED_ENTRY)
    if _read(point, 6) != P - pow(D2, 9, P):
        raise ValueError("native code of another kind of machine")


_check()
