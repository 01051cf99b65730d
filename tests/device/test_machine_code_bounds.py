"""Every program keeps field25519_viper's rule: operands of a product are within a u and b u with
a * b <= 6. Here each program is run on bounds instead of numbers.
"""

import pytest

from simulator.machine.native import NativeModules, kernel_source
from simulator.machine.rv32 import Rv32Kernel
from tests.device.machine_code import or_skip

X, Y, Z, T = POINT = (4, 5, 6, 7)
MULTIPLY, SQUARE, SUBTRACT, COPY, ADD, LOAD = range(1, 7)
COORDINATES = dict.fromkeys(POINT, 1)
ADDEND = {13: 2, 14: 2, 15: 1, 16: 2}
ELEMENT = 2  # limbs of 0 to 8191 are below 2 * 4099


@pytest.fixture(scope="module")
def points():
    kernels = (or_skip(Rv32Kernel, kernel_source(f"{name}_viper")) for name in NAMES)
    return NativeModules(*kernels).points


NAMES = ("field25519", "sha512")


def after(program, registers):
    """Bounds of the registers after program, in u; a register that was never set is an error."""
    bounds = dict(registers)
    for at in range(0, len(program), 4):
        what, target, a, b = program[at : at + 4]
        if what == LOAD:
            bounds[target] = ELEMENT
        elif what in (SUBTRACT, ADD):
            bounds[target] = bounds[a] + bounds[b]
        elif what == COPY:
            bounds[target] = bounds[a]
        else:
            assert what in (MULTIPLY, SQUARE)
            product = bounds[a] * bounds[b if what == MULTIPLY else a]
            assert product <= 6, f"operation {at // 4}: {product}"
            bounds[target] = 1
    return bounds


def test_a_comb_column_leaves_a_point(points):
    column = points._DOUBLE + points._ENTRY + points._FG + points._ENTRY + points._FG
    start = after(points._START, {})
    assert all(start[register] <= 2 for register in POINT)
    first = after(column, start)
    assert {register: first[register] for register in POINT} == COORDINATES
    again = after(column, COORDINATES)
    assert {register: again[register] for register in POINT} == COORDINATES


def test_sums_and_multiples(points):
    for program in (points._PLUS + points._FG, points._MINUS):
        bounds = after(program, COORDINATES | ADDEND)
        assert {register: bounds[register] for register in POINT} == COORDINATES
    made = after(points._ADDEND_OF, COORDINATES)
    assert {register: made[register] for register in ADDEND} == ADDEND
    fresh = after(points._START, {})
    assert after(4 * points._DOUBLE, fresh)[X] == 1
    assert after(points._PLUS + points._FG, fresh | ADDEND)[X] == 1
    assert after(points._MINUS, fresh | ADDEND)[X] == 1


def test_encoding_and_decoding(points):
    bounds = after(b"\x04\x08\x06\x00" + points._POWER + points._ENCODE, COORDINATES)
    assert (bounds[X], bounds[Y]) == (1, 1)
    read = after(points._DECODE + points._POWER + points._ROOT, {})
    for sign in (b"", points._NEGATE):
        for root in (b"", points._OTHER):
            bounds = after(root + sign + points._POINT, read)
            assert max(bounds[register] for register in POINT) == 1
            after(points._ADDEND_OF, bounds)
            assert after(points._DOUBLE, bounds)[X] == 1
            assert after(points._PLUS + points._FG, bounds | ADDEND)[X] == 1
