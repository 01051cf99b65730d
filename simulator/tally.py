"""What a run came to at the gateway, and on the way to it. Shapes only."""

from __future__ import annotations

from dataclasses import dataclass

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
