"""Whatever goes wrong while a board is flashed: what the real command says then, and that the
same command brings the board through once the cause is gone.
"""

import fcntl

import pytest

from simulator.virtual import RomFaults, VirtualBoard
from tests.board.flash_rig import HOLD_BOOT, flash, on_pty
from tests.board.official_image import application, official_image

pytestmark = pytest.mark.slow

SAFE = "running the same command again is safe"
STARTED = "cairn: config.absent"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "esp32.bin"
    path.write_bytes(official_image("esp32"))
    return path


@pytest.fixture
def board_with(tmp_path):
    made = []

    def make(chip="esp32", **options):
        faults = RomFaults(**options)
        made.append(VirtualBoard(tmp_path / "board", chip=chip, faults=faults))
        return made[-1].__enter__()

    yield make
    for one in made:
        one.close()


def _well(done):
    assert (done.code, done.fault) == (0, ""), done


def test_a_chip_that_does_not_answer(board_with, image):
    board = board_with(no_sync=True)
    done = flash(board.url, "--firmware", image, "--wait", 2)
    assert (done.code, done.fault) == (3, "chip_silent"), done
    assert done.told["states"] == ["idle", "opening", "connecting", "failed"]
    assert HOLD_BOOT in done.err
    # The ROM said that it waits, so that the chip can be told from its line.
    assert "the line from this computer to it is broken" in done.err
    assert "Nothing was written." in done.err
    assert board.flash == b"\xff" * (4 << 20)


def test_nobody_presses_the_buttons(board_with, image):
    board = board_with()
    done = flash(board.pty, "--firmware", image, "--wait", 2)
    assert (done.code, done.fault) == (3, "chip_silent"), done
    assert done.err.index(HOLD_BOOT) < done.err.index("error:")
    assert "IO0" in done.told["error"]["do"]


@pytest.mark.parametrize("count, baud", [(2, 921_600), (8, 115_200)])
def test_damaged_blocks_are_sent_again_and_then_more_slowly(board_with, image, count, baud):
    board = board_with(bad_checksums=count)
    done = flash(board.url, "--firmware", image)
    _well(done)
    assert done.told["baud"] == baud
    assert board.wait_for(STARTED), board.console


def test_a_line_that_damages_every_block(board_with, image):
    board = board_with(bad_checksums=1000)
    done = flash(board.pty, "--firmware", image, hands=on_pty(board))
    assert (done.code, done.fault) == (1, "flash_failed"), done
    assert "Checksum error" in done.told["error"]["why"]
    assert SAFE in done.err
    assert done.told["states"].count("flashing") == 3
    board.faults.bad_checksums = 0
    _well(flash(board.pty, "--firmware", image, hands=on_pty(board)))
    assert board.wait_for(STARTED), board.console


def test_a_lost_reply_costs_a_moment(board_with, image):
    board = board_with(lost_replies=1)
    done = flash(board.pty, "--firmware", image, hands=on_pty(board))
    _well(done)
    assert board.wait_for(STARTED), board.console


def test_replies_that_never_come(board_with, image):
    board = board_with(lost_replies=1000)
    done = flash(board.pty, "--firmware", image, hands=on_pty(board))
    assert (done.code, done.fault) == (1, "flash_failed"), done
    assert SAFE in done.err


def test_power_fails_in_the_middle(board_with, image):
    board = board_with(cut_after_blocks=6)
    done = flash(board.url, "--firmware", image, "--wait", 1)
    assert (done.code, done.fault) == (3, "chip_silent"), done
    assert done.told["written"] is True
    assert SAFE in done.err
    board.power_on()
    _well(flash(board.url, "--firmware", image))
    assert board.wait_for(STARTED), board.console


@pytest.mark.parametrize("line", ["pty", "url"])
def test_the_cable_is_pulled_out_in_the_middle(board_with, image, line):
    board = board_with(unplug_after_blocks=5)
    hands = on_pty(board) if line == "pty" else {}
    done = flash(getattr(board, line), "--firmware", image, hands=hands)
    assert (done.code, done.fault) == (3, "port_lost"), done
    assert done.told["states"][-2:] == ["flashing", "failed"]
    assert SAFE in done.err
    board.plug_in()
    _well(flash(getattr(board, line), "--firmware", image, hands=on_pty(board)))
    assert board.wait_for(STARTED), board.console


def test_a_flash_that_does_not_keep_what_is_written(board_with, image):
    board = board_with(wrong_md5=True)
    done = flash(board.pty, "--firmware", image, hands=on_pty(board))
    assert (done.code, done.fault) == (1, "flash_mismatch"), done
    assert SAFE in done.err


def test_another_board_than_was_asked_for(board_with, image):
    board = board_with("esp32c3")
    done = flash(board.url, "--firmware", image, "--board", "esp32")
    assert (done.code, done.fault) == (2, "chip_wrong"), done
    assert "--board esp32c3" in done.told["error"]["do"]


def test_an_image_for_another_chip(board_with, image):
    board = board_with("esp32s3")
    done = flash(board.url, "--firmware", image)
    assert (done.code, done.fault) == (2, "image_other_chip"), done
    assert done.told["states"][-2:] == ["inspecting", "failed"]
    assert board.flash == b"\xff" * (4 << 20)


def test_a_flash_that_is_too_small(tmp_path, image):
    with VirtualBoard(tmp_path / "small", flash_bytes=2 << 20) as board:
        done = flash(board.url, "--firmware", image)
        assert (done.code, done.fault) == (2, "flash_too_small"), done
        assert "2 MiB" in done.told["error"]["why"]


def test_an_application_alone(board_with, tmp_path):
    path = tmp_path / "app.bin"
    path.write_bytes(application("esp32"))
    board = board_with()
    done = flash(board.url, "--firmware", path)
    assert (done.code, done.fault) == (1, "image_not_official"), done
    assert done.told["states"] == ["idle", "failed"]


def test_a_file_that_is_not_there_or_another_one(board_with, image, tmp_path):
    board = board_with()
    done = flash(board.url, "--firmware", tmp_path / "absent.bin")
    assert (done.code, done.fault) == (3, "file_unreadable"), done
    done = flash(board.url, "--firmware", image, "--sha256", "0" * 64)
    assert (done.code, done.fault) == (1, "download_mismatch"), done
    assert done.told["states"] == ["idle", "failed"]


def test_ports_that_cannot_be_used(board_with, image, tmp_path):
    done = flash("/dev/no-such-port", "--firmware", image)
    assert (done.code, done.fault) == (3, "port_absent"), done
    board = board_with()
    with open(board.pty, "rb", buffering=0) as taken:  # noqa: PTH123 - as a monitor has it
        fcntl.flock(taken, fcntl.LOCK_EX)
        done = flash(board.pty, "--firmware", image)
    assert (done.code, done.fault) == (3, "port_busy"), done


def test_without_esptool(board_with, image):
    board = board_with()
    before = "import sys; sys.modules.update({'esptool': None, 'esp_pylib': None})"
    done = flash(board.url, "--firmware", image, before=before)
    assert (done.code, done.fault) == (3, "tools_missing"), done
    assert "cairn-depin[device]" in done.told["error"]["do"]
