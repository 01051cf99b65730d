"""What outlives the interpreter on a chip, and what does not outlive the supply."""

import time
from dataclasses import dataclass, field

# machine.reset_cause() on an ESP32.
POWER_ON, HARD_RESET, WATCHDOG_RESET, DEEP_SLEEP, SOFT_RESET = 1, 2, 3, 4, 5
# The chip's clock starts with the year 2000.
_CLOCK_START_MS = 946_684_800_000


@dataclass
class Supply:
    """memory: of the RTC. watchdog_s: how long it may go without being fed; None: never made."""

    cause: int = POWER_ON
    memory: bytes = b""
    watchdog_s: float | None = None
    fed: float = 0.0
    raw: bool = False
    _clock_ms: int = _CLOCK_START_MS
    _clock_at: float = field(default_factory=time.monotonic)

    def lost(self) -> None:
        """As when power was away, or EN was low."""
        self.cause, self.memory = POWER_ON, b""
        self.set_clock(_CLOCK_START_MS)
        self.restarted(POWER_ON)

    def restarted(self, cause: int) -> None:
        """The chip begins again; a soft reset is no such beginning."""
        self.cause = cause
        self.watchdog_s = None
        self.raw = False

    def set_clock(self, unix_ms: int) -> None:
        self._clock_ms, self._clock_at = unix_ms, time.monotonic()

    def unix_ms(self) -> int:
        return self._clock_ms + int((time.monotonic() - self._clock_at) * 1000)

    def watch(self, timeout_ms: int) -> None:
        self.watchdog_s = timeout_ms / 1000
        self.fed = time.monotonic()

    def feed(self) -> None:
        self.fed = time.monotonic()

    def starved(self) -> bool:
        return self.watchdog_s is not None and time.monotonic() - self.fed > self.watchdog_s
