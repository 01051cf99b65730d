"""The station table of an epoch as CBOR: what explain reads, and what the manifest names by hash.

One array per StationRow, its fields in the order of the dataclass; amounts are decimal text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.canonical import (
    MalformedError,
    amount,
    ascending,
    decode,
    octets,
    row,
    rows,
    sint,
    uint,
)
from gateway.core.cbor_profile import encode
from gateway.core.epoch_inputs import Finding, Penalty, QuantityQuality, StationRow, Terms
from gateway.core.slots import StationClass
from gateway.core.state import parse_centre
from gateway.core.verdicts import Verdict

_DEVICE = (16,)
_HASH = (32,)
_OWNER = (0, 20)
_VERDICTS = frozenset(Verdict)
_CLASSES = frozenset(StationClass)
_STATION_FIELDS = 26
_ARRAY = 4
_TERMS_FIELDS = 10


def encode_stations(stations: Sequence[StationRow]) -> bytes:
    """Return the deterministic CBOR of a station table, rows in the given order."""
    return encode([_station_fields(station) for station in stations])


def decode_stations(data: bytes) -> tuple[StationRow, ...]:
    """Return the rows in `data`, or raise MalformedError; devices are strictly ascending."""
    stations = tuple(_station(value) for value in rows(decode(data), "the station table"))
    ascending([station.device for station in stations], "stations")
    return stations


def count_stations(data: bytes) -> int:
    """Return how many rows a table says it has, from its first bytes: it may be large."""
    if not data or data[0] >> 5 != _ARRAY:
        raise MalformedError("the station table is no array")
    info = data[0] & 31
    if info < 24:
        return info
    size = 1 << info - 24
    return int.from_bytes(data[1 : 1 + size], "big")


def _station_fields(station: StationRow) -> list[Any]:
    return [
        station.device,
        station.owner,
        station.scoring_cell,
        station.reward_cell,
        *station.centre,
        int(station.station_class),
        station.since_epoch,
        station.proof_epoch,
        station.quality_ppm,
        station.v_ppm,
        station.u_ppm,
        station.coverage_u_ppm,
        _terms_or_null(station.terms),
        _terms_or_null(station.coverage_terms),
        station.blocked_by,
        station.distance_m,
        str(station.paid),
        str(station.coverage_paid),
        str(station.held),
        str(station.cumulative),
        int(station.reason),
        station.messages,
        station.samples,
        [_quality_fields(quality) for quality in station.quantities],
        [(int(f.verdict), f.count, f.examples) for f in station.findings],
    ]


def _station(value: Any) -> StationRow:
    fields = row(value, _STATION_FIELDS, "a station row")
    scoring_cell, centre = parse_centre([fields[2], fields[4], fields[5]])
    return StationRow(
        device=octets(fields[0], _DEVICE, "a device"),
        owner=octets(fields[1], _OWNER, "an owner"),
        scoring_cell=scoring_cell,
        reward_cell=uint(fields[3], "a reward cell"),
        centre=centre,
        station_class=parse_class(fields[6]),
        since_epoch=_uint_or_none(fields[7], "since_epoch"),
        proof_epoch=_uint_or_none(fields[8], "proof_epoch"),
        quality_ppm=uint(fields[9], "quality_ppm"),
        v_ppm=uint(fields[10], "v_ppm"),
        u_ppm=uint(fields[11], "u_ppm"),
        coverage_u_ppm=uint(fields[12], "coverage_u_ppm"),
        terms=None if fields[13] is None else _terms(fields[13]),
        coverage_terms=None if fields[14] is None else _terms(fields[14]),
        blocked_by=None if fields[15] is None else octets(fields[15], _DEVICE, "a blocking one"),
        distance_m=_uint_or_none(fields[16], "distance_m"),
        paid=amount(fields[17], "paid"),
        coverage_paid=amount(fields[18], "coverage_paid"),
        held=amount(fields[19], "held"),
        cumulative=amount(fields[20], "cumulative"),
        reason=parse_verdict(fields[21]),
        messages=uint(fields[22], "messages"),
        samples=_ids(fields[23]),
        quantities=tuple(_quality(item) for item in rows(fields[24], "quantities")),
        findings=tuple(parse_finding(item) for item in rows(fields[25], "findings")),
    )


def _terms_or_null(terms: Terms | None) -> list[Any] | None:
    return None if terms is None else _terms_fields(terms)


def _terms_fields(terms: Terms) -> list[Any]:
    unproven_share = terms.unproven_share
    return [
        str(terms.pool_share),
        None if unproven_share is None else str(unproven_share),
        str(terms.rate_cap),
        terms.weight,
        terms.cell_u_ppm,
        str(terms.cell_points),
        str(terms.all_points),
        terms.unproven_u_ppm,
        str(terms.unproven_points),
        str(terms.all_unproven_points),
    ]


def _terms(value: Any) -> Terms:
    fields = row(value, _TERMS_FIELDS, "the terms of a payment")
    return Terms(
        amount(fields[0], "A"),
        None if fields[1] is None else amount(fields[1], "B"),
        amount(fields[2], "R"),
        uint(fields[3], "a weight"),
        uint(fields[4], "U"),
        amount(fields[5], "g(U)"),
        amount(fields[6], "Z"),
        uint(fields[7], "U'"),
        amount(fields[8], "g(U')"),
        amount(fields[9], "Z'"),
    )


def _quality_fields(quality: QuantityQuality) -> list[Any]:
    return [
        quality.quantity,
        quality.channel,
        quality.interval_ms,
        quality.expected,
        quality.full,
        quality.missing,
        quality.credit_ppm,
        quality.quality_ppm,
        [_penalty_fields(penalty) for penalty in quality.penalties],
    ]


def _quality(value: Any) -> QuantityQuality:
    fields = row(value, 9, "a quantity's quality")
    return QuantityQuality(
        uint(fields[0], "a quantity"),
        uint(fields[1], "a channel"),
        uint(fields[2], "an interval"),
        uint(fields[3], "expected"),
        uint(fields[4], "full"),
        uint(fields[5], "missing"),
        uint(fields[6], "credit_ppm"),
        uint(fields[7], "quality_ppm"),
        tuple(_penalty(item) for item in rows(fields[8], "penalties")),
    )


def _penalty_fields(penalty: Penalty) -> list[Any]:
    return [
        int(penalty.verdict),
        penalty.readings,
        penalty.windows,
        penalty.lost_ppm,
        penalty.message_id,
        penalty.time_ms,
        penalty.value,
        penalty.exponent,
        penalty.observed,
        penalty.limit,
    ]


def _penalty(value: Any) -> Penalty:
    fields = row(value, 10, "a penalty")
    return Penalty(
        parse_verdict(fields[0]),
        uint(fields[1], "readings"),
        uint(fields[2], "windows"),
        uint(fields[3], "lost_ppm"),
        octets(fields[4], _HASH, "a message id"),
        uint(fields[5], "a time"),
        _sint_or_none(fields[6], "a value"),
        sint(fields[7], "an exponent"),
        _sint_or_none(fields[8], "what was observed"),
        _sint_or_none(fields[9], "a limit"),
    )


def parse_finding(value: Any) -> Finding:
    """Return a finding from a decoded row, or raise MalformedError."""
    verdict, count, examples = row(value, 3, "a finding")
    return Finding(parse_verdict(verdict), uint(count, "a count"), _ids(examples))


def _ids(value: Any) -> tuple[bytes, ...]:
    return tuple(octets(item, _HASH, "a message id") for item in rows(value, "message ids"))


def parse_verdict(value: Any) -> Verdict:
    """Return a known verdict, or raise MalformedError."""
    if uint(value, "a verdict") not in _VERDICTS:
        raise MalformedError(f"the unknown verdict {value}")
    return Verdict(value)


def parse_class(value: Any) -> StationClass:
    """Return a known class, or raise MalformedError."""
    if uint(value, "a class") not in _CLASSES:
        raise MalformedError(f"the unknown class {value}")
    return StationClass(value)


def _uint_or_none(value: Any, what: str) -> int | None:
    return None if value is None else uint(value, what)


def _sint_or_none(value: Any, what: str) -> int | None:
    return None if value is None else sint(value, what)
