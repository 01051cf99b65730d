import base64
import os

import pytest
from cairn import identity
from cairn.boards.host import MemoryFiles
from cairn.errors import OperatorError
from hypothesis import given
from hypothesis import strategies as st


def ticks() -> int:
    return 12345


@given(st.binary(min_size=16, max_size=16))
def test_name_is_base32(device: bytes) -> None:
    assert identity.device_name(device) == base64.b32encode(device).decode().lower().rstrip("=")


def test_key_is_made_once() -> None:
    files = MemoryFiles()
    first = identity.open_identity(files, os.urandom, ticks, b"chip")
    again = identity.open_identity(files, os.urandom, ticks, b"chip")
    assert first.public_key == again.public_key
    other = identity.open_identity(MemoryFiles(), os.urandom, ticks, b"chip")
    assert other.public_key != first.public_key


def test_a_new_key_forgets_the_old_chain() -> None:
    files = MemoryFiles()
    for name in ("outbox/00000001", "announced", "receipt", "config"):
        files.write(name, b"of the old key")
    identity.open_identity(files, os.urandom, ticks, b"chip")
    assert files.names("") == ["chain", "config", "identity"]


@pytest.mark.parametrize("place", [0, 31, 32, 63])
def test_damaged_key_is_refused(place: int) -> None:
    files = MemoryFiles()
    identity.open_identity(files, os.urandom, ticks, b"chip")
    stored = bytearray(files.read(identity.FILE) or b"")
    stored[place] ^= 1
    files.write(identity.FILE, bytes(stored))
    with pytest.raises(OperatorError, match=r"\[identity.damaged\]"):
        identity.open_identity(files, os.urandom, ticks, b"chip")


def test_torn_key_is_refused() -> None:
    files = MemoryFiles()
    files.write(identity.FILE, b"short")
    with pytest.raises(OperatorError, match=r"identity\.damaged"):
        identity.open_identity(files, os.urandom, ticks, b"chip")


@pytest.mark.parametrize("entropy", [bytes, lambda size: b"\xff" * size, lambda _: b"ab" * 16])
def test_generator_that_repeats_makes_no_key(entropy) -> None:
    with pytest.raises(OperatorError) as refused:
        identity.make_seed(entropy, ticks, b"chip")
    assert refused.value.code == "identity.entropy"


def test_seed_depends_on_every_source() -> None:
    def counter(start: int):
        numbers = iter(range(start, start + 100))
        return lambda size: next(numbers).to_bytes(size, "big")

    seeds = {
        identity.make_seed(counter(1), ticks, b"chip"),
        identity.make_seed(counter(2), ticks, b"chip"),
        identity.make_seed(counter(1), lambda: 1, b"chip"),
        identity.make_seed(counter(1), ticks, b"other"),
    }
    assert len(seeds) == 4
