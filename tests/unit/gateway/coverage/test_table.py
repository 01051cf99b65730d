import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import canonical
from gateway.core.canonical import MalformedError
from gateway.core.cbor_profile import encode
from gateway.core.coverage.model import (
    NO_COVERAGE,
    Coverage,
    Link,
    PlaceResult,
    StationCoverage,
)
from gateway.core.coverage.table import decode_coverage, encode_coverage
from gateway.core.epoch_inputs import Finding
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict

A, B, C = (bytes([k]) * 16 for k in (1, 2, 3))
PLACE = PlaceResult(
    observations=7,
    heard=5,
    second_z_milli=1_200,
    max_z_milli=2_300,
    odds_milli=-3,
    full_odds_milli=40,
    best=(-47_000_000, 180_000_000),
    best_m=120,
    radius_m=900,
    verdict=Verdict.PLACE_PLAUSIBLE,
    zs_milli=((A, -1_200), (C, 2_300)),
)


def station(device, **changes):
    fields = StationCoverage(
        device=device,
        expected=12,
        heard=11,
        witnesses=3,
        witness_ppm=2_500_000,
        listening_hours=23,
        hops=2,
        place=PLACE,
        v_ppm=20_000,
        u_ppm=900_000,
        station_class=StationClass.UNPROVEN,
        near_proof=True,
        unrevealed=False,
        findings=(Finding(Verdict.LATE_WITNESS, 4, (bytes(32), b"\x01" * 32)),),
    )
    return fields._replace(**changes)


LINK = Link(A, B, 0, 9, 2, -11_000, 1_500, Verdict.HEARD, 1_000_000)
TABLE = Coverage(
    (
        station(A),
        station(B, hops=None, place=None, findings=(), near_proof=False, unrevealed=True),
        station(C, hops=0, station_class=StationClass.WITNESSED),
    ),
    (LINK, LINK._replace(radio=1, excess_cdb=-4_000), LINK._replace(beaconer=B, witness=A)),
    frozenset({(A, B), (A, C), (B, C)}),
)
WHOLE = encode_coverage(TABLE)


def test_a_table_is_read_back_whole():
    assert decode_coverage(WHOLE) == TABLE
    assert decode_coverage(encode_coverage(NO_COVERAGE)) == NO_COVERAGE


def test_flags_come_back_as_truth_values():
    for one, other in zip(decode_coverage(WHOLE).stations, TABLE.stations, strict=True):
        assert one.near_proof is other.near_proof
        assert one.unrevealed is other.unrevealed
        assert isinstance(one.station_class, StationClass)


@pytest.mark.parametrize(
    "table",
    [
        TABLE._replace(stations=TABLE.stations[::-1]),
        TABLE._replace(stations=(station(A), station(A))),
        TABLE._replace(links=TABLE.links[::-1]),
        TABLE._replace(links=(LINK, LINK)),
        TABLE._replace(co_located=frozenset({(B, A)})),
        TABLE._replace(co_located=frozenset({(A, A)})),
        TABLE._replace(stations=(station(A, place=PLACE._replace(zs_milli=((C, 0), (A, 0)))),)),
        TABLE._replace(stations=(station(A, place=PLACE._replace(best=(90_000_001, 0))),)),
        TABLE._replace(stations=(station(A, place=PLACE._replace(best=(0, -180_000_001))),)),
        TABLE._replace(stations=(station(A, expected=-1),)),
        TABLE._replace(stations=(station(b"short"),)),
        TABLE._replace(stations=(station(A, findings=(Finding(Verdict.HOLE, 1, (b"x",)),)),)),
        TABLE._replace(links=(LINK._replace(weight_ppm=-1),)),
    ],
)
def test_a_table_that_is_out_of_order_or_out_of_range_is_refused(table):
    with pytest.raises(MalformedError):
        decode_coverage(encode_coverage(table))


def changed(path, value):
    """WHOLE with one item replaced."""
    document = canonical.decode(WHOLE)
    at = document
    for index in path[:-1]:
        at = at[index]
    at[path[-1]] = value
    return encode(document)


@pytest.mark.parametrize(
    "path, value",
    [
        ([0], 2),
        ([1, 0, 10], 3),
        ([1, 0, 11], 2),
        ([1, 0, 12], -1),
        ([1, 0, 13, 0, 0], 63),
        ([1, 0, 7, 10], 5_000),
        ([2, 0, 7], 31),
        ([2, 0, 2], None),
        ([2, 0], []),
        ([3], [[A, B], [A, B]]),
        ([3], [[B, C], [A, B]]),
    ],
)
def test_values_that_no_table_has_are_refused(path, value):
    with pytest.raises(MalformedError):
        decode_coverage(changed(path, value))


def test_what_the_cases_change_is_a_table_before():
    assert decode_coverage(changed([1, 0, 1], 13)).stations[0].expected == 13


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.integers(0, 2))
def test_changed_bytes_are_refused_or_encode_as_they_came(position, change, cut):
    data = bytearray(WHOLE)
    data[position] ^= change
    data = bytes(data[: len(data) - cut])
    try:
        table = decode_coverage(data)
    except MalformedError:
        return
    assert encode_coverage(table) == data


@given(st.binary(max_size=64))
def test_any_bytes_are_a_table_or_malformed(data):
    with contextlib.suppress(MalformedError):
        assert encode_coverage(decode_coverage(data)) == data
