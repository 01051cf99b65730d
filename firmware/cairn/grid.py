"""The points of time at which a station does something again and again."""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Event
    from .clock import Clock


class Grid:
    """Every interval_ms of UTC (before a sync: since boot), shifted by the device's own phase.
    retimed: an event that is up when the clock was set; several grids may share it.
    """

    def __init__(self, clock: "Clock", retimed: "Event", device: bytes, interval_ms: int) -> None:
        self._clock = clock
        self._retimed = retimed
        self._interval_ms = interval_ms
        self._phase = int.from_bytes(device[:4], "big") % interval_ms
        self._last_due = 0

    async def next(self) -> "int | None":
        """Wait for the next point and say which it is; None if the clock was set meanwhile, so
        that the point that was waited for means nothing: call again.
        """
        now = self._clock.now()[0]
        due = now + self._interval_ms - (now - self._phase) % self._interval_ms
        # The clock may have been set back by a little since the last point.
        if self._last_due and abs(due - self._last_due) < self._interval_ms // 2:
            due += self._interval_ms
        if await self._retimed.wait(max(0, due - self._clock.now()[0])):
            self._retimed.clear()
            self._last_due = 0
            return None
        self._last_due = due
        return due
