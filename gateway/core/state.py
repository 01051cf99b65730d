"""EpochState: what one epoch leaves to the next, and its one encoding.

Everything that decides pay and is older than the epoch stands here, so a bundle with its opening
state is complete. Times, messages and logs of the epoch itself do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from gateway.core import canonical, h3bits
from gateway.core.canonical import (
    MalformedError,
    amount,
    blob,
    octets,
    row,
    rows,
    sint,
    uint,
)
from gateway.core.cbor_profile import encode
from gateway.core.chain import Before
from gateway.core.clockmap import BootClock
from gateway.core.geometry import Point
from gateway.core.logs import admission_fields, parse_admission
from gateway.core.model import AdmissionEntry, Declared
from gateway.core.peer_days import PeerDay, parse_peer_day, peer_day_fields
from gateway.core.quality import Standing
from gateway.core.ranges import Ranges
from gateway.core.slots import StationClass
from gateway.core.wire_bodies import SCORING_RESOLUTIONS

VERSION = 2
LATITUDE_E6_MAX = 90_000_000
LONGITUDE_E6_MAX = 180_000_000
_T = TypeVar("_T")
_DEVICE = (16,)
_HASH = (32,)
_OWNER = (20,)
_CLASSES = frozenset(StationClass)


class LogHead(NamedTuple):
    """Length of a log and its chain after the last entry."""

    length: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class StationState:
    """A registered station as the next epoch finds it.

    hello_seq, declared, scoring_cell: of the hello that is in force; owner, claim_seq: of its
    newest claim, b"" and 0 without one; station_class, since_epoch, evidence_epoch: its class,
    the first epoch of unbroken membership and the last with evidence, None without either;
    standings: by (quantity, channel), ascending; duty_class: of the hello in force; proof_class,
    proof_epoch: the best class that evidence gave lately, and the last epoch in which it did;
    unrevealed: epochs of late whose secret was not revealed; peers: sums of late days.
    """

    device: bytes
    public_key: bytes
    registered_epoch: int
    hello_seq: int
    declared: tuple[Declared, ...]
    scoring_cell: int
    owner: bytes = b""
    claim_seq: int = 0
    station_class: StationClass = StationClass.UNPROVEN
    since_epoch: int | None = None
    evidence_epoch: int | None = None
    standings: tuple[tuple[int, int, Standing], ...] = ()
    duty_class: int = 0
    proof_class: StationClass = StationClass.UNPROVEN
    proof_epoch: int | None = None
    unrevealed: tuple[int, ...] = ()
    peers: tuple[PeerDay, ...] = ()


@dataclass(frozen=True, slots=True)
class EpochState:
    """epoch: the last closed one, -1 before the first; the heads of both logs at its close.

    operator_owners, anchored, quarantines (device, first seq, last seq), rules ((first epoch,
    hash) in the order of their serials) and later_events (signed, not yet in force) come from
    the operator log; pending are entries of messages whose epoch is still to come.
    """

    epoch: int = -1
    admission_head: LogHead | None = None
    operator_head: LogHead | None = None
    carry: int = 0
    stations: Mapping[bytes, StationState] = field(default_factory=dict)
    operator_owners: Mapping[bytes, bytes] = field(default_factory=dict)
    anchored: frozenset[bytes] = frozenset()
    quarantines: frozenset[tuple[bytes, int, int]] = frozenset()
    rules: tuple[tuple[int, bytes], ...] = ()
    later_events: tuple[bytes, ...] = ()
    cumulative: Mapping[bytes, int] = field(default_factory=dict)
    held: Mapping[bytes, int] = field(default_factory=dict)
    delivered: Mapping[bytes, Before] = field(default_factory=dict)
    boots: Mapping[tuple[bytes, int], BootClock] = field(default_factory=dict)
    centres: Mapping[int, Point] = field(default_factory=dict)
    pending: tuple[AdmissionEntry, ...] = ()


def encode_state(state: EpochState) -> bytes:
    """Return the deterministic CBOR of a state."""
    return encode(
        [
            VERSION,
            state.epoch,
            state.admission_head,
            state.operator_head,
            str(state.carry),
            [_station_fields(state.stations[device]) for device in sorted(state.stations)],
            sorted(state.operator_owners.items()),
            sorted(state.anchored),
            sorted(state.quarantines),
            state.rules,
            state.later_events,
            [(owner, str(total)) for owner, total in sorted(state.cumulative.items())],
            [(device, str(total)) for device, total in sorted(state.held.items())],
            [(device, *seqs) for device, seqs in sorted(state.delivered.items())],
            [(*key, *clock) for key, clock in sorted(state.boots.items())],
            [(cell, *point) for cell, point in sorted(state.centres.items())],
            [admission_fields(entry) for entry in _by_id(state.pending)],
        ]
    )


def decode_state(encoded: bytes) -> EpochState:
    """Return the state in `encoded` (b"" is the empty one), or raise MalformedError."""
    if not encoded:
        return EpochState()
    fields = row(canonical.decode(encoded), 17, "the state")
    if fields[0] != VERSION:
        raise MalformedError(f"a state of version {fields[0]!r}")
    state = EpochState(
        uint(fields[1], "the epoch"),
        _head(fields[2]),
        _head(fields[3]),
        amount(fields[4], "the carry"),
        {station.device: station for station in _each(fields[5], _station)},
        dict(_each(fields[6], _device_owner)),
        frozenset(_each(fields[7], lambda v: octets(v, _DEVICE, "an anchored device"))),
        frozenset(_each(fields[8], _quarantine)),
        tuple(_each(fields[9], _rules_from)),
        tuple(_each(fields[10], lambda v: blob(v, "an operator event"))),
        dict(_each(fields[11], lambda v: _balance(v, _OWNER))),
        dict(_each(fields[12], lambda v: _balance(v, _DEVICE))),
        dict(_each(fields[13], _delivered)),
        dict(_each(fields[14], _boot)),
        dict(_each(fields[15], parse_centre)),
        tuple(_each(fields[16], parse_admission)),
    )
    # Order and repetition are covered here: only the sorted form encodes to the same bytes.
    if encode_state(state) != encoded:
        raise MalformedError("the state is not in its deterministic encoding")
    return state


def _head(value: Any) -> LogHead:
    length, chain = row(value, 2, "the head of a log")
    return LogHead(uint(length, "a length"), octets(chain, _HASH, "a chain hash"))


def _station_fields(station: StationState) -> list[Any]:
    return [
        station.device,
        station.public_key,
        station.registered_epoch,
        station.hello_seq,
        [(d.quantity, d.channel, d.interval_ms) for d in station.declared],
        station.scoring_cell,
        station.owner,
        station.claim_seq,
        int(station.station_class),
        station.since_epoch,
        station.evidence_epoch,
        [(quantity, channel, *standing) for quantity, channel, standing in station.standings],
        station.duty_class,
        int(station.proof_class),
        station.proof_epoch,
        station.unrevealed,
        [peer_day_fields(day) for day in station.peers],
    ]


def _station(value: Any) -> StationState:
    fields = row(value, 17, "a station")
    for index in (8, 13):
        if uint(fields[index], "a class") not in _CLASSES:
            raise MalformedError(f"a station of class {fields[index]!r}")
    return StationState(
        octets(fields[0], _DEVICE, "a device"),
        octets(fields[1], _HASH, "a public key"),
        uint(fields[2], "a registration's epoch"),
        uint(fields[3], "a hello's seq"),
        tuple(_each(fields[4], _declared)),
        _scoring_cell(fields[5]),
        octets(fields[6], (0, *_OWNER), "an owner"),
        uint(fields[7], "a claim's seq"),
        StationClass(fields[8]),
        _epoch_or_none(fields[9]),
        _epoch_or_none(fields[10]),
        tuple(_each(fields[11], _standing)),
        uint(fields[12], "a duty class"),
        StationClass(fields[13]),
        _epoch_or_none(fields[14]),
        tuple(_each(fields[15], lambda v: uint(v, "an epoch"))),
        tuple(_each(fields[16], parse_peer_day)),
    )


def _scoring_cell(value: Any) -> int:
    cell = uint(value, "a scoring cell")
    if not h3bits.is_valid_shape(cell) or h3bits.resolution(cell) not in SCORING_RESOLUTIONS:
        raise MalformedError(f"{cell:x} is no scoring cell")
    return cell


def _declared(value: Any) -> Declared:
    quantity, channel, interval_ms = row(value, 3, "a declared quantity")
    if uint(interval_ms, "an interval") == 0:
        raise MalformedError("an interval is 0")
    return Declared(uint(quantity, "a quantity"), uint(channel, "a channel"), interval_ms)


def _standing(value: Any) -> tuple[int, int, Standing]:
    quantity, channel, reading, exponent, since_ms, readings, last_ms = row(
        value, 7, "a standing value"
    )
    if sint(exponent, "an exponent") not in range(-9, 7):
        raise MalformedError("an exponent outside -9..6")
    standing = Standing(
        sint(reading, "a value"),
        exponent,
        uint(since_ms, "a time"),
        uint(readings, "a count"),
        uint(last_ms, "a time"),
    )
    return uint(quantity, "a quantity"), uint(channel, "a channel"), standing


def _epoch_or_none(value: Any) -> int | None:
    return None if value is None else uint(value, "an epoch")


def _device_owner(value: Any) -> tuple[bytes, bytes]:
    device, owner = row(value, 2, "an owner by the operator")
    return octets(device, _DEVICE, "a device"), octets(owner, _OWNER, "an owner")


def _quarantine(value: Any) -> tuple[bytes, int, int]:
    device, first, last = row(value, 3, "a quarantine")
    return octets(device, _DEVICE, "a device"), uint(first, "a seq"), uint(last, "a seq")


def _rules_from(value: Any) -> tuple[int, bytes]:
    first_epoch, digest = row(value, 2, "a change of rules")
    return uint(first_epoch, "an epoch"), octets(digest, _HASH, "a rules hash")


def _balance(value: Any, lengths: tuple[int, ...]) -> tuple[bytes, int]:
    key, total = row(value, 2, "a balance")
    return octets(key, lengths, "whose balance"), amount(total, "a balance")


def _delivered(value: Any) -> tuple[bytes, Before]:
    device, by_message, by_gap = row(value, 3, "delivered seqs")
    return octets(device, _DEVICE, "a device"), Before(_ranges(by_message), _ranges(by_gap))


def _ranges(value: Any) -> Ranges:
    pairs = []
    before = -1
    for pair in rows(value, "delivered ranges"):
        first, last = row(pair, 2, "a range")
        if not before + 1 < uint(first, "a seq") <= uint(last, "a seq"):
            raise MalformedError("delivered ranges overlap, touch or run backwards")
        before = last
        pairs.append((first, last))
    return tuple(pairs)


def _boot(value: Any) -> tuple[tuple[bytes, int], BootClock]:
    device, boot, uncertainty_ms, message_id, utc_at_boot_ms = row(value, 5, "a boot's clock")
    clock = BootClock(
        uint(uncertainty_ms, "an uncertainty"),
        octets(message_id, _HASH, "a message id"),
        uint(utc_at_boot_ms, "a time"),
    )
    return (octets(device, _DEVICE, "a device"), uint(boot, "a boot")), clock


def parse_centre(value: Any) -> tuple[int, Point]:
    """Return a cell and its centre from a decoded array, or raise MalformedError."""
    cell, latitude_e6, longitude_e6 = row(value, 3, "a centre")
    if abs(sint(latitude_e6, "a degree")) > LATITUDE_E6_MAX:
        raise MalformedError("a centre beyond a pole")
    if abs(sint(longitude_e6, "a degree")) > LONGITUDE_E6_MAX:
        raise MalformedError("a centre beyond the date line")
    return uint(cell, "a cell"), (latitude_e6, longitude_e6)


def _each(value: Any, parse: Callable[[Any], _T]) -> list[_T]:
    return [parse(item) for item in rows(value, "a list")]


def _by_id(entries: tuple[AdmissionEntry, ...]) -> list[AdmissionEntry]:
    return sorted(entries, key=lambda entry: entry.message_id)
