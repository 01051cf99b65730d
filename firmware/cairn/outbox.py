"""Signed messages that no receipt covers yet, in segment files that survive a power cut.

Seqs ascend within a segment and from segment to segment. RAM holds one small tuple a segment and
the messages that are staged for the next write, no other message. It knows kinds and seqs but
neither keys nor receipts: whoever calls free() and plan_drop() says which seqs are delivered. What
runs at boot and when storage is short is in outbox_repair.py.
"""

from . import limits, segment, wire
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Files
    from .outbox_repair import Drop, Found

    # (first, last) -> whether every seq of it is delivered
    Covers = Callable[[int, int], bool]
    # What RAM knows of one file: number, first and last seq, bytes, records, what may be dropped.
    # A tuple takes 32 bytes where an object took 112, and a full outbox has 128 files and more.
    Part = tuple[int, int, int, int, int, int]

PREFIX = "outbox/"
HAS_READINGS = 1
HAS_OTHERS = 2


def name_of(number: int) -> str:
    """The file of a segment."""
    return PREFIX + "%08d" % number


def grown(part: "Part", kind: int, seq: int, size: int) -> "Part":
    """The segment with one record more."""
    number, first, _, held, count, kinds = part
    if kind == wire.READINGS:
        kinds |= HAS_READINGS
    elif kind not in wire.NEVER_DROPPED:
        kinds |= HAS_OTHERS
    return number, first or seq, seq, held + size, count + 1, kinds


