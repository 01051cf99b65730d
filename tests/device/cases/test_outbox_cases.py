"""Segment files, outbox, chain, journal and retained samples, on CPython and on MicroPython alike.

The hex texts pin the form of what lies on flash: both interpreters must write and read it.
"""

import binascii
import unittest
from hashlib import sha256

from cairn import chain, cose, limits, segment, staging, wire
from cairn.batch import Batch
from cairn.chain import Chain
from cairn.journal import Journal
from cairn.outbox import Outbox
from cairn.receipts import Receipt, Receipts

NETWORK = b"network!"
DEVICE = b"device-id-of-16b"
NOW = (1_000, wire.SOURCE_GATEWAY, 0)
BYTES_MAX = 9_000
RECORD = "0005fffa1000000000000007229541b86669727374"
RETAINED = "43520183821907d039012b0387860000200101201a0003d0901908341903e91a000493e01908354103"


class PowerCut(Exception):  # noqa: N818 - it is no error of the code
    pass


class Flash:
    """Files in memory; loses its power in the call after `left` more, in the middle of appends."""

    def __init__(self):
        self.content = {}
        self.left = None
        self.calls = 0

    def read(self, name):
        return self.content.get(name)

    def write(self, name, data):
        self._spend()
        self.content[name] = data

    def append(self, name, data):
        if self.left == 0:
            self.content[name] = self.content.get(name, b"") + data[: len(data) * 2 // 3]
        self._spend()
        self.content[name] = self.content.get(name, b"") + data

    def remove(self, name):
        self._spend()
        self.content.pop(name, None)

    def names(self, prefix):
        return sorted([name for name in self.content if name.startswith(prefix)])

    def _spend(self):
        self.calls += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise PowerCut


def sign(message):
    return sha256(message).digest() + sha256(b"more" + message).digest()


class Station:
    """What a Node has for its chain. published: seq -> message, over all boots."""

    def __init__(self, flash, published, batched):
        self.published = published
        self.outbox = Outbox(flash, BYTES_MAX, batched=batched)
        self.receipts = Receipts(flash)
        for seq, message in self.stored():
            self.publish(seq, message)
        self.chain = Chain(flash, self.outbox, sign, DEVICE, NETWORK)
        self.journal = Journal(
            self.outbox,
            self.chain,
            self.receipts,
            self,
            BYTES_MAX,
            store_every_ms=int(batched),
        )

    def offer(self, record):
        self.publish(record[0], record[2])

    def publish(self, seq, message):
        assert self.published.get(seq, message) == message, "seq used twice"
        self.published[seq] = message

    def stored(self):
        return self.outbox.messages(0, 1 << 50, 1 << 30, lambda _first, _last: False, None)

    def write(self, number):
        kind = wire.CLOCK if number % 13 == 12 else wire.READINGS
        self.journal.write(kind, [number, bytes(20 + 31 * number % 80)], NOW)

    def work(self, count):
        for number in range(count):
            self.write(number)
            if number % 9 == 8:
                self.journal.flush()
            if number % 20 == 19:
                up_to = max(self.published) - 5
                if up_to > self.receipts.verified.up_to:
                    self.receipts.accept(Receipt(up_to, bytes(16), (), (), None))
                    self.outbox.free(self.receipts.verified.covers)


class SegmentCases(unittest.TestCase):
    def test_a_record_has_this_form(self):
        record = segment.encode(1, 0, 7, b"first")
        self.assertEqual(binascii.hexlify(record).decode(), RECORD)

    def test_a_torn_record_is_dropped_at_every_byte(self):
        whole = segment.encode(1, 0, 7, b"first")
        torn = segment.encode(6, 2, 8, b"other")
        for size in range(len(torn)):
            records, sound, damaged = segment.scan(whole + torn[:size])
            self.assertEqual([record.seq for record in records], [7])
            self.assertEqual((sound, damaged), (len(whole), False))
        record = segment.scan(whole + torn)[0][1]
        self.assertEqual((record.kind, record.mark, record.seq), (6, 2, 8))

    def test_every_changed_byte_is_found(self):
        data = segment.encode(1, 0, 7, b"first")
        for place in range(len(data)):
            changed = data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]
            self.assertEqual(segment.scan(changed)[0], [])


class OutboxCases(unittest.TestCase):
    def test_batched_and_single_writes_leave_the_same_files(self):
        flashes = []
        for batched in (False, True):
            flash = Flash()
            outbox = Outbox(flash, 100_000, batched=batched)
            for seq in range(1, 60):
                outbox.append(wire.READINGS, 0, seq, bytes(seq % 7 * 40))
            outbox.flush()
            self.assertEqual(Outbox(flash, 100_000).count, 59)
            flashes.append(flash)
        self.assertEqual(flashes[0].content, flashes[1].content)
        self.assertTrue(4 * flashes[1].calls < flashes[0].calls)

    def test_staged_messages_are_bounded_and_not_to_be_seen(self):
        flash = Flash()
        outbox = Outbox(flash, 100_000, batched=True)
        outbox.append(wire.READINGS, 0, 1, bytes(100))
        self.assertEqual((outbox.newest, outbox.find(5), flash.calls), (None, None, 0))
        for seq in range(2, 60):
            outbox.append(wire.READINGS, 0, seq, bytes(100))
            staged = outbox.size - sum([len(flash.read(name)) for name in flash.names("")])
            self.assertTrue(staged <= limits.STAGED_BYTES_MAX)
        outbox.flush()
        self.assertEqual(outbox.newest, (59, bytes(100)))

    def test_a_failed_write_stops_it(self):
        flash = Flash()
        outbox = Outbox(flash, 100_000, batched=True)
        outbox.append(wire.READINGS, 0, 1, b"one")
        flash.left = 0
        self.assertRaises(PowerCut, outbox.flush)
        flash.left = None
        self.assertRaises(OSError, outbox.flush)


