"""The only writer of uplinks: payloads and the body of every kind (spec/protocol.md 4 to 6).

Bodies are built from values that the board itself made, so a broken limit is a bug and raises
ValueError. It signs nothing and stores nothing.
"""

from . import cbor, limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    # quantity, channel, exponent, absolute values, ((index, fault), ...)
    Column = tuple[int, int, int, Sequence[int | None], Sequence[tuple[int, int]]]

VERSION = 16

HELLO = 0
READINGS = 1
COMMIT = 2
BEACON = 3
WITNESS = 4
REVEAL = 5
STATUS = 6
GAP = 7
CLOCK = 8
CONFIG_ACK = 9
CLAIM = 10
NEVER_DROPPED = (HELLO, CLAIM, GAP, CLOCK)

SOURCE_NONE = 0
SOURCE_GATEWAY = 1
SOURCE_SNTP = 2
SOURCE_GNSS = 3
SOURCE_HELD = 4
SOURCE_TICK = 5

GAP_UNUSED = 0
GAP_DROPPED = 1
GAP_CHAIN_LOST = 2

FAULT_ABSENT = 9

DUTY_MAINS = 0
DUTY_BATTERY = 1


def encode_payload(
    *,
    kind: int,
    boot: int,
    seq: int,
    prev: bytes,
    time_ms: int,
    source: int,
    uncertainty_ms: int,
    body: "list[object]",
) -> bytes:
    """CBOR of [version, kind, boot, seq, prev, time_ms, [source, uncertainty_ms], body]."""
    _within(kind, 0, 15, "kind")
    _within(boot, 1, limits.UINT32_MAX, "boot")
    _within(seq, 1, limits.SEQ_MAX, "seq")
    _sized(prev, 16, "prev")
    _within(source, SOURCE_NONE, SOURCE_TICK, "time source")
    time_quality = [source, uncertainty_ms]
    return cbor.encode([VERSION, kind, boot, seq, prev, time_ms, time_quality, body])


def hello_body(
    *,
    public_key: bytes,
    firmware: str,
    quantities: "Sequence[tuple[int, int, int]]",
    duty: "tuple[int, int, int]",
    place_commitment: bytes,
    scoring_cell: int,
    antenna: "tuple[int, int] | None",
) -> "list[object]":
    """quantities: (quantity, channel, interval_ms) in strictly ascending order; duty: (class, wake
    period ms, wake phase ms); antenna: (gain_cdbi, height_dm).
    """
    _sized(public_key, 32, "public key")
    _sized(place_commitment, 32, "place commitment")
    _within(len(firmware.encode()), 1, limits.FIRMWARE_TEXT_BYTES_MAX, "firmware text")
    _within(len(quantities), 1, limits.QUANTITIES_MAX, "quantities")
    _ascending([(quantity, channel) for quantity, channel, _ in quantities], "quantities")
    for _, _, interval_ms in quantities:
        _within(interval_ms, limits.INTERVAL_MS_MIN, limits.INTERVAL_MS_MAX, "interval_ms")
    _within(duty[0], DUTY_MAINS, DUTY_BATTERY, "duty class")
    if duty[0] == DUTY_MAINS and (duty[1] or duty[2]):
        raise ValueError("duty class mains has no wake period")
    declared = [list(quantity) for quantity in quantities]
    where = [place_commitment, scoring_cell, None if antenna is None else list(antenna)]
    return [public_key, firmware, declared, list(duty)] + where


def readings_body(
    t0_ms: int, dt_ms: "Sequence[int]", columns: "Sequence[Column]"
) -> "list[object]":
    """t0_ms: age of the last sample; dt_ms: n-1 times between samples, oldest first; columns hold
    n absolute values each. Times and values go out as differences.
    """
    n = len(dt_ms) + 1
    _within(t0_ms, 0, limits.DAY_MS, "t0_ms")
    _within(n, 1, limits.SAMPLES_MAX, "samples")
    last = 0
    steps = []
    for interval in dt_ms:
        _within(interval, 1, limits.DAY_MS, "dt_ms")
        steps.append(interval - last)
        last = interval
    _within(len(columns), 1, limits.COLUMNS_MAX, "columns")
    _ascending([(column[0], column[1]) for column in columns], "columns")
    return [t0_ms, steps, [_column(column, n) for column in columns]]


