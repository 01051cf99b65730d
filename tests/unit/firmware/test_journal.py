"""Messages that share a flash write: what leaves when, what a power cut takes, what waits."""

from contextlib import suppress
from hashlib import sha256

import pytest
from cairn import chain, cose, limits, segment, wire
from cairn.boards import base
from cairn.boards.host import MemoryFiles
from cairn.chain import Chain
from cairn.journal import Journal
from cairn.outbox import Outbox
from cairn.receipts import Receipt, Receipts
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.firmware.bench import BenchBoard, keypair
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut, World

PUBLIC, sign = keypair("device")
DEVICE = cose.kid_of(PUBLIC)
NETWORK = b"network!"
NOW = (1_000, wire.SOURCE_GATEWAY, 0)
STORE_EVERY_MS = 60_000
BYTES_MAX = 65_536


class Station:
    """Journal and what it works with; `sent` is what it offered for publication."""

    def __init__(self, files: base.Files, world: World, bytes_max: int = BYTES_MAX) -> None:
        self.files = files
        self.world = world
        self.sent: list[int] = []
        self.outbox = Outbox(files, bytes_max, batched=True)
        self.receipts = Receipts(files)
        self.chain = Chain(files, self.outbox, sign, DEVICE, NETWORK)
        board = BenchBoard(world, files)
        self.journal = Journal(
            self.outbox,
            self.chain,
            self.receipts,
            self,  # type: ignore[arg-type]
            bytes_max,
            board=board,
            store_every_ms=STORE_EVERY_MS,
        )

    def run(self, until: int) -> None:
        if not self.world.order:
            self.world.spawn(self.journal.run())
        self.world.run(until)

    def offer(self, record: tuple[int, int, bytes]) -> None:
        assert dict(self.stored())[record[0]] == record[2], "published before it was stored"
        self.sent.append(record[0])

    def stored(self) -> list[tuple[int, bytes]]:
        found = []
        for name in self.files.names("outbox/"):
            data = self.files.read(name) or b""
            found += [(record.seq, record.message(data)) for record in segment.scan(data)[0]]
        return found

    def write(self, kind: int = wire.READINGS, size: int = 60) -> bool:
        return self.journal.write(kind, [bytes(size)], NOW)


@pytest.fixture
def files() -> FaultyFiles:
    made = FaultyFiles()
    chain.create(made)
    made.calls = 0
    return made


def test_readings_wait_for_a_common_write(files: FaultyFiles) -> None:
    made = Station(files, World())
    made.run(0)
    for _ in range(5):
        assert made.write()
    assert files.calls == 1, "the reserved block of seqs alone"
    assert (made.sent, made.stored()) == ([], [])
    assert made.outbox.newest is None
    assert made.outbox.count == 5
    made.run(STORE_EVERY_MS - 1)
    assert made.sent == []
    made.run(STORE_EVERY_MS)
    assert made.sent == [1, 2, 3, 4, 5]
    assert files.calls == 2
    assert made.outbox.newest is not None
    assert made.outbox.newest[0] == 5


def test_the_oldest_decides_when(files: FaultyFiles) -> None:
    made = Station(files, World())
    for at in range(0, 3 * STORE_EVERY_MS, 50_000):
        made.run(at)
        made.write()
    assert made.sent == [1, 2]
    made.run(110_000 + STORE_EVERY_MS)
    assert made.sent == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", [0, 2, 5, 7, 8, 9, 10])
def test_what_somebody_notes_elsewhere_is_stored_at_once(files: FaultyFiles, kind: int) -> None:
    made = Station(files, World())
    made.write()
    made.write(kind)
    assert made.sent == [1, 2]
    assert files.calls == 2


@pytest.mark.parametrize("kind", [wire.READINGS, wire.STATUS, wire.WITNESS, wire.BEACON])
def test_what_may_wait(files: FaultyFiles, kind: int) -> None:
    made = Station(files, World())
    made.write(kind)
    assert made.sent == []
    made.journal.flush()
    assert made.sent == [1]
    made.journal.flush()
    assert files.calls == 2


def test_what_waits_is_bounded(files: FaultyFiles) -> None:
    made = Station(files, World())
    for size in [10, 300, 700, 3_900, 1_500, 40] * 20:
        made.write(wire.READINGS, size)
        waiting = sum(map(len, made.outbox._staged))
        assert waiting == made.outbox._staged_bytes
        assert waiting <= max(limits.STAGED_BYTES_MAX, size + limits.ENVELOPE_BYTES_MAX + 16)
        assert waiting <= limits.SEGMENT_BYTES + segment.HEADER_BYTES
        stored = [len(files.read(name) or b"") for name in files.names("outbox/")]
        assert made.outbox.size == sum(stored) + waiting
        assert max(stored, default=0) <= limits.SEGMENT_BYTES + segment.HEADER_BYTES
        assert len(made.sent) + len(made.journal._waiting) == made.chain.highest


def test_files_are_filled_as_without_batches(files: FaultyFiles) -> None:
    made, plain = Station(files, World()), MemoryFiles()
    outbox = Outbox(plain, BYTES_MAX)
    for number in range(120):
        made.write(size=number % 7 * 30)
    made.journal.flush()
    for seq, message in made.stored():
        outbox.append(wire.READINGS, 0, seq, message)
    assert plain.names("") == files.names("outbox/")
    for name in plain.names(""):
        assert plain.read(name) == files.read(name)


