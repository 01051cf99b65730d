"""The parts of a virtual board one by one, and the official image that its tests write."""

import socket
import threading
from pathlib import Path

import pytest

from simulator.virtual.auto_reset import AutoReset
from simulator.virtual.bootable import Unbootable, check_boot, partitions
from simulator.virtual.flash import Flash
from simulator.virtual.models import MODELS
from simulator.virtual.slip import FRAME_BYTES_MAX, SlipReader, framed
from tests.board.conftest import flashed
from tests.board.official_image import (
    CHIPS,
    ROWS,
    TABLE_OFFSET,
    VFS_ROW,
    application,
    bootloader,
    official_image,
    partition_table,
)

EVERY_BYTE = bytes(range(256))


def test_slip_brings_every_byte_back_however_it_is_cut():
    line = framed(EVERY_BYTE) + framed(b"\xc0\xdb\xc0")
    for size in (1, 2, 7, 1000):
        reader = SlipReader()
        got = [
            packet
            for at in range(0, len(line), size)
            for packet in reader.feed(line[at : at + size])
        ]
        assert got == [EVERY_BYTE, b"\xc0\xdb\xc0"]


def test_slip_drops_what_is_outside_a_frame_or_far_too_long():
    reader = SlipReader()
    assert list(reader.feed(b"noise" + framed(b"a") + b"noise" + framed(b"b"))) == [b"a", b"b"]
    assert list(reader.feed(framed(bytes(FRAME_BYTES_MAX + 1)))) == []


