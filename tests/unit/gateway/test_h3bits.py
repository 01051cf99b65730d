"""The bit operations against the h3 library."""

import random

import h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.h3bits import is_valid_shape, parent, resolution

SEED = 20_261_122
coordinates = st.tuples(st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 15))


def test_thousands_of_cells_have_the_librarys_parents():
    rng = random.Random(SEED)
    for _ in range(3_000):
        finest = rng.randrange(16)
        text = h3.latlng_to_cell(rng.uniform(-90, 90), rng.uniform(-180, 180), finest)
        cell = h3.str_to_int(text)
        assert is_valid_shape(cell)
        assert resolution(cell) == finest
        level = rng.randrange(finest + 1)
        assert parent(cell, level) == h3.str_to_int(h3.cell_to_parent(text, level)), (SEED, text)


def test_pentagons_and_their_children():
    for level in range(3):
        for pentagon in h3.get_pentagons(level):
            for child in h3.cell_to_children(pentagon, level + 2):
                cell = h3.str_to_int(child)
                assert is_valid_shape(cell)
                assert parent(cell, level) == h3.str_to_int(pentagon)


@given(coordinates, st.integers(0, 63))
def test_one_flipped_bit_is_judged_as_the_library_does(place, bit):
    latitude, longitude, level = place
    cell = h3.str_to_int(h3.latlng_to_cell(latitude, longitude, level)) ^ 1 << bit
    assert is_valid_shape(cell) == h3.is_valid_cell(h3.int_to_str(cell))


@given(st.integers(0, 2**64 - 1))
def test_any_64_bits_are_judged_as_the_library_does(cell):
    assert is_valid_shape(cell) == h3.is_valid_cell(h3.int_to_str(cell))


# Mode and resolution right, digits at random with the unused ones filled: pentagons show here.
@given(st.integers(0, 127), st.integers(0, 15), st.data())
def test_any_digits_are_judged_as_the_library_does(base_cell, level, data):
    digits = data.draw(st.lists(st.integers(0, 7), min_size=level, max_size=level))
    cell = 8 << 56 | level << 52 | base_cell << 45
    for at, digit in enumerate(digits + [7] * (15 - level)):
        cell |= digit << 3 * (14 - at)
    assert is_valid_shape(cell) == h3.is_valid_cell(h3.int_to_str(cell))


@pytest.mark.parametrize("cell", [-1, 2**64, 1 << 70])
def test_beyond_64_bits_there_is_no_cell(cell):
    assert not is_valid_shape(cell)


@pytest.mark.parametrize("level", [-1, 10, 16])
def test_no_parent_finer_than_the_cell(level):
    with pytest.raises(ValueError, match="no parent"):
        parent(0x891F8ED951BFFFF, level)
