"""The chain through power cuts: at every call on the flash, and at every byte of an append."""

from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

import pytest
from cairn import cbor, chain, cose, limits, segment, wire
from cairn.boards.host import MemoryFiles
from cairn.chain import Chain
from cairn.outbox import Outbox
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import keypair
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut

PUBLIC, sign = keypair("device")
DEVICE = cose.kid_of(PUBLIC)
NETWORK = b"network!"
NOW = (1_000, 0, 0)


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SEGMENT_BYTES", 600)
        patch.setattr(limits, "SEQ_BLOCK", 4)
        yield


class World:
    """What the rest of the world may have seen of one key: everything that was ever stored."""

    def __init__(self) -> None:
        self.files = FaultyFiles()
        chain.create(self.files)
        self.files.calls = 0
        self.published: dict[int, bytes] = {}

    def boot(self) -> tuple[Chain, Outbox]:
        outbox = Outbox(self.files, 4_000)
        self.take_stored(outbox)
        return Chain(self.files, outbox, sign, DEVICE, NETWORK), outbox

    def take_stored(self, outbox: Outbox) -> None:
        """What is stored will be published, also if the power went just behind the storing."""
        for seq, message in outbox.messages(0, 1 << 50, 1 << 30, lambda *_: False, None):
            assert self.published.setdefault(seq, message) == message, f"seq {seq} used twice"

    def append(self, made: Chain, kind: int, body: list[object], mark: int = 0) -> None:
        for seq, _, message in made.append(kind, body, NOW, mark):
            # Stored before it may be published: from here on the world may know it.
            assert self.published.setdefault(seq, message) == message, f"seq {seq} used twice"

    def session(self, count: int) -> None:
        """One boot: messages, a receipt for half of them, a drop of the rest, messages."""
        made, outbox = self.boot()
        for _ in range(count):
            self.append(made, wire.READINGS, [bytes(60)])
        half = made.highest // 2
        outbox.free(lambda _, last: last <= half)
        drop = outbox.plan_drop(lambda _, last: last <= half)
        if drop:
            gap = wire.gap_body(drop.first, drop.last, drop.count, wire.GAP_DROPPED)
            self.append(made, wire.GAP, gap, drop.mark)
            outbox.apply_drop(drop)
        self.append(made, wire.STATUS, [1])

    def check(self) -> None:
        """No seq and no prev twice, every prev known, and every seq accounted for."""
        prevs: dict[bytes, int] = {}
        known = {bytes(16)}
        covered: set[int] = set()
        self.take_stored(Outbox(self.files, 4_000))
        for seq in sorted(self.published):
            opened = cose.open1(self.published[seq], NETWORK, "device")
            fields = cbor.decode(opened.payload)
            assert fields[3] == seq
            lost = fields[1] == wire.GAP and fields[7][3] == wire.GAP_CHAIN_LOST
            if not lost:
                assert fields[4] not in prevs, f"seq {seq} shares prev with {prevs[fields[4]]}"
                prevs[fields[4]] = seq
            assert fields[4] in known
            known.add(sha256(opened.to_be_signed).digest()[:16])
            covered.add(seq)
            if fields[1] == wire.GAP:
                covered.update(range(fields[7][0], fields[7][1] + 1))
        assert covered == set(range(1, max(self.published) + 1))


def calls_of(count: int) -> int:
    world = World()
    world.session(count)
    return world.files.calls


CALLS = 30
"""More than one session makes; test_the_sweep_reaches_every_call says so."""


def test_the_sweep_reaches_every_call() -> None:
    assert 20 <= calls_of(14) <= CALLS


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("call", range(CALLS))
def test_cut_at_every_call(call: int, how: str) -> None:
    world = World()
    world.files.cut = (call, how)
    with suppress(PowerCut):
        world.session(14)
    world.files.cut = None
    world.session(5)
    world.session(0)
    world.check()


@pytest.mark.parametrize("call", range(CALLS))
def test_cut_at_every_call_of_the_next_boot(call: int) -> None:
    for first in (9, 17, 22):
        world = World()
        world.files.cut = (first, 40)
        with pytest.raises(PowerCut):
            # 40 bytes in: a torn record, or for calls that do not append a cut before it.
            world.session(14)
        world.files.cut = (world.files.calls + call, "before")
        with suppress(PowerCut):
            world.session(7)
        world.files.cut = None
        world.session(3)
        world.check()


