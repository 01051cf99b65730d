"""Honest UTC: where it came from and how wrong it may be by now (spec/protocol.md section 4).

Pure: it gets the ticks of the board and what others learned, and reads no clock itself.
"""

from . import limits, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """UTC over a board's ticks. Until a source speaks, now() gives ms since boot, source 0."""

    def __init__(self, ticks: "Callable[[], int]", simulated: bool) -> None:  # noqa: FBT001
        self._ticks = ticks
        self._simulated = simulated
        self._utc_ms = 0
        self._at_ticks = 0
        self._uncertainty_ms = 0
        self._slot = -1
        # What SNTP is held to: the newest time that did not come from it, as UTC at boot, and
        # the ticks at which it was known.
        self._told_at_boot_ms = 0
        self._told_ticks = 0
        self.source = wire.SOURCE_NONE

    def now(self) -> "tuple[int, int, int]":
        """(time_ms, source, uncertainty_ms); uncertainty grows by the crystal's drift."""
        elapsed = self._ticks() - self._at_ticks
        drift = _up(elapsed * limits.DRIFT_PPM, 1_000_000)
        return self._utc_ms + elapsed, self.source, self._uncertainty_ms + drift

    @property
    def synced(self) -> bool:
        """Whether now() is UTC."""
        return self.source != wire.SOURCE_NONE

    def utc_at_boot_ms(self) -> int:
        """UTC when ticks were 0; only meaningful when synced."""
        return self._utc_ms - self._at_ticks

    def set_gateway(self, utc_ms: int, at_ticks: int, uncertainty_ms: int) -> int:
        """The first source, checked to the root: taken whatever the move. Returns the move."""
        return self._set(utc_ms, at_ticks, uncertainty_ms, wire.SOURCE_GATEWAY)

    def set_sntp(self, utc_ms: int, at_ticks: int, uncertainty_ms: int) -> "int | None":
        """Second source, unsigned: it may move a set clock by 5 s at most, else None. All its
        moves together take the clock no further than that from where the sources above it and
        the crystal would have it, so that a false server cannot lead it away in small steps.
        """
        if not self.synced or self.source == wire.SOURCE_TICK:
            return None
        move = utc_ms - self.utc_at_boot_ms() - at_ticks
        away = utc_ms - self._told_at_boot_ms - at_ticks
        drift = _up((at_ticks - self._told_ticks) * limits.DRIFT_PPM, 1_000_000)
        if max(abs(move), abs(away) - drift) > limits.SNTP_MOVE_MS_MAX:
            return None
        return self._set(utc_ms, at_ticks, uncertainty_ms, wire.SOURCE_SNTP)

    def set_held(self, held_ms: int, known_ms: int, known_uncertainty_ms: int) -> bool:
        """Time that a clock kept through sleep or reset; known_ms is UTC of the newest stored
        message. Without such a witness, or when the held time lies before it, it is not used.
        """
        if self.synced or held_ms < known_ms:
            return False
        asleep = held_ms - known_ms
        drift = _up(asleep * limits.HELD_DRIFT_PPM, 1_000_000)
        self._set(held_ms, self._ticks(), known_uncertainty_ms + drift, wire.SOURCE_HELD)
        return True

    def tick(self, slot: int) -> bool:
        """Driven clock: slot begins now. Only in networks whose genesis says simulated, and only
        forwards. It is not signature-checked per slot: such a network pays nothing real.
        """
        if not self._simulated or slot <= self._slot:
            return False
        self._slot = slot
        self._set(slot * limits.SLOT_MS, self._ticks(), 0, wire.SOURCE_TICK)
        return True

    def _set(self, utc_ms: int, at_ticks: int, uncertainty_ms: int, source: int) -> int:
        move = utc_ms - self.utc_at_boot_ms() - at_ticks
        self._utc_ms = utc_ms
        self._at_ticks = at_ticks
        self._uncertainty_ms = uncertainty_ms
        self.source = source
        if source != wire.SOURCE_SNTP:
            self._told_at_boot_ms = utc_ms - at_ticks
            self._told_ticks = at_ticks
        return move


def _up(value: int, by: int) -> int:
    return -(-value // by)
