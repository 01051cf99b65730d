"""When a stored message goes out, and when it goes out again.

New messages leave at once. What the link refused, and what no receipt covers after two reporting
intervals, leaves in windows of 16, oldest first and round robin, so that one message that the
gateway never takes holds up nothing else.
"""

from . import limits, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Link
    from .outbox import Outbox
    from .receipts import Receipts

_BEFORE_REGISTRATION = (wire.HELLO, wire.CLAIM)


class Sender:
    """registered: a receipt was verified once; before it only hello and claim are published."""

    def __init__(
        self,
        board: "Board",
        link: "Link",
        outbox: "Outbox",
        receipts: "Receipts",
        interval_ms: int,
    ) -> None:
        self._board = board
        self._link = link
        self._outbox = outbox
        self._receipts = receipts
        self._interval_ms = interval_ms
        self._wake = board.event()
        self._fresh: "list[tuple[int, int, bytes]]" = []
        # One for each interval with messages: (ticks of the first, of the last, highest seq). They
        # may be due again two intervals after the last.
        self._marks: "list[tuple[int, int, int]]" = []
        self._due_to = 0
        self._cursor = 0
        self._round_ticks = 0
        self._next_window = 0
        self._window: "list[int]" = []
        self._backoff_ms = 0
        self.registered = False
        if outbox.newest:
            # What an earlier boot stored was probably sent: the retained receipt will tell.
            now = board.ticks()
            self._marks.append((now, now, outbox.newest[0]))

    def offer(self, record: "tuple[int, int, bytes]") -> None:
        """A message (seq, kind, bytes) that was just stored."""
        now = self._board.ticks()
        # Here too, because an outage may keep run() in its back-off for weeks.
        self._age_marks(now)
        if self._marks and now - self._marks[-1][0] < self._interval_ms:
            self._marks[-1] = (self._marks[-1][0], now, record[0])
        else:
            self._marks.append((now, now, record[0]))
        self._fresh.append(record)
        most = limits.FRESH_BYTES_MAX // len(record[2])
        while len(self._fresh) > min(max(1, most), limits.FRESH_MESSAGES_MAX):
            self._due_to = max(self._due_to, self._fresh.pop(0)[0])
        self._wake.set()

    def flush(self) -> None:
        """Everything stored may go out: the station is registered. A little later, so that what
        is under way gets its receipt first.
        """
        if self._outbox.newest:
            self._due_to = max(self._due_to, self._outbox.newest[0])
            self._cursor = 0
            self._next_window = self._board.ticks() + limits.BACKOFF_MS_MIN
            self._wake.set()

    def receipted(self) -> None:
        """A newer receipt came: if it covers the window in flight, the next one may leave."""
        if self._window:
            for seq in self._window:
                if not self._receipts.covers(seq, seq):
                    return
            self._window = []
            self._next_window = self._board.ticks()
            self._wake.set()

    async def run(self) -> None:
        """Never returns."""
        while True:
            await self._wake.wait(self._pause_ms())
            self._wake.clear()
            if not await self._publish_fresh() or not await self._publish_due():
                await self._back_off()

    async def _publish_fresh(self) -> bool:
        while self._fresh:
            seq, kind, message = self._fresh[0]
            allowed = self.registered or kind in _BEFORE_REGISTRATION
            if allowed and not await self._publish(message):
                self._due_to = max(self._due_to, self._fresh[-1][0])
                self._fresh = []
                return False
            # offer() may have shifted the list while publish was waiting.
            if self._fresh and self._fresh[0][0] == seq:
                self._fresh.pop(0)
        return True

    async def _publish_due(self) -> bool:
        now = self._board.ticks()
        self._age_marks(now)
        if now < self._next_window or self._receipts.covers(1, self._due_to):
            return True
        window = self._next_messages()
        if not window and self._cursor:
            # A round is through: what is still unreceipted had its two intervals first.
            self._cursor = 0
            self._next_window = max(now, self._round_ticks + 2 * self._interval_ms)
            self._next_window += self._jitter_ms(self._interval_ms)
            return True
        if not self._cursor:
            self._round_ticks = now
        self._window = [seq for seq, _ in window]
        for seq, message in window:
            if not await self._publish(message):
                self._window = []
                return False
            self._cursor = seq
        jitter = self._jitter_ms(self._interval_ms)
        self._next_window = self._board.ticks() + self._interval_ms + jitter
        self.receipted()
        return True

    def _next_messages(self) -> "list[tuple[int, bytes]]":
        kinds = None if self.registered else _BEFORE_REGISTRATION
        return self._outbox.messages(
            self._cursor, self._due_to, limits.RESEND_WINDOW, self._receipts.covers, kinds
        )

    def _age_marks(self, now: int) -> None:
        while self._marks and self._marks[0][1] + 2 * self._interval_ms <= now:
            self._due_to = max(self._due_to, self._marks.pop(0)[2])

    def _pause_ms(self) -> "int | None":
        now = self._board.ticks()
        if not self._receipts.covers(1, self._due_to):
            return max(0, self._next_window - now)
        if self._marks:
            return max(0, self._marks[0][1] + 2 * self._interval_ms - now)
        return None

    async def _publish(self, message: bytes) -> bool:
        sent = await self._link.publish(message)
        if sent:
            self._backoff_ms = 0
        return sent

    async def _back_off(self) -> None:
        while True:
            doubled = max(limits.BACKOFF_MS_MIN, 2 * self._backoff_ms)
            self._backoff_ms = min(doubled, limits.LINK_BACKOFF_MS_MAX)
            await self._board.sleep(self._backoff_ms + self._jitter_ms(self._backoff_ms))
            if self._link.state() == "up":
                break
        self._cursor = 0
        self._next_window = self._board.ticks()
        self._wake.set()

    def _jitter_ms(self, of_ms: int) -> int:
        """0 to half of of_ms."""
        return int.from_bytes(self._board.entropy(2), "big") * of_ms >> 17