def test_torn_at_every_byte_of_a_record() -> None:
    probe = World()
    made, _ = probe.boot()
    probe.append(made, wire.READINGS, [1])
    at = probe.files.calls
    probe.append(made, wire.READINGS, [2])
    assert probe.files.calls == at + 1
    size = len(probe.published[2]) + segment.HEADER_BYTES
    for kept in range(size + 1):
        world = World()
        made, _ = world.boot()
        world.append(made, wire.READINGS, [1])
        world.files.cut = (world.files.calls, kept)
        with pytest.raises(PowerCut):
            world.append(made, wire.READINGS, [2])
        world.files.cut = None
        made, outbox = world.boot()
        # Whole on flash it counts as stored; torn it never was.
        assert made.highest == (2 if kept == size else 1)
        assert not world.boot()[1].tail_lost
        world.append(made, wire.STATUS, [3])
        world.check()
        assert outbox.count == (4 if kept == size else 3)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["before", "after", 5, 90])), max_size=6
    )
)
def test_any_sequence_of_cuts(cuts: list[tuple[int, str | int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SEGMENT_BYTES", 600)
        patch.setattr(limits, "SEQ_BLOCK", 4)
        world = World()
        for call, how in cuts:
            world.files.cut = (world.files.calls + call, how)
            with suppress(PowerCut):
                world.session(9)
            world.files.cut = None
        world.session(2)
        world.check()


def gap_of(world: World, seq: int) -> list[int]:
    body: list[int] = wire.fields_of(world.published[seq])[7]
    return body


def test_unused_seqs_are_covered_by_the_next_boots_first_message() -> None:
    world = World()
    made, _ = world.boot()
    world.append(made, wire.READINGS, [1])
    assert made.boot == 1
    for boot in (2, 3, 4):
        # Boots that sign nothing leave nothing behind.
        assert world.boot()[0].boot == 2, boot
    made, _ = world.boot()
    world.append(made, wire.READINGS, [2])
    assert sorted(world.published) == [1, 5, 6]
    assert gap_of(world, 5) == [2, 4, 0, wire.GAP_UNUSED]
    assert [wire.fields_of(world.published[seq])[2] for seq in (1, 5, 6)] == [1, 2, 2]
    world.check()


def test_a_clean_end_leaves_no_gap() -> None:
    world = World()
    for boot in range(1, 5):
        made, _ = world.boot()
        made.close()
        world.append(made, wire.READINGS, [boot])
        world.append(made, wire.READINGS, [boot])
        made.close()
        made.close()
        # The board may go on all the same: it reserves anew.
        world.append(made, wire.STATUS, [boot])
        made.close()
    assert sorted(world.published) == list(range(1, 13))
    assert [wire.fields_of(world.published[seq])[2] for seq in (1, 4, 7, 10)] == [1, 2, 3, 4]
    world.check()


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("call", range(8))
def test_cut_at_every_call_around_a_clean_end(call: int, how: str) -> None:
    world = World()
    world.append(world.boot()[0], wire.READINGS, [1])
    world.files.cut = (world.files.calls + call, how)
    with suppress(PowerCut):
        for number in (2, 3):
            made, _ = world.boot()
            world.append(made, wire.READINGS, [number])
            made.close()
        world.append(made, wire.STATUS, [4])
    world.files.cut = None
    world.session(2)
    world.check()


def test_a_failed_end_stops_the_chain() -> None:
    world = World()
    made, _ = world.boot()
    world.append(made, wire.READINGS, [1])
    world.files.cut = (world.files.calls, "after")
    with pytest.raises(PowerCut):
        made.close()
    world.files.cut = None
    # The file says that nothing is reserved by now.
    with pytest.raises(OSError, match="restart"):
        made.append(wire.READINGS, [2], NOW, 0)


def test_failed_storage_stops_the_chain() -> None:
    class Full(MemoryFiles):
        full = False

        def append(self, name: str, data: bytes) -> None:
            if self.full:
                super().append(name, data[:9])
                raise OSError(28, "no space")
            super().append(name, data)

    files = Full()
    chain.create(files)
    made = Chain(files, Outbox(files, 4_000), sign, DEVICE, NETWORK)
    made.append(wire.READINGS, [1], NOW, 0)
    files.full = True
    with pytest.raises(OSError, match="no space"):
        made.append(wire.READINGS, [2], NOW, 0)
    files.full = False
    with pytest.raises(OSError, match="restart"):
        made.append(wire.READINGS, [3], NOW, 0)
    again = Chain(files, Outbox(files, 4_000), sign, DEVICE, NETWORK)
    assert again.highest == 1


def test_chain_file_lost_but_outbox_whole() -> None:
    world = World()
    made, _ = world.boot()
    for number in range(6):
        world.append(made, wire.READINGS, [number])
    world.files.remove(chain.FILE)
    made, _ = world.boot()
    assert not made.lost
    assert made.boot == 2
    world.append(made, wire.READINGS, [7])
    assert gap_of(world, 10) == [7, 9, 0, wire.GAP_UNUSED]
    world.check()


def test_outbox_lost_but_chain_file_whole() -> None:
    world = World()
    made, _ = world.boot()
    for number in range(6):
        world.append(made, wire.READINGS, [number])
    for name in world.files.names("outbox/"):
        world.files.remove(name)
    made, _ = world.boot()
    assert not made.lost
    world.append(made, wire.READINGS, [7])
    assert gap_of(world, 9) == [1, 8, 0, wire.GAP_CHAIN_LOST]
    assert wire.fields_of(world.published[9])[4] == bytes(16)
    world.check()


def test_damaged_record_gives_up_prev() -> None:
    world = World()
    made, _ = world.boot()
    for number in range(3):
        world.append(made, wire.READINGS, [number])
    data = bytearray(world.files.read("outbox/00000001") or b"")
    data[-1] ^= 1
    world.files.write("outbox/00000001", bytes(data))
    made, _ = world.boot()
    world.append(made, wire.READINGS, [4])
    assert gap_of(world, 5) == [3, 4, 0, wire.GAP_CHAIN_LOST]
    world.check()
    made, _ = world.boot()
    world.append(made, wire.READINGS, [5])
    assert wire.fields_of(world.published[9])[4] != bytes(16)
    assert gap_of(world, 9) == [7, 8, 0, wire.GAP_UNUSED]
    world.check()


@pytest.mark.parametrize(
    "receipt,first,start",
    [((100, 140), 101, 140 + (1 << 20)), ((0, 0), 1, 1 << 20), (None, 1, 1 << 32)],
)
def test_lost_chain_goes_on_at_a_safe_distance(receipt, first: int, start: int) -> None:
    files = MemoryFiles()
    made = Chain(files, Outbox(files, 4_000), sign, DEVICE, NETWORK)
    assert made.lost
    with pytest.raises(OSError, match="receipt"):
        made.append(wire.STATUS, [1], NOW, 0)
    made.resume(receipt, b"\1\2\3\4")
    gap, status = made.append(wire.STATUS, [1], NOW, 0)
    fields = wire.fields_of(gap[2])
    assert fields[2:5] == [0x81020304, start, bytes(16)]
    assert fields[7] == [first, start - 1, 0, wire.GAP_CHAIN_LOST]
    assert status[0] == start + 1
    again = Chain(files, Outbox(files, 4_000), sign, DEVICE, NETWORK)
    assert not again.lost
    assert again.boot == 0x81020305


def test_knows_its_own_ids() -> None:
    world = World()
    made, _ = world.boot()
    for number in range(3):
        world.append(made, wire.READINGS, [number])
    ids = []
    for seq in (1, 2, 3):
        opened = cose.open1(world.published[seq], NETWORK, "device")
        ids.append(sha256(opened.to_be_signed).digest()[:16])
    for one in (made, world.boot()[0]):
        assert one.knows(ids[2], 3)
        assert one.knows(ids[1], 2)
        assert not one.knows(ids[2], 2)
        assert not one.knows(b"x" * 16, 3)
        assert not one.knows(ids[0], 0)


def test_a_damaged_copy_of_what_stands_elsewhere_does_not_stop_freeing() -> None:
    """Packing that was cut off leaves a record twice; then the copy rots. Nothing is missing."""
    world = World()
    made, outbox = world.boot()
    while len(world.files.names("outbox/")) < 3:
        world.append(made, wire.READINGS, [bytes(60)])
    made.close()
    first, second, third = [world.files.read(name) for name in world.files.names("outbox/")]
    assert first is not None
    assert second is not None
    assert third is not None
    record = segment.scan(first)[0][-1]
    copy = bytearray(first[record.start : record.end])
    copy[40] ^= 1
    for number, data in enumerate((first, bytes(copy), second, third), 1):
        world.files.write(f"outbox/{number:08d}", data)
    made, outbox = world.boot()
    assert (outbox.lost, outbox.tail_lost) == ([], False)
    world.append(made, wire.READINGS, [bytes(60)])
    outbox.free(lambda _first, _last: True)
    assert len(world.files.names("outbox/")) == 1
