"""Field arithmetic as rv32imc and as xtensawin code, against Python integers, at its bounds too.

field25519_viper states the bounds; here stands what they come to in the worst case.
"""

import itertools
import random
import struct

import pytest
from cairn.field25519 import P

from simulator.machine.native import kernel_source
from simulator.machine.rv32 import Rv32Kernel
from simulator.machine.xtensa import XtensaKernel
from tests.device.machine_code import or_skip

SOURCE = kernel_source("field25519_viper")
U = 4099  # no limb of a product is larger
REGISTERS = 10
FIRST = 4
MULTIPLY, SQUARE, SUBTRACT, COPY, ADD, LOAD = range(1, 7)
NO_DIGITS = b"\xff"
EDGE_NUMBERS = [
    0,
    1,
    2,
    19,
    608,
    P - 1,
    P,
    P + 1,
    2 * P - 1,
    2 * P,
    2**255 - 1,
    2**256 - 1,
    2**259,
]
# Factors by which operands of a product may exceed u: their product is at most 6.
ALLOWED = [(1, 1), (1, 6), (6, 1), (2, 3), (3, 2), (2, 2)]


@pytest.fixture(scope="module")
def rv32():
    return or_skip(Rv32Kernel, SOURCE, counting=True)


@pytest.fixture(scope="module")
def xtensa():
    return or_skip(XtensaKernel, SOURCE)


def buffer(*numbers):
    data = bytearray(80 * (FIRST + REGISTERS))
    for i, limbs in enumerate(numbers):
        struct.pack_into("<20i", data, 80 * (FIRST + i), *limbs)
    return data


def limbs_of(data, register):
    return struct.unpack_from("<20i", data, 80 * register)


def value_of(data, register):
    return sum(limb << 13 * i for i, limb in enumerate(limbs_of(data, register)))


def split(number):
    """Limbs of 0 to 8191, as an element of a table has them."""
    return [number >> 13 * i & 8191 for i in range(20)]


def extremes(factor):
    """Limbs at the bound: of one sign, of alternating signs, one half against the other."""
    top = factor * U
    yield [top] * 20
    yield [-top] * 20
    yield [top if i % 2 else -top for i in range(20)]
    yield [top if i < 10 else -top for i in range(20)]


def arithmetic_cases():
    rng = random.Random(25519)
    pairs = [(split(a), split(b)) for a, b in itertools.product(EDGE_NUMBERS, EDGE_NUMBERS)]
    for fa, fb in ALLOWED:
        pairs += itertools.product(extremes(fa), extremes(fb))
        for _ in range(20):
            a = [rng.randint(-fa * U, fa * U) for _ in range(20)]
            b = [rng.randint(-fb * U, fb * U) for _ in range(20)]
            pairs.append((a, b))
    return pairs


def expected(what, a, b):
    return {MULTIPLY: a * b, SUBTRACT: a - b, COPY: a, ADD: a + b}[what]


def check(data, what):
    a, b = value_of(data, 4), value_of(data, 5)
    assert (value_of(data, 6) - expected(what, a, b)) % P == 0
    if what == MULTIPLY:
        assert max(map(abs, limbs_of(data, 6))) <= U


@pytest.mark.parametrize("what", [MULTIPLY, SUBTRACT, COPY, ADD])
def test_two_operands(what, rv32, xtensa):
    program = bytes([what, 6, 4, 5, 0])
    cases = arithmetic_cases()
    calls = [(buffer(a, b), 0, program, b"", NO_DIGITS) for a, b in cases]
    again = [(bytearray(call[0]), *call[1:]) for call in calls]
    for call in calls:
        rv32(*call)
        check(call[0], what)
    for start in range(0, len(again), 100):
        xtensa.run(again[start : start + 100])
    assert [bytes(call[0]) for call in again] == [bytes(call[0]) for call in calls]


@pytest.mark.parametrize("times", [1, 2, 5, 100])
def test_squares(times, rv32, xtensa):
    program = bytes([SQUARE, 6, 4, times, 0])
    rng = random.Random(times)
    numbers = [split(number) for number in EDGE_NUMBERS] + list(extremes(1)) + list(extremes(2))
    numbers += [[rng.randint(-2 * U, 2 * U) for _ in range(20)] for _ in range(30)]
    calls = [(buffer(number), 0, program, b"", NO_DIGITS) for number in numbers]
    again = [(bytearray(call[0]), *call[1:]) for call in calls]
    for call in calls:
        rv32(*call)
        assert value_of(call[0], 6) % P == pow(value_of(call[0], 4), 2**times, P)
        assert max(map(abs, limbs_of(call[0], 6))) <= U
    xtensa.run(again)
    assert [bytes(call[0]) for call in again] == [bytes(call[0]) for call in calls]


def test_operands_and_target_may_be_the_same(rv32):
    rng = random.Random(3)
    for what in (MULTIPLY, SUBTRACT, COPY, ADD):
        for target, first, second in ((4, 4, 5), (5, 4, 5), (4, 4, 4)):
            data = buffer(*([rng.randint(-U, U) for _ in range(20)] for _ in range(2)))
            a, b = value_of(data, first), value_of(data, second)
            rv32(data, 0, bytes([what, target, first, second, 0]), b"", NO_DIGITS)
            assert (value_of(data, target) - expected(what, a, b)) % P == 0


