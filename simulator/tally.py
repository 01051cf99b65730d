"""What a run came to at the gateway, and on the way to it. Shapes only."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.epochs import EpochSummary


@dataclass(frozen=True, slots=True)
class Transport:
    """What a run over MQTT says of its connections. stalled_slots: those that ended although a
    message that was handed over had no receipt. pauses: how often time stood still because the
    gateway, its broker or a connection was away. crashes_left_out: those of the scenario, if
    nobody was there who could kill the gateway.
    """

    broker: str
    slots: int
    stalled_slots: int
    reconnects: int
    pauses: int
    crashes_left_out: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class Boards:
    """What a run on real MicroPython says of its boards. kept: messages that were on a board's
    flash, or had left it. frames: sent, and received by somebody. heap_bytes: what the program
    holds after a collection, in the middle and at most. rss_bytes: of all interpreters together.
    measured: readings at the gateway that are what the models of the sensors had; sensor_faults:
    likewise those without a value, by fault code. reports: how often boards reported which fault.
    """

    interpreters: int
    boots: int
    power_cuts: int = 0
    wifi_losses: int = 0
    flash_operations: int = 0
    kept: int = 0
    frames_sent: int = 0
    frames_received: int = 0
    beacon_messages: int = 0
    witness_messages: int = 0
    heap_bytes_median: int = 0
    heap_bytes_max: int = 0
    rss_bytes: int = 0
    measured: int = 0
    sensor_faults: dict[str, int] = field(default_factory=dict)
    reports: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened at the gateway and on the way to it; FleetReport says what each one means.

    carry_before: what the network had kept for later days when the run began.
    """

    rejected: int
    deferred: int
    corruptions: int
    duplicates: int
    gateway_crashes: int
    epochs: tuple[EpochSummary, ...]
    carry_before: int = 0
    transport: Transport | None = None
    boards: Boards | None = None
