"""Signed messages that no receipt covers yet, in segment files that survive a power cut.

Seqs ascend within a segment and from segment to segment. RAM holds one small object a segment,
never a message. It knows kinds and seqs but neither keys nor receipts: whoever calls free() and
plan_drop() says which seqs are delivered.
"""

from . import limits, segment, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .boards.base import Files

    # (first, last) -> whether every seq of it is delivered
    Covers = Callable[[int, int], bool]

PREFIX = "outbox/"


class Segment:
    """What RAM knows of one file. readings and others count what may be dropped."""

    def __init__(self, number: int) -> None:
        self.name = PREFIX + "%08d" % number
        self.size = 0
        self.first = 0
        self.last = 0
        self.count = 0
        self.readings = 0
        self.others = 0

    def add(self, kind: int, seq: int, size: int) -> None:
        if not self.count:
            self.first = seq
        self.last = seq
        self.size += size
        self.count += 1
        if kind == wire.READINGS:
            self.readings += 1
        elif kind not in wire.NEVER_DROPPED:
            self.others += 1

    def droppable(self, mark: int) -> int:
        """How many records a drop with this mark would take from here."""
        return self.readings + (self.others if mark == segment.DROPS_ALL_DROPPABLE else 0)


class Drop:
    """Messages about to be dropped: first..last, count of them, and the mark of their gap."""

    def __init__(self, first: int, last: int, count: int, mark: int) -> None:
        self.first = first
        self.last = last
        self.count = count
        self.mark = mark


def takes(mark: int, kind: int) -> bool:
    """Whether a gap with this mark removes messages of this kind from its range."""
    if mark == segment.DROPS_READINGS:
        return kind == wire.READINGS
    return mark == segment.DROPS_ALL_DROPPABLE and kind not in wire.NEVER_DROPPED


