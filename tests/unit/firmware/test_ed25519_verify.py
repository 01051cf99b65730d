"""The verifier gives the verdicts of ed25519-zebra, ZIP 215's own implementation."""

import hashlib
import itertools

import ed25519_zebra
import pytest
from cairn.ed25519 import Signer
from cairn.ed25519_comb import L
from cairn.ed25519_point import (
    add,
    addend_of,
    base_multiply,
    decode_point,
    double,
    encode_point,
    is_identity,
)
from cairn.ed25519_verify import Verification, verify
from cairn.field25519 import P

SEED = bytes(range(32))
MESSAGE = b"what a station reported"


def torsion_points():
    """The 8 points of small order, from any point times L."""
    for candidate in range(2, 100):
        point = decode_point(candidate.to_bytes(32, "little"))
        if point is None:
            continue
        torsion = multiply(L, point)
        if not is_identity(double(double(torsion))):
            return [multiply(n, torsion) for n in range(8)]
    raise AssertionError("no point of order 8 found")


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    for bit in f"{scalar:b}":
        result = double(result)
        if bit == "1":
            result = add(result, addend_of(point))
    return result


def plus(a, b):
    return encode_point(add(a, addend_of(b)))


TORSION = torsion_points()
SMALL_ORDER = [encode_point(point) for point in TORSION]
# Every y of p or more, and the two points with x = 0 with either sign bit. Most are no canonical
# encoding; those of y = p, p + 1 stand for points of small order.
NON_CANONICAL = [
    (y | sign << 255).to_bytes(32, "little")
    for y in [*range(P, 2**255), 1, P - 1]
    for sign in (0, 1)
]


def agreed(public_key, message, signature):
    ours = verify(public_key, message, signature)
    assert ours is ed25519_zebra.ed_verify(signature, message, public_key)
    return ours


def challenge(commitment, public_key, message):
    digest = hashlib.sha512(commitment + public_key + message).digest()
    return int.from_bytes(digest, "little") % L


def secret_scalar(seed):
    low = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return low & ((1 << 254) - 8) | 1 << 254


def signature_with(public_key, secret, commitment, nonce, message):
    s = (nonce + challenge(commitment, public_key, message) * secret) % L
    return commitment + s.to_bytes(32, "little")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 4096])
def test_honest(size):
    signer, message = Signer(SEED), bytes(size)
    signature = signer.sign(message)
    assert agreed(signer.public_key, message, signature)
    assert not agreed(signer.public_key, message + b"\x00", signature)


def test_every_flipped_bit_is_refused():
    signer = Signer(SEED)
    signature = signer.sign(MESSAGE)
    for bit in range(0, 512, 3):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not agreed(signer.public_key, MESSAGE, bytes(flipped))
    for bit in range(0, 256, 5):
        flipped = bytearray(signer.public_key)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not agreed(bytes(flipped), MESSAGE, signature)


def test_s_must_be_below_the_order():
    signer = Signer(SEED)
    signature = signer.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little")
    for multiple in range(1, 16):
        raised = s + multiple * L
        if raised < 2**256:
            data = signature[:32] + raised.to_bytes(32, "little")
            assert not agreed(signer.public_key, MESSAGE, data)
    for exact in (L - 1, L, L + 1, 2**256 - 1):
        agreed(SMALL_ORDER[0], MESSAGE, SMALL_ORDER[0] + exact.to_bytes(32, "little"))


def test_torsion_on_the_commitment_is_accepted():
    public_key, secret, nonce = Signer(SEED).public_key, secret_scalar(SEED), 12345
    for torsion in TORSION:
        commitment = plus(base_multiply(nonce), torsion)
        signature = signature_with(public_key, secret, commitment, nonce, MESSAGE)
        assert agreed(public_key, MESSAGE, signature)


def test_mixed_order_keys_are_accepted():
    secret, nonce = secret_scalar(SEED), 54321
    for torsion, other in itertools.product(TORSION, TORSION[:3]):
        public_key = plus(base_multiply(secret % L), torsion)
        commitment = plus(base_multiply(nonce), other)
        signature = signature_with(public_key, secret, commitment, nonce, MESSAGE)
        assert agreed(public_key, MESSAGE, signature)


def test_small_order_keys_sign_anything():
    # Why a key is checked where it becomes known: under the rule alone these are valid.
    encodings = SMALL_ORDER + NON_CANONICAL
    accepted = 0
    for public_key, commitment in itertools.product(encodings, encodings):
        accepted += agreed(public_key, MESSAGE, commitment + bytes(32))
    assert accepted >= len(SMALL_ORDER) ** 2
    assert all(agreed(key, b"anything", SMALL_ORDER[0] + bytes(32)) for key in SMALL_ORDER)


def test_eight_distinct_small_order_points():
    assert len(set(SMALL_ORDER)) == 8


def test_encodings_off_the_curve_are_refused():
    signature = Signer(SEED).sign(MESSAGE)
    off = [
        y.to_bytes(32, "little")
        for y in range(200)
        if decode_point(y.to_bytes(32, "little")) is None
    ]
    assert len(off) > 50
    for data in off[:40]:
        assert not agreed(data, MESSAGE, signature)
        assert not agreed(Signer(SEED).public_key, MESSAGE, data + signature[32:])


@pytest.mark.parametrize(
    "key_size, signature_size", [(0, 64), (31, 64), (33, 64), (32, 0), (32, 63), (32, 65)]
)
def test_wrong_lengths_are_false(key_size, signature_size):
    assert not agreed(bytes(key_size), MESSAGE, bytes(signature_size))


@pytest.mark.parametrize("size", [0, 1, 512, 513, 4096])
def test_steps(size):
    signer, message = Signer(SEED), bytes(size)
    verification = Verification(signer.public_key, message, signer.sign(message))
    answers = [verification.step() for _ in range(20 + -(-size // 512))]
    assert answers[:-1] == [None] * (len(answers) - 1)
    assert answers[-1] is True
    assert verification.step() is True
