# mypy: ignore-errors
# ruff: noqa: ANN201, ERA001, F821, PLR0915
"""The compression function of SHA-512 as native code: 64-bit words as two halves, low half first.

Viper is MicroPython's subset with machine words for integers. Importing this where it cannot run
raises ImportError (CPython has no micropython module) or SyntaxError (no native code in there).
"""

import micropython

# Words: the state, the window's way down through memory in 80 rounds, its first place, and the
# message schedule above it.
WORK_BYTES = 4 * (16 + 160 + 16 + 34)


# Viper keeps the first two arguments in registers: p is the window a, b .. h = p[0:16], x the sum
# being built. A round moves the window down by a word, so none is ever copied, and word i of the
# schedule stands right above it. Long sums are broken where the emitter would spill. 64-bit sums
# carry by comparison: low half x, high half y.
@micropython.viper
def compress(p: ptr32, x: int, block: ptr8, k: ptr32):
    """Takes 128 bytes into the state at p, WORK_BYTES long. k: aligned, else nothing; x: any."""
    state = p
    p = ptr32(int(p) + 704)
    i = 0
    while i < 16:
        p[i] = state[i]
        i += 1
    i = 80 * (int(k) & 3)
    while i < 80:
        if i < 16:
            p[17] = block[0] << 24 | block[1] << 16 | block[2] << 8 | block[3]
            p[16] = block[4] << 24 | block[5] << 16 | block[6] << 8 | block[7]
            block = ptr8(int(block) + 8)
        else:
            x = int(uint(p[46]) >> 1) ^ (p[47] << 31) ^ int(uint(p[46]) >> 8)
            p[16] = (p[47] << 24) ^ x ^ int(uint(p[46]) >> 7) ^ (p[47] << 25)
            x = int(uint(p[20]) >> 19) ^ (p[21] << 13) ^ int(uint(p[21]) >> 29)
            x = (p[20] << 3) ^ x ^ int(uint(p[20]) >> 6) ^ (p[21] << 26)
            x = p[16] + x
            y = int(uint(x) < uint(p[16]))
            x = p[30] + x
            y = int(uint(x) < uint(p[30])) + y
            x = p[48] + x
            y = int(uint(x) < uint(p[48])) + y
            p[16] = x
            x = int(uint(p[47]) >> 1) ^ (p[46] << 31) ^ int(uint(p[47]) >> 8)
            y = ((p[46] << 24) ^ x ^ int(uint(p[47]) >> 7)) + y
            x = int(uint(p[21]) >> 19) ^ (p[20] << 13) ^ int(uint(p[20]) >> 29)
            p[17] = ((p[21] << 3) ^ x ^ int(uint(p[21]) >> 6)) + y + p[31] + p[49]
        # T1 = h + S1(e) + Ch(e, f, g) + k + w
        x = int(uint(p[8]) >> 14) ^ (p[9] << 18) ^ int(uint(p[8]) >> 18)
        x = (p[9] << 14) ^ x ^ int(uint(p[9]) >> 9) ^ (p[8] << 23)
        x = p[14] + x
        y = int(uint(x) < uint(p[14])) + p[15]
        x = k[0] + x
        y = int(uint(x) < uint(k[0])) + y
        x = p[16] + x
        y = int(uint(x) < uint(p[16])) + y
        p[14] = (p[8] & (p[10] ^ p[12])) ^ p[12]
        x = p[14] + x
        y = int(uint(x) < uint(p[14])) + y + ((p[9] & (p[11] ^ p[13])) ^ p[13])
        p[14] = x
        x = int(uint(p[9]) >> 14) ^ (p[8] << 18) ^ int(uint(p[9]) >> 18)
        x = (p[8] << 14) ^ x ^ int(uint(p[8]) >> 9) ^ (p[9] << 23)
        y = x + y + k[1] + p[17]
        # e' = d + T1, where d stood; a' = T1 + S0(a) + Maj(a, b, c)
        p[6] = p[6] + p[14]
        p[7] = p[7] + y + int(uint(p[6]) < uint(p[14]))
        x = int(uint(p[0]) >> 28) ^ (p[1] << 4) ^ int(uint(p[1]) >> 2)
        x = (p[0] << 30) ^ x ^ int(uint(p[1]) >> 7) ^ (p[0] << 25)
        x = p[14] + x
        y = int(uint(x) < uint(p[14])) + y
        p[14] = (p[0] & (p[2] ^ p[4])) ^ (p[2] & p[4])
        p[14] = p[14] + x
        y = int(uint(p[14]) < uint(x)) + y + ((p[1] & (p[3] ^ p[5])) ^ (p[3] & p[5]))
        x = int(uint(p[1]) >> 28) ^ (p[0] << 4) ^ int(uint(p[0]) >> 2)
        p[15] = ((p[1] << 30) ^ x ^ int(uint(p[0]) >> 7) ^ (p[1] << 25)) + y
        x = p[14]
        p = ptr32(int(p) - 8)
        p[0] = x
        p[1] = p[17]
        k = ptr32(int(k) + 8)
        i += 1
    i = 0
    while i < 16:
        x = p[i]
        state[i] = state[i] + x
        state[i + 1] = state[i + 1] + p[i + 1] + int(uint(state[i]) < uint(x))
        i += 2
