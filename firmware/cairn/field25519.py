"""Arithmetic modulo p = 2^255 - 19 for Ed25519 on Python integers.

Sums and products are written out where they are used; here stand the constants and the powers.
A value may be any integer of its residue class, small negative ones too, unless said otherwise.
"""

P = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFED
MASK = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF
# The curve's d = -121665/121666, twice d, and a square root of -1 (RFC 8032 section 5.1).
D = 0x52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3
D2 = 0x2406D9DC56DFFCE7198E80F2EEF3D13000E0149A8283B156EBD69B9426B2F159
SQRT_MINUS_1 = 0x2B8324804FC1DF0B2B4D00993DFBD7A72F431806AD2FE478C4EE1B274A0EA0B0


def invert(z: int) -> int:
    """1/z, reduced; 0 for 0. Euclid's algorithm: a ninth of the work of z^(p-2), not in constant
    time, so a secret z must have been multiplied by something random before.
    """
    a, b = P, z % P
    s, t = 0, 1
    while b:
        q = a // b
        a, b = b, a - q * b
        s, t = t, s - q * t
    return s % P


def square_times(z: int, times: int) -> int:
    """z^(2^times) for 0 <= z < 2^256, below 2^256 again."""
    for _ in range(times):
        z *= z
        # Folding once leaves up to 260 bits, and those grow with every further squaring.
        z = (z & MASK) + 19 * (z >> 255)
        z = (z & MASK) + 19 * (z >> 255)
    return z


def power_p58(z: int) -> int:
    """z^((p-5)/8) = z^(2^252 - 3), reduced: 252 squarings and 11 products.

    The built-in pow divides at every step, which costs a 32-bit board three times as much.
    """
    z %= P
    z2 = square_times(z, 1)
    z9 = square_times(z2, 2) * z % P
    z11 = z9 * z2 % P
    e5 = square_times(z11, 1) * z9 % P  # e_n stands for z^(2^n - 1)
    e10 = square_times(e5, 5) * e5 % P
    e20 = square_times(e10, 10) * e10 % P
    e40 = square_times(e20, 20) * e20 % P
    e50 = square_times(e40, 10) * e10 % P
    e100 = square_times(e50, 50) * e50 % P
    e200 = square_times(e100, 100) * e100 % P
    e250 = square_times(e200, 50) * e50 % P
    return square_times(e250, 2) * z % P
