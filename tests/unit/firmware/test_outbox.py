from contextlib import suppress
from itertools import pairwise

import pytest
from cairn import chain, cose, limits, segment, wire
from cairn.boards.host import MemoryFiles
from cairn.outbox import Outbox
from cairn.outbox_repair import Drop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.firmware.bench import keypair
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut

PUBLIC, sign = keypair("device")
DEVICE = cose.kid_of(PUBLIC)
NETWORK = b"network!"
BYTES_MAX = 6_000


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 600)


def nothing(first: int, last: int) -> bool:
    return False


def up_to(seq: int):
    return lambda _, last: last <= seq


def fill(outbox: Outbox, kinds: list[int], first: int = 1) -> None:
    for seq, kind in enumerate(kinds, first):
        outbox.append(kind, 0, seq, b"m%06d" % seq + bytes(93))


def seqs(outbox: Outbox) -> list[int]:
    return [seq for seq, _ in outbox.messages(0, 1 << 50, 1 << 30, nothing, None)]


@pytest.mark.parametrize("size", range(segment.HEADER_BYTES + 5))
def test_torn_record_is_dropped_at_every_byte(size: int) -> None:
    whole = segment.encode(1, 0, 7, b"first")
    torn = segment.encode(1, 0, 8, b"other")[:size]
    records, sound, damaged = segment.scan(whole + torn)
    assert [record.seq for record in records] == [7]
    assert (sound, damaged) == (len(whole), False)


def test_every_flipped_bit_is_found() -> None:
    data = segment.encode(1, 0, 7, b"first") + segment.encode(1, 0, 8, b"other")
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        records, _, _ = segment.scan(bytes(flipped))
        assert len(records) < 2


def test_messages_come_back_after_a_restart() -> None:
    files = MemoryFiles()
    fill(Outbox(files, BYTES_MAX), [0, 1, 1, 6, 1, 1, 1, 1])
    again = Outbox(files, BYTES_MAX)
    assert seqs(again) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert again.newest is not None
    assert again.newest[0] == 8
    assert again.count == 8
    assert again.size == sum(len(files.read(name) or b"") for name in files.names(""))
    fill(again, [1], 9)
    assert seqs(Outbox(files, BYTES_MAX)) == list(range(1, 10))


def test_window_is_bounded_and_filtered() -> None:
    outbox = Outbox(MemoryFiles(), BYTES_MAX)
    fill(outbox, [0, 1, 1, 10, 1, 1, 1, 1])
    covers = up_to(2)
    assert [seq for seq, _ in outbox.messages(0, 100, 3, covers, None)] == [3, 4, 5]
    assert [seq for seq, _ in outbox.messages(5, 7, 16, covers, None)] == [6, 7]
    assert [seq for seq, _ in outbox.messages(0, 100, 16, nothing, (0, 10))] == [1, 4]
    assert outbox.find(4) == b"m000004" + bytes(93)
    assert outbox.find(0) is None


def test_a_window_of_long_messages_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 4_096)
    outbox = Outbox(MemoryFiles(), 100_000)
    for seq in range(1, 13):
        outbox.append(wire.READINGS, 0, seq, bytes(3_000 if seq < 9 else 100))
    found: list[int] = []
    while found[-1:] != [12]:
        after = found[-1] if found else 0
        window = outbox.messages(after, 100, 16, nothing, None)
        assert sum(len(message) for _, message in window) <= 6_144
        found += [seq for seq, _ in window]
    assert found == list(range(1, 13))
    # One that is longer than that goes alone.
    assert [seq for seq, _ in outbox.messages(0, 100, 1, nothing, None)] == [1]


def test_free_keeps_the_newest_record() -> None:
    files = MemoryFiles()
    outbox = Outbox(files, BYTES_MAX)
    fill(outbox, [1] * 20)
    assert outbox.freeable(up_to(9)) == 5 * 116
    outbox.free(up_to(9))
    assert seqs(outbox)[0] == 6
    outbox.free(up_to(20))
    assert Outbox(files, BYTES_MAX).newest is not None
    assert seqs(outbox)[-1] == 20


def test_one_hole_keeps_its_segment() -> None:
    outbox = Outbox(MemoryFiles(), BYTES_MAX)
    fill(outbox, [1] * 20)
    delivered = set(range(1, 21)) - {7}
    outbox.free(lambda first, last: all(seq in delivered for seq in range(first, last + 1)))
    assert seqs(outbox)[:5] == [6, 7, 8, 9, 10]


def test_oldest_readings_go_first_and_others_after() -> None:
    outbox = Outbox(MemoryFiles(), 2_000)
    fill(outbox, [0, 10, 6, 1, 1, 6, 1, 1, 1, 1, 1, 6, 7, 6, 6, 1])
    dropped = []
    while drop := outbox.plan_drop(nothing):
        outbox.apply_drop(drop)
        dropped.append((drop.first, drop.last, drop.count, drop.mark))
    readings, others = segment.DROPS_READINGS, segment.DROPS_ALL_DROPPABLE
    # An eighth of 2,000 bytes is three messages; a range never spans one that stays.
    assert dropped == [
        (4, 5, 2, readings),
        (7, 9, 3, readings),
        (10, 11, 2, readings),
        (3, 12, 3, others),
        (14, 15, 2, others),
    ]
    assert seqs(outbox) == [1, 2, 13, 16]


