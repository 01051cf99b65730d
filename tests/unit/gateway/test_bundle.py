"""The container: every byte is covered, damage has a name, and nothing crashes the reader."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bundle import (
    EXPANSION_MAX,
    FORMAT,
    MAGIC,
    RAW_BYTES_MAX,
    Damage,
    read_bundle,
    write_bundle,
)
from gateway.core.bundle_sections import bundle_sections, inputs_of
from gateway.core.canonical import MalformedError
from gateway.shell import bundle_file
from tests.unit.gateway.epoch_kit import Net

SECTIONS = {"b": b"second" * 50, "a": b"first", "empty": b""}
HEADER_BYTES = 77


def compress(raw):
    return zlib.compress(raw, 9)


def decompress(packed, raw_size):
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, raw_size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("not one stream")
    return raw


def stored(raw):
    return raw


def unstored(packed, raw_size):
    if len(packed) != raw_size:
        raise ValueError("another length")
    return packed


BUNDLE = write_bundle(SECTIONS, compress)


def test_sections_come_back_and_their_order_is_not_in_the_file():
    assert read_bundle(BUNDLE, decompress) == SECTIONS
    assert write_bundle(dict(sorted(SECTIONS.items())), compress) == BUNDLE
    assert BUNDLE.startswith(MAGIC + bytes([FORMAT]))
    assert read_bundle(write_bundle({}, compress), decompress) == {}


def place_of(position, data):
    """Where a byte of the file lies, from the lengths in it."""
    index_end = HEADER_BYTES + int.from_bytes(data[9:13], "big")
    if position < HEADER_BYTES:
        return "header"
    if position < index_end:
        return "index"
    for name in sorted(SECTIONS):
        index_end += len(compress(SECTIONS[name]))
        if position < index_end:
            return f"section {name}"
    raise AssertionError(position)


@pytest.mark.parametrize("flip", [1, 128, 255])
def test_every_flipped_byte_is_named(flip):
    for position in range(len(BUNDLE)):
        changed = bytearray(BUNDLE)
        changed[position] ^= flip
        damage = read_bundle(bytes(changed), decompress)
        assert isinstance(damage, Damage), position
        assert damage.place == place_of(position, BUNDLE)


@pytest.mark.parametrize(
    "data, place",
    [
        (b"", "header"),
        (BUNDLE[:76], "header"),
        (BUNDLE[:100], "index"),
        (BUNDLE[:-1], "end"),
        (BUNDLE + b"\0", "end"),
    ],
)
def test_a_file_of_another_length_is_refused(data, place):
    assert read_bundle(data, decompress).place == place


def test_damage_carries_what_is_still_readable():
    bundle = write_bundle(SECTIONS, stored)
    changed = bundle.replace(b"secondsecond", b"seconDsecond", 1)
    damage = read_bundle(changed, unstored)
    assert damage.place == "section b"
    assert damage.raw == SECTIONS["b"].replace(b"second", b"seconD", 1)
    assert damage.intact == {"a": b"first", "empty": b""}


def test_a_section_that_grows_beyond_what_it_states_is_refused():
    lying = write_bundle({"a": b"x" * 10_000}, lambda _: compress(b"x" * 100_000))
    assert read_bundle(lying, decompress).place == "section a"


def test_more_than_a_bundle_may_hold_is_refused_before_it_is_unpacked():
    class Huge(bytes):
        def __len__(self):
            return RAW_BYTES_MAX + 1

    def never(packed, raw_size):
        raise AssertionError((packed, raw_size))

    assert read_bundle(write_bundle({"a": Huge()}, lambda _: b""), never).place == "index"
    many = {f"{n:03}": b"" for n in range(65)}
    assert read_bundle(write_bundle(many, stored), never).place == "index"


def test_a_small_file_that_states_much_is_refused_before_it_is_unpacked():
    def never(packed, raw_size):
        raise AssertionError((packed, raw_size))

    # 18 kB of it, unpacked and read as an array of zeros, took more than 6 GB.
    bomb = write_bundle({"messages": bytes(20_000_000)}, bundle_file.compress)
    assert len(bomb) < 2_000
    damage = read_bundle(bomb, never)
    assert (damage.place, "said to stand for 20000000" in damage.detail) == ("index", True)
    most = write_bundle({"a": bytes(EXPANSION_MAX)}, lambda _: b"x")
    assert read_bundle(most, lambda _, size: bytes(size)) == {"a": bytes(EXPANSION_MAX)}


@given(st.data())
def test_mutated_files_never_crash_and_never_pass(data):
    changed = bytearray(BUNDLE)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(changed) - 1))
        changed[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    grown = bytes(changed[:cut]) + data.draw(st.binary(max_size=9)) + bytes(changed[cut:])
    for mutated in (bytes(changed), bytes(changed[:cut]), grown):
        if mutated != BUNDLE:
            assert isinstance(read_bundle(mutated, decompress), Damage)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value(data):
    assert isinstance(read_bundle(data, decompress), Damage)


@pytest.fixture(scope="module")
def closed():
    net = Net()
    station = net.station(anchored=True)
    net.send(station.day(interval_ms=3_600_000))
    return net.close_with_inputs()


def test_inputs_come_back_from_a_zstd_file(closed):
    inputs, outcome = closed
    data = write_bundle(bundle_sections(inputs, outcome, b"seal"), bundle_file.compress)
    assert data == write_bundle(bundle_sections(inputs, outcome, b"seal"), bundle_file.compress)
    sections = read_bundle(data, bundle_file.decompress)
    assert sections == bundle_sections(inputs, outcome, b"seal")
    assert inputs_of(sections) == inputs
    assert (sections["manifest"], sections["attestation"]) == (outcome.manifest, b"seal")


def test_a_flipped_byte_in_a_zstd_file_is_named(closed):
    data = write_bundle(bundle_sections(*closed), bundle_file.compress)
    for position in range(0, len(data), 97):
        changed = bytearray(data)
        changed[position] ^= 0x10
        assert isinstance(read_bundle(bytes(changed), bundle_file.decompress), Damage)


@pytest.mark.parametrize(
    "name",
    ["genesis", "epoch", "opening", "admission", "operator", "messages", "statements", "centres"],
)
def test_an_absent_section_is_named(closed, name):
    sections = bundle_sections(*closed)
    del sections[name]
    with pytest.raises(MalformedError, match=name):
        inputs_of(sections)
    with pytest.raises(MalformedError, match="more"):
        inputs_of({**bundle_sections(*closed), "more": b""})


@pytest.mark.parametrize(
    "name", ["epoch", "admission", "operator", "messages", "statements", "centres", "opening"]
)
@pytest.mark.parametrize("content", [b"\xff", b"\x00", b"\x81\x00", b"\x80\x00", b"\x85" * 5])
def test_a_section_with_something_else_in_it_is_named(closed, name, content):
    sections = {**bundle_sections(*closed), name: content}
    with pytest.raises(MalformedError, match=f"section {name}"):
        inputs_of(sections)
