"""Flash that forgets: whatever single file is damaged or gone, the board starts and goes on."""

import pytest
from cairn import cbor, chain, config, limits, sealed, segment, wire
from cairn.boards.host import MemoryFiles
from cairn.errors import OperatorError
from cairn.keyring import Keyring
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import Bench, downlink, make_config

HOUR_MS = 3_600_000
SMALL_FILES = ("keys", "receipt", "announced", "chain")


def station() -> Bench:
    bench = Bench()
    bench.boot()
    bench.run(3 * HOUR_MS)
    return bench


def flip(bench: Bench, name: str, bit: int) -> None:
    data = bytearray(bench.files.read(name) or b"")
    data[bit // 8] ^= 1 << bit % 8
    bench.files.write(name, bytes(data))


def goes_on(bench: Bench, *, retained: bool = True) -> None:
    """A new boot delivers everything; no seq and no prev is used twice."""
    before = max(bench.gateway.taken)
    bench.boot()
    if retained:
        bench.link.send_receipt()
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()
    assert bench.gateway.fields(wire.READINGS)[-1][3] > before
    # Before its first message a board that lost its outbox does not know how far it had come.
    assert bench.node.last_refusal in {"", "above_highest"}


@given(st.binary(min_size=1, max_size=60), st.data())
def test_every_flipped_bit_of_a_sealed_file_is_found(content: bytes, data: st.DataObject) -> None:
    files = MemoryFiles()
    sealed.write(files, "some", content)
    assert sealed.read(files, "some") == content
    stored = bytearray(files.read("some") or b"")
    bit = data.draw(st.integers(0, 8 * len(stored) - 1))
    stored[bit // 8] ^= 1 << bit % 8
    files.write("some", bytes(stored))
    assert sealed.read(files, "some") == b""
    files.write("some", bytes(stored[: data.draw(st.integers(0, len(stored) - 1))]))
    assert sealed.read(files, "some") == b""


def test_a_file_under_another_name_is_none() -> None:
    files = MemoryFiles()
    sealed.write(files, "keys", b"content")
    files.write("receipt", files.read("keys") or b"")
    assert sealed.read(files, "receipt") == b""
    assert sealed.read(files, "absent") == b""


@pytest.mark.parametrize("where", [0, 37, 61, 99])
@pytest.mark.parametrize("name", SMALL_FILES)
def test_damaged_small_file(name: str, where: int) -> None:
    bench = station()
    size = 8 * len(bench.files.read(name) or b"")
    flip(bench, name, size * where // 100)
    goes_on(bench)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 40, b"\x82\x40\x40"])
@pytest.mark.parametrize("name", SMALL_FILES)
def test_small_file_of_something_else(name: str, content: bytes) -> None:
    bench = station()
    bench.files.write(name, content)
    goes_on(bench)


def test_damaged_serial_in_keys_is_not_believed() -> None:
    # A board that believed a higher serial would refuse every statement from now on.
    bench = station()
    whole = bench.files.read("keys") or b""
    for bit in range(8 * len(whole)):
        bench.files.write("keys", whole)
        flip(bench, "keys", bit)
        keyring = Keyring(bench.board, bench.config.network_id, bench.config.root_key)
        assert keyring.serial == -1
    goes_on(bench)


def test_damaged_config_is_named_and_never_signed() -> None:
    files = MemoryFiles()
    config.store(files, make_config())
    whole = files.read(config.FILE) or b""
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        files.write(config.FILE, bytes(damaged))
        files.write(config.SPARE, bytes(damaged))
        with pytest.raises(OperatorError) as refused:
            config.load(files)
        assert refused.value.code == "config.damaged"
        assert "Provision" in refused.value.do


@pytest.mark.parametrize("name", [config.FILE, config.SPARE])
def test_damaged_copy_of_the_config_is_mended_from_the_other(name: str) -> None:
    files = MemoryFiles()
    config.store(files, make_config())
    whole = {copy: files.read(copy) or b"" for copy in (config.FILE, config.SPARE)}
    reported: list[tuple[str, str]] = []
    for bit in range(8 * len(whole[name])):
        damaged = bytearray(whole[name])
        damaged[bit // 8] ^= 1 << bit % 8
        files.write(name, bytes(damaged))
        loaded = config.load(files, lambda code, detail: reported.append((code, detail)))
        assert vars(loaded) == vars(make_config())
        assert {copy: files.read(copy) for copy in whole} == whole
    told = [("config.spare", "config is damaged")] * (8 * len(whole[name]))
    assert reported == (told if name == config.FILE else [])


def test_chain_is_damaged_and_the_newest_record_too() -> None:
    bench = station()
    highest = max(bench.gateway.taken)
    name = bench.files.names("outbox/")[-1]
    flip(bench, name, 8 * len(bench.files.read(name) or b"") - 1)
    flip(bench, chain.FILE, 3)
    bench.boot()
    bench.run(60_000)
    assert max(bench.gateway.taken) == highest
    # The gap reaches over 2^20 seqs: the bench keeps delivered ones as a set.
    bench.link.send_receipt()
    bench.run(2 * HOUR_MS)
    assert bench.gateway.complete()
    gap = bench.gateway.fields(wire.GAP)[0]
    assert gap[4] == chain.NO_PREV
    assert gap[7][3] == wire.GAP_CHAIN_LOST


@pytest.mark.parametrize("bit", range(32))
@pytest.mark.parametrize("which", [0, 9, -1])
def test_damaged_length_of_a_record_is_no_torn_tail(which: int, bit: int) -> None:
    # A torn tail was never published. Taking published messages for one would share a prev.
    bench = station()
    name = bench.files.names("outbox/")[-1]
    records, _, _ = segment.scan(bench.files.read(name) or b"")
    flip(bench, name, 8 * records[which].start + bit)
    damaged = segment.scan(bench.files.read(name) or b"")
    assert damaged[2]
    assert len(damaged[0]) == len(records[:which])
    bench.boot()
    bench.link.send_receipt()
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()


KEPT = [(), ("chain",), ("chain", "keys"), ("chain", "receipt"), ("chain", "announced"), ("keys",)]


@pytest.mark.parametrize("retained", [True, False])
@pytest.mark.parametrize("kept", KEPT)
def test_only_some_files_are_left(
    kept: tuple[str, ...], *, retained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The gateway remembers the station: its receipts name ids that the board has forgotten.
    # The bench keeps delivered seqs as a set: 2^32 would not fit.
    monkeypatch.setattr(limits, "SEQ_UNKNOWN_START", 1 << 16)
    monkeypatch.setattr(limits, "SEQ_SAFE_DISTANCE", 1 << 14)
    bench = station()
    for name in bench.files.names(""):
        if name not in kept:
            bench.files.remove(name)
    goes_on(bench, retained=retained)


def test_forgotten_ids_are_only_taken_where_nothing_is_left() -> None:
    bench = station()
    bench.files.remove("receipt")
    bench.boot()
    bench.run(60_000)
    body = bench.gateway.receipt_body()
    body[1] = b"x" * 16
    for up_to in (0, body[0]):
        body[0] = up_to
        message = downlink(17, bench.link.device, body, bench.config.network_id)
        bench.link.deliver("down/receipt", message)
        bench.run(1_000)
        assert bench.node.last_refusal == "unknown_id"
    assert bench.node.downlinks_refused == 2


def test_damaged_copy_behind_the_newest_record_leaves_a_gap() -> None:
    # Only a chain_lost gap may go without a prev: there is a seq for it even if none is missing.
    bench = station()
    highest = max(bench.gateway.taken)
    sealed.write(bench.files, chain.FILE, cbor.encode([1, highest + 1]))
    bench.files.append(bench.files.names("outbox/")[-1], b"\xee" * 20)
    goes_on(bench)
    without = [taken[2] for taken in bench.gateway.taken.values() if taken[2][4] == bytes(16)]
    assert [header[1] for header in without] == [wire.HELLO, wire.GAP]
    assert without[1][7] == [highest + 1, highest + 1, 0, wire.GAP_CHAIN_LOST]