class Chip:
    """What the two transistors do to a chip, as text."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.waiting: list = []
        self.circuit = AutoReset(
            lambda: self.seen.append("hold"),
            lambda download: self.seen.append("download" if download else "run"),
            self.waiting.append,
        )

    def set(self, *states: tuple[int, int]) -> None:
        for dtr, rts in states:
            self.circuit.changed(bool(dtr), bool(rts))

    def wait(self) -> None:
        for call in self.waiting:
            call()
        self.waiting.clear()


def test_esptools_classic_reset_leads_to_download_mode():
    chip = Chip()
    # DTR off, RTS on (EN low); DTR on, RTS off (EN rises with IO0 low); DTR off.
    chip.set((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))
    chip.wait()
    assert chip.seen == ["hold", "download"]


def test_a_pulse_of_rts_starts_the_program():
    chip = Chip()
    chip.set((0, 1), (0, 0))
    assert chip.seen == ["hold", "run"]


def test_a_host_that_opens_and_closes_the_port_resets_nothing():
    chip = Chip()
    chip.set((1, 0), (1, 1), (0, 0))
    chip.wait()
    assert chip.seen == []


def test_both_lines_left_on_after_a_reset_let_it_run_once_en_is_charged():
    chip = Chip()
    chip.set((0, 1), (1, 1))
    assert chip.seen == ["hold"]
    chip.wait()
    assert chip.seen == ["hold", "run"]


def test_flash_clears_bits_and_sets_them_by_sectors(tmp_path: Path):
    flash = Flash(tmp_path / "flash.bin", 0x4000)
    assert flash.read(0, 0x4000) == b"\xff" * 0x4000
    flash.program(0x1FFE, b"\xf0\x0f\x55")
    flash.program(0x1FFF, b"\xf8\x5a")
    assert flash.read(0x1FFE, 3) == b"\xf0\x08\x50"
    flash.erase(0x1FFF, 1)
    assert flash.read(0x1FFE, 3) == b"\xff\xff\x50"
    assert flash.read(0x3FFF, 10) == b"\xff"
    flash.close()
    again = Flash(tmp_path / "flash.bin", 0x4000)
    assert again.read(0x2000, 1) == b"\x50"
    again.close()


@pytest.mark.parametrize("chip", CHIPS)
def test_esptool_finds_the_parts_of_the_official_image_whole(chip: str):
    bin_image = pytest.importorskip("esptool.bin_image", reason="component missing: esptool")
    number, at, _, _ = CHIPS[chip]
    merged = official_image(chip)
    for part, offset in ((bootloader(chip), at), (application(chip), 0x10000)):
        assert merged[offset - at :].startswith(part)
        image = bin_image.LoadFirmwareImage(chip, part)
        assert image.chip_id == number
        assert image.checksum == image.calculate_checksum()
        assert image.stored_digest == image.calc_digest
    gap = merged[TABLE_OFFSET + 0xC00 - at : 0x10000 - at]
    assert gap == b"\xff" * len(gap), "padding lies over NVS"
    assert b"MicroPython v1.29.0 on " in merged


@pytest.mark.parametrize("chip", CHIPS)
def test_a_chip_boots_the_official_image(tmp_path: Path, chip: str):
    (tmp_path / "flash.bin").write_bytes(flashed(chip))
    flash = Flash(tmp_path / "flash.bin", 4 << 20)
    layout = check_boot(flash, MODELS[chip])
    assert (layout.nvs.offset, layout.nvs.size) == (0x9000, 0x6000)
    assert (layout.vfs.offset, layout.vfs.size) == (0x200000, 0x200000)
    flash.close()


def other_chip(flash: bytearray) -> None:
    app = application("esp32s3")
    flash[0x10000 : 0x10000 + len(app)] = app


def bit(offset: int):
    def flip(flash: bytearray) -> None:
        flash[offset] ^= 4

    return flip


def erased(start: int, end: int):
    def erase(flash: bytearray) -> None:
        flash[start:end] = b"\xff" * (end - start)

    return erase


def without_nvs(flash: bytearray) -> None:
    flash[TABLE_OFFSET : TABLE_OFFSET + 0xC00] = partition_table(ROWS[1:])


@pytest.mark.parametrize(
    "damage, told",
    [
        (erased(0, 0x10000), "invalid header: 0xffffffff"),
        (bit(0x1200), "csum err"),
        (bit(TABLE_OFFSET + 5), "MD5 mismatch"),
        (erased(TABLE_OFFSET, TABLE_OFFSET + 0xC00), "partition table is damaged"),
        (without_nvs, "No bootable app"),
        (erased(0x10000, 0x11000), "invalid magic byte"),
        (erased(0x20000, 0x21000), "Checksum failed"),
        (bit(0x10000 + 4), "Image hash failed"),
        (other_chip, "mismatch chip ID, expected 0, found 9"),
    ],
)
def test_a_chip_refuses_to_boot_what_is_damaged(tmp_path: Path, damage, told: str):
    content = bytearray(flashed("esp32"))
    damage(content)
    (tmp_path / "flash.bin").write_bytes(content)
    flash = Flash(tmp_path / "flash.bin", 4 << 20)
    with pytest.raises(Unbootable, match=told):
        check_boot(flash, MODELS["esp32"])
    flash.close()


def test_rows_of_a_table():
    rows = partitions(partition_table((*ROWS, VFS_ROW)))
    assert [(row.name, row.end) for row in rows] == [
        ("nvs", 0xF000),
        ("phy_init", 0x10000),
        ("factory", 0x200000),
        ("vfs", 0x400000),
    ]


def test_a_port_is_busy_while_a_host_has_it(virtual_board):
    import serial

    board = virtual_board(flashed=True)
    assert board.wait_for(">>> ")
    with serial.serial_for_url(board.url, baudrate=115_200, timeout=5) as port:
        port.write(b"1+1\r")
        assert port.read_until(b"\r\n2\r\n>>> ").endswith(b"2\r\n>>> ")
        host, number = board.url.removeprefix("rfc2217://").split(":")
        with socket.create_connection((host, int(number)), timeout=5) as second:
            assert second.recv(1) == b""
        port.write(b"2+2\r")
        assert port.read_until(b"\r\n4\r\n>>> ").endswith(b"4\r\n>>> ")


def test_the_program_talks_at_one_rate(virtual_board):
    import serial

    board = virtual_board(flashed=True)
    assert board.wait_for(">>> ")
    taken = threading.Event()
    hear = board._ports._heard

    def noted(data: bytes, baud: int | None) -> None:
        hear(data, baud)
        if data.endswith(b"\r"):
            taken.set()

    board._ports._heard = noted
    with serial.Serial(board.pty, 9_600, timeout=0.5) as port:
        port.write(b"print(123)\r")
        # A pty keeps bytes: they have to be taken before the rate changes.
        assert taken.wait(20)
        board.press_reset()
        noise = port.read(50)
        assert noise
        assert b"ets" not in noise
        port.baudrate = 115_200
        assert board.wait_for(">>> ", since=len(board.console) - 4)
        port.reset_input_buffer()
        port.timeout = 20
        port.write(b"print(456)\r")
        assert port.read_until(b"\r\n456\r\n").endswith(b"\r\n456\r\n")
    assert "123" not in board.console


def test_a_table_for_a_larger_flash_boots_nothing(tmp_path: Path):
    (tmp_path / "flash.bin").write_bytes(flashed("esp32")[: 1 << 20])
    flash = Flash(tmp_path / "flash.bin", 1 << 20)
    with pytest.raises(Unbootable, match="exceeds flash chip size"):
        check_boot(flash, MODELS["esp32"])
    flash.close()
