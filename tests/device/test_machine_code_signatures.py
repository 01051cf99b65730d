"""Whole signatures and verifications with the kernels run as an ESP32's machine code."""

import hashlib
import random

import ed25519_zebra
import pytest
from cairn import ed25519, ed25519_comb, ed25519_point, ed25519_verify, sha512_integers
from nacl.signing import SigningKey

from simulator.machine.native import NativeModules, kernel_source
from simulator.machine.rv32 import Rv32Kernel
from simulator.machine.xtensa import XtensaKernel
from tests.device.machine_code import or_skip

FIELD = kernel_source("field25519_viper")
SHA = kernel_source("sha512_viper")
SEED = bytes(range(32))
P = 2**255 - 19
EDGE_SCALARS = [0, 1, 2, 3, 8, 2**252, 2**128 - 1, ed25519_comb.L - 1, ed25519_comb.L - 2]


@pytest.fixture(scope="module")
def native():
    return NativeModules(or_skip(Rv32Kernel, FIELD), or_skip(Rv32Kernel, SHA))


def test_signatures_are_those_of_libsodium_and_valid_for_zebra(native):
    rng = random.Random(0)
    for size in [0, 1, 32, 111, 112, 127, 128, 200, 300, 1000] * 4:
        seed, message = rng.randbytes(32), rng.randbytes(size)
        ours = native.ed25519.Signer(seed, rng.randbytes(32))
        signature = ours.sign(message, b"", rng.randbytes(32))
        assert signature == SigningKey(seed).sign(message).signature
        assert ed25519_zebra.ed_verify(signature, message, ours.public_key)
        assert ours.public_key == bytes(SigningKey(seed).verify_key)


def test_hedged_signatures_equal_the_integers(native):
    rng = random.Random(1)
    for _ in range(40):
        seed, message = rng.randbytes(32), rng.randbytes(rng.randrange(300))
        hedge, blind, other = (rng.randbytes(32) for _ in range(3))
        signature = native.ed25519.Signer(seed, blind).sign(message, hedge, blind)
        assert signature == ed25519.Signer(seed).sign(message, hedge, other)
        SigningKey(seed).verify_key.verify(message, signature)


def test_the_chosen_paths(native):
    # CPython has no viper, so that the ordinary modules are the fallback that native is held to.
    assert ed25519.points is ed25519_point
    assert ed25519_verify.points is ed25519_point
    assert native.verify.points is native.points
    assert native.points.__name__.endswith(".ed25519_machine")
    assert native.sha512.WORK_BYTES > sha512_integers.WORK_BYTES


@pytest.mark.parametrize("scalar", EDGE_SCALARS)
def test_base_multiples(native, scalar):
    expected = ed25519_point.encode_point(ed25519_point.base_multiply(scalar))
    for blind in (b"", bytes([252]) + bytes(31), bytes([253]) + b"\xff" * 31, bytes(32)):
        point = native.points.base_multiply(scalar, blind)
        assert native.points.encode_point(point) == expected


def test_blinds_of_a_wrong_length_are_refused(native):
    for size in (1, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            native.ed25519.Signer(SEED, bytes(size))


def test_points_decode_as_with_the_integers(native):
    rng = random.Random(2)
    encodings = [number.to_bytes(32, "little") for number in range(60)]
    encodings += [
        (P - 5 + i | sign << 255).to_bytes(32, "little") for i in range(24) for sign in (0, 1)
    ]
    encodings += [rng.randbytes(32) for _ in range(60)]
    found = 0
    for data in encodings:
        expected = ed25519_point.decode_point(data)
        point = native.points.decode_point(data)
        assert (point is None) == (expected is None), data.hex()
        if expected is not None:
            found += 1
            assert native.points.encode_point(point) == ed25519_point.encode_point(expected)
    assert 40 < found < len(encodings) - 40


def test_the_group_operations_agree(native):
    machine, rng = native.points, random.Random(3)
    a, b = (rng.randrange(ed25519_comb.L) for _ in range(2))

    def of(module):
        first, second = module.base_multiply(a), module.base_multiply(b)
        addend = module.addend_of(second)
        yield module.encode_point(module.add(module.base_multiply(a), addend))
        yield module.encode_point(module.subtract(first, addend))
        yield module.encode_point(module.times16(module.base_multiply(a)))
        yield module.encode_point(module.identity())
        zero = module.subtract(module.base_multiply(b), addend)
        yield module.is_identity(zero)
        yield module.is_identity(module.base_multiply(b))

    assert list(of(machine)) == list(of(ed25519_point))


@pytest.mark.slow
def test_verdicts_are_zebras(native):
    rng = random.Random(4)
    message = b"what a station reported"
    signer = ed25519.Signer(SEED)
    signature = signer.sign(message)
    small = [number.to_bytes(32, "little") for number in (0, 1, P - 1, P, P + 1)]
    cases = [(signer.public_key, signature), *((key, key + bytes(32)) for key in small)]
    cases += [(key, small[1] + bytes(32)) for key in small]
    for _ in range(8):
        flipped = bytearray(signature)
        flipped[rng.randrange(64)] ^= 1 << rng.randrange(8)
        cases.append((signer.public_key, bytes(flipped)))
    verdicts = set()
    for key, data in cases:
        verdict = native.verify.verify(key, message, data)
        assert verdict is ed25519_zebra.ed_verify(data, message, key)
        verdicts.add(verdict)
    assert verdicts == {True, False}


def test_verification_goes_in_slices(native):
    message = bytes(600)
    signature = ed25519.Signer(SEED).sign(message)
    verification = native.verify.Verification(ed25519.Signer(SEED).public_key, message, signature)
    answers = [verification.step() for _ in range(22)]
    assert answers == [None] * 21 + [True]


def test_a_signature_as_xtensa_code():
    field, sha = or_skip(XtensaKernel, FIELD), or_skip(XtensaKernel, SHA)
    modules = NativeModules(lambda *args: field.run([args]), lambda *args: sha.run([args]))
    rng = random.Random(5)
    message, hedge, blind = rng.randbytes(260), rng.randbytes(32), rng.randbytes(32)
    signature = modules.ed25519.Signer(SEED, blind).sign(message, hedge, blind)
    assert signature == ed25519.Signer(SEED).sign(message, hedge)


def test_kernels_that_compute_wrongly_are_left_alone():
    """As an interpreter of 64-bit words would: the self-checks at import take the integers."""

    def idle(*_args):
        return None

    modules = NativeModules(idle, idle)
    assert modules.points.__name__.endswith(".ed25519_point")
    assert modules.sha512.Sha512(b"abc").digest() == hashlib.sha512(b"abc").digest()
    assert modules.ed25519.Signer(SEED).sign(b"abc") == ed25519.Signer(SEED).sign(b"abc")


def test_signing_makes_a_fixed_sequence_of_kernel_calls():
    calls = []

    def recorded(kernel, name):
        def call(*args):
            calls.append((name, args[2] if name == "run" else None))
            kernel(*args)

        return call

    modules = NativeModules(
        recorded(or_skip(Rv32Kernel, FIELD), "run"),
        recorded(or_skip(Rv32Kernel, SHA), "compress"),
    )
    seen = set()
    for seed in (SEED, bytes(32), b"\xff" * 32):
        signer = modules.ed25519.Signer(seed)
        calls.clear()
        signer.sign(b"message", seed, seed)
        seen.add(tuple(calls))
    assert len(seen) == 1
