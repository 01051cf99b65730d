"""From a bare board to its first accepted reading, in the browser alone: real page, real
esptool-js, real MicroPython, real gateway.
"""

import json

import pytest

from gateway.board.place import FINE, kept
from gateway.core.ids import device_name
from simulator.virtual import VirtualBoard
from tests.board.official_image import official_image
from tests.service.runtime_rig import endpoint_up, real_network

pytestmark = pytest.mark.slow
NVS = slice(0x9000, 0xF000)
AIR = {"home": "correct horse", "neighbour": "battery staple"}


@pytest.fixture
def site(tmp_path):
    """A real gateway that offers an image, on ports of its own."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "ESP32_GENERIC.bin").write_bytes(official_image("esp32"))
    (images / "notes.bin").write_bytes(b"no image")
    keys = real_network(tmp_path / "data")
    (tmp_path / "data" / "cairn.toml").write_text(f'flash_images_dir = "{images}"\n')
    with endpoint_up(keys) as up:
        yield up


def test_from_a_bare_board_to_its_first_accepted_reading(site, open_page, tmp_path):
    with VirtualBoard(tmp_path / "board", wifi=AIR) as board:
        page = open_page(site.gateway.addresses.http, board.url)
        assert page.install() == "ready", page.fault()
        page.fill(None)
        assert page.write("choosing") == "choosing", page.fault()
        assert "not reported" not in page.text("#state")

        page.page.fill("#password", "short")
        page.page.click("#join")
        assert "8 to 64" in page.text("#wifi-error")

        # A wrong password is told by the form; nothing has failed that cannot be entered again.
        page.page.select_option("#networks", "home")
        page.page.fill("#password", "wrong password")
        page.page.click("#join")
        page.page.wait_for_selector("#wifi-error >> text=2.4 GHz")
        assert page.state == "choosing"

        page.page.fill("#password", AIR["home"])
        page.page.click("#join")
        assert page.until("following", "accepted", "failed") != "failed", page.fault()
        # A signed message waits up to a minute in RAM, so that several share a flash write.
        assert page.until("accepted", "failed", seconds=240) == "accepted", page.fault()
        assert "accepted a signed reading" in page.text("#state")
        assert "readings: accepted" in page.text("#events")

        station = page.text("#reading-facts dd >> nth=0")
        with page.page.expect_download() as download:
            page.page.click("#place-file")
        saved = tmp_path / download.value.suggested_filename
        download.value.save_as(saved)
        assert saved.name == f"cairn-place-{station}.json"
        place = kept(saved)
        assert place is not None
        assert (place.lat_e6, place.lon_e6, place.resolution) == (52_520_000, 13_405_000, FINE)
        hello = _hello(site, station)
        assert hello.place_commitment == place.commitment
        assert hello.scoring_cell == place.cell
        assert json.loads(saved.read_text())["device"] == station
        assert page.bridge.opened[-1] == 115_200
        _flashed_again(page, board, station)


def _flashed_again(page, board, station):
    """The same board once more: it keeps key, settings and Wi-Fi, and is the same station."""
    page.page.click("#another")
    assert page.install() == "ready", page.fault()
    assert page.page.is_visible("#kept")
    before, taken = board.flash, []
    page.bridge.before_reset = lambda: taken.append(board.flash)
    page.fill(None)
    page.page.check("#lose")
    assert page.write("following") == "following", page.fault()
    assert taken[-1][NVS] == before[NVS]
    assert b"cairn" in before[NVS]
    assert page.text("#reading-facts dd >> nth=0") == station


def _hello(site, station):
    from gateway.core.verdicts import Verdict
    from gateway.core.wire import decode
    from tests.service.runtime_rig import stored

    for data in stored(site.keys):
        decoded = decode(data, site.keys.network_id)
        assert not isinstance(decoded, Verdict)
        message = decoded.message
        if device_name(message.device) == station and message.kind == 0:
            return message.body
    raise AssertionError("no hello of this station")
