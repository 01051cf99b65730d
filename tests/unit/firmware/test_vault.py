"""Key, login counter and configuration outlive the file system of a board that has a vault."""

import os

import pytest
from cairn import announce, chain, config, identity, limits, login, sealed, vault, wire
from cairn.boards.base import Files
from cairn.boards.host import HostBoard, MemoryFiles
from cairn.ed25519 import Signer
from cairn.errors import OperatorError
from cairn.login import Login

from tests.unit.firmware.bench import make_config
from tests.unit.firmware.bench_station import StationBench
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut

HOUR_MS = 3_600_000
NETWORK = make_config().network_id


def boot(files: Files, kept: Files) -> Signer:
    return identity.open_identity(files, os.urandom, lambda: 7, b"chip", kept)


def earlier_board() -> tuple[FaultyFiles, bytes]:
    """Its files as an image without a vault left them, and its public key."""
    files = FaultyFiles()
    key = identity.open_identity(files, os.urandom, lambda: 7, b"chip").public_key
    config.store(files, make_config())
    Login(files, lambda _: bytes(64), key, NETWORK).password(bytes(login.NONCE_BYTES))
    files.write("outbox/00000001", b"signed")
    files.write(announce.FILE, b"said")
    return files, key


def counter(kept: Files) -> int:
    return Login(kept, lambda _: bytes(64), bytes(32), NETWORK)._next


def test_a_new_board_keeps_its_key_in_the_vault_and_names_itself_there() -> None:
    files, kept = FaultyFiles(), FaultyFiles()
    key = boot(files, kept).public_key
    assert kept.names("") == ["identity", "public"]
    assert kept.read(vault.PUBLIC) == key
    assert files.names("") == ["chain", "device"]
    assert boot(files, kept).public_key == key


def test_what_an_earlier_image_kept_is_moved_once() -> None:
    files, key = earlier_board()
    kept = FaultyFiles()
    assert boot(files, kept).public_key == key
    assert files.names("") == [announce.FILE, "chain", "device", "outbox/00000001"]
    assert kept.names("") == sorted([*vault.NAMES, vault.PUBLIC])
    assert vars(config.load(kept)) == vars(make_config())
    assert counter(kept) == 1 + limits.LOGIN_BLOCK
    changes = files.calls, kept.calls
    boot(files, kept)
    assert (files.calls, kept.calls) == changes


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("call", range(6))
def test_no_power_cut_while_it_moves_loses_or_doubles_anything(
    call: int, which: int, when: str
) -> None:
    files, key = earlier_board()
    kept = FaultyFiles()
    cut = (files, kept)[which]
    cut.cut = (cut.calls + call, when)
    try:
        boot(files, kept)
    except PowerCut:
        cut.cut = None
        assert boot(files, kept).public_key == key
    else:
        assert call == 5, "four files are removed and one is written; five blobs are written"
    assert kept.names("") == sorted([*vault.NAMES, vault.PUBLIC])
    assert files.names("") == [announce.FILE, "chain", "device", "outbox/00000001"]
    assert counter(kept) == 1 + limits.LOGIN_BLOCK


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("call", range(4))
def test_a_power_cut_while_a_key_is_made_leaves_one_key_and_its_own_chain(
    call: int, which: int, when: str
) -> None:
    files, kept = FaultyFiles(), FaultyFiles()
    files.write("outbox/00000001", b"of an older key")
    sealed.write(kept, login.FILE, b"\x81\x18\xff")
    cut = (files, kept)[which]
    cut.cut = (cut.calls + call, when)
    try:
        first = boot(files, kept).public_key
    except PowerCut:
        cut.cut = None
        first = boot(files, kept).public_key
    assert boot(files, kept).public_key == first
    assert files.names("") == ["chain", "device"]
    assert counter(kept) == 1


def test_the_counter_of_an_older_key_does_not_come_along() -> None:
    files, kept = FaultyFiles(), FaultyFiles()
    boot(files, kept)
    made = Login(kept, lambda _: bytes(64), bytes(32), NETWORK)
    made.password(bytes(login.NONCE_BYTES))
    kept.remove(identity.FILE)
    boot(files, kept)
    assert counter(kept) == 1


def test_an_older_copy_in_the_file_system_does_not_replace_the_vault() -> None:
    files, key = earlier_board()
    old = {name: files.read(name) or b"" for name in vault.NAMES}
    kept = FaultyFiles()
    boot(files, kept)
    for _ in range(3 * limits.LOGIN_BLOCK):
        made = Login(kept, lambda _: bytes(64), key, NETWORK)
        made.password(bytes(login.NONCE_BYTES))
    newest = counter(kept)
    for name, data in old.items():
        files.write(name, data)
    assert boot(files, kept).public_key == key
    assert counter(kept) == newest
    assert not set(vault.NAMES) & set(files.names(""))


