"""The signed comb of the Ed25519 base point: which entries of the table make up a multiple of B.

It covers 260 bits: bit c + 26*t + 130*b of a scalar stands in column c as tooth t of block b.
"""

# Order of the base point (RFC 8032 section 5.1).
L = 0x1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED
BLIND_BYTES = 32
COLUMNS = 26
BLOCKS = 2
ELEMENT_BYTES = 33
ENTRY_BYTES = 99
NEGATIVE = 64

_ONES = (1 << 260) - 1
_COLUMN_MASK = (1 << COLUMNS) - 1


def comb_digits(scalar: int, blind: bytes) -> bytes:
    """The table entries whose sum is scalar * B for 0 <= scalar < L, two for each column, the
    highest column first: the entry's number, plus NEGATIVE where it is to be subtracted.

    Each bit stands for +1 or -1, so that no digit is zero and the sequence of operations is the
    same for every scalar. A blind of 32 secret random bytes (or b"") adds a multiple of L, one of
    the 128 for which 260 bits have room, so that the digits are others each time.
    """
    multiple = 0
    if blind:
        if len(blind) != BLIND_BYTES:
            raise ValueError("blind is not 32 bytes")
        multiple = blind[0] % 254
    if (scalar ^ multiple) & 1 == 0:
        multiple ^= 1  # signed digits can only write odd numbers, and L is odd
    # Digits +-1 of an odd number n: bit i of (n + 2^260 - 1) / 2 is 1 for +1 and 0 for -1.
    bits = (scalar + multiple * L + _ONES) >> 1
    rows = [(bits >> (COLUMNS * i)) & _COLUMN_MASK for i in range(5 * BLOCKS)]
    out = bytearray(BLOCKS * COLUMNS)
    at = 0
    for column in range(COLUMNS - 1, -1, -1):
        for block in range(BLOCKS):
            i = 5 * block
            negative = ~(rows[i + 4] >> column) & 1
            index = (
                ((rows[i] >> column) & 1)
                | ((rows[i + 1] >> column) & 1) << 1
                | ((rows[i + 2] >> column) & 1) << 2
                | ((rows[i + 3] >> column) & 1) << 3
            )
            # The table has the entries whose top tooth is +1. No branch depends on the digit.
            out[at] = NEGATIVE * negative + 16 * block + (index ^ (15 * negative))
            at += 1
    return bytes(out)
