"""The bodies of device messages, one decoder a kind (spec/protocol.md sections 4 to 6).

A decoder gets the eight payload fields and returns the body, or None if it breaks a rule. It
looks at the type of every value, because booleans and floats re-encode as well as integers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from gateway.core import h3bits
from gateway.core.model import (
    BeaconReport,
    Body,
    Claim,
    ClockMap,
    Column,
    Commit,
    ConfigAck,
    Declared,
    Gap,
    GapReason,
    Hello,
    Kind,
    Readings,
    Reveal,
    Status,
    TimeSource,
    WitnessReport,
)

UINT_LIMIT = 1 << 53
"""Numbers without a range of their own stay below this, so every store and language holds them."""

SAMPLES_MAX = 256
COLUMNS_MAX = 32
VALUE_MAX = 1 << 53
FAULT_CODE_MAX = 9
SCORING_RESOLUTIONS = (7, 9)
INTERVAL_MS_MIN = 1_000
INTERVAL_MS_MAX = 86_400_000
FIRMWARE_BYTES_MAX = 32
BEACONS_MAX = 64
WITNESSED_MAX = 48
_RADIO_MAX = 2
_DUTY_BATTERY = 1
_BOOT_LIMIT = 1 << 32
_HOURS_LIMIT = 1 << 24
_GAP_REASONS = tuple(GapReason)
_SOURCES = tuple(TimeSource)
_CLAIM_PROVED = 1
_CLAIM_EIP191 = 2


def _uint(value: Any, limit: int = UINT_LIMIT) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < limit


def _int(value: Any) -> TypeGuard[int]:
    return type(value) is int and -UINT_LIMIT < value < UINT_LIMIT


def _bytes(value: Any, size: int) -> TypeGuard[bytes]:
    return type(value) is bytes and len(value) == size


def _list(value: Any, size: int) -> TypeGuard[list[Any]]:
    return type(value) is list and len(value) == size


def _list_of(value: Any, least: int, most: int) -> TypeGuard[list[Any]]:
    return type(value) is list and least <= len(value) <= most


def _hello(fields: list[Any]) -> Hello | None:
    body = fields[7]
    if not _list(body, 7):
        return None
    key, firmware, pairs, duty, place, cell, antenna = body
    if not (_bytes(key, 32) and type(firmware) is str and _bytes(place, 32)):
        return None
    declared = _declared(pairs)
    if len(firmware.encode()) > FIRMWARE_BYTES_MAX or declared is None or not _duty_fits(duty):
        return None
    if not (_uint(cell, 1 << 64) and h3bits.is_valid_shape(cell)):
        return None
    if h3bits.resolution(cell) not in SCORING_RESOLUTIONS:
        return None
    if antenna is not None and not (_list(antenna, 2) and all(map(_int, antenna))):
        return None
    mast = None if antenna is None else (antenna[0], antenna[1])
    return Hello(key, firmware, declared, duty[0], duty[1], duty[2], place, cell, mast)


def _declared(pairs: Any) -> tuple[Declared, ...] | None:
    if not _list_of(pairs, 1, COLUMNS_MAX):
        return None
    declared = []
    before = (-1, -1)
    for pair in pairs:
        if not (_list(pair, 3) and all(map(_uint, pair))):
            return None
        quantity, channel, interval_ms = pair
        if not INTERVAL_MS_MIN <= interval_ms <= INTERVAL_MS_MAX or (quantity, channel) <= before:
            return None
        before = (quantity, channel)
        declared.append(Declared(quantity, channel, interval_ms))
    return tuple(declared)


def _duty_fits(duty: Any) -> bool:
    if not (_list(duty, 3) and all(map(_uint, duty))):
        return False
    duty_class: int
    period_ms: int
    phase_ms: int
    duty_class, period_ms, phase_ms = duty
    if duty_class == _DUTY_BATTERY:
        return phase_ms < period_ms
    return duty_class == period_ms == phase_ms == 0


def _readings(fields: list[Any]) -> Readings | None:
    body = fields[7]
    if not _list(body, 3):
        return None
    t0, steps, raw = body
    if not (_uint(t0) and _list_of(steps, 0, SAMPLES_MAX - 1) and _list_of(raw, 1, COLUMNS_MAX)):
        return None
    ages = _sample_ages(t0, steps)
    if ages is None:
        return None
    columns = []
    before = (-1, -1)
    for item in raw:
        column = _column(item, len(ages))
        if column is None or (column.quantity, column.channel) <= before:
            return None
        before = (column.quantity, column.channel)
        columns.append(column)
    return Readings(ages, tuple(columns))


def _sample_ages(t0: int, steps: list[Any]) -> tuple[int, ...] | None:
    """Ages of the samples, oldest first; a step is the difference of two intervals."""
    interval = 0
    intervals = []
    for step in steps:
        if type(step) is not int:
            return None
        interval += step
        if interval < 1:
            return None
        intervals.append(interval)
    ages = [t0]
    for interval in reversed(intervals):
        ages.append(ages[-1] + interval)
    ages.reverse()
    return tuple(ages) if ages[0] < UINT_LIMIT else None


def _column(item: Any, samples: int) -> Column | None:
    if type(item) is not list or not 4 <= len(item) <= 5:
        return None
    quantity, channel, exponent, deltas = item[:4]
    if not (_uint(quantity) and _uint(channel) and type(exponent) is int and -9 <= exponent <= 6):
        return None
    if not _list(deltas, samples):
        return None
    values: list[int | None] = []
    total = 0
    for delta in deltas:
        if delta is None:
            values.append(None)
            continue
        if type(delta) is not int:
            return None
        total += delta
        if not -VALUE_MAX <= total <= VALUE_MAX:
            return None
        values.append(total)
    faults = _faults(item[4], values) if len(item) == 5 else ()
    return None if faults is None else Column(quantity, channel, exponent, tuple(values), faults)


def _faults(pairs: Any, values: list[int | None]) -> tuple[tuple[int, int], ...] | None:
    if not _list_of(pairs, 1, len(values)):
        return None
    faults = []
    before = -1
    for pair in pairs:
        if not (_list(pair, 2) and _uint(pair[0], len(values)) and _uint(pair[1])):
            return None
        index, code = pair
        if index <= before or values[index] is not None or not 1 <= code <= FAULT_CODE_MAX:
            return None
        before = index
        faults.append((index, code))
    return tuple(faults)


def _commit(fields: list[Any]) -> Commit | None:
    body = fields[7]
    if not (_list(body, 2) and _uint(body[0]) and _bytes(body[1], 32)):
        return None
    return Commit(body[0], body[1])


def _reveal(fields: list[Any]) -> Reveal | None:
    body = fields[7]
    if not (_list(body, 2) and _uint(body[0]) and _bytes(body[1], 32)):
        return None
    return Reveal(body[0], body[1])


def _beacon(fields: list[Any]) -> BeaconReport | None:
    body = fields[7]
    if not (_list(body, 2) and _uint(body[0]) and _list_of(body[1], 1, BEACONS_MAX)):
        return None
    sent = []
    for item in body[1]:
        if not (_list(item, 4) and all(map(_uint, item[:3])) and _int(item[3])):
            return None
        slot, radio, channel, power_cdbm = item
        if radio > _RADIO_MAX:
            return None
        sent.append((slot, radio, channel, power_cdbm))
    return BeaconReport(body[0], tuple(sent))


def _witness(fields: list[Any]) -> WitnessReport | None:
    body = fields[7]
    if not (_list(body, 8) and _uint(body[0]) and _uint(body[1], _RADIO_MAX + 1)):
        return None
    day, radio, slots, tags, rssi, snr, channels, delays = body
    if not (_list_of(slots, 1, WITNESSED_MAX) and all(map(_uint, slots))):
        return None
    size = len(slots)
    if not all(_list(column, size) for column in (tags, rssi, snr, channels, delays)):
        return None
    fits = (
        all(_bytes(tag, 16) for tag in tags)
        and all(map(_int, rssi))
        and all(value is None or _int(value) for value in snr)
        and all(map(_uint, channels))
        and all(map(_uint, delays))
    )
    if not fits:
        return None
    return WitnessReport(
        day,
        radio,
        tuple(slots),
        tuple(tags),
        tuple(rssi),
        tuple(snr),
        tuple(channels),
        tuple(delays),
    )


def _status(fields: list[Any]) -> Status | None:
    body = fields[7]
    if not (_list(body, 8) and all(map(_uint, body[:5]))):
        return None
    battery_mv, rssi_dbm, heard = body[5:]
    if not ((battery_mv is None or _uint(battery_mv)) and (rssi_dbm is None or _int(rssi_dbm))):
        return None
    listening = None
    if heard is not None:
        if not (_list(heard, 2) and _uint(heard[0]) and _uint(heard[1], _HOURS_LIMIT)):
            return None
        listening = (heard[0], heard[1])
    uptime_s, heap_free_bytes, reset_cause, outbox, dropped = body[:5]
    return Status(
        uptime_s,
        heap_free_bytes,
        reset_cause,
        outbox,
        dropped,
        battery_mv,
        rssi_dbm,
        listening,
    )


def _gap(fields: list[Any]) -> Gap | None:
    body, seq = fields[7], fields[3]
    if not (_list(body, 4) and all(map(_uint, body))):
        return None
    first, last, count, reason = body
    if not 1 <= first <= last < seq or count > last - first + 1 or reason >= len(_GAP_REASONS):
        return None
    return Gap(first, last, count, _GAP_REASONS[reason])


def _clock(fields: list[Any]) -> ClockMap | None:
    body = fields[7]
    if not (_list(body, 4) and all(map(_uint, body))):
        return None
    boot, utc_at_boot_ms, source, uncertainty_ms = body
    # A clock message is there to give a boot a time: source 0 would give it none.
    if not (1 <= boot < _BOOT_LIMIT and 1 <= source < len(_SOURCES)):
        return None
    return ClockMap(boot, utc_at_boot_ms, _SOURCES[source], uncertainty_ms)


def _config_ack(fields: list[Any]) -> ConfigAck | None:
    body = fields[7]
    if not (_list(body, 2) and _bytes(body[0], 16) and _uint(body[1], 3)):
        return None
    return ConfigAck(body[0], body[1])


def _claim(fields: list[Any]) -> Claim | None:
    body = fields[7]
    if not (_list(body, 3) and _bytes(body[0], 20) and _uint(body[1], _CLAIM_EIP191 + 1)):
        return None
    owner, scheme, proof = body
    if scheme == _CLAIM_EIP191:
        # Not evaluated in 1.0: any proof that the profile can hold is kept with the message.
        return Claim(owner, scheme, proof if type(proof) is bytes else None)
    if (type(proof) is bytes) != (scheme == _CLAIM_PROVED) or (scheme == 0 and proof is not None):
        return None
    return Claim(owner, scheme, proof)


BODY_DECODERS: dict[int, Callable[[list[Any]], Body | None]] = {
    Kind.HELLO: _hello,
    Kind.READINGS: _readings,
    Kind.COMMIT: _commit,
    Kind.BEACON: _beacon,
    Kind.WITNESS: _witness,
    Kind.REVEAL: _reveal,
    Kind.STATUS: _status,
    Kind.GAP: _gap,
    Kind.CLOCK: _clock,
    Kind.CONFIG_ACK: _config_ack,
    Kind.CLAIM: _claim,
}
