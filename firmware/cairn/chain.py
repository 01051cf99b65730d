"""Seq, prev and boot of a device's messages: reserve, sign, store, and only then publish.

The file "chain" holds CBOR [boot, first seq that is not reserved]. Everything else about the
chain is read back from the newest record of the outbox, which is never deleted. A message that
was signed and not stored was never published, so nobody can hold it against the chain. That goes
for messages that are staged in RAM too: their seqs were reserved before they were signed.
"""

from hashlib import sha256

from . import cbor, cose, limits, sealed, segment, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Files
    from .outbox import Outbox

FILE = "chain"
NO_PREV = bytes(16)
_RECENT = 32
_BOOT_AFTER_LOSS = 1 << 31


def create(files: "Files") -> None:
    """Start the chain of a new key: forgets what an older key left, the configuration excepted.

    Whoever makes the key calls this before the key is stored. A Node that finds no chain takes
    it for lost.
    """
    for name in files.names(""):
        if name not in ("config", "config.spare"):
            files.remove(name)
    sealed.write(files, FILE, cbor.encode([0, 1]))


class Chain:
    """highest: the last seq stored or staged; first: what this boot signs has this seq or a higher
    one; lost: append() needs a resume() first.
    """

    def __init__(
        self,
        files: "Files",
        outbox: "Outbox",
        sign: "Callable[[bytes], bytes]",
        device: bytes,
        network_id: bytes,
    ) -> None:
        self._files = files
        self._outbox = outbox
        self._sign = sign
        self._device = device
        self._network_id = network_id
        self._recent: "list[tuple[int, bytes]]" = []
        self._gaps: "list[tuple[int, int, int]]" = []
        self._prev = NO_PREV
        self._failed = False
        self.boot = 0
        self.lost = False
        self.highest = outbox.newest[0] if outbox.newest else 0
        self._open(_stored(files))

    def append(
        self, kind: int, body: "list[object]", now: "tuple[int, int, int]", mark: int
    ) -> "list[tuple[int, int, bytes]]":
        """Sign and store a message, made at now (time_ms, source, uncertainty_ms); before the
        first of a boot the gaps for what the last boot left unused or damage took. Returns
        (seq, kind, message) of each. OSError: the storage failed, and the board must restart.
        """
        if self._failed or self.lost:
            raise OSError("the chain needs a restart or a receipt")
        made = []
        if self._gaps:
            for first, last, reason in self._gaps:
                gap = wire.gap_body(first, last, 0, reason)
                made.append(self._write(wire.GAP, gap, now, segment.DROPS_NOTHING))
            self._gaps = []
            self._outbox.mend()
        made.append(self._write(kind, body, now, mark))
        return made

    def resume(self, receipt: "tuple[int, int] | None", draw: bytes) -> None:
        """Go on after a loss. receipt: (up_to, highest seq named) of a verified one, None if none
        came. The count of boots is lost too: it goes on from 4 random bytes in the upper half,
        so that no clock message of an earlier boot is taken for this one's.
        """
        if receipt is None:
            delivered, start = 0, limits.SEQ_UNKNOWN_START
        else:
            delivered, start = receipt[0], receipt[1] + limits.SEQ_SAFE_DISTANCE
        start = max(start, self.highest + limits.SEQ_SAFE_DISTANCE)
        self.boot = _BOOT_AFTER_LOSS | int.from_bytes(draw, "big")
        self._next = self._reserved = self.first = start
        self._prev = NO_PREV
        # What is still stored comes by itself: no gap may cover it.
        self._gaps = [(max(delivered, self.highest) + 1, start - 1, wire.GAP_CHAIN_LOST)]
        self.highest = start - 1
        self.lost = False

    def close(self) -> None:
        """Give back what is reserved and not used, before a restart or sleep: the next boot then
        has no gap to sign. OSError: as append().
        """
        if self._failed or self.lost or self._next == self._reserved:
            return
        # Failed until it is done: whichever number the file holds then, none is used meanwhile.
        self._failed = True
        sealed.write(self._files, FILE, cbor.encode([self.boot, self._next]))
        self._reserved = self._next
        self._failed = False

    def knows(self, id16: bytes, up_to: int) -> bool:
        """Whether id16 starts the id of one of the newest messages of seq <= up_to that are still
        at hand, or of the highest such message in the outbox.
        """
        for seq, known in self._recent:
            if seq <= up_to and known == id16:
                return True
        message = self._outbox.find(up_to)
        return message is not None and self._id16(message) == id16

    def forgot(self, up_to: int) -> bool:
        """Whether there were messages of seq <= up_to, and none of them is at hand any more."""
        return up_to > 0 and self._outbox.find(up_to) is None

    def _open(self, stored: "tuple[int, int] | None") -> None:
        newest, tail_lost = self._outbox.newest, self._outbox.tail_lost
        boot, reserved = stored or (0, 0)
        if newest:
            self._prev = self._id16(newest[1])
            boot = max(boot, wire.fields_of(newest[1])[2])
            # Nothing above the newest record was published; the distance is for a lost block.
            spare = 1 if stored else limits.SEQ_BLOCK
            reserved = max(reserved, newest[0] + spare)
        self.lost = stored is None and (newest is None or tail_lost)
        self.boot = boot + 1
        self._next = self._reserved = self.first = reserved
        reason = wire.GAP_UNUSED
        if tail_lost or (newest is None and reserved > 1):
            # What stood in the damaged part, or whether anything stood in a vanished outbox, is
            # not known: prev is given up rather than risked to be shared.
            self._prev, reason = NO_PREV, wire.GAP_CHAIN_LOST
            # Only that gap may go without a prev, so there has to be one.
            self._next = self._reserved = reserved = max(reserved, self.highest + 2)
        if self.highest + 1 < reserved:
            self._gaps.append((self.highest + 1, reserved - 1, reason))
        for first, last in self._outbox.lost:
            self._gaps.append((first, last, wire.GAP_CHAIN_LOST))
        if not self._gaps and not self.lost:
            # Damage that took nothing needs no gap, but nothing is freed before it is mended.
            self._outbox.mend()

    def _write(
        self, kind: int, body: "list[object]", now: "tuple[int, int, int]", mark: int
    ) -> "tuple[int, int, bytes]":
        self._failed = True
        seq = self._next
        if seq == self._reserved:
            sealed.write(self._files, FILE, cbor.encode([self.boot, seq + limits.SEQ_BLOCK]))
            self._reserved = seq + limits.SEQ_BLOCK
        payload = wire.encode_payload(
            kind=kind,
            boot=self.boot,
            seq=seq,
            prev=self._prev,
            time_ms=now[0],
            source=now[1],
            uncertainty_ms=now[2],
            body=body,
        )
        message, message_id = cose.sign1(
            self._sign, self._device, self._network_id, "device", payload
        )
        self._outbox.append(kind, mark, seq, message)
        self._next = seq + 1
        self.highest = seq
        self._prev = message_id[:16]
        self._recent.append((seq, self._prev))
        if len(self._recent) > _RECENT:
            self._recent.pop(0)
        self._failed = False
        return seq, kind, message

    def _id16(self, message: bytes) -> bytes:
        opened = cose.open1(message, self._network_id, "device")
        return sha256(opened.to_be_signed).digest()[:16]


def _stored(files: "Files") -> "tuple[int, int] | None":
    data = sealed.read(files, FILE)
    if not data:
        return None
    boot, reserved = cbor.decode(data)
    return boot, reserved
