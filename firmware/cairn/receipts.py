"""Which seqs the gateway has made durable (spec/protocol.md section 7).

The newest receipt that passes the cheap checks says what need not be sent again. Only a verified
one is remembered in the file "receipt" and may free storage.
"""

from . import cbor, sealed

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Files
    from .chain import Chain
    from .cose import Sign1

FILE = "receipt"
_NOTHING = cbor.encode([0, bytes(16)])


class Receipt:
    """A receipt that passed check(); opened, serial and time_ms are for its verification."""

    def __init__(
        self,
        up_to: int,
        id16: bytes,
        ranges: "tuple[tuple[int, int], ...]",
        refused: "tuple[tuple[int, int], ...]",
        signed: "tuple[Sign1, int, int] | None",
    ) -> None:
        self.up_to = up_to
        self.id16 = id16
        self.ranges = ranges
        self.refused = refused
        self.signed = signed

    def covers(self, first: int, last: int) -> bool:
        """Whether every seq first..last is delivered or finally refused."""
        if last <= self.up_to:
            return True
        first = max(first, self.up_to + 1)
        for low, high in self.ranges:
            if low <= first and last <= high:
                return True
        if first != last:
            return False
        return any(seq == first for seq, _ in self.refused)

    def highest(self) -> int:
        """The highest seq that it names."""
        highest = self.ranges[-1][1] if self.ranges else self.up_to
        for seq, _ in self.refused:
            highest = max(highest, seq)
        return highest


class Receipts:
    """newest: passed the cheap checks; verified: its signature was checked too."""

    def __init__(self, files: "Files") -> None:
        self._files = files
        # Without the file the oldest receipt would do: what it covers is only sent less often.
        up_to, id16 = cbor.decode(sealed.read(files, FILE) or _NOTHING)
        self.verified = Receipt(up_to, id16, (), (), None)
        self.newest = self.verified

    def check(self, receipt: Receipt, chain: "Chain") -> str:
        """Why the receipt is refused, or "". After a loss of the chain only its age counts."""
        if receipt.up_to < self.verified.up_to:
            return "lower_up_to"
        if chain.lost:
            return ""
        if receipt.highest() > chain.highest:
            return "above_highest"
        if receipt.id16 == self.verified.id16 or chain.knows(receipt.id16, receipt.up_to):
            return ""
        # A board that lost its flash has to take the gateway's word for what it once signed: it
        # would not be registered again, and never send the gap that mends this.
        return "" if chain.forgot(receipt.up_to) else "unknown_id"

    def covers(self, first: int, last: int) -> bool:
        """Whether nothing of first..last needs to be sent again."""
        return self.newest.covers(first, last) or self.verified.covers(first, last)

    def accept(self, receipt: Receipt) -> None:
        """Take a receipt whose signature was verified; the newest may be newer by now."""
        if (receipt.up_to, receipt.id16) != (self.verified.up_to, self.verified.id16):
            sealed.write(self._files, FILE, cbor.encode([receipt.up_to, receipt.id16]))
        self.verified = receipt

    def discard(self, receipt: Receipt) -> None:
        """Drop a receipt whose signature was false."""
        if self.newest is receipt:
            self.newest = self.verified