@pytest.mark.parametrize("moved", [True, False])
@pytest.mark.parametrize("call", range(5))
def test_the_files_of_another_board_are_no_chain_of_this_key(call: int, *, moved: bool) -> None:
    foreign, _ = earlier_board()
    if moved:
        boot(foreign, FaultyFiles())
    kept = FaultyFiles()
    key = boot(FaultyFiles(), kept).public_key
    foreign.cut = (foreign.calls + call, "after")
    for _ in range(2):
        try:
            assert boot(foreign, kept).public_key == key
        except PowerCut:
            foreign.cut = None
    assert foreign.names("") == ["device"], "the chain is lost, and a receipt says where it was"
    assert sealed.read(foreign, "device") == identity.device_id(key)


def test_a_damaged_mark_is_written_again() -> None:
    files, kept = FaultyFiles(), FaultyFiles()
    key = boot(files, kept).public_key
    files.write("device", b"damaged")
    assert boot(files, kept).public_key == key
    assert chain.FILE in files.names("")
    assert sealed.read(files, "device") == identity.device_id(key)


def two_lives(monkeypatch: pytest.MonkeyPatch) -> StationBench:
    """A station whose file system is replaced while its key and its configuration stay."""
    # The bench keeps delivered seqs as a set: 2^32 would not fit.
    monkeypatch.setattr(limits, "SEQ_UNKNOWN_START", 1 << 16)
    monkeypatch.setattr(limits, "SEQ_SAFE_DISTANCE", 1 << 14)
    bench = StationBench(monkeypatch)
    bench.vault = FaultyFiles()
    config.store(bench.vault, bench.config)
    bench.power_on()
    bench.run(3 * HOUR_MS)
    bench.files = FaultyFiles()
    return bench


def test_a_new_file_system_costs_a_gap_and_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = two_lives(monkeypatch)
    highest, device = max(bench.gateway.taken), bench.board.public_key()
    hellos = len(bench.gateway.fields(wire.HELLO))
    bench.cut_power()
    bench.run(3 * HOUR_MS)
    assert bench.board.public_key() == device
    assert bench.gateway.complete(), "no seq has two messages, and none is missing"
    gaps = bench.gateway.fields(wire.GAP)
    assert [gap[7][3] for gap in gaps] == [wire.GAP_CHAIN_LOST]
    assert gaps[0][7][0] == highest + 1
    assert gaps[0][3] >= highest + limits.SEQ_SAFE_DISTANCE
    assert gaps[0][4] == chain.NO_PREV
    assert len(bench.gateway.fields(wire.HELLO)) == hellos + 1, "it says again who it is"
    assert "chain.lost" in bench.codes()
    assert max(bench.gateway.taken) > gaps[0][3] + 5, "it measures on"


def test_without_a_receipt_it_goes_on_above_all_it_can_have_signed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = two_lives(monkeypatch)
    highest = max(bench.gateway.taken)
    bench.online = False
    bench.cut_power()
    bench.run(limits.CHAIN_LOST_WAIT_MS + HOUR_MS)
    bench.online = True
    bench.run(2 * HOUR_MS)
    assert bench.gateway.forks == []
    later = [seq for seq in bench.gateway.taken if seq > highest]
    assert min(later) >= limits.SEQ_UNKNOWN_START


def test_a_configuration_that_came_with_the_image_is_taken_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = StationBench(monkeypatch)
    bench.vault = FaultyFiles()
    offered = bench.offered = make_config(broker_host="broker.test").encode()
    bench.power_on()
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    assert sealed.read(bench.vault, config.FILE) == sealed.read(bench.vault, config.SPARE)
    assert sealed.read(bench.vault, config.FILE) == offered
    owners = make_config(broker_host="broker.test", status_interval_ms=7_200_000)
    config.store(bench.vault, owners)
    bench.cut_power()
    bench.run(HOUR_MS)
    assert config.load(bench.vault, None, lambda: offered).status_interval_ms == 7_200_000


def test_an_offer_is_checked_and_damage_asks_no_offer() -> None:
    kept = FaultyFiles()
    with pytest.raises(OperatorError) as refused:
        config.load(kept, None, lambda: b"\x00")
    assert refused.value.code == "config.damaged"
    assert kept.names("") == []
    config.store(kept, make_config())
    for name in (config.FILE, config.SPARE):
        kept.write(name, b"damaged")
    with pytest.raises(OperatorError, match="check"):
        config.load(kept, None, make_config().encode)


def test_a_board_without_a_vault_has_its_files_for_one() -> None:
    async def measured() -> list[tuple[int, int, int, int | None, int]]:
        return []

    files = MemoryFiles()
    board = HostBoard(files, measured, lambda _: None)
    assert board.vault is board.fs is files
    assert files.names("") == ["chain", "identity"]
    assert board.offer() is None
