"""Integer radio physics against floats, and its table against mutation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.coverage.radio import (
    COS_SCALE,
    cosine,
    exp_negative,
    free_space_loss_cdb,
    log_distance_cdb,
    log_tail,
    parse_radio_tables,
    ten_log10_cdb,
)
from gateway.core.tables import TableError
from tests.unit.gateway.coverage.coverage_kit import SPEC

TEXT = (SPEC / "tables" / "radio.csv").read_bytes()
TABLES = parse_radio_tables(TEXT)


@given(st.integers(1, 2**53))
def test_logarithms_are_within_two_hundredths_of_a_decibel(value):
    got = int(ten_log10_cdb(np.array([value], dtype=np.int64), TABLES)[0])
    assert abs(got - 1000 * math.log10(value)) <= 2


@given(st.integers(1, 20_000_000), st.sampled_from([433_000, 868_100, 902_300, 2_412_000]))
def test_free_space_is_friis(metres, khz):
    exact = 2000 * math.log10(4 * math.pi * metres * khz * 1000 / 299_792_458)
    assert abs(free_space_loss_cdb(metres, khz, TABLES) - exact) <= 5


def test_nothing_is_nearer_than_a_metre():
    assert log_distance_cdb(1, TABLES) == 0
    assert free_space_loss_cdb(0, 868_100, TABLES) == free_space_loss_cdb(1, 868_100, TABLES)


@given(st.integers(-800, 400))
def test_the_normals_tail(centi):
    exact = 1000 * math.log(0.5 * math.erfc(-centi / 100 / math.sqrt(2)))
    assert abs(int(log_tail(np.array([centi], dtype=np.int64), TABLES)[0]) - exact) <= 1


@given(st.integers(0, 20_000))
def test_the_exponential(milli):
    exact = 1e9 * math.exp(-milli / 1000)
    got = int(exp_negative(np.array([milli], dtype=np.int64), TABLES)[0])
    assert abs(got - exact) <= 0.011 * exact + 1


@given(st.integers(-180_000_000, 360_000_000))
def test_the_cosine(angle_e6):
    exact = COS_SCALE * math.cos(math.radians(angle_e6 / 1e6))
    assert abs(cosine(angle_e6, TABLES) - exact) <= 0.002 * COS_SCALE


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-20],
        lambda text: text + b"log,9,9\n",
        lambda text: text.replace(b"table,index,value", b"table,value,index"),
        lambda text: text.replace(b"log,1025,", b"log,1024,"),
        lambda text: text.replace(b"tail,0,", b"tail,0,x"),
        lambda _: b"",
    ],
)
def test_another_table_is_refused(change):
    with pytest.raises(TableError):
        parse_radio_tables(change(TEXT))


@given(st.integers(0, len(TEXT) - 1), st.integers(0, 255))
def test_mutated_bytes_are_a_table_or_a_table_error(position, byte):
    mutated = bytearray(TEXT)
    mutated[position] = byte
    try:
        parse_radio_tables(bytes(mutated))
    except TableError:
        return
