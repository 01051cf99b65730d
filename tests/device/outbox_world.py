"""One key's outbox through any number of boots, and what the rest of the world knows of it.

Runs on CPython and on MicroPython, over any Files on which chain.create() was called: whoever
cuts the power calls session() again and at last finish(), which says what went wrong. `record`
notes what happened when, so that a cut can also be made afterwards, out of a log of the storage's
operations.
"""

from hashlib import sha256

from cairn import cbor, cose, wire
from cairn.chain import Chain
from cairn.journal import Journal
from cairn.outbox import Outbox
from cairn.receipts import Receipt, Receipts

NETWORK = b"network!"
DEVICE = b"device-id-of-16b"
BYTES_MAX = 14_000
NOW = (1_000, wire.SOURCE_GATEWAY, 0)


def fast_sign(message: bytes) -> bytes:
    """64 bytes that stand for a signature where its form is all that matters."""
    return sha256(message).digest() + sha256(b"more" + message).digest()


class World:
    """published: seq -> message, whatever a gateway may have seen or may still come to see;
    signed: seqs that were ever signed; up_to: what a receipt covers.
    """

    def __init__(self, *, batched: bool, sign=fast_sign, now=None) -> None:
        self.batched = batched
        self.now = now
        self.published = {}
        self.signed = {}
        self.up_to = 0
        self.dropped = 0
        self.freed = 0
        self.record = []
        self.parsed = {}
        self.chain = None
        self._sign = sign

    def copy(self):
        """The same world, to go on from here in another way."""
        other = World(batched=self.batched, sign=self._sign)
        other.published = dict(self.published)
        other.signed = dict(self.signed)
        other.up_to = self.up_to
        other.parsed = self.parsed
        return other

    def happened(self, what: str, value: object) -> None:
        if what == "signed":
            assert value not in self.signed, f"seq {value} signed twice"
            self.signed[value] = True
        elif what == "published":
            seq, message = value
            assert self.published.get(seq, message) == message, f"seq {seq} used twice"
            self.published[seq] = message
        else:
            self.up_to = value
        if self.now is not None:
            self.record.append((self.now(), what, value))

    def offer(self, record: tuple) -> None:
        """As the Sender's: a message that is durable by now leaves."""
        self.happened("published", (record[0], record[2]))

    def boot(self, files):
        """Open everything; what is stored will be published, also if nobody heard of it yet."""
        outbox = Outbox(files, BYTES_MAX, batched=self.batched)
        receipts = Receipts(files)
        self._check_kept(outbox)
        self.chain = Chain(files, outbox, self._sign_and_note, DEVICE, NETWORK)
        assert not self.chain.lost
        journal = Journal(
            outbox, self.chain, receipts, self, BYTES_MAX, store_every_ms=int(self.batched)
        )
        return journal, outbox, receipts

    def session(self, files, count: int, first: int = 0, *, clean: bool = False) -> None:
        """One boot of count messages: bursts that share a write, receipts for a part of them, an
        outage behind which readings are dropped. clean: it ends as before a deep sleep.
        """
        journal, outbox, receipts = self.boot(files)
        for number in range(first, first + count):
            kind, size = wire.READINGS, 40 + 37 * number % 90
            if number % 11 == 5:
                kind = wire.STATUS
            elif number % 23 == 7:
                kind = wire.CLOCK
            journal.write(kind, [number, bytes(size)], NOW)
            if number % 10 == 9:
                journal.flush()
            if number % 40 == 20 and self.published:
                self._receipt(outbox, receipts, max(self.published) - 12)
        self.dropped += journal.dropped
        if clean:
            journal.flush()
            self.chain.close()
        # If not, whatever waits is lost with the power.

    def finish(self, files) -> None:
        """The last boot: everything is stored, and then looked at as a whole."""
        journal, outbox, _ = self.boot(files)
        journal.write(wire.READINGS, [1], NOW)
        journal.write(wire.CLOCK, [2], NOW)
        journal.flush()
        self._check_kept(outbox)
        self.check()

    def opened(self, message: bytes):
        """The COSE_Sign1 that it is."""
        return cose.open1(message, NETWORK, "device")

    def check(self) -> None:
        """No seq and no prev twice, every prev known, every seq accounted for, and a chain that
        was only given up where nothing had been published.
        """
        prevs = {}
        known = {bytes(16): True}
        next_seq = 1
        for seq in sorted(self.published):
            kind, own, prev, id16, body = self._parse(self.published[seq])
            assert own == seq
            assert seq in self.signed
            if kind == wire.GAP and body[3] == wire.GAP_CHAIN_LOST:
                assert body[0] == 1, f"the chain was given up at {seq}"
            else:
                assert prev not in prevs, f"seq {seq} shares prev with {prevs.get(prev)}"
                prevs[prev] = seq
            assert prev in known, f"seq {seq} follows nothing"
            known[id16] = True
            if kind == wire.GAP and body[3] != wire.GAP_DROPPED:
                assert body[0] == next_seq, f"gap {seq} begins at {body[0]}"
                assert body[1] == seq - 1 or body[1] + 1 in self.published
                next_seq = body[1] + 1
            assert seq == next_seq, f"seqs {next_seq} to {seq - 1} are missing"
            next_seq = seq + 1

    def _check_kept(self, outbox: Outbox) -> None:
        """Nothing that was published is missing unless a receipt covers it or a gap says so, and
        what is stored counts as published.
        """
        assert not outbox.tail_lost
        assert not outbox.lost
        stored = dict(outbox.messages(0, 1 << 50, 1 << 30, lambda *_: False, None))
        for seq, message in stored.items():
            if self.published.get(seq) != message:
                self.happened("published", (seq, message))
        gone = [seq for seq in self.published if seq > self.up_to and seq not in stored]
        if not gone:
            return
        for message in self.published.values():
            kind, _, _, _, body = self._parse(message)
            if kind == wire.GAP and body[3] == wire.GAP_DROPPED:
                gone = [seq for seq in gone if not body[0] <= seq <= body[1]]
        assert not gone, f"seqs {gone} are lost"

    def _receipt(self, outbox: Outbox, receipts: Receipts, up_to: int) -> None:
        if up_to > self.up_to:
            self.happened("receipt", up_to)
            receipts.accept(Receipt(up_to, bytes(16), (), (), None))
            stored = outbox.count
            outbox.free(receipts.verified.covers)
            self.freed += stored - outbox.count

    def _sign_and_note(self, message: bytes) -> bytes:
        payload = cbor.decode(message)[3]
        self.happened("signed", cbor.decode(payload)[3])
        return self._sign(message)

    def _parse(self, message: bytes):
        found = self.parsed.get(message)
        if found is None:
            opened = self.opened(message)
            fields = cbor.decode(opened.payload)
            id16 = sha256(opened.to_be_signed).digest()[:16]
            found = (fields[1], fields[3], fields[4], id16, fields[7])
            self.parsed[message] = found
        return found