class SeenFiles(MemoryFiles):
    """Remembers what was read and written, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def read(self, name: str) -> bytes | None:
        self.seen.append(("read", name))
        return super().read(name)

    def write(self, name: str, data: bytes) -> None:
        self.seen.append(("write", name))
        super().write(name, data)


def test_a_long_drop_holds_one_segment_at_a_time_in_memory() -> None:
    # Every other message in the range stays: together they would fill ten segments.
    files = SeenFiles()
    outbox = Outbox(files, 60_000)
    fill(outbox, [1, 6] * 50)
    files.seen.clear()
    outbox.apply_drop(Drop(3, 97, 48, segment.DROPS_READINGS))
    kept = [seq for seq in range(1, 101) if seq % 2 == 0 or not 3 <= seq <= 97]
    assert seqs(outbox) == kept
    written = [place for place, (what, _) in enumerate(files.seen) if what == "write"]
    assert len(written) > 9
    # Once all is counted, a file is written for two or three that were read.
    assert {later - one for one, later in pairwise(written[:-1])} <= {3, 4}
    assert seqs(Outbox(files, 60_000)) == kept


def test_delivered_readings_are_not_counted_as_dropped() -> None:
    outbox = Outbox(MemoryFiles(), BYTES_MAX)
    fill(outbox, [0, 1, 1, 1, 1, 1, 1, 1])
    drop = outbox.plan_drop(up_to(3))
    assert drop is not None
    assert (drop.first, drop.last, drop.count) == (4, 5, 2)


def test_damage_in_the_middle_is_not_taken_for_a_torn_tail() -> None:
    files = MemoryFiles()
    fill(Outbox(files, BYTES_MAX), [1] * 4)
    data = bytearray(files.read("outbox/00000001") or b"")
    data[116 + 20] ^= 1
    files.write("outbox/00000001", bytes(data))
    outbox = Outbox(files, BYTES_MAX)
    assert outbox.tail_lost
    assert outbox.lost == []
    fill(outbox, [1], 70)
    again = Outbox(files, BYTES_MAX)
    assert not again.tail_lost
    assert again.lost == [(2, 69)]
    outbox.mend()
    healed = Outbox(files, BYTES_MAX)
    assert healed.lost == []
    assert seqs(healed) == [1, 70]


class OutboxMachine(RuleBasedStateMachine):
    """Random appends, frees, drops, failures and power cuts against a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(limits, "SEGMENT_BYTES", 600)
        self.files = FaultyFiles()
        chain.create(self.files)
        self.outbox = Outbox(self.files, BYTES_MAX)
        self.model: dict[int, tuple[int, bytes]] = {}
        self.seq = 0
        self.delivered: set[int] = set()

    def teardown(self) -> None:
        self.patch.undo()

    def covers(self, first: int, last: int) -> bool:
        return all(
            seq in self.delivered or seq not in self.model for seq in range(first, last + 1)
        )

    def message(self, kind: int, body: list[object]) -> bytes:
        payload = wire.encode_payload(
            kind=kind,
            boot=1,
            seq=self.seq,
            prev=bytes(16),
            time_ms=0,
            source=0,
            uncertainty_ms=0,
            body=body,
        )
        return cose.sign1(sign, DEVICE, NETWORK, "device", payload)[0]

    @rule(kind=st.sampled_from([0, 1, 1, 1, 1, 6, 8]), size=st.integers(0, 300))
    def append(self, kind: int, size: int) -> None:
        self.seq += 1
        message = self.message(kind, [bytes(size)])
        self.outbox.append(kind, 0, self.seq, message)
        self.model[self.seq] = (kind, message)

    @rule(kept=st.integers(0, 200))
    def torn_append(self, kept: int) -> None:
        self.seq += 1
        message = self.message(1, [])
        self.files.cut = (self.files.calls, min(kept, len(message) + 15))
        with pytest.raises(PowerCut):
            self.outbox.append(1, 0, self.seq, message)
        self.reopen()

    @rule(share=st.integers(0, 100))
    def deliver(self, share: int) -> None:
        known = sorted(self.model)
        self.delivered.update(known[: len(known) * share // 100])
        self.outbox.free(self.covers)
        for seq in sorted(self.delivered):
            if seq in self.model and seq not in seqs(self.outbox):
                del self.model[seq]

    @precondition(lambda self: self.outbox.plan_drop(nothing))
    @rule(cut=st.one_of(st.none(), st.tuples(st.integers(0, 4), st.sampled_from(["b", "after"]))))
    def drop(self, cut: "tuple[int, str] | None") -> None:
        drop = self.outbox.plan_drop(nothing)
        assert drop is not None
        self.seq += 1
        message = self.message(wire.GAP, [drop.first, drop.last, drop.count, 1])
        self.outbox.append(wire.GAP, drop.mark, self.seq, message)
        self.model[self.seq] = (wire.GAP, message)
        gone = [
            seq
            for seq, (kind, _) in self.model.items()
            if drop.first <= seq <= drop.last
            and (
                kind == wire.READINGS
                or (drop.mark == segment.DROPS_ALL_DROPPABLE and kind not in wire.NEVER_DROPPED)
            )
        ]
        assert len(gone) == drop.count
        for seq in gone:
            del self.model[seq]
        if cut is None:
            self.outbox.apply_drop(drop)
            return
        self.files.cut = (self.files.calls + cut[0], cut[1])
        try:
            self.outbox.apply_drop(drop)
        except PowerCut:
            # The next boot may lose its power too.
            self.files.cut = (self.files.calls + cut[0], cut[1])
            with suppress(PowerCut):
                self.reopen()
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self.files.cut = None
        self.outbox = Outbox(self.files, BYTES_MAX)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        found = self.outbox.messages(0, 1 << 50, 1 << 30, nothing, None)
        assert found == [(seq, self.model[seq][1]) for seq in sorted(self.model)]
        assert self.outbox.count == len(self.model)
        stored = [self.files.read(name) or b"" for name in self.files.names("outbox/")]
        assert self.outbox.size == sum(map(len, stored))
        assert not self.outbox.tail_lost


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(stateful_step_count=30)