def table():
    rng = random.Random(99)
    numbers = [0, 1, P - 1, P, 2**255 - 1, 2**255 - 20] + [rng.randrange(P) for _ in range(90)]
    return [numbers[i : i + 3] for i in range(0, 96, 3)]


def test_entries_of_a_table(rv32, xtensa):
    entries = table()
    data = b"".join(number.to_bytes(33, "little") for entry in entries for number in entry)
    program = bytes([LOAD, 4, 0, 1, LOAD, 5, 1, 0, LOAD, 6, 2, 2, 0])
    calls, wanted = [], []
    for i, (minus, plus, third) in enumerate(entries):
        for negative in (0, 64):
            calls.append((buffer(), 0, program, data, bytes([i + negative, 255])))
            wanted.append([plus, minus, -third] if negative else [minus, plus, third])
    again = [(bytearray(call[0]), *call[1:]) for call in calls]
    for call, numbers in zip(calls, wanted, strict=True):
        rv32(*call)
        assert [value_of(call[0], 4 + i) for i in range(3)] == numbers
        assert max(abs(limb) for i in range(3) for limb in limbs_of(call[0], 4 + i)) <= 8191
    xtensa.run(again)
    assert [bytes(call[0]) for call in again] == [bytes(call[0]) for call in calls]


def test_a_program_runs_once_for_each_digit(rv32, xtensa):
    entries = table()[:5]
    data = b"".join(number.to_bytes(33, "little") for entry in entries for number in entry)
    # 4 := 4 * 5 + element 0 of the digit, from 4 = 1, for digits 3, 1, 4, 1
    program = bytes([MULTIPLY, 4, 4, 5, LOAD, 6, 0, 0, ADD, 4, 4, 6, 0])
    seven = split(7)
    calls = [(buffer(split(1), seven), 0, program, data, bytes([3, 1, 4, 1, 255]))]
    again = [(bytearray(calls[0][0]), *calls[0][1:])]
    rv32(*calls[0])
    xtensa.run(again)
    number = 1
    for digit in (3, 1, 4, 1):
        number = number * 7 + entries[digit][0]
    assert value_of(calls[0][0], 4) % P == number % P
    assert again[0][0] == calls[0][0]


def test_random_programs(rv32, xtensa):
    rng = random.Random(8)
    calls, models = [], []
    for _ in range(60):
        numbers = [[rng.randint(-U, U) for _ in range(20)] for _ in range(REGISTERS)]
        data = buffer(*numbers)
        model = {FIRST + i: value_of(data, FIRST + i) for i in range(REGISTERS)}
        program = bytearray()
        for _ in range(30):
            what = rng.choice([MULTIPLY, SQUARE, ADD, SUBTRACT, COPY])
            target, a, b = (rng.randrange(FIRST, FIRST + REGISTERS) for _ in range(3))
            if what == SQUARE:
                b = rng.randrange(1, 4)
                model[target] = pow(model[a], 2**b, P)
            else:
                model[target] = expected(what, model[a], model[b])
            program += bytes([what, target, a, b])
            if what in (ADD, SUBTRACT):  # back below u, so that the next operation may be any
                program += bytes([SQUARE, target, target, 1])
                model[target] = pow(model[target], 2, P)
        calls.append((data, 0, bytes(program) + b"\0", b"", NO_DIGITS))
        models.append(model)
    again = [(bytearray(call[0]), *call[1:]) for call in calls]
    xtensa.run(again)
    for call, model, other in zip(calls, models, again, strict=True):
        rv32(*call)
        assert all((value_of(call[0], i) - number) % P == 0 for i, number in model.items())
        assert call[0] == other[0]


def test_the_bound_is_the_one_that_matters(rv32):
    """20 * 6 * 4099^2 + 608 * 8191 + 2^18 + 2^12 is below 2^31; with 7 in place of 6 it is not."""
    assert 20 * 6 * U * U + 608 * 8191 + 2**18 + 2**12 < 2**31 < 20 * 7 * U * U
    data = buffer([7 * U] * 20, [U] * 20)
    product = value_of(data, 4) * value_of(data, 5)
    rv32(data, 0, bytes([MULTIPLY, 6, 4, 5, 0]), b"", NO_DIGITS)
    assert (value_of(data, 6) - product) % P != 0


def test_no_instruction_depends_on_a_number(rv32, xtensa):
    rng = random.Random(4)
    operations = [MULTIPLY, 6, 4, 5, SQUARE, 7, 6, 3, ADD, 8, 4, 5, SUBTRACT, 9, 4, 5]
    program = bytes([*operations, LOAD, 9, 0, 1, LOAD, 9, 2, 2, 0])
    data = rng.randbytes(99 * 8)
    counts = set()
    for numbers in (([0] * 20, [0] * 20), ([U] * 20, [-U] * 20), (split(P - 1), split(3**160))):
        for digit in (0, 7, 64, 71):
            args = (buffer(*numbers), 0, program, data, bytes([digit, 255]))
            before = rv32.instructions
            rv32(*args)
            counts.add((rv32.instructions - before, xtensa.count(*args)))
    assert len(counts) == 1
