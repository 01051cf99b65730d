"""What of updates stays in memory: what is offered, and whether this program is on trial.

The gateway announces one release to all (spec/protocol.md section 13); it says which bytes to
ask for. Whether they may run, only the release keys say (releases.py).
"""

from . import limits
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Event
    from .config import Config
    from .cose import Sign1
    from .keyring import Keyring
    from .node import Node

    Announced = tuple[Sign1, int, int, tuple[bytes, int]]


class Updates:
    """trial: this program has still to prove itself; busy: something is being installed; offer:
    (SHA-256 of the index, counter) of what was announced last. failures: attempts in a row that
    brought nothing; spoiled: those whose content was wrong. wanted: set it to have key statements
    asked for.
    """

    def __init__(
        self, board: "Board", config: "Config", keyring: "Keyring", node: "Node", wanted: "Event"
    ) -> None:
        self.board = board
        self.config = config
        self.keyring = keyring
        self.faults = node.faults
        self._node = node
        self._wanted = wanted
        self._announced: "Announced | None" = None
        self._refused: "tuple[bytes, int] | None" = None
        self.offer: "tuple[bytes, int] | None" = None
        self.busy = False
        self.failures = self.spoiled = self._online_ms = 0
        self.trial, failed = borrow("slots").began(board.programs())
        if failed:
            self.faults.note("update.failed", "release %d did not prove itself" % failed)

    async def take(
        self, opened: "Sign1", serial: int, time_ms: int, offer: "tuple[bytes, int]"
    ) -> str:
        """An announcement that is not verified yet; "" or why it was refused."""
        if self.offer is not None:
            news = offer != self.offer
        else:
            news = offer != self._refused and self._is_wanted(offer)
        self._announced = (opened, serial, time_ms, offer) if news else None
        return await self.settle()

    async def settle(self) -> str:
        """Verify what was announced and act on it; "" or why not."""
        if self._announced is None:
            return ""
        opened, serial, time_ms, offer = self._announced
        if serial > self.keyring.serial:
            self._wanted.set()
            return ""
        self._announced = None
        code = await self.keyring.verify(opened, serial, time_ms)
        if code:
            return code
        # A lower one, or 0: the release that was announced before it is withdrawn.
        self.offer = offer if self._is_wanted(offer) else None
        if self.offer is not None and not self.busy:
            self.busy = True
            self.board.spawn(self.work())
        return ""

    def _is_wanted(self, offer: "tuple[bytes, int]") -> bool:
        floor = borrow("slots").floor(self.board.programs(), self.board.vault)
        return floor is not None and offer[1] > floor and self.config.time_host is not None

    async def work(self) -> None:
        """Install what is offered, however often that takes."""
        offer = None
        while self.offer is not None:
            if self.offer is not offer:
                offer = self.offer
                self.failures = self.spoiled = 0
                pause_ms = self.drawn(self._spread_ms())
            await self.board.sleep(pause_ms)
            if self.offer is not offer:
                continue
            pause_ms = await borrow("update").attempt(self, offer)
            if pause_ms == limits.UPDATE_INSTALLED:
                self.end("update.restart")
                break
            if pause_ms == limits.UPDATE_REFUSED:
                self._refused = offer
                if self.offer is offer:
                    self.offer = None
        self.busy = False

    def end(self, reason: str) -> None:
        """Restart into the other program; nothing that is signed is lost."""
        self.faults.note(reason, "restart")
        self._node.shut()
        self.board.restart(reason)

    # The trial.

    def receipted(self, *, fresh: bool) -> None:
        """A receipt was verified. fresh: for what this boot signed; an old one, which the broker
        kept, says nothing of the program that runs now.
        """
        if self.trial and fresh:
            self.trial = False
            borrow("slots").confirm(self.board.programs(), self.board.vault)
            self.faults.note("update.confirmed", "this program stays")

    def watch(self, step_ms: int, *, online: bool) -> bool:
        """Count time with a network; True: the trial has failed, and the restart is due."""
        if not self.trial or not online:
            return False
        if not self._online_ms and not self._node.lost:
            # The next reading may be hours away, and hello was said in an earlier try.
            self._node.say_status()
        self._online_ms += step_ms
        if self._online_ms < limits.TRIAL_ONLINE_MS:
            return False
        borrow("slots").give_up(self.board.programs())
        return True

    # Numbers.

    def drawn(self, of_ms: int) -> int:
        """Up to so many ms, at random."""
        return int.from_bytes(self.board.entropy(2), "big") * of_ms >> 16

    def tries(self) -> int:
        """Boots in which a new program may prove itself; each wake of a battery station is one."""
        tries = limits.TRIAL_TRIES
        if self.config.duty[0]:
            tries += 2 * self.config.duty[1] // self.config.sample_interval_ms
        return min(tries, limits.TRIAL_TRIES_MAX)

    def _spread_ms(self) -> int:
        # As far apart as their reports; a battery station's wakes are spread already.
        if self.config.duty[0]:
            return 0
        return min(self.config.reporting_interval_ms, limits.UPDATE_SPREAD_MS_MAX)
