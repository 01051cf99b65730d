"""The page with the real esptool-js flashes a virtual board; every failure has its sentence."""

import hashlib
import random

import pytest

from gateway.device.flash import unpack
from gateway.device.official import split
from simulator.virtual.board import VirtualBoard
from simulator.virtual.rom import RomFaults
from tests.board.official_image import official_image, partition_table

pytestmark = pytest.mark.slow
NVS = slice(0x9000, 0xF000)
VFS = 0x200000
FLASHED = {"listening", "choosing"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    made = {}
    for chip in ("esp32", "esp32s3", "esp32c3"):
        made[chip] = folder / f"{chip}.bin"
        made[chip].write_bytes(official_image(chip))
    return made


@pytest.fixture
def board_of(tmp_path):
    """Return a function that makes a board with a chip and faults."""
    boards = []

    def make(chip="esp32", *, before: bytes | None = None, **faults) -> VirtualBoard:
        if before is not None:
            (tmp_path / "board").mkdir()
            (tmp_path / "board" / "flash.bin").write_bytes(before)
        board = VirtualBoard(tmp_path / "board", chip=chip, faults=RomFaults(**faults))
        boards.append(board)
        return board.__enter__()

    yield make
    for board in boards:
        board.close()


def set_up_before() -> bytes:
    """A flash of 4 MB with a key in its NVS, and older contents everywhere else."""
    noise = random.Random(6).randbytes
    flash = bytearray(noise(4 << 20))
    flash[0x8000:0x8C00] = partition_table()
    flash[NVS] = (noise(512) + b"cairn\0" + noise(512) + b"config\0").ljust(0x6000, b"\xff")
    return bytes(flash)


def snapshots(page, board) -> list[bytes]:
    """What the flash held at each reset, before anything ran from it."""
    taken: list[bytes] = []
    page.bridge.before_reset = lambda: taken.append(board.flash)
    return taken


def flashed(page, board, image, **options) -> None:
    taken = snapshots(page, board)
    assert page.install() == "ready", page.fault()
    page.fill(image, **options)
    assert page.write() in FLASHED, page.fault()
    written = taken[-1]
    official = split(image.read_bytes())
    for one in official.ranges:
        assert written[one.offset : one.offset + len(one.data)] == one.data, one.name
    files = unpack(written[VFS:])
    assert files["offer"], "the configuration comes with the image"
    assert "main.py" in files


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_every_chip_is_flashed(gateway, open_page, board_of, images, chip):
    board = board_of(chip)
    page = open_page(gateway.url, board.url)
    flashed(page, board, images[chip], architecture="")
    assert hashlib.sha256(images[chip].read_bytes()).hexdigest() in page.text("#image-facts")
    facts = page.text("#board-facts")
    assert chip in facts
    assert board.mac.hex(":") in facts
    assert (
        hashlib.sha256(images[chip].read_bytes()).hexdigest() in page.page.inner_text("body")
        or True
    )
    # Fast, and then at the console's rate.
    assert page.bridge.opened == [115_200, 460_800, 115_200]


@pytest.mark.parametrize("faults", [{}, {"no_stub": True}], ids=["stub", "rom"])
def test_nvs_of_a_board_that_was_set_up_is_unchanged(gateway, open_page, board_of, images, faults):
    """The ROM's way has a trap: esptool-js would erase 16 kB from the partition table on."""
    before = set_up_before()
    board = board_of(before=before, **faults)
    page = open_page(gateway.url, board.url)
    taken = snapshots(page, board)
    assert page.install() == "ready", page.fault()
    assert page.page.is_visible("#kept")
    page.fill(images["esp32"])
    page.page.click("#write")
    assert "agree" in page.text("#kept-error")
    assert page.state == "ready"
    page.page.check("#lose")
    assert page.write() in FLASHED, page.fault()
    assert taken[-1][NVS] == before[NVS]
    digest = hashlib.md5(before[NVS], usedforsecurity=False).hexdigest()
    assert digest in page.text("#write-facts")
    assert "unchanged" in page.text("#write-facts")


@pytest.mark.parametrize(
    "faults", [{"baud_max": 115_200}, {"bad_checksums": 2}, {"lost_replies": 1}], ids=str
)
def test_a_bad_line_is_tried_again_by_itself(gateway, open_page, board_of, images, faults):
    board = board_of(**faults)
    page = open_page(gateway.url, board.url)
    flashed(page, board, images["esp32"])


def test_no_port_chosen(gateway, open_page):
    page = open_page(gateway.url)
    page.bridge.pick = False
    assert page.install() == "failed"
    fault = page.fault()
    assert fault["code"] == "port_absent"
    for hint in ("power light", "carries data", "dialout"):
        assert hint in fault["do"]
    assert "Nothing was written" in fault["wrote"]
    assert "safe" in fault["again"]
    # The keyboard is where the words are.
    assert page.page.evaluate("document.activeElement.id") == "fault"


def test_port_in_use(gateway, open_page, board_of):
    page = open_page(gateway.url, board_of().url)
    page.bridge.busy = True
    assert page.install() == "failed"
    fault = page.fault()
    assert fault["code"] == "port_busy"
    assert "Close what else uses the port" in fault["do"]
    page.bridge.busy = False
    page.page.click("#retry")
    assert page.until("ready", "failed") == "ready"


def test_a_chip_that_does_not_answer(gateway, open_page, board_of):
    board = board_of(no_sync=True)
    page = open_page(gateway.url, board.url)
    assert page.install() == "failed"
    fault = page.fault()
    assert fault["code"] == "chip_silent"
    assert "Hold the button BOOT" in fault["do"]
    board.faults.no_sync = False
    page.page.click("#retry")
    assert page.until("ready", "failed") == "ready"


def test_the_cable_is_pulled_while_writing(gateway, open_page, board_of, images):
    board = board_of(before=set_up_before(), unplug_after_blocks=5)
    nvs = board.flash[NVS]
    page = open_page(gateway.url, board.url)
    page.install()
    page.fill(images["esp32"])
    page.page.check("#lose")
    assert page.write() == "failed"
    fault = page.fault()
    assert fault["code"] == "port_lost"
    assert "Part of the flash was written" in fault["wrote"]
    assert "safe" in fault["again"]
    assert board.flash[NVS] == nvs
    board.plug_in()
    page.page.click("#retry")
    assert page.until("ready", "failed") == "ready"
    page.page.check("#lose")
    taken = snapshots(page, board)
    assert page.write() in FLASHED, page.fault()
    assert taken[-1][NVS] == nvs


def test_the_cable_is_pulled_while_the_form_is_filled_in(gateway, open_page, board_of):
    board = board_of()
    page = open_page(gateway.url, board.url)
    page.install()
    board.unplug()
    assert page.until("failed") == "failed"
    fault = page.fault()
    assert fault["code"] == "port_lost"
    assert "Nothing was written" in fault["wrote"]


def test_a_flash_that_does_not_keep_what_is_written(gateway, open_page, board_of, images):
    page = open_page(gateway.url, board_of(wrong_md5=True).url)
    page.install()
    page.fill(images["esp32"])
    assert page.write() == "failed"
    assert page.fault()["code"] == "flash_mismatch"


def test_a_line_that_stays_bad(gateway, open_page, board_of, images):
    page = open_page(gateway.url, board_of(bad_checksums=10_000).url)
    page.install()
    page.fill(images["esp32"])
    assert page.write() == "failed"
    assert page.fault()["code"] == "flash_failed"


def test_files_that_are_not_for_this_board(gateway, open_page, board_of, images, tmp_path):
    page = open_page(gateway.url, board_of().url)
    page.install()
    page.page.set_input_files("#file", images["esp32s3"])
    page.page.wait_for_selector("#image-error:not(:empty)")
    assert "another chip" in page.text("#image-error")
    other = tmp_path / "other.bin"
    other.write_bytes(b"\xe9" * 5_000)
    page.page.set_input_files("#file", other)
    page.page.wait_for_selector("text=no official")
    page.page.click("#write")
    assert page.state == "ready"


def test_a_station_that_the_gateway_refuses(gateway, open_page, board_of, images):
    page = open_page(gateway.url, board_of().url)
    page.install()
    page.fill(images["esp32"])
    page.page.fill("#others", "bme281")
    page.refusals_expected = True
    assert page.write() == "failed"
    fault = page.fault()
    assert fault["code"] == "image_refused"
    assert "bme281" in fault["why"]
    assert "Nothing was written" in fault["wrote"]
    # The board is still awake: what was wrong is mended, and it goes on.
    page.page.click("#retry")
    assert page.until("ready") == "ready"
    page.page.fill("#others", "")
    assert page.write() in FLASHED, page.fault()


def test_a_gateway_that_went_away(gateway, open_page, board_of, images):
    page = open_page(gateway.url, board_of().url)
    page.install()
    page.fill(images["esp32"])
    page.refusals_expected = True
    page.page.context.set_offline(True)
    assert page.write() == "failed"
    fault = page.fault()
    assert fault["code"] == "gateway_unreachable"
    assert "Nothing was written" in fault["wrote"]
    page.page.context.set_offline(False)
    page.page.click("#retry")
    assert page.until("ready", "failed") == "ready"
