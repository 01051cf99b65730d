"""The gateway's entropy: one hash chain for each UTC day, its end signed before the day.

Links are not signed. A link is good if hashing it leads to the newest good one or to the day's end
(spec/coverage.md): at most 1,440 hashes, as a rule one.
"""

from hashlib import sha256

from . import limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    # slot, chain value, external entropy
    Link = tuple[int, bytes, bytes]


class Entropy:
    """waiting: the newest link whose day has no verified end yet."""

    def __init__(self) -> None:
        self._ends: "dict[int, bytes]" = {}
        self._slot = -1
        self._chain = b""
        self.waiting: "Link | None" = None

    def end_of(self, day: int) -> "bytes | None":
        """The verified end of a day's chain."""
        return self._ends.get(day)

    def commit(self, day: int, end: bytes, today: int) -> None:
        """A verified end. What is older than yesterday goes."""
        self._ends[day] = end
        for old in list(self._ends):
            if old < today - 1:
                del self._ends[old]

    def take(self, link: "Link") -> "tuple[bytes, str]":
        """(entropy of the slot, "") or (b"", why not); (b"", "") if the link has to wait."""
        slot, chain, external = link
        day = slot // limits.SLOTS_A_DAY
        end = self._ends.get(day)
        if end is None:
            self.waiting = link
            return b"", ""
        if slot <= self._slot:
            return b"", "entropy_old"
        if self._slot // limits.SLOTS_A_DAY == day:
            known, steps = self._chain, slot - self._slot
        else:
            known, steps = end, slot - day * limits.SLOTS_A_DAY + 1
        value = chain
        for _ in range(steps):
            value = sha256(value).digest()
        if value != known:
            return b"", "entropy_chain"
        self._slot, self._chain = slot, chain
        return sha256(chain + external).digest(), ""

    def take_waiting(self) -> "tuple[int, bytes, str]":
        """(slot, entropy, code) as take(), for the link that waited; slot -1 if there is none or
        its day still has no end.
        """
        link = self.waiting
        if link is None or link[0] // limits.SLOTS_A_DAY not in self._ends:
            return -1, b"", ""
        self.waiting = None
        value, code = self.take(link)
        return link[0], value, code
