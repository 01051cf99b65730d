"""Form of a record in the outbox's files.

Header (16 bytes): length of the message (2), the same inverted (2), kind and mark in four bits
each (1), seq (7), check (4), all big endian; the check is the start of SHA-256 over the header
before it and the message. `mark` is local to the board and tells what a gap removes (DROPS_...).
"""

from hashlib import sha256

from .cose import MESSAGE_BYTES_MAX

HEADER_BYTES = 16
_CHECKED = 12
_LENGTH_MAX = 0xFFFF

DROPS_NOTHING = 0
DROPS_READINGS = 1
DROPS_ALL_DROPPABLE = 2


class Record:
    """One stored message; start and end are its place in the file, header included."""

    def __init__(self, kind: int, mark: int, seq: int, start: int, end: int) -> None:
        self.kind = kind
        self.mark = mark
        self.seq = seq
        self.start = start
        self.end = end

    def message(self, data: bytes) -> bytes:
        """The message, out of the file's content."""
        return data[self.start + HEADER_BYTES : self.end]


def encode(kind: int, mark: int, seq: int, message: bytes) -> bytes:
    """A record as it is appended."""
    size = len(message)
    head = (size << 16 | (size ^ _LENGTH_MAX)).to_bytes(4, "big")
    head += bytes([kind << 4 | mark]) + seq.to_bytes(7, "big")
    return head + sha256(head + message).digest()[: HEADER_BYTES - _CHECKED] + message


def scan(data: bytes) -> "tuple[list[Record], int, bool]":
    """(records, bytes that hold them, damaged).

    What a power cut tears off is the end of the last append, which may hold several records: one
    is shorter than its header says and is dropped, as it was never published. Anything else that
    does not check is damage. So the length has a check of its own: a record with a damaged one was
    published, and what stands behind it too.
    """
    records: "list[Record]" = []
    pos = 0
    while pos < len(data):
        if len(data) - pos < HEADER_BYTES:
            return records, pos, False
        size = int.from_bytes(data[pos : pos + 2], "big")
        end = pos + HEADER_BYTES + size
        inverted = int.from_bytes(data[pos + 2 : pos + 4], "big")
        if size ^ inverted != _LENGTH_MAX or size > MESSAGE_BYTES_MAX:
            return records, pos, True
        if end > len(data):
            return records, pos, False
        head = data[pos : pos + _CHECKED]
        check = data[pos + _CHECKED : pos + HEADER_BYTES]
        digest = sha256(head + data[pos + HEADER_BYTES : end]).digest()
        if digest[: HEADER_BYTES - _CHECKED] != check:
            return records, pos, True
        seq = int.from_bytes(head[5:], "big")
        records.append(Record(head[4] >> 4, head[4] & 15, seq, pos, end))
        pos = end
    return records, pos, False
