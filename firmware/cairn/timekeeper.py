"""When the time is asked for, and of whom: the gateway first, SNTP between its answers and when it
does not answer (spec/protocol.md section 7, "First time").

SNTP cannot set a clock that was never set, and what it says is only taken where it makes the
clock better: when it claims to be less wrong than the clock by now is, and agrees with it.
"""

from . import cose, limits, wire
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board
    from .clock import Clock
    from .config import Config
    from .keyring import Keyring
    from .node import Node


class Timekeeper:
    """wanted: set it to have the gateway asked soon."""

    def __init__(
        self, board: "Board", config: "Config", clock: "Clock", keyring: "Keyring", node: "Node"
    ) -> None:
        self._board = board
        self._config = config
        self._clock = clock
        self._keyring = keyring
        self._node = node
        self._gateway_backoff_ms = limits.BACKOFF_MS_MIN
        self._sntp_backoff_ms = limits.SNTP_BACKOFF_MS_MIN
        self._gateway_due = 0
        self._sntp_due = 0
        self.wanted = board.event()

    async def run(self) -> None:
        """Until the clock is driven; at once if there is nobody to ask."""
        config, ticks = self._config, self._board.ticks
        if config.time_host is None and config.sntp_host is None:
            return
        while self._clock.source != wire.SOURCE_TICK:
            if config.time_host is not None and ticks() >= self._gateway_due:
                await self._ask_gateway(config.time_host)
            if config.sntp_host is not None and ticks() >= self._sntp_due:
                await self._ask_sntp(config.sntp_host)
            if await self.wanted.wait(max(0, self._next_due() - ticks())):
                # Anybody can name an unknown key serial: it may not make us ask at his pace.
                await self._board.sleep(limits.LINK_BACKOFF_MS_MAX)
                self.wanted.clear()
                self._gateway_due = 0

    def _next_due(self) -> int:
        if self._config.time_host is None:
            return self._sntp_due
        if self._config.sntp_host is None:
            return self._gateway_due
        return min(self._gateway_due, self._sntp_due)

    async def _ask_gateway(self, host: str) -> None:
        fetch_time = borrow("timesync").fetch_time
        device = cose.kid_of(self._board.public_key())
        answer = await fetch_time(self._board, self._keyring, device, host, self._config.time_port)
        if isinstance(answer, str):
            self._node.time_fault(answer)
            backoff_ms = self._gateway_backoff_ms
            pause_ms = backoff_ms + self._draw(backoff_ms)
            self._gateway_backoff_ms = min(2 * backoff_ms, limits.TIME_BACKOFF_MS_MAX)
        else:
            move_ms = self._clock.set_gateway(answer[0], answer[1], answer[2])
            self._board.set_clock(self._clock.now()[0])
            self._node.time_set(move_ms)
            await self._node.settle_all()
            self._gateway_backoff_ms = limits.BACKOFF_MS_MIN
            pause_ms = limits.RESYNC_MS
            self._sntp_due = self._board.ticks() + limits.SNTP_EVERY_MS
        self._gateway_due = self._board.ticks() + pause_ms

    async def _ask_sntp(self, host: str) -> None:
        ticks = self._board.ticks
        if not self._clock.synced:
            # Which of 136 years it is, only a signed time can tell.
            self._sntp_due = ticks() + limits.SNTP_BACKOFF_MS_MIN
            return
        answer = await borrow("sntp").fetch(self._board, host, self._clock.now()[0])
        code = answer if isinstance(answer, str) else self._take_sntp(answer)
        if not code:
            self._sntp_backoff_ms = limits.SNTP_BACKOFF_MS_MIN
            pause_ms = limits.SNTP_EVERY_MS
        else:
            self._node.time_fault(code)
            backoff_ms = self._sntp_backoff_ms
            self._sntp_backoff_ms = min(2 * backoff_ms, limits.SNTP_EVERY_MS)
            pause_ms = backoff_ms
            if code == "sntp.denied":
                pause_ms = limits.DAY_MS
            elif code in ("sntp.rate", "sntp.kiss"):
                pause_ms = 2 * limits.SNTP_EVERY_MS
        # Public servers ask for this: a fleet that was switched on together must not stay so.
        self._sntp_due = ticks() + pause_ms + self._draw(pause_ms >> 3)

    def _take_sntp(self, answer: "tuple[int, int, int]") -> str:
        utc_ms, at_ticks, uncertainty_ms = answer
        now = self._clock.now()
        known_ms = now[2]
        if uncertainty_ms >= known_ms or self._clock.source == wire.SOURCE_TICK:
            return ""
        apart_ms = abs(utc_ms + self._board.ticks() - at_ticks - now[0])
        if apart_ms > known_ms + uncertainty_ms:
            # One of the two is wrong by more than it says. Only the signed one can settle that.
            self._gateway_due = 0
            return "sntp.disagrees"
        move_ms = self._clock.set_sntp(utc_ms, at_ticks, uncertainty_ms)
        if move_ms is None:
            return "sntp.move"
        self._board.set_clock(self._clock.now()[0])
        self._node.time_set(move_ms)
        return ""

    def _draw(self, of_ms: int) -> int:
        return int.from_bytes(self._board.entropy(2), "big") * of_ms >> 16
