"""The outbox at boot and when it is full: reading its files, dropping messages, cut-off drops.

Works on the files and the list of segments alone: outbox.py, which has what runs all the time,
borrows this module.
"""

from . import limits, segment, wire
from .outbox import HAS_OTHERS, HAS_READINGS, PREFIX, grown, name_of

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .boards.base import Files
    from .outbox import Covers, Part

    Newest = tuple[int, bytes] | None
    # segments, number of the last, newest, damaged, lost, tail_lost
    Found = tuple[list[Part], int, Newest, list[tuple[str, int]], list[tuple[int, int]], bool]


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


def plan(
    files: "Files", segments: "list[Part]", bytes_max: int, covers: "Covers"
) -> "Drop | None":
    """The oldest undelivered readings that stand side by side, at most an eighth of the outbox of
    them; without readings other droppable kinds. None if nothing is left whose removal frees more
    than its gap takes. segments: all but the last, which is left alone.

    The range ends before the first message that stays: the gateway counts a gap's whole range as
    delivered, so a receipt could no longer tell whether that message arrived.
    """
    for mark in (segment.DROPS_READINGS, segment.DROPS_ALL_DROPPABLE):
        for drop, size in _runs(files, segments, bytes_max, mark, covers):
            if size > limits.GAP_RECORD_BYTES_MAX:
                return drop
    return None


def apply(files: "Files", segments: "list[Part]", drop: Drop) -> None:
    """Remove what the drop's gap accounts for. Cut short by a power cut, it is taken up again at
    the next boot: the gap's mark says what to do. What stays of the touched segments is packed
    into as few as needed.
    """
    # All of the range's segments, so that packing keeps the seqs ascending.
    touched = [part for part in segments if part[1] <= drop.last and drop.first <= part[2]]
    if not sum([_taken(files, part, drop) for part in touched if _droppable(part, drop.mark)]):
        return
    # Never further than what was read: part of a file packs into no more files than all of it.
    bytes_max = max([limits.SEGMENT_BYTES] + [part[3] for part in touched])
    kept: "list[bytes]" = []
    size = written = 0
    # Written front to back before anything is removed, so a power cut leaves a record twice at
    # worst, the copy behind seqs that are above its own; take_up() skips it.
    for part in touched:
        data = files.read(name_of(part[0])) or b""
        for record in segment.scan(data)[0]:
            if _takes(drop, record):
                continue
            length = record.end - record.start
            if kept and size + length > bytes_max:
                _replace(files, segments, touched[written], kept)
                kept, size, written = [], 0, written + 1
            kept.append(data[record.start : record.end])
            size += length
    if kept:
        _replace(files, segments, touched[written], kept)
        written += 1
    for part in touched[written:]:
        segments.remove(part)
        files.remove(name_of(part[0]))


def take_up(files: "Files") -> "Found":
    """Read the outbox, finish what a power cut interrupted, and tell what is there."""
    segments: "list[Part]" = []
    damages: "list[tuple[str, int]]" = []
    lost: "list[tuple[int, int]]" = []
    drops: "list[Drop]" = []
    newest = None
    number = top = 0
    tail_lost = False
    for name in files.names(PREFIX):
        number = int(name[len(PREFIX) :])
        data = files.read(name) or b""
        records, sound, damaged = segment.scan(data)
        fresh = [record for record in records if record.seq > top]
        if damaged:
            damages.append((name, sound))
        elif len(fresh) != len(records) or sound != len(data) or not records:
            data = _rewrite(files, name, data, fresh)
            fresh = segment.scan(data)[0]
        if fresh:
            if tail_lost and top + 1 < fresh[0].seq:
                lost.append((top + 1, fresh[0].seq - 1))
            tail_lost = False
            segments.append(_part(number, fresh))
            drops += _drops_of(data, fresh)
            top = fresh[-1].seq
            newest = (top, fresh[-1].message(data))
        tail_lost = tail_lost or damaged
    for drop in drops:
        apply(files, segments, drop)
    return segments, number, newest, damages, lost, tail_lost


def _droppable(part: "Part", mark: int) -> bool:
    """Whether a drop with this mark would take anything from here."""
    wanted = HAS_READINGS | HAS_OTHERS if mark == segment.DROPS_ALL_DROPPABLE else HAS_READINGS
    return part[5] & wanted != 0


def _runs(
    files: "Files", segments: "list[Part]", bytes_max: int, mark: int, covers: "Covers"
) -> "Iterator[tuple[Drop, int]]":
    """Undelivered records side by side that a gap of this mark may take, and their size."""
    drop, size = Drop(0, 0, 0, mark), 0
    for part in segments:
        if not drop.count and not _droppable(part, mark):
            continue
        data = files.read(name_of(part[0])) or b""
        for record in segment.scan(data)[0]:
            if covers(record.seq, record.seq):
                continue
            if takes(mark, record.kind):
                drop.first = drop.first or record.seq
                drop.last = record.seq
                drop.count += 1
                size += record.end - record.start
                if size * 8 < bytes_max:
                    continue
            if drop.count:
                yield drop, size
                drop, size = Drop(0, 0, 0, mark), 0
    if drop.count:
        yield drop, size


def _takes(drop: Drop, record: segment.Record) -> bool:
    return drop.first <= record.seq <= drop.last and takes(drop.mark, record.kind)


def _taken(files: "Files", part: "Part", drop: Drop) -> int:
    """How many records the drop still takes from a segment."""
    records = segment.scan(files.read(name_of(part[0])) or b"")[0]
    return len([record for record in records if _takes(drop, record)])


def _replace(files: "Files", segments: "list[Part]", part: "Part", kept: "list[bytes]") -> None:
    data = b"".join(kept)
    files.write(name_of(part[0]), data)
    segments[segments.index(part)] = _part(part[0], segment.scan(data)[0])


def _part(number: int, records: "list[segment.Record]") -> "Part":
    part = (number, 0, 0, 0, 0, 0)
    for record in records:
        part = grown(part, record.kind, record.seq, record.end - record.start)
    return part


def _drops_of(data: bytes, records: "list[segment.Record]") -> "list[Drop]":
    drops = []
    for record in records:
        if record.mark != segment.DROPS_NOTHING:
            body = wire.fields_of(record.message(data))[7]
            drops.append(Drop(body[0], body[1], 0, record.mark))
    return drops


def _rewrite(files: "Files", name: str, data: bytes, records: "list[segment.Record]") -> bytes:
    kept = b"".join([data[record.start : record.end] for record in records])
    if kept:
        files.write(name, kept)
    else:
        files.remove(name)
    return kept
