"""Compression of sections: the same bytes always, and nothing but the right bytes back."""

import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.shell import bundle_file
from gateway.shell.bundle_file import compress, decompress, read_bundle_file, write_whole
from gateway.shell.errors import Code, OperatorFault


@given(st.binary(max_size=5_000))
def test_what_goes_in_comes_out(raw: bytes):
    packed = compress(raw)
    assert packed == compress(raw)
    assert decompress(packed, len(raw)) == raw


def test_a_frame_has_size_and_checksum():
    parameters = zstandard.get_frame_parameters(compress(b"x" * 1_000))
    assert parameters.content_size == 1_000
    assert parameters.has_checksum


@given(st.binary(min_size=1, max_size=2_000), st.data())
def test_a_damaged_frame_gives_as_many_bytes_or_none(raw: bytes, data: st.DataObject):
    packed = bytearray(compress(raw))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    try:
        got = decompress(bytes(packed), len(raw))
    except ValueError:
        return
    assert len(got) == len(raw)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_bytes_that_are_no_frame_never_do_worse_than_valueerror(junk: bytes, raw_size: int):
    try:
        got = decompress(junk, raw_size)
    except ValueError:
        return
    assert len(got) == raw_size


def test_a_flipped_literal_is_still_readable():
    """Signatures do not compress, so most of a bundle's bytes are literals."""
    raw = os.urandom(3_000)
    packed = bytearray(compress(raw))
    packed[1_500] ^= 1
    got = decompress(bytes(packed), len(raw))
    assert sum(a != b for a, b in zip(got, raw, strict=True)) == 1


@pytest.mark.parametrize("raw", [b"", b"abc" * 100])
def test_extra_bytes_and_missing_ones(raw: bytes):
    packed = compress(raw)
    for wrong in (packed + b"\x00", packed[:-5], packed + packed, b""):
        with pytest.raises(ValueError, match=r".+"):
            decompress(wrong, len(raw))


def test_a_bomb_is_refused_by_its_stated_size():
    bomb = compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(ValueError, match="states 50000000 bytes"):
        decompress(bomb, 1_000)


def test_a_bomb_that_lies_about_its_size_is_stopped():
    honest = bytearray(compress(bytes(50_000_000)))
    # Frame header (RFC 8878 section 3.1.1): magic 4, descriptor 1, window 1, content size 4.
    assert honest[6:10] == (50_000_000).to_bytes(4, "little")
    honest[6:10] = (1_000).to_bytes(4, "little")
    with pytest.raises(ValueError, match=r".+"):
        decompress(bytes(honest), 1_000)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "new" / "x.cairn"
    write_whole(path, b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_file.os, "fsync", full)
    with pytest.raises(OperatorFault) as caught:
        write_whole(path, b"two")
    assert caught.value.code == Code.FILE_UNWRITABLE
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x.cairn"
    path.write_bytes(b"12345")
    monkeypatch.setattr(bundle_file, "FILE_BYTES_MAX", 4)
    with pytest.raises(OperatorFault) as caught:
        read_bundle_file(path)
    assert caught.value.code == Code.FILE_UNREADABLE
