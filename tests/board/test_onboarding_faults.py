"""Everything that can stand between a board and its first accepted reading, broken for real, and
what the real commands say of it. Flashing has its own (test_flash_faults.py).
"""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cairn import lives
from cairn.boards.host import MemoryFiles

from gateway.device.board_image import pack_board
from gateway.device.flash import pack
from gateway.device.image import build_image
from simulator.virtual import VirtualBoard
from tests.board.conftest import flashed
from tests.board.onboarding_rig import (
    PASSWORD,
    STATION,
    WIFI,
    Bench,
    Said,
    Town,
    bent,
    cairn,
    examined,
    out_of_force,
    set_up,
    start,
    town,
    typed,
)
from tests.service.children import free_port
from tests.unit.firmware.certificates import make_authority

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(require_component, tmp_path_factory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with town(require_component("openssl"), folder, admission_policy="open") as one:
        yield one


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> bytes:
    """A flash as `cairn board flash` leaves it."""
    return flashed("esp32", pack_board(build_image(), version="0.1.0"))


@pytest.fixture(scope="module")
def station(place: Town, program: bytes, tmp_path_factory) -> bytes:
    """The same after `cairn board provision`, before it was ever on the air."""
    bench = Bench(tmp_path_factory.mktemp("station"))
    with bench.board(program) as board:
        done = set_up(board, place.url, place.folder, "--no-join")
        assert done.code == 0, done.err
        board.power_cut()
        return board.flash


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def broken(said: Said, link: str, code: str) -> dict[str, Any]:
    """That this link alone is broken, and a person is told by what, why and what to do."""
    assert said.code in {1, 3}, said.err
    failure = said.failure()
    assert (failure["name"], failure["code"]) == (link, code), said.out
    assert failure["detail"]
    assert failure["do"]
    states = [one["state"] for one in said.document["links"]]
    before = states[: states.index("FAILED")]
    assert set(before) <= {"PASSED"}
    return failure


# ---- Wi-Fi


def test_a_wrong_wifi_password(place: Town, bench: Bench, program: bytes, station: bytes):
    other = {WIFI: "another one"}
    with bench.board(program, wifi=other) as board:
        # Whoever sets it up is told at once; what was stored stays, for a second try.
        told = set_up(board, place.url, place.folder)
        assert told.code == 1
        assert "code: wifi_password" in told.err
        assert PASSWORD not in told.err + told.out
    with bench.board(station, wifi=other) as board:
        failure = broken(examined(board, place), "wifi", "wifi.password")
        assert "password" in failure["do"]


def test_an_unknown_network(place: Town, bench: Bench, program: bytes, station: bytes):
    with bench.board(program, wifi={}) as board:
        told = set_up(board, place.url, place.folder)
        assert told.code == 1
        assert "code: wifi_unknown" in told.err
    with bench.board(station, wifi={"neighbour": ""}) as board:
        broken(examined(board, place), "wifi", "wifi.unknown")


# ---- broker: each time the board was told something that is not so


@contextmanager
def misled(
    place: Town, bench: Bench, program: bytes, change: Callable[[dict[str, Any]], None]
) -> Iterator[VirtualBoard]:
    with bent(place, change) as url, bench.board(program) as board:
        told = set_up(board, url, place.folder)
        assert told.code == 0, told.err
        yield board


def test_a_broker_that_cannot_be_reached(place: Town, bench: Bench, program: bytes):
    port = free_port()

    def change(told: dict[str, Any]) -> None:
        told["broker"]["port"] = port

    with misled(place, bench, program, change) as board:
        failure = broken(examined(board, place), "broker", "link.unreachable")
        assert (
            f"Neither the board nor this computer gets a connection to localhost:{port}"
            in (failure["detail"])
        )
        assert "`cairn gateway doctor`" in failure["do"]
        # What follows it says the same, and then names the broken link.
        run = cairn(
            *("board", "run", "--port", board.url, "--gateway", place.url, "--timeout", 8),
            folder=place.folder,
        )
        assert run.code == 1
        assert re.search(r"FAILED +broker +The broker's host does not answer", run.err)
        assert "code  link.unreachable" in run.out


def test_a_name_that_does_not_resolve(place: Town, bench: Bench, program: bytes):
    def change(told: dict[str, Any]) -> None:
        told["broker"]["host"] = "broker.invalid"

    with misled(place, bench, program, change) as board:
        failure = broken(examined(board, place), "dns", "link.dns")
        assert failure["facts"]["host"] == "broker.invalid"


def test_a_wrong_ca(
    place: Town, bench: Bench, program: bytes, require_component: Callable[[str], str]
):
    other = make_authority(require_component("openssl"), bench.folder / "other-ca")

    def change(told: dict[str, Any]) -> None:
        told["broker"]["ca_pem"] = other.certificate.read_text()

    with misled(place, bench, program, change) as board:
        failure = broken(examined(board, place), "tls", "tls_ca")
        assert "mqtt_ca_file" in failure["do"]


def test_a_certificate_for_another_name(place: Town, bench: Bench, program: bytes):
    def change(told: dict[str, Any]) -> None:
        told["broker"]["host"] = "127.0.0.1"

    with misled(place, bench, program, change) as board:
        failure = broken(examined(board, place), "tls", "tls_name")
        assert "public_host" in failure["do"]


# ---- time


def test_a_time_service_that_is_away(place: Town, bench: Bench, program: bytes):
    """TLS holds all the same: the virtual board's Mbed TLS asks this computer for the date."""

    def change(told: dict[str, Any]) -> None:
        told["time"]["port"] = free_port()

    with misled(place, bench, program, change) as board:
        failure = broken(examined(board, place), "clock", "time.unreachable")
        assert "time_port" in failure["do"]


def test_a_gateway_whose_time_is_outside_its_statement(place: Town, bench: Bench, program: bytes):
    with out_of_force(place, bench.folder / "lapsed") as lapsed:
        _, port = lapsed.addresses.mqtt.rsplit(":", 1)
        _, time_port = lapsed.addresses.http.rsplit(":", 1)

        def change(told: dict[str, Any]) -> None:
            told["broker"] = {"host": "127.0.0.1", "port": int(port), "tls": False, "ca_pem": None}
            told["time"] = {"host": "127.0.0.1", "port": int(time_port)}

        with misled(place, bench, program, change) as board:
            said = examined(board, place)
            links = {one["name"]: one for one in said.document["links"]}
            assert links["tls"]["state"] == "SKIPPED"
            assert (links["clock"]["state"], links["clock"]["code"]) == ("FAILED", "time.validity")
            assert "renew its statement" in links["clock"]["do"]
            assert said.code == 1


# ---- registry: the operator has not let it in; test_onboarding.py approves one meanwhile


def test_a_gateway_that_this_computer_cannot_ask(place: Town, bench: Bench, station: bytes):
    """The board comes through all the same, and that is told."""
    nobody = f"http://127.0.0.1:{free_port()}"
    with bench.board(station) as board:
        said = cairn(
            *("board", "doctor", "--port", board.url, "--gateway", nobody, "--json"),
            folder=place.folder,
        )
        failure = broken(said, "registry", "gateway_unreached")
        assert said.code == 3
        assert failure["facts"]["board_came_through"] is True


def test_a_board_of_another_network(
    place: Town, bench: Bench, station: bytes, require_component: Callable[[str], str]
):
    folder = bench.folder / "elsewhere"
    folder.mkdir()
    with town(require_component("openssl"), folder) as elsewhere, bench.board(station) as board:
        failure = broken(examined(board, elsewhere), "firmware", "board_other_network")
        assert place.keys.network_id.hex() in failure["detail"]


# ---- sensors


def test_a_sensor_that_is_unplugged(place: Town, bench: Bench, station: bytes):
    """It stops nothing: the fault is sent, and the reading accepted."""
    with bench.board(station, sensors=()) as board:
        said = examined(board, place)
        assert said.code == 1, said.err
        failure = said.failure()
        assert (failure["name"], failure["code"]) == ("sensors", "sensors.fault")
        assert "temperature: " in failure["detail"]
        states = {one["name"]: one["state"] for one in said.document["links"]}
        assert states["reading"] == "PASSED"
        assert said.document["blocker"] is None


# ---- program and storage


def test_micropython_without_our_program(place: Town, bench: Bench):
    nothing = pack({"main.py": b"print('hello')\n"})
    with bench.board(flashed("esp32", nothing)) as board:
        failure = broken(examined(board, place), "firmware", "board_without_cairn")
        assert "`cairn board flash`" in failure["do"]


def test_a_bare_chip(place: Town, bench: Bench):
    with bench.board() as board:
        failure = broken(examined(board, place), "firmware", "board_blank")
        assert "cairn board flash" in failure["do"]


def test_a_board_that_starts_again_and_again(place: Town, bench: Bench):
    loop = pack({"main.py": b"import machine\nmachine.reset()\n"})
    with bench.board(flashed("esp32", loop)) as board:
        broken(examined(board, place), "firmware", "board_crashing")


def crashed(boots: int) -> str:
    """A program that writes down what so many bad boots in a row leave behind."""
    files = MemoryFiles()
    lives.store(files, boots, 0, 0)
    return "".join(
        f"file = open('/data/{name}', 'wb'); file.write({files.read(name)!r}); file.close()\n"
        for name in files.names("")
    )


FILLER = """
import os
with open("/filler", "wb") as file:
    block = bytes(4096)
    disk = os.statvfs("/")
    for _ in range(disk[3] - 3):
        file.write(block)
"""
FULL_NVS = """
import esp32
nvs = esp32.NVS("else")
for size in (4000, 400, 40, 4):
    try:
        for number in range(1000):
            nvs.set_blob("x%d_%d" % (size, number), bytes(size))
            nvs.commit()
    except OSError:
        pass
"""


def test_a_station_that_crashed_into_safe_mode(place: Town, bench: Bench, station: bytes):
    with bench.board(station) as board:
        typed(board, crashed(6))
        failure = broken(examined(board, place), "firmware", "board_crashing")
        assert failure["facts"]["crashes"] >= 6


def test_a_file_system_that_is_full(place: Town, bench: Bench, station: bytes):
    with bench.board(station) as board:
        typed(board, FILLER)
        failure = broken(examined(board, place), "firmware", "board_full")
        assert "stay" in failure["do"]


def test_no_room_for_a_configuration(place: Town, bench: Bench, program: bytes):
    with bench.board(program) as board:
        typed(board, FULL_NVS)
        told = cairn(
            *("board", "provision", "--port", board.url, "--gateway", place.url),
            *("--places", place.folder, *STATION),
            folder=place.folder,
            given=PASSWORD + "\n",
        )
        assert told.code == 1
        assert "storage.full" in told.err
        broken(examined(board, place), "firmware", "board_unprovisioned")


# ---- the person


def test_ctrl_c_leaves_a_running_station(
    place: Town, bench: Bench, program: bytes, listening_to_ctrl_c: None
):
    """The doctor is interrupted while it holds the board at its prompt."""
    with bench.board(program) as board:
        talk = start(
            *("board", "doctor", "--port", board.url, "--gateway", place.url),
            folder=place.folder,
        )
        assert talk.stdout is not None
        assert "serial" in talk.stdout.readline()
        since = len(board.console)
        talk.send_signal(signal.SIGINT)
        _, errors = talk.communicate(timeout=60)
        assert talk.returncode == 130, errors
        assert board.wait_for("cairn: config.absent", 30, since=since)
