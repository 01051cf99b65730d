"""The compression function of SHA-512 in Python integers, where sha512_viper cannot run."""

WORK_BYTES = 64

_M = 0xFFFFFFFFFFFFFFFF
_REPEAT = 0x10000000000000001


def compress(work: bytearray, _x: int, block: bytes, k: bytes) -> None:
    """Takes the 128 bytes of block into the state in work; k: the round constants."""
    state = [int.from_bytes(work[i : i + 8], "little") for i in range(0, WORK_BYTES, 8)]
    w = [int.from_bytes(block[i : i + 8], "big") for i in range(0, 128, 8)]
    a, b, c, d, e, f, g, h = state
    bc = b ^ c
    for i in range(80):
        if i >= 16:
            w[i & 15] = _schedule(w, i)
        # A word written twice side by side turns a rotation into one shift. What stands above 64
        # bits is dropped once, at the end: sums carry upwards only, and each operation on such
        # integers is an allocation on a board.
        ee = e * _REPEAT
        t = h + int.from_bytes(k[8 * i : 8 * i + 8], "little") + w[i & 15]
        t += ((ee >> 14) ^ (ee >> 18) ^ (ee >> 41)) + (g ^ (e & (f ^ g)))
        h, g, f = g, f, e
        e = (d + t) & _M
        aa = a * _REPEAT
        ab = a ^ b
        t += ((aa >> 28) ^ (aa >> 34) ^ (aa >> 39)) + (b ^ (ab & bc))  # the majority of a, b, c
        d, c, b, bc = c, b, a, ab
        a = t & _M
    mixed = (a, b, c, d, e, f, g, h)
    for i in range(8):
        work[8 * i : 8 * i + 8] = ((state[i] + mixed[i]) & _M).to_bytes(8, "little")


def _schedule(w: "list[int]", i: int) -> int:
    early = w[(i - 15) & 15]
    late = w[(i - 2) & 15]
    ee = early * _REPEAT
    ll = late * _REPEAT
    s0 = (ee >> 1) ^ (ee >> 8) ^ (early >> 7)
    s1 = (ll >> 19) ^ (ll >> 61) ^ (late >> 6)
    return (w[i & 15] + s0 + w[(i - 7) & 15] + s1) & _M
