"""esptool itself against the ROM of virtual boards: as a program, as a library, and its faults."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from simulator.virtual import RomFaults, VirtualBoard
from simulator.virtual.models import MODELS
from tests.board.official_image import CHIPS, VFS_ROW, official_image

pytestmark = pytest.mark.slow

ESPTOOL = [sys.executable, "-m", "esptool"]
SIZE = 20_000
WRITTEN = official_image("esp32", size=4_000)
REGION = 0x200000


def run_esptool(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ESPTOOL, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture(autouse=True)
def plain_esptool() -> Iterator[None]:
    """esptool's progress bars say nothing into a test's output."""
    pytest.importorskip("esptool", reason="component missing: esptool")
    from esptool.logger import log

    log.set_verbosity("silent")
    yield
    log.set_verbosity("auto")


@contextmanager
def connected(
    board: VirtualBoard, *, stub: bool = True, on_pty: bool = False, baud: int = 115_200
) -> Iterator[Any]:
    """esptool as a library, with the flash attached."""
    import serial
    from esptool.cmds import attach_flash, detect_chip, run_stub

    where = board.pty if on_pty else board.url
    # pyserial's client sends all its settings again whenever the timeout changes; esptool's is 3.
    with serial.serial_for_url(where, baudrate=115_200, timeout=3) as port:
        esp = detect_chip(port, connect_mode="no-reset" if on_pty else "default-reset")
        if stub:
            esp = run_stub(esp)
        if baud != 115_200:
            esp.change_baud(baud)
        attach_flash(esp)
        # Else it connects again by itself and tries once more, which hides what went wrong.
        esp.WRITE_FLASH_ATTEMPTS = 1
        yield esp


def write(esp: Any, data: bytes = WRITTEN, offset: int = REGION, **options: Any) -> None:
    from esptool.cmds import write_flash

    write_flash(esp, [(offset, data)], **options)


def held(board: VirtualBoard, data: bytes = WRITTEN, offset: int = REGION) -> bool:
    return board.flash[offset : offset + len(data)] == data


def test_the_program_esptool_over_rfc2217(virtual_board: Any, tmp_path: Path):
    """It resets the board by DTR and RTS before, and starts it after. Its client takes 0.1 s for
    each command, so the other chips are the library's.
    """
    board = virtual_board()
    image = official_image(size=SIZE)
    (tmp_path / "image.bin").write_bytes(image)
    done = run_esptool(
        "--chip", "auto", "--port", board.url, "write-flash", "0x1000", tmp_path / "image.bin"
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hash of data verified." in done.stdout
    assert board.mac.hex(":") in done.stdout
    assert held(board, image, 0x1000)
    assert board.wait_for(">>> "), board.console


@pytest.mark.parametrize("chip", CHIPS)
def test_each_chip_is_reset_and_flashed_over_rfc2217(virtual_board: Any, chip: str):
    board = virtual_board(chip=chip)
    image = official_image(chip, size=SIZE)
    with connected(board) as esp:
        assert esp.CHIP_NAME.lower().replace("-", "") == chip
        write(esp, image, MODELS[chip].bootloader_offset)
        assert board.state == "download"
        esp.hard_reset()
        assert board.wait_for(">>> "), board.console
    assert held(board, image, MODELS[chip].bootloader_offset)


@pytest.mark.parametrize("chip", CHIPS)
def test_esptool_flashes_each_chip_on_a_pty(virtual_board: Any, tmp_path: Path, chip: str):
    """Without lines and without a stub: somebody holds BOOT and presses RESET."""
    board = virtual_board(chip=chip)
    board.hold_boot_and_reset()
    image = official_image(chip, size=SIZE)
    (tmp_path / "image.bin").write_bytes(image)
    offset = MODELS[chip].bootloader_offset
    done = run_esptool(
        "--chip", chip, "--port", board.pty, "--before", "no-reset", "--after", "no-reset",
        "--no-stub", "write-flash", hex(offset), tmp_path / "image.bin",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hash of data verified." in done.stdout
    assert held(board, image, offset)
    assert board.state == "download"
    board.press_reset()
    assert board.wait_for(">>> "), board.console


@pytest.mark.parametrize("stub", [True, False])
def test_the_library_writes_reads_and_erases(virtual_board: Any, *, stub: bool):
    from esptool.cmds import detect_flash_size, erase_region, read_flash, verify_flash

    board = virtual_board(chip="esp32c3")
    board.hold_boot_and_reset()
    with connected(board, stub=stub, on_pty=True) as esp:
        assert esp.CHIP_NAME == "ESP32-C3"
        assert bytes(esp.read_mac()) == board.mac
        assert detect_flash_size(esp) == "4MB"
        write(esp, compress=True)
        write(esp, WRITTEN[:5_000], REGION + 0x40000, no_compress=True)
        verify_flash(esp, [(REGION, WRITTEN)])
        assert read_flash(esp, REGION, 5_000) == WRITTEN[:5_000]
        if stub:
            erase_region(esp, REGION, 0x1000)
    assert board.flash[REGION : REGION + 0x1000] == (
        b"\xff" * 0x1000 if stub else WRITTEN[:0x1000]
    )
    assert held(board, WRITTEN[:5_000], REGION + 0x40000)
    assert board.flash[:REGION] == b"\xff" * REGION, "nothing else was touched"


def test_many_blocks_are_read_through_a_stub(virtual_board: Any):
    """More than the pty holds: nothing is lost on the way to a host that reads."""
    from esptool.cmds import read_flash

    board = virtual_board(flashed=True)
    board.hold_boot_and_reset()
    with connected(board, on_pty=True) as esp:
        assert read_flash(esp, 0, 0x60000) == board.flash[:0x60000]


def test_another_chip_is_told(virtual_board: Any):
    from esptool.util import FatalError

    board = virtual_board(chip="esp32s3")
    board.hold_boot_and_reset()
    with connected(board, on_pty=True, stub=False) as esp:
        with pytest.raises(FatalError, match="does not contain an ESP32-S3 image"):
            write(esp, official_image("esp32", size=4_000), 0)
        assert board.flash[:0x1000] == b"\xff" * 0x1000
    board.hold_boot_and_reset()
    done = run_esptool(
        "--chip", "esp32", "--port", board.pty, "--before", "no-reset", "flash-id"
    )  # fmt: skip
    assert done.returncode != 0
    assert "This chip is ESP32-S3, not ESP32" in done.stdout + done.stderr


def test_a_small_flash_is_told_and_refuses_what_is_beyond(virtual_board: Any):
    from esptool.cmds import detect_flash_size
    from esptool.util import FatalError

    board = virtual_board(flash_bytes=2 << 20)
    board.hold_boot_and_reset()
    with connected(board, on_pty=True, stub=False) as esp:
        assert detect_flash_size(esp) == "2MB"
        with pytest.raises(FatalError):
            esp.flash_begin(0x1000, VFS_ROW[3])
        assert len(board.flash) == 2 << 20


def test_without_sync_nobody_answers(virtual_board: Any):
    from esptool.util import FatalError

    board = virtual_board(faults=RomFaults(no_sync=True))
    board.hold_boot_and_reset()
    import serial

    with serial.Serial(board.pty, 115_200) as port:
        from esptool.targets import ESP32ROM

        esp = ESP32ROM(port)
        with pytest.raises(FatalError, match="No serial data received"):
            esp.connect("no-reset", attempts=1)
    assert board.console.endswith("waiting for download\r\n")


def test_a_running_board_does_not_answer_as_a_rom(virtual_board: Any):
    from esptool.targets import ESP32ROM
    from esptool.util import FatalError

    board = virtual_board(flashed=True)
    assert board.wait_for(">>> ")
    import serial

    with serial.Serial(board.pty, 115_200) as port, pytest.raises(FatalError):
        ESP32ROM(port).connect("no-reset", attempts=1)


@pytest.mark.parametrize("stub", [True, False])
def test_damaged_blocks_are_sent_again(virtual_board: Any, *, stub: bool):
    faults = RomFaults(bad_checksums=2)
    board = virtual_board(faults=faults)
    board.hold_boot_and_reset()
    with connected(board, stub=stub, on_pty=True) as esp:
        faults.bad_checksums = 2
        write(esp)
    assert faults.bad_checksums == 0
    assert held(board)


def test_too_many_damaged_blocks_are_an_error(virtual_board: Any):
    from esptool.util import FatalError

    faults = RomFaults()
    board = virtual_board(faults=faults)
    board.hold_boot_and_reset()
    with connected(board, on_pty=True) as esp:
        faults.bad_checksums = 50
        with pytest.raises(FatalError, match="Checksum error"):
            write(esp)


def test_a_lost_answer_ends_an_attempt_and_not_the_next(virtual_board: Any):
    from esptool.util import FatalError

    faults = RomFaults()
    board = virtual_board(faults=faults)
    board.hold_boot_and_reset()
    with connected(board, on_pty=True) as esp:
        faults.lost_replies = 1
        with pytest.raises(FatalError):
            write(esp)
    assert faults.lost_replies == 0
    board.hold_boot_and_reset()
    with connected(board, on_pty=True) as esp:
        write(esp)
    assert held(board)


def test_power_that_fails_in_the_middle_leaves_half(virtual_board: Any):
    from esptool.util import FatalError

    board = virtual_board(faults=RomFaults(cut_after_blocks=3))
    board.hold_boot_and_reset()
    with connected(board, stub=False, on_pty=True) as esp, pytest.raises(FatalError):
        write(esp, WRITTEN, 0x1000, no_compress=True)
    assert board.state == "off"
    assert held(board, WRITTEN[:3072], 0x1000)
    assert board.flash[0x1000 + 3072 : 0x1000 + 5000] == b"\xff" * (5000 - 3072)
    board.power_on()
    assert board.wait_for("csum err"), board.console
    assert board.state == "stuck"


def test_a_cable_that_is_pulled_out_ends_the_port(virtual_board: Any):
    import serial
    from esptool.util import FatalError

    board = virtual_board(faults=RomFaults(unplug_after_blocks=2))
    board.hold_boot_and_reset()
    with connected(board, stub=False, on_pty=True) as esp:
        # esptool tries to connect again, so it depends on the moment how it finds out.
        with pytest.raises((FatalError, OSError)):
            write(esp, no_compress=True)
        with pytest.raises(serial.SerialException):
            esp._port.read(1)
    assert board.state == "off"
    board.plug_in()
    assert board.state == "stuck"
    with serial.Serial(board.pty, 115_200):
        assert board.wait_for("invalid header")


def test_a_flash_that_does_not_keep_what_is_written(virtual_board: Any):
    from esptool.util import FatalError

    board = virtual_board(faults=RomFaults(wrong_md5=True))
    board.hold_boot_and_reset()
    with connected(board, on_pty=True) as esp, pytest.raises(FatalError, match="MD5"):
        write(esp)


def test_a_rate_that_is_too_high_carries_nothing(virtual_board: Any):
    from esptool.util import FatalError

    board = virtual_board(faults=RomFaults(baud_max=230_400))
    board.hold_boot_and_reset()
    with connected(board, on_pty=True, baud=230_400) as esp:
        write(esp)
    assert held(board)
    board.hold_boot_and_reset()
    with (
        pytest.raises(FatalError, match=r"No serial data|stopped|No more data"),
        connected(board, on_pty=True, baud=460_800),
    ):
        pytest.fail("it answered at a rate at which it hears nothing")


def test_a_stub_may_be_refused(virtual_board: Any):
    from esptool.util import FatalError

    board = virtual_board(faults=RomFaults(no_stub=True))
    board.hold_boot_and_reset()
    with (
        pytest.raises(FatalError, match="RAM download mode"),
        connected(board, on_pty=True),
    ):
        pytest.fail("it took the stub")
    board.hold_boot_and_reset()
    with connected(board, stub=False, on_pty=True) as esp:
        write(esp, WRITTEN[:3_000])
    assert held(board, WRITTEN[:3_000])
