"""Operator events: decoding, and the order that their log must keep (protocol section 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from gateway.core import h3bits
from gateway.core.cbor_profile import encode, load, violation
from gateway.core.cose import Envelope, Role, open_envelope
from gateway.core.genesis import DAY_MS
from gateway.core.ids import DEVICE_ID_BYTES, OWNER_ID_BYTES
from gateway.core.statements import KeyStatement, key_in_force
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.core.wire import VERSION
from gateway.core.wire_bodies import SCORING_RESOLUTIONS, UINT_LIMIT

TEXT_BYTES_MAX = 64
NO_PREVIOUS = bytes(32)


class OperatorKind(IntEnum):
    APPROVE = 0
    OWNER = 1
    PLACE = 2
    ANCHOR = 3
    QUARANTINE = 4
    APPEAL = 5
    RULES = 6
    PRICE = 7
    VOID_SLOT = 8


@dataclass(frozen=True, slots=True)
class Approve:
    device: bytes


@dataclass(frozen=True, slots=True)
class SetOwner:
    device: bytes
    owner: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Stored; not evaluated in 1.0."""

    device: bytes
    scoring_cell: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """anchored: audited by hand; False takes it back."""

    device: bytes
    anchored: bool


@dataclass(frozen=True, slots=True)
class Quarantine:
    device: bytes
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Appeal:
    """lifted: the quarantine of exactly this range ends."""

    device: bytes
    first: int
    last: int
    lifted: bool


@dataclass(frozen=True, slots=True)
class RulesChange:
    """The rules with this hash count from first_epoch on."""

    first_epoch: int
    rules_hash: bytes


@dataclass(frozen=True, slots=True)
class Price:
    """Stored; not evaluated in 1.0."""


@dataclass(frozen=True, slots=True)
class VoidSlots:
    ranges: tuple[tuple[int, int], ...]


OperatorBody = (
    Approve | SetOwner | Place | Anchor | Quarantine | Appeal | RulesChange | Price | VoidSlots
)


@dataclass(frozen=True, slots=True)
class OperatorEvent:
    event_id: bytes
    serial: int
    prev: bytes
    time_ms: int
    body: OperatorBody


def operator_payload(
    kind: OperatorKind, serial: int, prev: bytes, time_ms: int, body: list[Any]
) -> bytes:
    """The payload that an operator key signs with role `operator`."""
    return encode([VERSION, kind.value, serial, prev, time_ms, body])


def open_operator_event(
    data: bytes, network_id: bytes, statements: Iterable[KeyStatement]
) -> OperatorEvent | Verdict:
    """Decode an operator event and check its signature by a key in force at its own time."""
    envelope = open_envelope(data, network_id, Role.OPERATOR)
    if isinstance(envelope, Verdict):
        return envelope
    event = _event(envelope)
    if isinstance(event, Verdict):
        return event
    key = key_in_force(statements, Role.OPERATOR, envelope.kid, event.time_ms)
    if key is None:
        return Verdict.KEY_NOT_IN_FORCE
    if not signature_valid(key, envelope.signature, envelope.to_be_signed):
        return Verdict.BAD_SIGNATURE
    return event


def follows(event: OperatorEvent, last: OperatorEvent | None) -> bool:
    """Say whether `event` may be appended behind `last`; otherwise it is `out_of_sequence`.

    Times do not run backwards either: what is logged cannot be put before what was logged then.
    """
    if last is None:
        return event.serial == 1 and event.prev == NO_PREVIOUS
    return (
        event.serial == last.serial + 1
        and event.prev == last.event_id
        and event.time_ms >= last.time_ms
    )


