"""`cairn board run` around the following: what stops it before, and how its end is told. The whole
path with a board is in test_onboarding.py.
"""

import json
from dataclasses import dataclass, field, replace

import pytest
from click.testing import CliRunner

from gateway.board import doctor_http, doctor_serial
from gateway.board.doctor_sides import Unreached
from gateway.cli import board_run, main
from gateway.shell.errors import Code, OperatorFault
from tests.board.doctor_rig import (
    NAME,
    NOW_MS,
    REGISTERED,
    SILENT,
    UNKNOWN,
    WHOAMI,
    FakeBoard,
    FakeGateway,
    accepted,
    bad,
)

pytestmark = pytest.mark.slow


@dataclass
class Cable(FakeBoard):
    """A fake board in the place of a real one; its lines come while it is listened to."""

    lines: list[str] = field(default_factory=list)
    heard: object = None
    closed: int = 0

    def listen(self, _seconds: float) -> None:
        while self.lines:
            self.heard(self.lines.pop(0))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def with_(board: Cable, gateway: FakeGateway, *arguments: str):
        def plugged(_find, *, heard):
            board.heard = heard
            return board

        monkeypatch.setattr(doctor_serial, "SerialBoard", plugged)
        monkeypatch.setattr(doctor_http, "HttpGateway", lambda _url: gateway)
        given = ("board", "run", "--port", "fake", "--gateway", gateway.url, "--timeout", "1")
        return CliRunner().invoke(main, [*given, *arguments])

    return with_


def test_the_first_accepted_reading_is_told_without_a_value(run):
    newer = replace(REGISTERED, reading=accepted(0), last_ms=NOW_MS)
    board = Cable(lines=["cairn: link.unreachable: no connection", ">>> "])
    done = run(board, FakeGateway([REGISTERED, newer]))
    assert done.exit_code == 0, done.output
    assert "accepted" in done.stdout
    assert accepted(0).message_id in done.stdout
    assert "FAILED  broker     The broker's host does not answer." in done.stderr
    assert "PASSED  reading    accepted at" in done.stderr
    assert (board.restarts, board.closed) == (1, 1)


def test_the_same_as_json(run):
    newer = replace(REGISTERED, reading=accepted(0), last_ms=NOW_MS)
    done = run(Cable(), FakeGateway([REGISTERED, newer]), "--json")
    told = json.loads(done.stdout)
    assert (told["ok"], told["station"], told["done"], told["doctor"]) == (True, NAME, [], None)
    assert told["accepted"] == accepted(0).document()
    assert told["changes"][-1]["name"] == "reading"


def test_no_reading_in_time_names_the_broken_link(run):
    done = run(Cable(), FakeGateway([SILENT]), "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["ok"], told["accepted"]) == (False, None)
    assert told["doctor"]["blocker"] == "reading"
    people = run(Cable({"wifi": bad("wifi.password")}), FakeGateway([UNKNOWN]))
    assert people.exit_code == 1
    assert "code  wifi.password" in people.stdout


def test_a_gateway_that_is_away_is_no_fault_of_the_board(run):
    gone = Unreached("http://127.0.0.1:1", "Connection refused")
    done = run(Cable(), FakeGateway([gone], told=gone))
    assert done.exit_code == 3
    assert "code  gateway_unreached" in done.stdout
    assert "gets no answer from the gateway" in done.stderr


def test_all_holds_and_it_was_only_slow(run):
    """The last reading is recent enough, and no new one came in the time given."""
    done = run(Cable(), FakeGateway([REGISTERED]))
    assert done.exit_code == 1
    assert "only slow" in done.stdout


@pytest.mark.parametrize(
    "facts,code",
    [
        ({"config": WHOAMI["config"] | {"network": "00" * 8}}, "board_other_network"),
        ({"free_flash": 0}, "board_full"),
        ({"crashes": 9}, "board_crashing"),
    ],
)
def test_a_board_that_cannot_come_to_a_reading_is_not_waited_for(run, facts, code):
    board = Cable(facts=facts)
    done = run(board, FakeGateway())
    assert done.exit_code == 1
    assert f"code  {code}" in done.stdout
    assert (board.restarts, board.closed) == (0, 1)


@pytest.mark.parametrize(
    "given,sets_up",
    [
        ((), False),
        (("--yes", "--places", "."), False),
        (("--sample-every", "30"), True),
        (("--antenna", "2.15,6"), True),
        (("--coarse",), True),
        (("--broker-password-file", "x"), True),
    ],
)
def test_whatever_a_board_is_told_sets_it_up_anew(run, monkeypatch, given, sets_up):
    asked = []
    monkeypatch.setattr(board_run._Run, "_provision", lambda _self, board: asked.append(board))
    newer = replace(REGISTERED, reading=accepted(0), last_ms=NOW_MS)
    done = run(Cable(), FakeGateway([REGISTERED, newer]), *given)
    assert done.exit_code == 0, done.output
    assert bool(asked) is sets_up


def test_an_architecture_that_there_is_not_is_wrong_use(run):
    done = run(Cable(), FakeGateway(), "--firmware", "x.bin", "--architecture", "z80")
    assert done.exit_code == 2
    assert "'z80' is not one of" in done.stderr


def test_a_chip_without_a_program_is_a_fault_unless_an_image_was_given(run, monkeypatch):
    blank = OperatorFault("There is no program.", "Blank.", "Flash it.", Code.BOARD_BLANK)
    board = Cable(entering=blank)
    done = run(board, FakeGateway())
    assert done.exit_code == 1
    assert "code: board_blank" in done.stderr
    flashed = []

    def flash(_ctx, port, firmware, architecture, *, yes):
        flashed.append((port, str(firmware), architecture, yes))
        board.entering = None

    monkeypatch.setattr(board_run, "_flash", flash)
    newer = replace(REGISTERED, reading=accepted(0))
    done = run(board, FakeGateway([REGISTERED, newer]), "--firmware", "x.bin", "--json")
    assert done.exit_code == 0, done.output
    assert flashed == [("fake", "x.bin", None, False)]
    assert json.loads(done.stdout)["done"] == ["flashed"]


def test_a_port_that_is_absent(run):
    absent = OperatorFault("There is no port.", "Gone.", "Plug it in.", Code.PORT_ABSENT)
    done = run(Cable(entering=absent), FakeGateway(), "--firmware", "x.bin")
    assert done.exit_code == 3
    assert "code: port_absent" in done.stderr