def _column(column: "Column", n: int) -> "list[object]":
    quantity, channel, exponent, values, faults = column
    _within(exponent, limits.EXPONENT_MIN, limits.EXPONENT_MAX, "exponent")
    if len(values) != n:
        raise ValueError("column and samples differ in length")
    last = 0
    sent: "list[int | None]" = []
    for value in values:
        if value is None:
            sent.append(None)
            continue
        _within(value, -limits.VALUE_MAX, limits.VALUE_MAX, "value")
        sent.append(value - last)
        last = value
    if not faults:
        return [quantity, channel, exponent, sent]
    _ascending([(index, 0) for index, _ in faults], "faults")
    for index, fault in faults:
        _within(fault, 1, limits.FAULT_MAX, "fault code")
        if values[index] is not None:
            raise ValueError("a fault stands at a value")
    return [quantity, channel, exponent, sent, [list(pair) for pair in faults]]


def commit_body(day: int, commitment: bytes) -> "list[object]":
    _sized(commitment, 32, "commitment")
    return [day, commitment]


def beacon_body(day: int, sent: "Sequence[tuple[int, int, int, int]]") -> "list[object]":
    """sent: (slot, radio, channel, power_cdbm)."""
    _within(len(sent), 1, limits.BEACONS_MAX, "beacons")
    return [day, [list(row) for row in sent]]


def witness_body(
    day: int, radio: int, rows: "Sequence[tuple[int, bytes, int, int | None, int, int]]"
) -> "list[object]":
    """rows: (slot, tag, rssi_cdbm, snr_cdb, channel, delay_ms), sent as six columns."""
    _within(len(rows), 1, limits.WITNESS_ROWS_MAX, "witness rows")
    for row in rows:
        _sized(row[1], 16, "tag")
    columns: "list[object]" = [[row[column] for row in rows] for column in range(6)]
    head: "list[object]" = [day, radio]
    return head + columns


def reveal_body(day: int, x: bytes) -> "list[object]":
    _sized(x, 32, "x")
    return [day, x]


def status_body(
    uptime_s: int,
    info: "tuple[int, int, int | None, int | None]",
    outbox_messages: int,
    dropped_messages: int,
    listening: "tuple[int, int] | None",
) -> "list[object]":
    """info: what Board.info() gives: (heap_free_bytes, reset_cause, battery_mv, rssi_dbm)."""
    heap_free_bytes, reset_cause, battery_mv, rssi_dbm = info
    heard = None if listening is None else list(listening)
    counts: "list[object]" = [uptime_s, heap_free_bytes, reset_cause, outbox_messages]
    return counts + [dropped_messages, battery_mv, rssi_dbm, heard]


def gap_body(first: int, last: int, count: int, reason: int) -> "list[object]":
    if not 1 <= first <= last:
        raise ValueError("gap is empty")
    _within(count, 0, last - first + 1, "gap count")
    _within(reason, GAP_UNUSED, GAP_CHAIN_LOST, "gap reason")
    return [first, last, count, reason]


def clock_body(boot: int, utc_at_boot_ms: int, source: int, uncertainty_ms: int) -> "list[object]":
    _within(source, SOURCE_GATEWAY, SOURCE_TICK, "time source")
    return [boot, utc_at_boot_ms, source, uncertainty_ms]


def config_ack_body(config_id: bytes, result: int) -> "list[object]":
    """result: 0 applied, 1 refused, 2 rolled back."""
    _sized(config_id, 16, "config id")
    _within(result, 0, 2, "result")
    return [config_id, result]


def claim_body(owner: bytes, proof: "bytes | None") -> "list[object]":
    """Scheme 1 (Ed25519 owner) with a proof, 0 (named by the board alone) without."""
    _sized(owner, 20, "owner id")
    return [owner, 0 if proof is None else 1, proof]


def _within(value: int, low: int, high: int, name: str) -> None:
    if not low <= value <= high:
        raise ValueError("%s %d is outside %d..%d" % (name, value, low, high))


def _sized(value: bytes, size: int, name: str) -> None:
    if len(value) != size:
        raise ValueError("%s is not %d bytes" % (name, size))


def _ascending(pairs: "list[tuple[int, int]]", name: str) -> None:
    for index in range(1, len(pairs)):
        if pairs[index - 1] >= pairs[index]:
            raise ValueError(name + " are not strictly ascending")


def fields_of(message: bytes) -> "list[Any]":
    """The eight payload fields of a message that this board has signed and stored itself."""
    # Tag 18 is the first byte; items are the protected header, {}, the payload, the signature.
    fields: "list[Any]" = cbor.decode(cbor.decode(message[1:])[2])
    return fields