class Outbox:
    """Opened once at boot; `newest` is (seq, message) of the highest stored seq, or None.

    lost: ranges of seqs that damage (no torn tail) has taken; tail_lost: it took the newest too.
    """

    def __init__(self, files: "Files", bytes_max: int) -> None:
        self._files = files
        self._bytes_max = bytes_max
        self._segments: "list[Segment]" = []
        self._roll = False
        self._number = 0
        self.size = 0
        self.count = 0
        self.newest: "tuple[int, bytes] | None" = None
        self.lost: "list[tuple[int, int]]" = []
        self.tail_lost = False
        self._damaged: "list[tuple[str, bytes]]" = []
        self._open()

    def append(self, kind: int, mark: int, seq: int, message: bytes) -> None:
        """Durable when it returns; OSError if the storage is full or broken."""
        record = segment.encode(kind, mark, seq, message)
        last = self._segments[-1] if self._segments else None
        if last is None or self._roll or last.size + len(record) > limits.SEGMENT_BYTES:
            self._number += 1
            last = Segment(self._number)
            self._files.append(last.name, record)
            self._segments.append(last)
            self._roll = False
        else:
            # After a failed append the file may end in a torn record: nothing may follow it.
            self._roll = True
            self._files.append(last.name, record)
            self._roll = False
        last.add(kind, seq, len(record))
        self.size += len(record)
        self.count += 1
        self.newest = (seq, message)

    def room_for(self, kind: int, size: int) -> bool:
        """Whether a message of this size may be stored without dropping others."""
        spare = limits.OUTBOX_RESERVE_BYTES if kind in wire.NEVER_DROPPED else 0
        return self.size + size + segment.HEADER_BYTES <= self._bytes_max + spare

    def crowded(self) -> bool:
        """Whether freeing has become urgent."""
        return 2 * self.size > self._bytes_max

    def messages(
        self,
        after: int,
        up_to: int,
        count_max: int,
        covers: "Covers",
        kinds: "tuple[int, ...] | None",
    ) -> "list[tuple[int, bytes]]":
        """At most count_max (seq, message) that are not covered, after < seq <= up_to, ascending;
        kinds None: all.
        """
        found: "list[tuple[int, bytes]]" = []
        for part in self._segments:
            if part.last <= after or covers(part.first, part.last):
                continue
            if part.first > up_to or len(found) == count_max:
                break
            data = self._files.read(part.name) or b""
            for record in segment.scan(data)[0]:
                if len(found) == count_max or record.seq > up_to:
                    break
                if record.seq <= after or covers(record.seq, record.seq):
                    continue
                if kinds is None or record.kind in kinds:
                    found.append((record.seq, record.message(data)))
        return found

    def find(self, up_to: int) -> "bytes | None":
        """The stored message with the highest seq <= up_to."""
        for part in reversed(self._segments):
            if part.first <= up_to:
                data = self._files.read(part.name) or b""
                best = None
                for record in segment.scan(data)[0]:
                    if record.seq <= up_to:
                        best = record
                return best.message(data) if best else None
        return None

    def freeable(self, covers: "Covers") -> int:
        """Bytes of the segments that free() would remove."""
        return sum([part.size for part in self._covered(covers)])

    def free(self, covers: "Covers") -> None:
        """Remove the segments of which every record is delivered, never the newest record's."""
        for part in self._covered(covers):
            self._forget(part)
            self._files.remove(part.name)

    def plan_drop(self, covers: "Covers") -> "Drop | None":
        """The oldest undelivered readings that stand side by side, at most an eighth of the outbox
        of them; without readings other droppable kinds. None if nothing is left whose removal
        frees more than its gap takes.

        The range ends before the first message that stays: the gateway counts a gap's whole range
        as delivered, so a receipt could no longer tell whether that message arrived. The last
        segment is left alone.
        """
        for mark in (segment.DROPS_READINGS, segment.DROPS_ALL_DROPPABLE):
            for drop, size in self._runs(mark, covers):
                if size > limits.GAP_RECORD_BYTES_MAX:
                    return drop
        return None

    def apply_drop(self, drop: Drop) -> None:
        """Remove what the drop's gap, which must be stored by now, accounts for.

        Cut short by a power cut, it is taken up again when the outbox opens: the gap's mark says
        what to do. What stays of the touched segments is packed into as few as needed.
        """
        # All of the range's segments, so that packing keeps the seqs ascending.
        touched = [
            part for part in self._segments if part.first <= drop.last and drop.first <= part.last
        ]
        if not sum([part.droppable(drop.mark) for part in touched]):
            return
        packed: "list[bytes]" = []
        removed = 0
        for part in touched:
            data = self._files.read(part.name) or b""
            for record in segment.scan(data)[0]:
                if drop.first <= record.seq <= drop.last and takes(drop.mark, record.kind):
                    removed += 1
                    continue
                kept = data[record.start : record.end]
                if not packed or len(packed[-1]) + len(kept) > limits.SEGMENT_BYTES:
                    packed.append(b"")
                packed[-1] += kept
        if removed:
            self._write_packed(touched, packed)

    def mend(self) -> None:
        """Cut damaged files behind their sound records, once a gap accounts for the rest."""
        for name, sound in self._damaged:
            if sound:
                self._files.write(name, sound)
            else:
                self._files.remove(name)
        self._damaged = []
        self.lost = []
        self.tail_lost = False

    def _covered(self, covers: "Covers") -> "list[Segment]":
        if self._damaged:
            return []
        return [part for part in self._segments[:-1] if covers(part.first, part.last)]

    def _runs(self, mark: int, covers: "Covers") -> "Iterator[tuple[Drop, int]]":
        """Undelivered records side by side that a gap of this mark may take, and their size."""
        drop, size = Drop(0, 0, 0, mark), 0
        for part in self._segments[:-1]:
            if not drop.count and not part.droppable(mark):
                continue
            data = self._files.read(part.name) or b""
            for record in segment.scan(data)[0]:
                if covers(record.seq, record.seq):
                    continue
                if takes(mark, record.kind):
                    drop.first = drop.first or record.seq
                    drop.last = record.seq
                    drop.count += 1
                    size += record.end - record.start
                    if size * 8 < self._bytes_max:
                        continue
                if drop.count:
                    yield drop, size
                    drop, size = Drop(0, 0, 0, mark), 0
        if drop.count:
            yield drop, size

    def _write_packed(self, touched: "list[Segment]", packed: "list[bytes]") -> None:
        # Written front to back before anything is removed, so a power cut leaves a record twice
        # at worst, the copy behind seqs that are above its own; _open skips it.
        for index, part in enumerate(touched):
            if index < len(packed):
                self._files.write(part.name, packed[index])
                self._forget_counts(part)
                self._count_in(part, segment.scan(packed[index])[0])
            else:
                self._forget(part)
                self._files.remove(part.name)

    def _forget(self, part: Segment) -> None:
        self.size -= part.size
        self.count -= part.count
        self._segments.remove(part)

    def _forget_counts(self, part: Segment) -> None:
        self.size -= part.size
        self.count -= part.count
        part.size = part.count = part.readings = part.others = 0

    def _count_in(self, part: Segment, records: "list[segment.Record]") -> None:
        for record in records:
            part.add(record.kind, record.seq, record.end - record.start)
        self.size += part.size
        self.count += part.count

    def _open(self) -> None:
        drops: "list[Drop]" = []
        top = 0
        for name in self._files.names(PREFIX):
            self._number = int(name[len(PREFIX) :])
            data = self._files.read(name) or b""
            records, sound, damaged = segment.scan(data)
            fresh = [record for record in records if record.seq > top]
            if damaged:
                self._damaged.append((name, data[:sound]))
            elif len(fresh) != len(records) or sound != len(data) or not records:
                data = self._rewrite(name, data, fresh)
                fresh = segment.scan(data)[0]
            if fresh:
                if self.tail_lost and top + 1 < fresh[0].seq:
                    self.lost.append((top + 1, fresh[0].seq - 1))
                self.tail_lost = False
                self._take(data, fresh, drops)
                top = fresh[-1].seq
            self.tail_lost = self.tail_lost or damaged
        self._roll = bool(self._damaged)
        for drop in drops:
            self.apply_drop(drop)

    def _take(self, data: bytes, records: "list[segment.Record]", drops: "list[Drop]") -> None:
        part = Segment(self._number)
        self._count_in(part, records)
        self._segments.append(part)
        self.newest = (records[-1].seq, records[-1].message(data))
        for record in records:
            if record.mark != segment.DROPS_NOTHING:
                first, last = _gap_range(record.message(data))
                drops.append(Drop(first, last, 0, record.mark))

    def _rewrite(self, name: str, data: bytes, records: "list[segment.Record]") -> bytes:
        kept = b"".join([data[record.start : record.end] for record in records])
        if kept:
            self._files.write(name, kept)
        else:
            self._files.remove(name)
        return kept


def _gap_range(message: bytes) -> "tuple[int, int]":
    body = wire.fields_of(message)[7]
    return body[0], body[1]
