"""What of a device's seqs is delivered, and the receipt that says so (protocol section 7).

`Delivered` depends on the set of messages and not on their order; it is permanent state.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.cose import ID16_BYTES
from gateway.core.model import DeviceMessage, Gap
from gateway.core.ranges import Ranges
from gateway.core.verdicts import Verdict

RANGES_MAX = 32
REFUSED_MAX = 8
RECEIPT_BYTES_MAX = 512
NO_MESSAGE = bytes(ID16_BYTES)
# Envelope 94; array, version, kind, to, serial and time of the payload 38; of the body: array 1,
# up_to 9, id16 17, two list heads 3, gateway_ms 9. Serial and times count 9 whatever they are.
_FIXED_BYTES = 94 + 38 + 1 + 9 + 17 + 3 + 9


class ReceiptBody(NamedTuple):
    """The body of a receipt, field by field as on the wire."""

    up_to: int
    id16: bytes
    ranges: Ranges
    refused: tuple[tuple[int, int], ...]
    gateway_ms: int


class _Span(NamedTuple):
    """Delivered seqs first..last; the highest message in there (0 and b"" if only gaps)."""

    first: int
    last: int
    head_seq: int
    head_id16: bytes


@dataclass(slots=True)
class Delivered:
    """Delivered or finally refused seqs of one device, and its newest refusals."""

    spans: list[_Span] = field(default_factory=list)
    refused: list[tuple[int, int]] = field(default_factory=list)

    def add(self, message: DeviceMessage, verdict: Verdict) -> None:
        """Take in a message that has an admission entry with this verdict."""
        seq = message.seq
        self._cover(_Span(seq, seq, seq, message.message_id[:ID16_BYTES]))
        if verdict in {Verdict.BAD_BODY, Verdict.UNKNOWN_MAJOR}:
            newest = sorted({*self.refused, (seq, verdict.value)}, reverse=True)
            self.refused = newest[:REFUSED_MAX]
        elif isinstance(message.body, Gap):
            self._cover(_Span(message.body.first, message.body.last, 0, b""))

    @property
    def ranges(self) -> Ranges:
        """Every delivered seq."""
        return tuple((span.first, span.last) for span in self.spans)

    def receipt(self, gateway_ms: int) -> ReceiptBody:
        """The receipt of this moment: at most 32 ranges, 8 refusals and 512 bytes when signed."""
        up_to, id16, above = 0, NO_MESSAGE, self.spans
        if above and above[0].first == 1:
            up_to, above = above[0].last, above[1:]
            id16 = self.spans[0].head_id16 or NO_MESSAGE
        refused = tuple(self.refused)
        room = RECEIPT_BYTES_MAX - _FIXED_BYTES
        room -= sum(1 + _uint_bytes(seq) + _uint_bytes(code) for seq, code in refused)
        ranges = []
        for span in above[:RANGES_MAX]:
            room -= 1 + _uint_bytes(span.first) + _uint_bytes(span.last)
            if room < 0:
                break
            ranges.append((span.first, span.last))
        return ReceiptBody(up_to, id16, tuple(ranges), refused, gateway_ms)

    def _cover(self, new: _Span) -> None:
        """Merge a span with all that it overlaps or touches."""
        spans = self.spans
        low = bisect_right(spans, new.first, key=lambda span: span.first)
        if low and spans[low - 1].last >= new.first - 1:
            low -= 1
        high = low
        while high < len(spans) and spans[high].first <= new.last + 1:
            new = _joined(new, spans[high])
            high += 1
        spans[low:high] = [new]


def _joined(one: _Span, other: _Span) -> _Span:
    # Of a fork at the highest seq the smaller id stands: the choice must not know the order.
    head = one if (one.head_seq, other.head_id16) > (other.head_seq, one.head_id16) else other
    return _Span(
        min(one.first, other.first),
        max(one.last, other.last),
        head.head_seq,
        head.head_id16,
    )


def _uint_bytes(value: int) -> int:
    """Length of an unsigned integer in CBOR."""
    if value < 24:
        return 1
    return next(1 + size for size in (1, 2, 4, 8) if value < 1 << 8 * size)
