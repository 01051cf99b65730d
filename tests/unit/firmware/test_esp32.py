"""The ESP32 board on CPython over stand-ins. tests/device/test_chip.py runs it on MicroPython."""

import asyncio
import errno
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import pytest
from cairn import cbor, chain, identity, limits, regions, vault
from cairn.boards import asyncio_base
from cairn.errors import OperatorError

from tests.unit.firmware import conformance
from tests.unit.firmware.chip_rig import WIFI, Chip, battery, drive, mains, make_chip


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Chip:
    return make_chip(monkeypatch, tmp_path)


@pytest.fixture
def online(chip: Chip) -> Chip:
    chip.nvs.flash.update(WIFI)
    chip.air.networks = {"home": "secret"}
    return chip


@pytest.mark.parametrize("case", conformance.EVENTS + conformance.BOARDS)
def test_board(case: Callable[[Any], Awaitable[None]], online: Chip) -> None:
    board = online.boot()
    board.equip(mains())

    async def measured(_sleep: object) -> list[tuple[int, int, int, int | None, int]]:
        return [(0, 0, -2, 2150, 0)]

    board._rack = type("Rack", (), {"sample": staticmethod(measured)})
    drive(board, case(board))
    assert online.machine.resets == 0


@pytest.mark.parametrize("case", conformance.STREAMS)
def test_stream(case: Callable[..., Awaitable[None]], online: Chip) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
            if data == b"bye":
                break
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            await case(board, "127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.sleep(0.05)

    board = online.boot()
    drive(board, run())


@pytest.mark.parametrize("case", conformance.FILES)
def test_files(case: Callable[[Any], None], chip: Chip) -> None:
    from cairn.boards.directory_files import DirectoryFiles

    case(lambda: DirectoryFiles(str(chip.folder)))


def test_the_watchdog_runs_before_anything_else_and_is_fed_by_the_node_alone(chip: Chip) -> None:
    board = chip.boot()
    assert chip.machine.watchdog_ms == limits.WATCHDOG_MS == 120_000
    fed = chip.machine.fed
    assert fed == 1

    async def work() -> None:
        board.ticks()
        await board.sleep(5)
        with pytest.raises(OSError, match="no Wi-Fi"):
            await board.datagram("127.0.0.1", 1, b"", 10)

    drive(board, work())
    assert chip.machine.fed == fed
    board.feed()
    assert chip.machine.fed == fed + 1


def test_a_key_is_made_with_the_radio_on_and_read_with_it_off(chip: Chip) -> None:
    board = chip.boot()
    assert chip.wlan.active()
    assert board.fs.names("") == [chain.FILE, "device"]
    assert board.vault.names("") == [identity.FILE, vault.PUBLIC]
    assert chip.nvs.flash[("cairn", "public")] == board.public_key()
    chip.wlan.reset()
    again = chip.boot(cause=4)
    assert again.public_key() == board.public_key()
    assert not chip.wlan.active(), "waking from deep sleep to sample must not cost a radio"
    again.entropy(16)
    assert chip.wlan.active()


def test_a_radio_that_cannot_be_switched_on_makes_no_key(chip: Chip) -> None:
    chip.air.broken = True
    with pytest.raises(OSError, match="Wifi Unknown Error"):
        chip.boot()
    assert not list(chip.folder.iterdir())


def test_a_damaged_key_is_told_and_kept(chip: Chip) -> None:
    chip.boot()
    blob = ("cairn", identity.FILE)
    whole = chip.nvs.flash[blob]
    damaged = chip.nvs.flash[blob] = bytes([whole[0] ^ 1]) + whole[1:]
    with pytest.raises(OperatorError) as told:
        chip.boot()
    assert told.value.code == "identity.damaged"
    assert chip.nvs.flash[blob] == damaged


@pytest.mark.parametrize("most, set_to", [(240, 240), (160, 160), (80, 160)])
def test_the_clock_is_the_fastest_there_is(chip: Chip, most: int, set_to: int) -> None:
    chip.machine.hertz_max = most * 1_000_000
    chip.boot()
    assert chip.machine.hertz == set_to * 1_000_000


@pytest.mark.parametrize("told, means", [(0, 0), (1, 1), (2, 4), (3, 2), (4, 5), (5, 4), (99, 0)])
def test_reset_causes(chip: Chip, told: int, means: int) -> None:
    assert chip.boot(cause=told).info()[1] == means


def test_power_on_with_its_memory_intact_was_a_brown_out(chip: Chip) -> None:
    assert chip.boot(cause=1).info()[1] == 1
    assert chip.boot(cause=1).info()[1] == 3
    chip.machine.memory = b""
    assert chip.boot(cause=1).info()[1] == 1


def test_retained_memory(chip: Chip) -> None:
    board = chip.boot()
    assert board.retained() is None
    assert board.retain(b"samples")
    assert chip.boot(cause=4).retained() == b"samples"
    assert board.retain(bytes(limits.RETAINED_BYTES))
    assert not board.retain(bytes(limits.RETAINED_BYTES + 1))
    assert board.retained() == bytes(limits.RETAINED_BYTES)
    assert len(chip.machine.memory) <= 2_048
    assert board.retain(b"")
    assert board.retained() is None
    chip.machine.memory = b"what another program left there"
    assert board.retained() is None
    assert chip.boot(cause=1).info()[1] == 1


def test_deep_sleep_switches_the_radio_off(online: Chip) -> None:
    board = online.boot()

    async def work() -> None:
        await board.online(5_000)
        board.equip(battery())
        assert board.radio_send(regions.ESP_NOW, 0, 700, b"beacon")
        board.deep_sleep(60_000)

    drive(board, work())
    assert not online.wlan.active()
    assert online.machine.slept_ms == 60_000
    board.deep_sleep(1 << 40)
    assert online.machine.slept_ms == 0x7FFF_FFFF
    board.deep_sleep(-5)
    assert online.machine.slept_ms == 1


def test_restart_and_a_task_that_fails(chip: Chip) -> None:
    board = chip.boot()

    async def fail() -> None:
        raise OSError(28, "no space")

    async def work() -> None:
        board.spawn(fail())
        await board.sleep(5)

    drive(board, work())
    assert chip.machine.resets == 1
    assert [code for code, _ in chip.reports] == ["task.failed", "restart"]
    assert all("no space" in detail for _, detail in chip.reports)


def test_reports_go_to_the_console(chip: Chip, capsys: pytest.CaptureFixture[str]) -> None:
    board = chip.boot()
    type(board).report(board, "config.spare", "config is damaged")
    assert capsys.readouterr().out == "cairn: config.spare: config is damaged\n"


class Epoch:
    """time of an ESP32: seconds and nanoseconds count from 2000."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def time_ns(self) -> int:
        return self.seconds * 1_000_000_000 + 123_456_789

    def gmtime(self, seconds: int) -> tuple[int, ...]:
        import time

        there = time.gmtime(seconds + 946_684_800)
        return (*there[:6], there[6], there[7])


def test_utc_counts_from_2000_and_is_unknown_until_set(
    chip: Chip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cairn.boards import esp32 as module

    board = chip.boot()
    monkeypatch.setattr(module, "time", Epoch(3_600))
    assert board.now_ms() is None
    monkeypatch.setattr(module, "time", Epoch(848_750_400))
    assert board.now_ms() == (848_750_400 + 946_684_800) * 1000 + 123
    board.set_clock(1_795_435_201_250)
    assert chip.machine.dated == (2026, 11, 23, 0, 12, 0, 1, 250_000)


def test_ticks_go_on_where_the_counter_wraps(
    chip: Chip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ticks_ms() has 30 bits; asked once a watchdog time the board counts on for years."""
    period, now = 1 << 30, [0]
    half = period >> 1
    monkeypatch.setattr(asyncio_base, "milliseconds", lambda: now[0] % period)
    monkeypatch.setattr(asyncio_base, "elapsed_ms", lambda a, b: (a - b + half) % period - half)
    board = chip.boot()
    while now[0] < 3 * period:
        now[0] += 400_000_000
        board.feed()
        assert board.ticks() == now[0]
    now[0] += limits.WATCHDOG_MS
    assert board.ticks() == now[0]


def test_battery_voltage_is_that_of_the_pin_times_the_divider(chip: Chip) -> None:
    assert chip.boot().info()[2] is None
    chip.nvs.flash[("cairn", "battery")] = cbor.encode([35, 2_000])
    assert chip.boot().info()[2] == 3_300
    for damaged in (b"\xff", cbor.encode(7), cbor.encode([99, 2_000]), bytes(200)):
        chip.nvs.flash[("cairn", "battery")] = damaged
        assert chip.boot().info()[2] is None


def test_what_is_not_in_nvs_reads_empty_and_a_broken_nvs_is_an_error(chip: Chip) -> None:
    from cairn.boards import esp32_store

    assert esp32_store.get("ssid") == b""
    esp32_store.put("ssid", b"home")
    assert esp32_store.get("ssid") == b"home"
    esp32_store.put("ssid", b"")
    assert esp32_store.get("ssid") == b""
    longest = bytes(range(250)) * 16
    esp32_store.put("config", longest)
    assert esp32_store.get("config") == longest
    with pytest.raises(OSError, match="more than"):
        esp32_store.put("config", longest + b"x")
    chip.nvs.flash[("cairn", "ssid")] = longest + b"x"
    with pytest.raises(OSError, match="INVALID_LENGTH"):
        esp32_store.get("ssid")
    chip.nvs.broken = True
    with pytest.raises(OSError, match="NOT_INITIALIZED"):
        esp32_store.get("ssid")


def test_full_storage_is_enospc_and_leaves_the_old_file(
    chip: Chip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = chip.boot()
    board.fs.write("keys", b"old")

    class Full:
        def __init__(self, path: str, _mode: str) -> None:
            Path(path).write_bytes(b"half")

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, _data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("builtins.open", Full)
    with pytest.raises(OSError, match=re.escape("No space")) as full:
        board.fs.write("keys", b"new")
    monkeypatch.undo()
    assert full.value.errno == errno.ENOSPC
    assert (chip.folder / "keys").read_bytes() == b"old"
    assert not (chip.folder / "keys.new").exists()


def test_storage_counts_what_is_free_and_what_the_outbox_has(
    chip: Chip, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = chip.boot()
    monkeypatch.setattr(os, "statvfs", lambda _: (4096, 4096, 512, 100, 100), raising=False)
    board.fs.write("outbox/00000001", b"x")
    board.fs.write("outbox/00000002", b"x")
    assert board.storage_bytes() == 102 * 4096
