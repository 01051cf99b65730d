"""SHA-512's compression as rv32imc and as xtensawin code: right, and short."""

import hashlib
import random

import pytest
from cairn import sha512, sha512_integers

from simulator.machine.memory import DATA
from simulator.machine.native import SHA512_WORK_BYTES, kernel_source
from simulator.machine.rv32 import Rv32Kernel
from simulator.machine.xtensa import XtensaKernel
from tests.device.machine_code import or_skip

SOURCE = kernel_source("sha512_viper")
BLOCK_INSTRUCTIONS_MAX = 70_000
ONES = b"\xff" * 64
EDGES = [
    (bytes(64), bytes(128)),
    (ONES, b"\xff" * 128),
    (bytes(64), b"\xff" * 128),
    (ONES, bytes(128)),
    (b"\x00\x00\x00\x80" * 16, b"\x7f\xff\xff\xff" * 32),
    (b"\xff\xff\xff\x7f" * 16, b"\x80\x00\x00\x00" * 32),
]


def cases(count):
    rng = random.Random(512)
    return EDGES + [(rng.randbytes(64), rng.randbytes(128)) for _ in range(count)]


def arguments(state, block):
    return bytearray(state.ljust(SHA512_WORK_BYTES, b"\x55")), 0, block, sha512.CONSTANTS


def expected(state, block):
    work = bytearray(state)
    sha512_integers.compress(work, 0, block, sha512.CONSTANTS)
    return bytes(work)


def last_block(message):
    padded = message + b"\x80" + bytes(111 - len(message)) + (8 * len(message)).to_bytes(16, "big")
    assert len(padded) == 128
    return padded


def digest_of(work):
    return bytes(work[i ^ 7] for i in range(64))


@pytest.fixture(scope="module")
def rv32():
    return or_skip(Rv32Kernel, SOURCE, counting=True)


@pytest.fixture(scope="module")
def xtensa():
    return or_skip(XtensaKernel, SOURCE)


def test_rv32_equals_the_integers_on_edges_and_at_random(rv32):
    for state, block in cases(200):
        args = arguments(state, block)
        rv32(*args)
        assert bytes(args[0][:64]) == expected(state, block)


def test_xtensa_equals_the_integers_on_edges_and_at_random(xtensa):
    calls = [arguments(state, block) for state, block in cases(100)]
    xtensa.run(calls)
    for (state, block), args in zip(cases(100), calls, strict=True):
        assert bytes(args[0][:64]) == expected(state, block)


def test_both_equal_hashlib(rv32, xtensa):
    rng = random.Random(1)
    for size in (0, 1, 55, 110, 111):
        message = rng.randbytes(size)
        calls = [arguments(sha512.START, last_block(message)) for _ in range(2)]
        rv32(*calls[0])
        xtensa.run(calls[1:])
        for args in calls:
            assert digest_of(args[0]) == hashlib.sha512(message).digest()


def test_instructions_of_a_block(rv32, xtensa):
    counts = {"rv32": set(), "xtensa": set()}
    for state, block in [*EDGES[:2], *cases(1)[-1:]]:
        before = rv32.instructions
        rv32(*arguments(state, block))
        counts["rv32"].add(rv32.instructions - before)
        counts["xtensa"].add(xtensa.count(*arguments(state, block)))
    for name, seen in counts.items():
        assert max(seen) <= BLOCK_INSTRUCTIONS_MAX, name
    # On rv32 none depends on the data. Xtensa has no instruction that compares into a register,
    # so that each of some 450 carries costs one instruction more or less: decision 0017.
    assert len(counts["rv32"]) == 1
    assert max(counts["xtensa"]) - min(counts["xtensa"]) < 450


def test_constants_out_of_alignment_do_nothing(rv32):
    # An ESP32 faults on a word that does not stand on a multiple of four; the module's own check
    # then finds a wrong digest and takes the integers.
    work = bytearray(sha512.START.ljust(SHA512_WORK_BYTES, b"\0"))
    rv32(work, 0, bytes(128), DATA + 1)
    doubled = [2 * int.from_bytes(sha512.START[i : i + 8], "little") for i in range(0, 64, 8)]
    assert [int.from_bytes(work[i : i + 8], "little") for i in range(0, 64, 8)] == [
        number & (1 << 64) - 1 for number in doubled
    ]


def test_the_work_area_is_as_long_as_the_kernel_says():
    assert "WORK_BYTES = 4 * (16 + 160 + 16 + 34)" in SOURCE.read_text(encoding="ascii")
    assert SHA512_WORK_BYTES == 4 * (16 + 160 + 16 + 34)
