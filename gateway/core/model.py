"""What a decoded device message is. Shapes follow spec/protocol.md sections 4 to 6.

These are values only; decoding is in wire.py, meaning in the modules that evaluate them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gateway.core.verdicts import Verdict


class Kind(IntEnum):
    """Payload kinds; 0-15 are signed by devices, 16-23 by the gateway."""

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
    TIME = 16
    RECEIPT = 17
    KEYS = 18
    ENTROPY_COMMIT = 19
    CONFIG_REQUEST = 20
    TICK = 21
    RELEASE = 22
    NOTICE = 23


class TimeSource(IntEnum):
    """Where a message's time came from; NONE means milliseconds since boot."""

    NONE = 0
    GATEWAY = 1
    SNTP = 2
    GNSS = 3
    HELD = 4
    TICK = 5


class GapReason(IntEnum):
    """Why seqs will never be delivered."""

    UNUSED = 0
    DROPPED = 1
    CHAIN_LOST = 2


@dataclass(frozen=True, slots=True)
class Declared:
    """One quantity a hello promises; completeness is measured against interval_ms."""

    quantity: int
    channel: int
    interval_ms: int


@dataclass(frozen=True, slots=True)
class Hello:
    public_key: bytes
    firmware: str
    declared: tuple[Declared, ...]
    duty_class: int
    wake_period_ms: int
    wake_phase_ms: int
    place_commitment: bytes
    scoring_cell: int
    antenna: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity's values, already summed up from the wire's differences.

    values: absolute integers in 10**exponent units, None where absent; faults: sample index
    to fault code.
    """

    quantity: int
    channel: int
    exponent: int
    values: tuple[int | None, ...]
    faults: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Readings:
    """sample_ages_ms: milliseconds before the message's time_ms, oldest sample first."""

    sample_ages_ms: tuple[int, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    day: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class BeaconReport:
    day: int
    sent: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class WitnessReport:
    day: int
    radio: int
    slots: tuple[int, ...]
    tags: tuple[bytes, ...]
    rssi_cdbm: tuple[int, ...]
    snr_cdb: tuple[int | None, ...]
    channels: tuple[int, ...]
    delays_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reveal:
    day: int
    x: bytes


@dataclass(frozen=True, slots=True)
class Status:
    uptime_s: int
    heap_free_bytes: int
    reset_cause: int
    outbox_messages: int
    dropped_messages: int
    battery_mv: int | None
    rssi_dbm: int | None
    listening: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Gap:
    first: int
    last: int
    count: int
    reason: GapReason


@dataclass(frozen=True, slots=True)
class ClockMap:
    """Maps ms since boot number `boot` to UTC: utc = utc_at_boot_ms + ms_since_boot."""

    boot: int
    utc_at_boot_ms: int
    source: TimeSource
    uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class ConfigAck:
    config_id: bytes
    result: int


@dataclass(frozen=True, slots=True)
class Claim:
    owner: bytes
    scheme: int
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """Body of a kind or minor version that this gateway does not know."""


Body = (
    Hello
    | Readings
    | Commit
    | BeaconReport
    | WitnessReport
    | Reveal
    | Status
    | Gap
    | ClockMap
    | ConfigAck
    | Claim
    | NotEvaluated
)


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """A decoded device message; its signature may not have been checked yet."""

    message_id: bytes
    device: bytes
    version: int
    kind: int
    boot: int
    seq: int
    prev: bytes
    time_ms: int
    time_source: TimeSource
    uncertainty_ms: int
    body: Body


@dataclass(frozen=True, slots=True)
class AdmissionEntry:
    """One line of the admission log (protocol section 9)."""

    message_id: bytes
    recv_ms: int
    verdict: Verdict
    rules: int
    net_tag: bytes
