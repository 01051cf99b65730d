"""A board is flashed by the real command and starts, on every chip and either kind of port."""

import subprocess
from hashlib import sha256

import pytest

from simulator.virtual import RomFaults, VirtualBoard
from tests.board.flash_rig import HOLD_BOOT, PRESS_RESET, WENT_WELL, command, flash, on_pty
from tests.board.official_image import ROWS, VFS_ROW, official_image

pytestmark = pytest.mark.slow

CHIPS = ("esp32", "esp32s3", "esp32c3")
STARTED = "cairn: config.absent"


@pytest.fixture
def image(tmp_path):
    def make(chip="esp32", **options):
        path = tmp_path / f"{chip}.bin"
        path.write_bytes(official_image(chip, **options))
        return path

    return make


def _holds(board, told):
    """Whether all is there but the file system, into which the program writes."""
    return all(
        sha256(board.flash[one["offset"] : one["offset"] + one["bytes"]]).hexdigest()
        == one["sha256"]
        for one in told["ranges"]
        if one["name"] != "file system"
    )


@pytest.mark.parametrize("chip", CHIPS)
def test_a_board_behind_a_usb_bridge_needs_no_hands(tmp_path, image, chip):
    with VirtualBoard(tmp_path / "board", chip=chip) as board:
        done = flash(board.url, "--firmware", image(chip), "--board", chip)
        assert (done.code, done.fault) == (0, ""), done
        assert done.told["states"] == WENT_WELL
        assert done.told["board"]["chip"] == chip
        assert done.told["board"]["provisioned"] is False
        assert done.told["firmware"]["version"] == "v1.29.0"
        assert done.told["baud"] == 921_600
        assert HOLD_BOOT not in done.err
        assert _holds(board, done.told)
        assert board.wait_for(STARTED), board.console


@pytest.mark.parametrize("chip", CHIPS)
def test_a_port_without_lines_asks_for_buttons(tmp_path, image, chip):
    with VirtualBoard(tmp_path / "board", chip=chip) as board:
        done = flash(board.pty, "--firmware", image(chip), hands=on_pty(board))
        assert (done.code, done.fault) == (0, ""), done
        assert done.told["states"] == WENT_WELL
        assert done.told["baud"] == 115_200
        assert done.err.index(HOLD_BOOT) < done.err.index(PRESS_RESET)
        assert _holds(board, done.told)
        assert board.wait_for(STARTED), board.console


def test_a_board_that_waits_already_needs_one_button(tmp_path, image):
    with VirtualBoard(tmp_path / "board") as board:
        board.hold_boot_and_reset()
        done = flash(board.pty, "--firmware", image(), hands={PRESS_RESET: board.press_reset})
        assert (done.code, done.fault) == (0, ""), done
        assert HOLD_BOOT not in done.err
        assert board.wait_for(STARTED), board.console


def test_an_older_image_with_a_row_for_its_file_system(tmp_path, image):
    path = image(rows=(*ROWS, VFS_ROW))
    with VirtualBoard(tmp_path / "board", flash_bytes=8 << 20) as board:
        done = flash(board.pty, "--firmware", path, hands=on_pty(board))
        assert (done.code, done.fault) == (0, ""), done
        assert board.wait_for(STARTED), board.console


def test_a_larger_flash_is_used_whole(tmp_path, image):
    """MicroPython makes its file system up to the end, and mounts none that is of another size."""
    with VirtualBoard(tmp_path / "board", chip="esp32s3", flash_bytes=8 << 20) as board:
        done = flash(board.pty, "--firmware", image("esp32s3"), hands=on_pty(board))
        assert (done.code, done.told["board"]["flash_bytes"]) == (0, 8 << 20), done
        assert board.wait_for(STARTED), board.console


def test_an_ota_layout_starts_the_first_application(tmp_path, image):
    rows = (
        ("nvs", 1, 2, 0x9000, 0x4000),
        ("otadata", 1, 0, 0xD000, 0x2000),
        ("phy_init", 1, 1, 0xF000, 0x1000),
        ("ota_0", 0, 0x10, 0x10000, 0x180000),
        ("ota_1", 0, 0x11, 0x190000, 0x180000),
    )
    folder = tmp_path / "board"
    folder.mkdir()
    # An old otadata, which chose the second one.
    old = bytearray(b"\xff" * (4 << 20))
    old[0xD000:0xD004] = bytes(4)
    (folder / "flash.bin").write_bytes(bytes(old))
    with VirtualBoard(folder) as board:
        done = flash(board.pty, "--firmware", image(rows=rows), hands=on_pty(board))
        assert (done.code, done.fault) == (0, ""), done
        assert board.flash[0xD000:0xF000] == b"\xff" * 0x2000
        assert board.wait_for(STARTED), board.console


def test_it_goes_on_more_slowly_where_the_line_is_bad(tmp_path, image):
    faults = RomFaults(baud_max=460_800)
    with VirtualBoard(tmp_path / "board", faults=faults) as board:
        done = flash(board.url, "--firmware", image())
        assert (done.code, done.fault) == (0, ""), done
        assert done.told["baud"] == 460_800
        assert done.told["states"].count("connecting") > 1
        assert board.wait_for(STARTED), board.console


def test_a_chip_that_refuses_esptools_own_loader_is_flashed_by_its_rom(tmp_path, image):
    faults = RomFaults(no_stub=True)
    with VirtualBoard(tmp_path / "board", faults=faults) as board:
        done = flash(board.url, "--firmware", image())
        assert (done.code, done.fault) == (0, ""), done
        assert done.told["states"] == WENT_WELL
        assert board.wait_for(STARTED), board.console


def test_the_chip_chooses_the_machine_code_and_a_person_reads_how_it_went(tmp_path, image):
    with VirtualBoard(tmp_path / "board", chip="esp32c3") as board:
        board.hold_boot_and_reset()
        line = command("--port", board.pty, "--firmware", image("esp32c3"))
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        assert "program      rv32imc" in done.stdout
        assert "kept         nvs: unchanged" in done.stdout
        assert "Writing. Leave the cable plugged in." in done.stderr
        assert "cairn board run" in done.stderr
        assert "esptool" not in done.stdout + done.stderr
