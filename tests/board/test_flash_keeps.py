"""What must be kept is kept: the key of a board that was set up, through whatever happens."""

import hashlib
import threading
from contextlib import contextmanager
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from gateway.board.console import session
from gateway.board.flash import Flashing, Wanted
from gateway.board.flash_states import State
from gateway.shell.errors import Code, OperatorFault
from simulator.virtual import RomFaults, VirtualBoard
from tests.board.flash_rig import NVS, flash, on_pty
from tests.board.official_image import official_image

pytestmark = pytest.mark.slow

FLASH_BYTES = 4 << 20
# As a board has it that was set up, with more than one sector in use.
KEPT = bytearray(b"\xff" * (NVS.stop - NVS.start))
KEPT[:200] = b"\xfe\xff\xff\xff" + bytes(28) + b"cairn\0identity\0config\0" + bytes(range(146))
KEPT[0x2000:0x2100] = bytes(range(256))
assert len(KEPT) == NVS.stop - NVS.start
OTA_ROWS = (
    ("nvs", 1, 2, 0x9000, 0x4000),
    ("otadata", 1, 0, 0xD000, 0x2000),
    ("ota_0", 0, 0x10, 0x10000, 0x180000),
)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "esp32.bin"
    path.write_bytes(official_image("esp32"))
    return path


def _set_up(folder):
    """A board in whose flash there is an older image, and a key."""
    folder.mkdir()
    flash_bytes = bytearray(b"\xff" * FLASH_BYTES)
    old = official_image("esp32", version="1.28.0")
    flash_bytes[0x1000 : 0x1000 + len(old)] = old
    flash_bytes[NVS] = KEPT
    (folder / "flash.bin").write_bytes(bytes(flash_bytes))
    return folder


def test_a_merged_image_over_a_board_that_was_set_up_leaves_its_nvs(tmp_path, image):
    merged = image.read_bytes()
    # Written as it is, this would have erased it.
    assert merged[NVS.start - 0x1000 : NVS.stop - 0x1000] == b"\xff" * len(KEPT)
    with VirtualBoard(_set_up(tmp_path / "board")) as board:
        board.hold_boot_and_reset()
        # RESET is not pressed, so that nothing but the flasher can have written.
        done = flash(board.pty, "--firmware", image, "--yes")
        assert (done.code, done.fault) == (0, ""), done
        assert done.told["board"]["provisioned"] is True
        assert "Messages that it has not sent yet are lost" in done.err
        assert board.flash[NVS] == KEPT
        digest = hashlib.md5(KEPT, usedforsecurity=False).hexdigest()
        assert [one["md5"] for one in done.told["protected"]] == [digest]
        assert board.flash[0x10000 : 0x10000 + 64] == merged[0xF000 : 0xF000 + 64]


def test_it_wants_to_be_told_and_touches_nothing_before(tmp_path, image):
    with VirtualBoard(_set_up(tmp_path / "board")) as board:
        # So that no program writes meanwhile.
        board.hold_boot_and_reset()
        before = board.flash
        done = flash(board.pty, "--firmware", image)
        assert (done.code, done.fault) == (2, "consent_missing"), done
        assert "--yes" in done.told["error"]["do"]
        assert board.flash == before


def test_an_image_with_its_nvs_elsewhere_is_refused(tmp_path):
    path = tmp_path / "ota.bin"
    path.write_bytes(official_image("esp32", rows=OTA_ROWS))
    with VirtualBoard(_set_up(tmp_path / "board")) as board:
        # So that no program writes meanwhile.
        board.hold_boot_and_reset()
        before = board.flash
        done = flash(board.pty, "--firmware", path, "--yes")
        assert (done.code, done.fault) == (1, "nvs_in_the_way"), done
        assert board.flash == before