def _event(envelope: Envelope) -> OperatorEvent | Verdict:
    fields = load(envelope.payload)
    if isinstance(fields, Verdict):
        return fields
    found = violation(envelope.payload)
    if found is not None:
        return found
    if type(fields) is not list or len(fields) != 6:
        return Verdict.BAD_PAYLOAD
    version, kind, serial, prev, time_ms, body = fields
    header_fits = (
        version == VERSION
        and type(kind) is int
        and kind in _BODIES
        and _uints(serial, time_ms)
        and serial >= 1
        and _sized(prev, 32)
        and type(body) is list
    )
    if not header_fits:
        return Verdict.BAD_PAYLOAD
    decoded = _BODIES[kind](body, time_ms)
    if decoded is None:
        return Verdict.BAD_BODY
    return OperatorEvent(envelope.message_id, serial, prev, time_ms, decoded)


def _uints(*values: Any) -> bool:
    return all(type(value) is int and 0 <= value < UINT_LIMIT for value in values)


def _sized(value: Any, size: int) -> bool:
    return type(value) is bytes and len(value) == size


def _is_seq_range(first: Any, last: Any) -> bool:
    return _uints(first, last) and bool(1 <= first <= last)


def _approve(body: list[Any], _: int) -> Approve | None:
    return Approve(body[0]) if len(body) == 1 and _sized(body[0], DEVICE_ID_BYTES) else None


def _owner(body: list[Any], _: int) -> SetOwner | None:
    if len(body) == 2 and _sized(body[0], DEVICE_ID_BYTES) and _sized(body[1], OWNER_ID_BYTES):
        return SetOwner(body[0], body[1])
    return None


def _place(body: list[Any], _: int) -> Place | None:
    if len(body) != 2 or not _sized(body[0], DEVICE_ID_BYTES) or type(body[1]) is not int:
        return None
    device, cell = body
    if h3bits.is_valid_shape(cell) and h3bits.resolution(cell) in SCORING_RESOLUTIONS:
        return Place(device, cell)
    return None


def _anchor(body: list[Any], _: int) -> Anchor | None:
    if len(body) == 2 and _sized(body[0], DEVICE_ID_BYTES) and body[1] in (0, 1):
        return Anchor(body[0], bool(body[1]))
    return None


def _quarantine(body: list[Any], _: int) -> Quarantine | None:
    if len(body) != 4 or not _sized(body[0], DEVICE_ID_BYTES) or type(body[3]) is not str:
        return None
    device, first, last, reason = body
    if not _is_seq_range(first, last) or len(reason.encode()) > TEXT_BYTES_MAX:
        return None
    return Quarantine(device, first, last, reason)


def _appeal(body: list[Any], _: int) -> Appeal | None:
    if len(body) != 4 or not _sized(body[0], DEVICE_ID_BYTES) or body[3] not in (0, 1):
        return None
    device, first, last, lifted = body
    return Appeal(device, first, last, bool(lifted)) if _is_seq_range(first, last) else None


def _rules(body: list[Any], time_ms: int) -> RulesChange | None:
    # Rules never reach into a day that has begun.
    if len(body) != 2 or not _uints(body[0]) or not _sized(body[1], 32):
        return None
    return RulesChange(body[0], body[1]) if body[0] > time_ms // DAY_MS else None


def _price(_: list[Any], __: int) -> Price:
    return Price()


def _void_slots(body: list[Any], _: int) -> VoidSlots | None:
    ranges = []
    for item in body:
        if type(item) is not list or len(item) != 2 or not _uints(*item) or item[0] > item[1]:
            return None
        ranges.append((item[0], item[1]))
    return VoidSlots(tuple(ranges)) if ranges else None


_BODIES: dict[int, Callable[[list[Any], int], OperatorBody | None]] = {
    OperatorKind.APPROVE: _approve,
    OperatorKind.OWNER: _owner,
    OperatorKind.PLACE: _place,
    OperatorKind.ANCHOR: _anchor,
    OperatorKind.QUARANTINE: _quarantine,
    OperatorKind.APPEAL: _appeal,
    OperatorKind.RULES: _rules,
    OperatorKind.PRICE: _price,
    OperatorKind.VOID_SLOT: _void_slots,
}
