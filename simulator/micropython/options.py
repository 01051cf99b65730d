"""What a board of the runner is given before its first boot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

STATION = "from cairn.station import run"


@dataclass(frozen=True)
class BoardOptions:
    """radios: of Board.radios(). samples: what Board.sample() gives while the configuration names
    no sensors. chips: for each entry of config.sensors
    {"values": {quantity: integer}, "fail": None or [fault] or [fault, transactions]} of its model
    (simulator/chips); None: its sensors are not asked, and sample() gives nothing. watchdog_ms: 0
    without one. restart_ms: virtual time from a reset to the next boot. held: its clock has a
    battery, and knows UTC from the start.
    retained: it has memory that a reset leaves. seed: its random numbers are a function of this;
    None: this computer's generator. heap_bytes: the interpreter's heap has this size and cannot
    grow (Runner needs memory_pages then), beside heap_spare_bytes of what is not its heap; None:
    it grows.
    tell_flash: every operation becomes a happening. program: Python that defines
    `async def run(board)`.
    """

    radios: tuple[int, ...] = ()
    samples: Sequence[Sequence[int | None]] = ()
    chips: Sequence[dict[str, Any]] | None = ()
    watchdog_ms: int = 0
    restart_ms: int = 1_000
    drift_ppm: int = 0
    held: bool = False
    retained: bool = True
    wifi: bool = True
    recovers_at: int | None = None
    rssi_dbm: int | None = -61
    battery_mv: int | None = None
    seed: int | None = None
    tell_flash: bool = False
    flash_bytes: int = 2 * 1024 * 1024
    heap_bytes: int | None = None
    heap_spare_bytes: int = 32_768
    program: str = STATION

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
