"""How a message becomes part of the station's chain: room, gap, signature, storage, publication.

Everything that the station says passes here, one message after the other and without awaiting. A
flash write costs the same for one message as for many, so most of them wait for a common one.
"""

from . import cbor, limits, segment, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board
    from .chain import Chain
    from .outbox import Outbox
    from .receipts import Receipts
    from .sender import Sender

    Now = tuple[int, int, int]

# Whoever signs another kind notes that in a file or acts on it at once: it is stored at once too.
_MAY_WAIT = (wire.READINGS, wire.STATUS, wire.WITNESS, wire.BEACON)


class Journal:
    """dropped: messages that were signed and dropped for want of room; unmapped: whether any of
    this boot was signed without UTC, so that a clock message has to follow. store_every_ms: how
    long a message may wait in RAM for its flash write; 0: it does not. Nothing leaves before it
    is on flash, so a power cut takes what waits as if it had never been signed.
    """

    def __init__(
        self,
        outbox: "Outbox",
        chain: "Chain",
        receipts: "Receipts",
        sender: "Sender",
        bytes_max: int,
        *,
        board: "Board | None" = None,
        store_every_ms: int = 0,
    ) -> None:
        self._outbox = outbox
        self._chain = chain
        self._receipts = receipts
        self._sender = sender
        self._bytes_max = bytes_max
        self._board = board
        self._store_every_ms = store_every_ms
        # Signed and not offered yet, and the ticks from which the first of them waits.
        self._waiting: "list[tuple[int, int, bytes]]" = []
        self._since = 0
        self._wake = board.event() if board and store_every_ms else None
        self.dropped = 0
        self.unmapped = False

    def write(self, kind: int, body: "list[object]", now: "Now") -> bool:
        """Sign a message made at now (time_ms, source, uncertainty_ms), and store and offer it at
        once or with others. False if the outbox is full of what may not be dropped: the message is
        not signed then.
        """
        if not self._make_room(kind, len(cbor.encode(body)) + limits.ENVELOPE_BYTES_MAX, now):
            return False
        self._append(kind, body, now, segment.DROPS_NOTHING)
        return True

    def flush(self) -> None:
        """Store and offer what waits: before a restart, before sleep. OSError: the storage failed,
        and the board must restart.
        """
        self._outbox.flush()
        self._offer_stored()

    async def run(self) -> None:
        """Store what has waited long enough; never returns. Needed if store_every_ms is not 0."""
        if not self._board or not self._wake:
            return
        while True:
            pause_ms = None
            if self._waiting:
                pause_ms = self._since + self._store_every_ms - self._board.ticks()
            if pause_ms is not None and pause_ms <= 0:
                self.flush()
                continue
            await self._wake.wait(pause_ms)
            self._wake.clear()

    def _append(self, kind: int, body: "list[object]", now: "Now", mark: int) -> None:
        made = self._chain.append(kind, body, now, mark)
        self._waiting += made
        if now[1] == wire.SOURCE_NONE:
            self.unmapped = True
        if kind not in _MAY_WAIT:
            self._outbox.flush()
        self._offer_stored()
        if self._board and self._wake and 0 < len(self._waiting) <= len(made):
            self._since = self._board.ticks()
            self._wake.set()

    def _offer_stored(self) -> None:
        newest = self._outbox.newest
        while self._waiting and newest and self._waiting[0][0] <= newest[0]:
            self._sender.offer(self._waiting.pop(0))

    def _make_room(self, kind: int, size: int, now: "Now") -> bool:
        if self._outbox.room_for(kind, size):
            return True
        # Several drops at once: a gap among the readings to come parts them, the next drop there
        # frees less, and in the end nothing but gaps would be left.
        spare = self._bytes_max // 8
        while not self._outbox.room_for(kind, size + spare):
            drop = self._outbox.plan_drop(self._receipts.verified.covers)
            if drop is None or not self._outbox.room_for(wire.GAP, limits.ENVELOPE_BYTES_MAX):
                break
            gap = wire.gap_body(drop.first, drop.last, drop.count, wire.GAP_DROPPED)
            # The gap is durable before anything is gone; its mark finishes the job after a cut.
            self._append(wire.GAP, gap, now, drop.mark)
            self._outbox.apply_drop(drop)
            self.dropped += drop.count
        return self._outbox.room_for(kind, size)
