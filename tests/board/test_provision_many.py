"""Setting up by Improv, boards in a batch, and the power that fails while one is set up."""

import json

import pytest

from gateway.device.station_choice import Choice, Outfit, config_bytes, station_config
from gateway.device.station_sensors import entries
from gateway.shell.onboarding import Broker, Onboarding, Time
from tests.board.provision_rig import (
    JOINING,
    PASSWORD,
    STATION,
    WIFI,
    make_desk,
    program,
    whoami,
)
from tests.unit.firmware.bench import CELL

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(tmp_path):
    return make_desk(tmp_path / "desk")


def offer(desk) -> bytes:
    """A configuration as the page that flashes from a browser puts it into an image."""
    told = Onboarding(
        name="test",
        network_id=desk.keys.network_id.hex(),
        genesis=desk.keys.genesis_bytes.hex(),
        root_key=desk.keys.genesis.root_key.hex(),
        simulated=False,
        broker=Broker("127.0.0.1", 1, tls=False, ca_pem=None),
        time=Time("127.0.0.1", 1),
        this_machine_only=True,
        region=None,
        beacon_every=None,
        admission_policy="open",
    )
    outfit = Outfit(sensors=entries(["bme280"]))
    wish = Choice(outfit=outfit, scoring_cell=CELL, place_commitment=bytes(32))
    return config_bytes(station_config(told, wish))


def test_a_board_that_brought_its_configuration_gets_its_wifi_by_improv(
    desk, virtual_board
) -> None:
    board = virtual_board(file_system=program(offer(desk)), wifi={WIFI: PASSWORD})
    wrong = desk.cairn("provision", "--port", board.pty, "--improv", *JOINING, given="wrong horse")
    assert "code: wifi_not_connected" in wrong.err
    assert "wrong horse" not in wrong.err
    said = desk.cairn("provision", "--port", board.pty, "--improv", *JOINING, given=PASSWORD)
    assert said.code == 0, said.err
    device = whoami(board).device
    assert said.document["info"][-1] == device
    assert said.document["url"].endswith(f"/flash#station={device}")
    assert whoami(board).wifi


def test_improv_with_a_board_that_does_not_serve_it(desk, virtual_board) -> None:
    board = virtual_board(flashed=True)
    said = desk.cairn("provision", "--port", board.pty, "--improv", *JOINING, given=PASSWORD)
    assert said.code == 3
    assert "code: improv_silent" in said.err


def test_a_batch_goes_on_after_a_board_that_fails_and_is_finished_later(
    desk, virtual_board
) -> None:
    file_system = program()
    boards = {
        name: virtual_board(file_system=file_system, wifi={WIFI: PASSWORD}, name=name)
        for name in ("roof", "yard", "barn")
    }
    boards["yard"].air.clear()
    lines = [
        f'{name},{board.pty},"52.5{place},13.4"'
        for place, (name, board) in enumerate(boards.items())
    ]
    table = desk.folder / "town.csv"
    table.write_text("\n".join(["name,port,place", *lines, ""]))
    line = ("--batch", table, "--labels", desk.folder / "labels.svg", *JOINING)
    line = (*line, "--sensor", "bme280", "--yes")

    said = desk.cairn("provision", *line, given=PASSWORD)
    assert said.code == 1, said.err
    assert "code: batch_failed" in said.err
    results = {one["name"]: one for one in said.document["boards"]}
    assert [results[name]["ok"] for name in boards] == [True, False, True]
    assert results["yard"]["fault"]["code"] == "wifi_unknown"
    assert PASSWORD not in said.out + said.err + (desk.folder / "town.jsonl").read_text()

    boards["yard"].air[WIFI] = PASSWORD
    keys = {name: whoami(board).device for name, board in boards.items()}
    said = desk.cairn("provision", *line, given=PASSWORD)
    assert said.code == 0, said.err
    assert said.document["done"] == 3
    assert "roof: done earlier" in said.err
    results = {one["name"]: one["device"] for one in said.document["boards"]}
    assert results == keys
    assert len({one["scoring_cell"] for one in desk.place_files()}) == 3
    sheet = (desk.folder / "labels.svg").read_text()
    for name, device in keys.items():
        assert f">{name}<" in sheet
        assert device[13:] in sheet
    log = [json.loads(one) for one in (desk.folder / "town.jsonl").read_text().splitlines()]
    assert [(one["name"], one["ok"]) for one in log] == [
        ("roof", True),
        ("yard", False),
        ("barn", True),
        ("yard", True),
    ]

    sheet = desk.folder / "again.pdf"
    said = desk.cairn("labels", sheet, "--results", desk.folder / "town.jsonl")
    assert said.code == 0, said.err
    assert [one["name"] for one in said.document["labels"]] == ["roof", "yard", "barn"]
    assert sheet.read_bytes().startswith(b"%PDF-")


def test_a_table_with_a_mistake_touches_no_board(desk, virtual_board) -> None:
    board = virtual_board(file_system=program(), wifi={WIFI: PASSWORD})
    table = desk.folder / "t.csv"
    table.write_text(f'name,port,place\na,{board.pty},"1,2"\nb,{board.pty},"north"\n')
    said = desk.cairn("provision", "--batch", table, "--sensor", "bme280", "--yes")
    assert said.code == 2
    assert "code: batch_invalid" in said.err
    assert "Line 3" in said.err
    assert not whoami(board).provisioned


@pytest.mark.parametrize("writes", [0, 4, 8, 12])
def test_a_cut_anywhere_leaves_all_or_nothing_and_the_same_again_ends_it(
    desk, virtual_board, writes: int
) -> None:
    board = virtual_board(file_system=program(), wifi={WIFI: PASSWORD})
    device = whoami(board).device
    # Counted from the next start of an interpreter on, which shall be the console's.
    assert board.wait_for("SW_CPU_RESET")
    since = board.console.rindex("SW_CPU_RESET")
    assert board.wait_for("config.absent", since=since)
    board.cut_after_writes = writes
    said = desk.provision(board, *JOINING, *STATION, "--yes")
    assert said.code == 3
    assert "code: repl_silent" in said.err
    assert board.state == "off"
    board.power_on()
    facts = whoami(board)
    assert facts.device == device
    assert facts.config is None or facts.config.network == desk.keys.network_id.hex()
    assert not facts.wifi
    (kept,) = desk.place_files()
    again = desk.provision(board, *JOINING, *STATION, "--yes")
    assert again.code == 0, again.err
    assert again.document["device"] == device
    assert whoami(board).wifi
    # One place keeps one salt, however often it is tried.
    assert desk.place_files() == [kept]
