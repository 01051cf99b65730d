"""Keeps a mains station alive: feeds the watchdog while there is real progress, gets the network
back by stages, and ends a stay in safe mode (docs/decisions/0020-staying-alive.md).

Progress is a sample that was dealt with: measured, and signed and stored when its batch was full.
That goes on without a network; without it neither receipts nor connections count for anything.
"""

from . import limits
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Link
    from .config import Config
    from .faults import Faults
    from .node import Node


class Vigil:
    """lives: (crashes, stays in safe mode, restarts for want of a network) as lives.py keeps them,
    this boot included. safe: this boot is a stay in safe mode.
    """

    def __init__(
        self,
        *,
        board: "Board",
        link: "Link",
        node: "Node",
        config: "Config",
        faults: "Faults",
        lives: "tuple[int, int, int]",
        safe: bool,
    ) -> None:
        self._board = board
        self._link = link
        self._node = node
        self._config = config
        self._faults = faults
        self._lives = lives
        self._safe = safe
        self._healthy = False
        self._noted = False
        # A fleet that lost its network at one time must not come back, or restart, all at once.
        self._jitter = (1 << 16) + (int.from_bytes(board.entropy(2), "big") >> 2)
        # The configuration may have come late in this boot.
        self._begun = self._up_ticks = self._delivered_ticks = board.ticks()
        self._stage = 0
        self._recovered_ticks = 0

    async def run(self) -> None:
        """Until the board restarts."""
        while True:
            await self._board.sleep(limits.VIGIL_MS)
            reason = self.look()
            if reason:
                end(self._board, self._node, self._faults, reason)
                # A board that only asks for its restart goes on for a moment: it is not fed.
                return

    def look(self) -> str:
        """What is due now; why the board has to restart, or ""."""
        now = self._board.ticks()
        if self._safe:
            return self._look_safe(now)
        if self._node.sampling and now - max(self._begun, self._node.sampled) > self._late_ms():
            return "vigil.samples"
        self._board.feed()
        if not self._healthy and self._is_healthy(now):
            self._healthy = True
            self._store(0, 0, self._lives[2])
        self._note_unmapped()
        # A broker without receipts is a new program's fault; no network at all may not be.
        if self._node.updates.watch(limits.VIGIL_MS, online=self._link.state() == "up"):
            return "update.unhealthy"
        return self._look_at_network(now)

    def _is_healthy(self, now: int) -> bool:
        if now - self._begun < limits.HEALTHY_MS:
            return False
        # Sensors that hang in every boot must end in safe mode too.
        seldom = self._config.sample_interval_ms > limits.HEALTHY_MS
        return self._node.sampled > 0 or seldom or not self._node.sampling

    def _late_ms(self) -> int:
        late_ms = 2 * self._config.sample_interval_ms + limits.SAMPLE_LATE_MS
        if not self._node.sampled:
            # A boot that lost its chain first waits for a receipt.
            late_ms += limits.CHAIN_LOST_WAIT_MS
        return late_ms

    # The network.

    def _look_at_network(self, now: int) -> str:
        if self._link.state() == "up":
            self._up_ticks = now
        heard = max(self._up_ticks, self._node.receipted)
        if self._node.delivered:
            self._delivered_ticks = now
        # Where the broker is there it is the gateway that is silent: that has more time.
        silent_ms = now - max(self._delivered_ticks, self._node.receipted)
        quiet_ms = max(now - heard, silent_ms >> 2)
        # Before each threshold: as it is, or up to a quarter later.
        quiet_ms = (quiet_ms << 16) // self._jitter
        if quiet_ms < limits.RECOVER_1_MS:
            if heard > self._begun and self._lives[2]:
                self._store(self._lives[0], self._lives[1], 0)
            self._stage = 0
            return ""
        if quiet_ms >= self._restart_after_ms():
            self._store(self._lives[0], self._lives[1], self._lives[2] + 1)
            return "vigil.network"
        self._recover(now, quiet_ms)
        return ""

    def _restart_after_ms(self) -> int:
        after_ms = limits.QUIET_RESTART_MS << min(self._lives[2], 4)
        return min(after_ms, limits.QUIET_RESTART_MS_MAX)

    def _recover(self, now: int, quiet_ms: int) -> None:
        stage = 2 if quiet_ms >= limits.RECOVER_2_MS else 1
        if stage == self._stage and now - self._recovered_ticks < limits.RECOVER_2_MS:
            return
        self._stage = stage
        self._recovered_ticks = now
        self._faults.note("vigil.recover", "stage %d, quiet for %d s" % (stage, quiet_ms // 1000))
        borrow("improv").attend(self._board, self._config)
        # Beside us, for it may take longer than the watchdog waits.
        self._board.spawn(self._try_recover(stage))

    async def _try_recover(self, stage: int) -> None:
        try:
            await self._board.recover(stage)
        except OSError as error:
            self._faults.note("vigil.recover", str(error))

    # Safe mode.

    def _look_safe(self, now: int) -> str:
        self._board.feed()
        if now - self._begun < limits.SAFE_MS << min(self._lives[1], limits.SAFE_DOUBLINGS_MAX):
            return ""
        # One normal boot on trial: if it ends badly too, the next stay is twice as long.
        self._store(limits.CRASHES_MAX - 1, self._lives[1] + 1, self._lives[2])
        return "safe.over"

    # What the next boot needs to know.

    def _note_unmapped(self) -> None:
        boot, ticks = self._node.unmapped
        if boot:
            self._noted = True
            self._board.retain(borrow("lives").pack(boot, ticks, self._node.earlier))
        elif self._noted:
            self._noted = False
            self._board.retain(b"")

    def _store(self, crashes: int, stays: int, quiet: int) -> None:
        self._lives = (crashes, stays, quiet)
        borrow("lives").store(self._board.fs, crashes, stays, quiet)


def end(board: "Board", node: "Node", faults: "Faults", reason: str) -> None:
    """Restart on purpose: nothing that is signed stays in RAM."""
    faults.note(reason, "restart")
    node.shut()
    board.restart(reason)