@pytest.mark.parametrize("blocks", [1, 2, 3, 9])
def test_nvs_lives_through_a_cut_and_the_second_try(tmp_path, image, blocks):
    """Blocks: the bootloader's, the table's, and in the middle of the application."""
    faults = RomFaults(cut_after_blocks=blocks)
    with VirtualBoard(_set_up(tmp_path / "board"), faults=faults) as board:
        show = Hands(board)
        with pytest.raises(OperatorFault) as raised:
            _flashing(board, image, show, wait_seconds=0.1).run()
        assert raised.value.code == Code.CHIP_SILENT
        assert board.flash[NVS] == KEPT
        board.power_on()
        flashing = _flashing(board, image, show)
        flashing.run()
        assert flashing.found.provisioned
        assert board.flash[NVS] == KEPT


def test_a_board_without_a_table_is_known_by_its_nvs(tmp_path, image):
    """The power failed just when the table had been erased."""
    folder = _set_up(tmp_path / "board")
    raw = bytearray((folder / "flash.bin").read_bytes())
    raw[0x8000:0x9000] = b"\xff" * 0x1000
    (folder / "flash.bin").write_bytes(bytes(raw))
    with VirtualBoard(folder) as board:
        flashing = _flashing(board, image, Hands(board))
        flashing.run()
        assert flashing.found.partitions is None
        assert flashing.found.provisioned
        assert board.flash[NVS] == KEPT


def test_a_change_in_nvs_is_noticed(tmp_path, image):
    with VirtualBoard(_set_up(tmp_path / "board")) as board:

        def change():
            board._flash.program(NVS.start + 0x3000, b"\x7f")

        with pytest.raises(OperatorFault) as raised:
            _flashing(board, image, Hands(board, {State.VERIFYING: change})).run()
        assert raised.value.code == Code.NVS_CHANGED


def test_what_is_there_already_is_not_written_again(tmp_path, image):
    with VirtualBoard(tmp_path / "board") as board:
        _flashing(board, image, Hands(board)).run()
        # From now on the first block that is written would end it.
        board.faults.cut_after_blocks = 1
        _flashing(board, image, Hands(board)).run()


class Hands:
    """Presses what is asked for, agrees to all. at: what else is done in a state."""

    def __init__(self, board, at=None):
        self._board = board
        self._at = at or {}

    def state(self, state):
        self._at.get(state, lambda: None)()

    def progress(self, done, total):
        assert 0 <= done <= total

    def hint(self, text):
        if text.startswith("Hold BOOT"):
            self._board.hold_boot_and_reset()

    def consent(self, _text):
        return True


def _flashing(board, image, show, **options):
    """In this process and with a small file system: what is looked at here is the rest."""
    wanted = Wanted(board.pty, image, **options)
    return Flashing(wanted, show, build=lambda _architecture, _blocks, _told: b"files" * 2000)


@contextmanager
def _served(folder):
    handler = partial(_Quiet, directory=str(folder))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


def test_a_station_is_the_same_one_after_it_was_flashed_again(tmp_path, image):
    """By the program itself, which made its key at its first start."""
    with VirtualBoard(tmp_path / "board") as board:
        names = []
        for _ in range(2):
            done = flash(board.url, "--firmware", image)
            # A key alone is nothing to ask about: nothing waits to be sent.
            assert (done.code, done.fault) == (0, ""), done
            assert done.told["board"]["provisioned"] is False
            with session(board.url) as console:
                names.append(console.whoami().device)
        assert done.told["board"]["keyed"] is True
        assert names[0] == names[1]


def test_an_image_is_downloaded_checked_and_flashed(tmp_path, image, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    with _served(tmp_path) as url, VirtualBoard(tmp_path / "board") as board:
        source = ("--download", f"{url}/esp32.bin", "--sha256")
        done = flash(board.pty, *source, "0" * 64, hands=on_pty(board))
        assert (done.code, done.fault) == (1, "download_mismatch"), done
        assert done.told["states"][-2:] == ["downloading", "failed"]
        done = flash(board.pty, *source, digest.upper(), hands=on_pty(board))
        assert (done.code, done.fault) == (0, ""), done
        assert "downloading" in done.told["states"]
        assert board.wait_for("cairn: config.absent"), board.console
    assert [path.name for path in (tmp_path / "cache").rglob("*.*")] == [f"{digest}.bin"]
