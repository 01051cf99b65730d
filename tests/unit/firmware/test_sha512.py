"""The board's SHA-512 against the platform's."""

import hashlib
from math import isqrt

import pytest
from cairn import sha512

PRIMES = [n for n in range(2, 410) if all(n % d for d in range(2, isqrt(n) + 1))]


def cube_root(n: int) -> int:
    low, high = 0, 1 << 70
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= n else (low, middle)
    return low


def test_constants_are_the_roots_of_primes():
    assert len(PRIMES) == 80
    first64 = (1 << 64) - 1
    start = b"".join((isqrt(p << 128) & first64).to_bytes(8, "little") for p in PRIMES[:8])
    rounds = b"".join((cube_root(p << 192) & first64).to_bytes(8, "little") for p in PRIMES)
    assert start == sha512.START
    assert rounds == sha512.CONSTANTS


@pytest.mark.parametrize("size", [*range(260), 4096])
def test_equals_the_platform(size):
    data = bytes(i * 7 & 255 for i in range(size))
    assert sha512.Sha512(data).digest() == hashlib.sha512(data).digest()


@pytest.mark.parametrize("piece", [1, 63, 127, 128, 129, 300])
def test_pieces(piece):
    data = bytes(range(256)) * 3
    ours = sha512.Sha512()
    for start in range(0, len(data), piece):
        ours.update(data[start : start + piece])
        ours.digest()  # asking early must not disturb what follows
    assert ours.digest() == hashlib.sha512(data).digest()


def test_platform_hash_is_preferred():
    assert sha512.sha512 is hashlib.sha512