class Outbox:
    """Opened once at boot; `newest` is (seq, message) of the highest seq on flash, or None; size
    and count hold what is staged too.

    lost: ranges of seqs that damage (no torn tail) has taken; tail_lost: it took the newest too.
    """

    def __init__(self, files: "Files", bytes_max: int, *, batched: bool = False) -> None:
        self._files = files
        self._bytes_max = bytes_max
        self._batched = batched
        self._segments: "list[Part]" = []
        # Headers and messages by turns, to follow what the last segment's file holds.
        self._staged: "list[bytes]" = []
        self._staged_bytes = 0
        self._staged_seq = 0
        self._failed = False
        self._roll = False
        self._number = 0
        self.size = 0
        self.count = 0
        self.newest: "tuple[int, bytes] | None" = None
        self.lost: "list[tuple[int, int]]" = []
        self.tail_lost = False
        # Names, and how many bytes at their start are sound.
        self._damaged: "list[tuple[str, int]]" = []
        self._open()

    def append(self, kind: int, mark: int, seq: int, message: bytes) -> None:
        """Durable when it returns, or if batched, when flush() has returned. OSError if the
        storage is full or broken: nothing is taken any more then until a restart.
        """
        # The sender will hold the same message: no second copy of it waits here.
        header = segment.encode(kind, mark, seq, message)[: segment.HEADER_BYTES]
        size = len(header) + len(message)
        parts = self._segments
        if not parts or self._roll or parts[-1][3] + size > limits.SEGMENT_BYTES:
            self.flush()
            self._number += 1
            parts.append((self._number, 0, 0, 0, 0, 0))
            self._roll = False
        elif self._staged_bytes + size > limits.STAGED_BYTES_MAX:
            self.flush()
        self._staged += [header, message]
        self._staged_bytes += size
        self._staged_seq = seq
        parts[-1] = grown(parts[-1], kind, seq, size)
        self.size += size
        self.count += 1
        if not self._batched:
            self.flush()

    def flush(self) -> None:
        """Write what is staged in one append, of which a power cut leaves the first records at
        worst, as if only they had been written.
        """
        if self._failed:
            # The file may end in a torn record: nothing may follow it.
            raise OSError("the outbox needs a restart")
        if self._staged:
            self._failed = True
            self._files.append(name_of(self._segments[-1][0]), b"".join(self._staged))
            self._failed = False
            self.newest = (self._staged_seq, self._staged[-1])
            self._staged = []
            self._staged_bytes = 0

    def room_for(self, kind: int, size: int) -> bool:
        """Whether a message of this size may be stored without dropping others."""
        spare = limits.OUTBOX_RESERVE_BYTES if kind in wire.NEVER_DROPPED else 0
        return self.size + size + segment.HEADER_BYTES <= self._bytes_max + spare

    def crowded(self) -> bool:
        """Whether freeing has become urgent."""
        return 2 * self.size > self._bytes_max

    def stride(self) -> int:
        """Of how many samples one should be kept while nothing can be sent: 1 below half full,
        then twice as many with every eighth, up to 16.
        """
        return 1 << min(max(8 * self.size // self._bytes_max - 3, 0), 4)

    def messages(
        self,
        after: int,
        up_to: int,
        count_max: int,
        covers: "Covers",
        kinds: "tuple[int, ...] | None",
    ) -> "list[tuple[int, bytes]]":
        """At most count_max (seq, message) on flash that are not covered, after < seq <= up_to,
        ascending; fewer if they are long. kinds None: all.
        """
        found: "list[tuple[int, bytes]]" = []
        left = count_max * limits.USUAL_BYTES
        for number, first, last, _, _, _ in self._segments:
            if last <= after or covers(first, last):
                continue
            if first > up_to or len(found) == count_max:
                break
            data = self._files.read(name_of(number)) or b""
            for record in segment.scan(data)[0]:
                if len(found) == count_max or record.seq > up_to:
                    break
                if record.seq <= after or covers(record.seq, record.seq):
                    continue
                if kinds is None or record.kind in kinds:
                    left -= record.end - record.start
                    if found and left < 0:
                        return found
                    found.append((record.seq, record.message(data)))
        return found

    def find(self, up_to: int) -> "bytes | None":
        """The message on flash with the highest seq <= up_to."""
        for part in reversed(self._segments):
            if part[1] <= up_to:
                data = self._files.read(name_of(part[0])) or b""
                best = None
                for record in segment.scan(data)[0]:
                    if record.seq <= up_to:
                        best = record
                # None: all of it is staged.
                if best:
                    return best.message(data)
        return None

    def freeable(self, covers: "Covers") -> int:
        """Bytes of the segments that free() would remove."""
        return sum([part[3] for part in self._covered(covers)])

    def free(self, covers: "Covers") -> None:
        """Remove the segments of which every record is delivered, never the newest record's."""
        parts = self._covered(covers)
        if parts:
            # The last segment may be staged as a whole: then the newest record is before it.
            self.flush()
        for part in parts:
            self._segments.remove(part)
            self.size -= part[3]
            self.count -= part[4]
            self._files.remove(name_of(part[0]))

    def plan_drop(self, covers: "Covers") -> "Drop | None":
        """What to drop next (outbox_repair.py); None if nothing is left that is worth a gap."""
        repair = borrow("outbox_repair")
        drop: "Drop | None" = repair.plan(
            self._files, self._segments[:-1], self._bytes_max, covers
        )
        return drop

    def apply_drop(self, drop: "Drop") -> None:
        """Remove what the drop's gap, which must be on flash by now, accounts for."""
        borrow("outbox_repair").apply(self._files, self._segments, drop)
        self._count()

    def mend(self) -> None:
        """Cut damaged files behind their sound records, once a gap accounts for the rest."""
        if self._damaged:
            self.flush()
        for name, sound in self._damaged:
            if sound:
                self._files.write(name, (self._files.read(name) or b"")[:sound])
            else:
                self._files.remove(name)
        self._damaged = []
        self.lost = []
        self.tail_lost = False

    def _covered(self, covers: "Covers") -> "list[Part]":
        if self._damaged:
            return []
        return [part for part in self._segments[:-1] if covers(part[1], part[2])]

    def _open(self) -> None:
        found: "Found" = borrow("outbox_repair").take_up(self._files)
        self._segments, self._number, self.newest = found[0], found[1], found[2]
        self._damaged, self.lost, self.tail_lost = found[3], found[4], found[5]
        self._roll = bool(self._damaged)
        self._count()

    def _count(self) -> None:
        self.size = sum([part[3] for part in self._segments])
        self.count = sum([part[4] for part in self._segments])