def test_a_power_cut_takes_what_waits_and_nothing_else(files: FaultyFiles) -> None:
    made = Station(files, World())
    for _ in range(3):
        made.write()
    made.journal.flush()
    for _ in range(4):
        made.write()
    signed = made.chain.highest
    again = Station(files, World())
    again.write()
    again.journal.flush()
    messages = [wire.fields_of(message) for _, message in again.stored()]
    assert [fields[3] for fields in messages] == [1, 2, 3, 65, 66]
    assert signed < 65
    assert messages[3][7] == [4, 64, 0, wire.GAP_UNUSED]
    opened = cose.open1(again.stored()[2][1], NETWORK, "device")
    assert messages[3][4] == sha256(opened.to_be_signed).digest()[:16]


def test_a_full_outbox_stores_the_gap_before_it_drops(files: FaultyFiles) -> None:
    made = Station(files, World(), bytes_max=12_000)
    for _ in range(120):
        assert made.write(size=100)
        assert made.outbox.size <= 12_000
    made.journal.flush()
    stored = dict(made.stored())
    gaps = [wire.fields_of(message)[7] for message in stored.values()]
    gaps = [body for body in gaps if len(body) == 4]
    assert sum(gap[2] for gap in gaps) == made.journal.dropped > 40
    gone = {seq for gap in gaps for seq in range(gap[0], gap[1] + 1)} - set(stored)
    assert set(range(1, made.chain.highest + 1)) == set(stored) | gone
    assert made.outbox.count == len(stored)


def test_freeing_keeps_the_newest_stored_record(files: FaultyFiles) -> None:
    made = Station(files, World())
    while len(made.outbox._segments) < 2:
        made.write(size=200)
    assert made.outbox._staged_bytes == made.outbox._segments[-1][3], "nothing of it is stored"
    made.receipts.accept(Receipt(made.sent[-1], bytes(16), (), (), None))
    made.outbox.free(made.receipts.verified.covers)
    assert Station(files, World()).outbox.newest is not None


def test_failed_storage_stops_everything(files: FaultyFiles) -> None:
    made = Station(files, World())
    made.write()

    def full(_name: str, _data: bytes) -> None:
        raise OSError(28, "no space")

    files.append = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no space"):
        made.journal.flush()
    del files.append
    for act in (made.journal.flush, lambda: made.write(wire.CLOCK)):
        with pytest.raises(OSError, match="restart"):
            act()
    assert made.sent == []


class BatchMachine(RuleBasedStateMachine):
    """Writes, flushes, receipts and power cuts at any byte against a set of what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limits, "SEGMENT_BYTES", 1_200)
        self.patch.setattr(limits, "STAGED_BYTES_MAX", 700)
        self.patch.setattr(limits, "SEQ_BLOCK", 8)
        self.files = FaultyFiles()
        chain.create(self.files)
        self.published: dict[int, bytes] = {}
        self.up_to = 0
        self.boot()

    def teardown(self) -> None:
        self.patch.undo()

    @rule()
    def boot(self) -> None:
        self.files.cut = None
        self.made = Station(self.files, World(), 6_000)
        self.learn()

    def learn(self) -> None:
        """Stored is as good as published: the next boot sends it."""
        for seq, message in self.made.stored():
            assert self.published.setdefault(seq, message) == message

    @rule(kind=st.sampled_from([1, 1, 1, 1, 6, 4, 8]), size=st.integers(0, 300))
    def write(self, kind: int, size: int) -> None:
        self.made.write(kind, size)
        self.learn()

    @rule()
    def flush(self) -> None:
        self.made.journal.flush()
        assert self.made.journal._waiting == []
        self.learn()

    @precondition(lambda self: self.published)
    @rule(share=st.integers(0, 100))
    def receipt(self, share: int) -> None:
        seqs = sorted(self.published)
        up_to = seqs[(len(seqs) - 1) * share // 100]
        if up_to > self.up_to:
            self.up_to = up_to
            self.made.receipts.accept(Receipt(up_to, bytes(16), (), (), None))
            self.made.outbox.free(self.made.receipts.verified.covers)
            self.learn()

    @rule(
        calls=st.integers(0, 6),
        how=st.one_of(st.sampled_from(["before", "after"]), st.integers(0, 900)),
        writes=st.integers(1, 12),
    )
    def lose_power(self, calls: int, how: "str | int", writes: int) -> None:
        self.files.cut = (self.files.calls + calls, how)
        with suppress(PowerCut):
            for _ in range(writes):
                self.made.write(size=120)
            self.made.journal.flush()
        self.boot()

    @invariant()
    def nothing_is_lost(self) -> None:
        stored = dict(self.made.stored())
        gone = {seq for seq in self.published if seq > self.up_to} - set(stored)
        for message in stored.values():
            fields = wire.fields_of(message)
            if fields[1] == wire.GAP:
                gone -= set(range(fields[7][0], fields[7][1] + 1))
                assert fields[7][3] != wire.GAP_CHAIN_LOST or fields[7][0] == 1
        assert not gone


TestBatchMachine = BatchMachine.TestCase
TestBatchMachine.settings = settings(stateful_step_count=15)
