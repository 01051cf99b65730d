"""What one boot leaves to the next, and that damaged notes are no notes."""

import pytest
from cairn import lives
from cairn.boards.host import MemoryFiles
from hypothesis import given
from hypothesis import strategies as st

COUNT = st.integers(0, 1 << 32)


class FullFiles(MemoryFiles):
    def write(self, name: str, data: bytes) -> None:  # noqa: ARG002 - it is full
        raise OSError(28)


@given(COUNT, COUNT, COUNT)
def test_counts_survive(crashes: int, stays: int, quiet: int) -> None:
    files = MemoryFiles()
    assert lives.load(files) == (0, 0, 0)
    lives.store(files, crashes, stays, quiet)
    assert lives.load(files) == (crashes, stays, quiet)


def test_a_damaged_count_begins_anew() -> None:
    files = MemoryFiles()
    lives.store(files, 4, 1, 2)
    whole = files.read(lives.FILE) or b""
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        files.write(lives.FILE, bytes(damaged))
        assert lives.load(files) == (0, 0, 0)


def test_a_full_flash_does_not_keep_the_station_from_starting() -> None:
    lives.store(FullFiles(), 1, 0, 0)


def test_boots_lie_before_each_other() -> None:
    # Boot 7 ran for 100 s and asked for its restart; boot 8 for 50 s and hung.
    first = lives.unpack(lives.pack(7, 100_000, []), lives.RESET_SOFTWARE)
    assert first == [(7, 110_000, 10_000)]
    second = lives.unpack(lives.pack(8, 50_000, first), 2)
    # The watchdog let it hang for up to 120 s.
    assert second == [(7, 230_000, 80_000), (8, 120_000, 70_000)]


def test_nobody_knows_how_long_a_brown_out_was() -> None:
    assert lives.unpack(lives.pack(7, 100_000, []), lives.RESET_BROWN_OUT) == []


@given(
    COUNT,
    st.integers(0, 1 << 40),
    st.lists(st.tuples(COUNT, st.integers(0, 1 << 40), st.integers(0, 1 << 40)), max_size=20),
)
def test_only_the_newest_boots_fit(
    boot: int, ticks: int, rows: list[tuple[int, int, int]]
) -> None:
    data = lives.pack(boot, ticks, rows)
    assert len(data) < 400
    found = lives.unpack(data, lives.RESET_SOFTWARE)
    assert [row[0] for row in found] == [row[0] for row in rows[-8:]] + [boot]


@pytest.mark.parametrize("data", [None, b"", b"x", bytes(2_000)])
def test_no_notes(data: bytes | None) -> None:
    assert lives.unpack(data, 4) == []


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(1, 255))
def test_damaged_and_foreign_notes(noise: bytes, place: int, flip: int) -> None:
    assert lives.unpack(noise, 4) == []
    data = bytearray(lives.pack(3, 1_000, [(2, 5, 5)]))
    data[place % len(data)] ^= flip
    assert lives.unpack(bytes(data), 4) == []
