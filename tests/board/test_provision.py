"""`cairn board provision` as a person runs it, against a board with the real program."""

import stat

import pytest

from gateway.board.console import session
from gateway.board.ports import opened
from gateway.board.repl import Repl
from gateway.core.ids import device_id, device_name
from gateway.shell.errors import OperatorFault
from tests.board.provision_rig import (
    JOINING,
    PASSWORD,
    PLACE,
    STATION,
    WIFI,
    make_desk,
    program,
    whoami,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file_system() -> bytes:
    return program()


@pytest.fixture
def desk(tmp_path):
    return make_desk(tmp_path / "desk")


@pytest.fixture
def board(virtual_board, file_system):
    return virtual_board(file_system=file_system, wifi={WIFI: PASSWORD, "open": ""})


def test_a_board_is_set_up_and_the_same_again_changes_nothing(desk, board) -> None:
    said = desk.provision(board, *JOINING, *STATION, "--antenna", "2.15,6", "--yes")
    assert said.code == 0, said.err
    found = said.document
    public_key = bytes.fromhex(found["public_key"])
    assert found["device"] == device_name(device_id(public_key))
    assert found["changed"] == ["config", "wifi"]
    assert found["joined"]["address"]
    assert found["network_id"] == desk.keys.network_id.hex()
    assert found["quantities"] == [[0, 0], [1, 0], [2, 0]]
    assert PASSWORD not in said.out + said.err
    # What is public is said before it is written.
    told = said.err.index(f"{found['scoring_cell']} (")
    assert "PUBLIC" in said.err
    assert told < said.err.index("storing the configuration")
    path = desk.folder / found["place_file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (kept,) = desk.place_files()
    assert (kept["lat"], kept["lon"]) == ("52.520000", "13.405000")

    again = desk.provision(board, *STATION, "--antenna", "2.15,6")
    assert again.code == 0, again.err
    assert again.document == found | {"changed": [], "wifi": None}
    assert desk.place_files() == [kept]
    facts = whoami(board)
    assert facts.public_key == public_key
    assert facts.config.cell == found["scoring_cell"]
    assert facts.config.network == found["network_id"]


def test_nothing_is_written_without_consent(desk, board) -> None:
    said = desk.provision(board, *JOINING, *STATION)
    assert said.code == 2
    assert "code: consent_missing" in said.err
    assert "PUBLIC" in said.err
    assert desk.place_files() == []
    facts = whoami(board)
    assert not facts.provisioned
    assert not facts.wifi


def test_what_would_change_is_shown_and_asked_for(desk, board) -> None:
    assert desk.provision(board, *JOINING, *STATION, "--yes").code == 0
    before = whoami(board)
    moved = ("--place", "48.1,11.5", "--sensor", "dht22:pin=4", "--owner", "0x" + "ab" * 20)
    said = desk.provision(board, *moved)
    assert "code: consent_missing" in said.err
    assert f"scoring cell: {before.config.cell} -> " in said.err
    assert "sensors: bme280:" in said.err
    assert f"owner: none -> 0x{'ab' * 20}" in said.err
    assert "resets proof and seniority" in said.err
    assert whoami(board).config == before.config
    said = desk.provision(board, *moved, "--yes")
    assert said.code == 0, said.err
    assert said.document["changed"] == ["config"]
    after = whoami(board)
    assert after.public_key == before.public_key
    assert after.config.owner == "ab" * 20
    assert after.config.sensors == ((10, 0, 4),)


@pytest.mark.parametrize(
    "ssid,password,code",
    [
        (WIFI, "wrong horse", "wifi_password"),
        ("elsewhere", PASSWORD, "wifi_unknown"),
        (WIFI, "short", "wifi_invalid"),
    ],
)
def test_a_wifi_that_does_not_work_is_told_apart_and_done_again(
    desk, board, ssid: str, password: str, code: str
) -> None:
    joining = ("--wifi", ssid, "--wifi-password-file", "-")
    said = desk.provision(board, *joining, *STATION, "--yes", given=password)
    assert said.code != 0
    assert f"code: {code}" in said.err
    assert password not in said.err
    mended = desk.provision(board, *JOINING, *STATION, "--yes")
    assert mended.code == 0, mended.err
    # What was right the first time is not written again.
    started = code != "wifi_invalid"
    assert mended.document["changed"] == (["wifi"] if started else ["config", "wifi"])


def test_a_wifi_that_is_elsewhere_is_stored_and_not_tried(desk, board) -> None:
    joining = ("--wifi", "farm", "--wifi-password-file", "-", "--no-join")
    said = desk.provision(board, *joining, *STATION, "--yes")
    assert said.code == 0, said.err
    assert said.document["joined"] is None
    assert whoami(board).wifi
    said = desk.provision(board, "--wifi", "open", "--wifi-open", *STATION, "--yes")
    assert said.code == 0, said.err


def test_what_is_missing_is_named(desk, board) -> None:
    said = desk.provision(board, *STATION, "--yes")
    assert "code: wifi_missing" in said.err
    said = desk.provision(board, *JOINING, "--sensor", "bme280", "--yes")
    assert "code: place_invalid" in said.err
    said = desk.provision(board, *JOINING, "--place", PLACE, "--yes")
    assert "code: station_invalid" in said.err
    assert not whoami(board).provisioned


def test_a_board_without_our_program_is_told_from_silence(desk, virtual_board) -> None:
    official = virtual_board(flashed=True)
    said = desk.provision(official, *JOINING, *STATION, "--yes")
    assert "code: board_without_cairn" in said.err
    assert "cairn board flash" in said.err
    blank = virtual_board()
    said = desk.provision(blank, *JOINING, *STATION, "--yes")
    assert "code: repl_" in said.err
    official.power_cut()
    said = desk.provision(official, *JOINING, *STATION, "--yes")
    assert said.code == 3
    assert "code: repl_silent" in said.err


def test_a_pty_without_modem_lines_will_do(desk, board) -> None:
    line = ("--port", board.pty, *JOINING, *STATION, "--yes")
    said = desk.cairn("provision", *line, given=PASSWORD)
    assert said.code == 0, said.err


def test_the_console_forgets_what_it_is_told_to(desk, board) -> None:
    assert desk.provision(board, *JOINING, *STATION, "--yes").code == 0
    with session(board.pty) as console:
        key = console.whoami().public_key
        assert console.check("sensors").ok
        console.forget("wifi")
        assert not console.whoami().wifi
        console.forget("config")
        assert not console.whoami().provisioned
        console.forget("all", yes=True)
        assert console.whoami().public_key != key


def test_a_program_that_hangs_is_interrupted(board) -> None:
    with opened(board.pty) as connection:
        repl = Repl(connection)
        repl.enter()
        with pytest.raises(OperatorFault, match="repl_silent"):
            repl.run("while True: pass", 0.5)
        repl.enter()
        assert repl.run("print(1)", 10) == "1\n"
        with pytest.raises(OperatorFault, match="repl_silent"):
            repl.run("while True: pass", 0.5)
        since = len(board.console)
        repl.leave(restart=True)
        assert board.wait_for("SW_CPU_RESET", since=since)
