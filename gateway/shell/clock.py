"""Protocol time: real, or driven by ticks (DESIGN section 2). Wall time is never asked here.

Sockets, keepalive, back-off and HTTP run on the event loop's own clock; slots, lateness, release
and epochs on one of these.
"""

import time
from typing import Protocol

from gateway.core.genesis import SLOT_MS


class Clock(Protocol):
    """Protocol time in ms since 1970 UTC."""

    def now_ms(self) -> int | None:
        """The time, or None: a driven clock before its first tick."""


class RealClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class DrivenClock:
    """Stands at the start of the newest slot; only networks whose genesis says simulated."""

    def __init__(self, floor_ms: int) -> None:
        """floor_ms: protocol time never goes below it (the newest stored recv_ms)."""
        self._floor_ms = floor_ms
        self._slot: int | None = None

    def tick(self, slot: int) -> bool:
        """Let `slot` begin. False, and no change, if that would turn time back."""
        if slot < (self._slot or 0) or slot * SLOT_MS < self._floor_ms // SLOT_MS * SLOT_MS:
            return False
        self._slot = slot
        return True

    def now_ms(self) -> int | None:
        return None if self._slot is None else self._slot * SLOT_MS
