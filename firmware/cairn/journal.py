"""How a message becomes part of the station's chain: room, gap, signature, storage, publication.

Everything that the station says passes here, one message after the other and without awaiting.
"""

from . import cbor, limits, segment, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .chain import Chain
    from .outbox import Outbox
    from .receipts import Receipts
    from .sender import Sender

    Now = tuple[int, int, int]


class Journal:
    """dropped: messages that were signed and dropped for want of room; unmapped: whether any of
    this boot was signed without UTC, so that a clock message has to follow.
    """

    def __init__(
        self,
        outbox: "Outbox",
        chain: "Chain",
        receipts: "Receipts",
        sender: "Sender",
        bytes_max: int,
    ) -> None:
        self._outbox = outbox
        self._chain = chain
        self._receipts = receipts
        self._sender = sender
        self._bytes_max = bytes_max
        self.dropped = 0
        self.unmapped = False

    def write(self, kind: int, body: "list[object]", now: "Now") -> bool:
        """Sign, store and offer a message made at now (time_ms, source, uncertainty_ms). False if
        the outbox is full of what may not be dropped: the message is not signed then.
        """
        if not self._make_room(kind, len(cbor.encode(body)) + limits.ENVELOPE_BYTES_MAX, now):
            return False
        self._append(kind, body, now, segment.DROPS_NOTHING)
        return True

    def _append(self, kind: int, body: "list[object]", now: "Now", mark: int) -> None:
        for record in self._chain.append(kind, body, now, mark):
            self._sender.offer(record)
        if now[1] == wire.SOURCE_NONE:
            self.unmapped = True

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