class ChainCases(unittest.TestCase):
    def test_a_cut_at_every_call_in_both_ways_of_storing(self):
        for batched in (False, True):
            cuts = 0
            while self.life(batched, cuts, cuts * 5 % 11):
                cuts += 1
            self.assertTrue(cuts > (12 if batched else 40))

    def life(self, batched, cut, second):
        """One key's life with a cut, another in the next boot, and an end. Whether it was cut."""
        flash, published = Flash(), {}
        chain.create(flash)
        was_cut = False
        for left, count in ((cut, 50), (second, 8), (None, 6)):
            flash.left = left
            try:
                station = Station(flash, published, batched)
                station.work(count)
            except PowerCut:
                was_cut = was_cut or left == cut
            self.everything_stored_is_there(flash, published, batched)
        station.write(12)
        self.chain_is_whole(published)
        return was_cut

    def everything_stored_is_there(self, flash, published, batched):
        flash.left = None
        station = Station(flash, published, batched)
        self.assertFalse(station.outbox.tail_lost)
        stored = dict(station.stored())
        gone = [seq for seq in published if seq not in stored]
        gone = [seq for seq in gone if seq > station.receipts.verified.up_to]
        for message in published.values():
            fields = wire.fields_of(message)
            if fields[1] == wire.GAP and fields[7][3] == wire.GAP_DROPPED:
                gone = [seq for seq in gone if not fields[7][0] <= seq <= fields[7][1]]
        self.assertEqual(gone, [])

    def chain_is_whole(self, published):
        prev, seqs = [], {}
        known = [bytes(16)]
        for seq in sorted(published):
            opened = cose.open1(published[seq], NETWORK, "device")
            fields = wire.fields_of(published[seq])
            self.assertTrue(fields[4] in known)
            known.append(sha256(opened.to_be_signed).digest()[:16])
            if fields[1] == wire.GAP:
                seqs.update([(one, 1) for one in range(fields[7][0], fields[7][1] + 1)])
                self.assertTrue(fields[7][3] != wire.GAP_CHAIN_LOST or fields[7][0] == 1)
            prev.append(fields[4])
            seqs[seq] = 1
        self.assertEqual(len(prev), len(set(prev)))
        self.assertEqual(sorted(seqs), list(range(1, max(published) + 1)))


class StagingCases(unittest.TestCase):
    def samples(self):
        first = [(0, 0, -1, 2100, 0), (1, 1, -1, 1001, 0)]
        second = [(0, 0, -1, 2101, 0), (1, 1, -1, None, 3)]
        return [(250_000, first), (550_000, second)]

    def test_retained_samples_have_this_form(self):
        data, thinned = staging.pack([2_000, -300], self.samples(), 3)
        self.assertEqual(thinned, 3)
        self.assertEqual(binascii.hexlify(data[:-4]).decode(), RETAINED)
        self.assertEqual(staging.unpack(data), ([2_000, -300], self.samples(), 3, ""))

    def test_every_changed_byte_is_found(self):
        data = staging.pack([7], self.samples(), 0)[0]
        for place in range(len(data)):
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            found = staging.unpack(changed)
            self.assertEqual(found[:3], ([], [], 0))
            self.assertTrue(found[3] in ("retained.damaged", "retained.foreign"))
            self.assertTrue(staging.unpack(data[:place])[3] != "" or place == 0)

    def test_bad_content_with_a_good_check_is_refused(self):
        data = staging.pack([7], self.samples(), 0)[0][:-4]
        refused = 0
        for place in range(3, len(data)):
            for value in (0, 0x18, 0x40, 0x60, 0x80, 0x84, 0xA1, 0xF6, 0xFF):
                body = data[:place] + bytes([value]) + data[place + 1 :]
                refused += staging.unpack(body + sha256(body).digest()[:4])[3] != ""
        self.assertTrue(refused > 100)

    def test_the_oldest_are_thinned(self):
        samples, thinned = [], 0
        for number in range(400):
            samples.append((1_000 * number, [(0, 0, -2, 2_000 + number, 0)]))
            data, thinned = staging.pack([], samples, thinned)
            self.assertTrue(len(data) <= limits.RETAINED_BYTES)
            samples = staging.unpack(data)[1]
        self.assertEqual(thinned, 400 - len(samples))
        self.assertEqual((samples[0][0], samples[-1][0]), (0, 399_000))
        self.assertEqual(samples[-1][0] - samples[-2][0], 1_000)


class BatchCases(unittest.TestCase):
    def test_a_stride_keeps_one_in_so_many(self):
        batch = Batch([(0, 0, 60_000)])
        for number in range(12):
            batch.add(60_000 * number, [(0, 0, 0, number, 0)], 4)
        self.assertEqual((len(batch), batch.thinned), (3, 9))
        ((body, _),) = batch.close((720_000, wire.SOURCE_NONE, 0), 720_000)
        self.assertEqual(body[:2], [60_000, [240_000, 0]])


if __name__ == "__main__":
    unittest.main()
