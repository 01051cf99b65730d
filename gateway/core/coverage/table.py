"""The coverage table of an epoch as CBOR: `[version, stations, links, co-located pairs]`.

What `cairn coverage` and explain read, and what the manifest names by hash. One array per row,
its fields in the order of the class in model.py; only the sorted form is read.
"""

from __future__ import annotations

from typing import Any

from gateway.core.canonical import (
    MalformedError,
    ascending,
    decode,
    octets,
    row,
    rows,
    sint,
    uint,
)
from gateway.core.cbor_profile import encode
from gateway.core.coverage.model import Coverage, Link, PlaceResult, StationCoverage
from gateway.core.geometry import Point
from gateway.core.state import LATITUDE_E6_MAX, LONGITUDE_E6_MAX
from gateway.core.station_table import parse_class, parse_finding, parse_verdict

VERSION = 1
_DEVICE = (16,)
_STATION_FIELDS = 14
_PLACE_FIELDS = 12
_LINK_FIELDS = 9


def encode_coverage(coverage: Coverage) -> bytes:
    """Return the deterministic CBOR of a table; stations and links as they are given."""
    return encode(
        [
            VERSION,
            [_station_fields(station) for station in coverage.stations],
            [_link_fields(link) for link in coverage.links],
            sorted(coverage.co_located),
        ]
    )


def decode_coverage(data: bytes) -> Coverage:
    """Return the table in `data`, or raise MalformedError; every list is strictly ascending."""
    version, stations, links, pairs = row(decode(data), 4, "the coverage table")
    if version != VERSION:
        raise MalformedError(f"a coverage table of version {version!r}")
    coverage = Coverage(
        tuple(_station(value) for value in rows(stations, "stations")),
        tuple(_link(value) for value in rows(links, "links")),
        frozenset(_pair(value) for value in rows(pairs, "co-located pairs")),
    )
    ascending([station.device for station in coverage.stations], "stations")
    ascending([(link.beaconer, link.witness, link.radio) for link in coverage.links], "links")
    # Covers what no list above checks: the pairs, and booleans as 0 and 1.
    if encode_coverage(coverage) != data:
        raise MalformedError("the coverage table is not in its one encoding")
    return coverage


def _station_fields(station: StationCoverage) -> list[Any]:
    place = station.place
    return [
        station.device,
        station.expected,
        station.heard,
        station.witnesses,
        station.witness_ppm,
        station.listening_hours,
        station.hops,
        None if place is None else _place_fields(place),
        station.v_ppm,
        station.u_ppm,
        int(station.station_class),
        int(station.near_proof),
        int(station.unrevealed),
        [(int(one.verdict), one.count, one.examples) for one in station.findings],
    ]


def _station(value: Any) -> StationCoverage:
    fields = row(value, _STATION_FIELDS, "a station")
    return StationCoverage(
        device=octets(fields[0], _DEVICE, "a device"),
        expected=uint(fields[1], "expected"),
        heard=uint(fields[2], "heard"),
        witnesses=uint(fields[3], "witnesses"),
        witness_ppm=uint(fields[4], "witness_ppm"),
        listening_hours=uint(fields[5], "hours"),
        hops=None if fields[6] is None else uint(fields[6], "hops"),
        place=None if fields[7] is None else _place(fields[7]),
        v_ppm=uint(fields[8], "v_ppm"),
        u_ppm=uint(fields[9], "u_ppm"),
        station_class=parse_class(fields[10]),
        near_proof=_flag(fields[11]),
        unrevealed=_flag(fields[12]),
        findings=tuple(parse_finding(one) for one in rows(fields[13], "findings")),
    )


def _place_fields(place: PlaceResult) -> list[Any]:
    return [
        place.observations,
        place.heard,
        place.second_z_milli,
        place.max_z_milli,
        place.odds_milli,
        place.full_odds_milli,
        *place.best,
        place.best_m,
        place.radius_m,
        int(place.verdict),
        place.zs_milli,
    ]


def _place(value: Any) -> PlaceResult:
    fields = row(value, _PLACE_FIELDS, "a place")
    zs = tuple(_z(one) for one in rows(fields[11], "z by witness"))
    ascending([witness for witness, _ in zs], "witnesses of a place")
    return PlaceResult(
        observations=uint(fields[0], "observations"),
        heard=uint(fields[1], "heard"),
        second_z_milli=uint(fields[2], "the second z"),
        max_z_milli=uint(fields[3], "the largest z"),
        odds_milli=sint(fields[4], "odds"),
        full_odds_milli=sint(fields[5], "odds"),
        best=_point(fields[6], fields[7]),
        best_m=uint(fields[8], "a distance"),
        radius_m=uint(fields[9], "a radius"),
        verdict=parse_verdict(fields[10]),
        zs_milli=zs,
    )


def _point(latitude_e6: Any, longitude_e6: Any) -> Point:
    point = sint(latitude_e6, "a latitude"), sint(longitude_e6, "a longitude")
    if abs(point[0]) > LATITUDE_E6_MAX or abs(point[1]) > LONGITUDE_E6_MAX:
        raise MalformedError(f"{point} is no place")
    return point


def _z(value: Any) -> tuple[bytes, int]:
    witness, z_milli = row(value, 2, "a z")
    return octets(witness, _DEVICE, "a witness"), sint(z_milli, "a z")


def _link_fields(link: Link) -> list[Any]:
    return [*link[:7], int(link.verdict), link.weight_ppm]


def _link(value: Any) -> Link:
    fields = row(value, _LINK_FIELDS, "a link")
    return Link(
        beaconer=octets(fields[0], _DEVICE, "a beaconer"),
        witness=octets(fields[1], _DEVICE, "a witness"),
        radio=uint(fields[2], "a radio"),
        heard=uint(fields[3], "heard"),
        silent=uint(fields[4], "silent"),
        excess_cdb=sint(fields[5], "an excess"),
        distance_m=uint(fields[6], "a distance"),
        verdict=parse_verdict(fields[7]),
        weight_ppm=uint(fields[8], "a weight"),
    )


def _pair(value: Any) -> tuple[bytes, bytes]:
    smaller, larger = (octets(one, _DEVICE, "a device") for one in row(value, 2, "a pair"))
    if smaller >= larger:
        raise MalformedError("a pair is not of two devices, the smaller first")
    return smaller, larger


def _flag(value: Any) -> bool:
    if uint(value, "a flag") > 1:
        raise MalformedError("a flag is neither 0 nor 1")
    return bool(value)
