"""From a bare board to an accepted reading by the real commands, over a network and over a pty."""

import json
import re
import threading
import time
from pathlib import Path

import pytest

from tests.board.onboarding_rig import (
    PASSWORD,
    STATION,
    Bench,
    Said,
    Town,
    cairn,
    examined,
    start,
    town,
)

OWNER = "0x" + "1d" * 20
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(require_component, tmp_path_factory):
    with town(require_component("openssl"), tmp_path_factory.mktemp("town")) as one:
        yield one


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Talk:
    """A command that is listened to while it runs."""

    def __init__(self, *arguments: object, folder: Path, given: str = "") -> None:
        self._process = start(*arguments, folder=folder)
        assert self._process.stdin is not None
        self._process.stdin.write(given)
        self._process.stdin.close()
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()

    def until(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        """Wait for a line; what it said, if it does not come."""

        def found() -> re.Match[str] | None:
            return next((m for line in self._lines if (m := re.search(pattern, line))), None)

        with self._changed:
            assert self._changed.wait_for(found, seconds), "".join(self._lines)
            match = found()
        assert match is not None
        return match

    def end(self, seconds: float = 120) -> Said:
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        code = self._process.wait(seconds)
        self._thread.join()
        self._process.stdout.close()
        assert self._process.stderr is not None
        self._process.stderr.close()
        return Said(code, out, "".join(self._lines))


def test_one_command_from_a_bare_board_to_an_accepted_reading(place: Town, bench: Bench):
    """Over a serial server, whose lines reset the board. The operator approves meanwhile."""
    with bench.board() as board:
        talk = Talk(
            *("board", "run", "--port", board.url, "--gateway", place.url),
            *("--firmware", bench.image, "--architecture", "bytecode", "--owner", OWNER),
            *(*STATION, "--timeout", 120, "--json"),
            folder=place.folder,
            given=PASSWORD + "\n",
        )
        told = talk.until(r"FAILED +registry .*`cairn station approve ([a-z2-7]{26})`")
        place.approve(told[1])
        done = talk.end()
        assert done.code == 0, done.err
        report = done.document
        assert report["done"] == ["flashed", "provisioned"]
        assert report["station"] == told[1]
        seen = place.seen(told[1])
        assert seen["state"] == "registered"
        assert report["accepted"]["verdict"] == "ok"
        assert report["accepted"]["position"] <= seen["readings"]["position"]
        passed = [one["name"] for one in report["changes"] if one["state"] == "PASSED"]
        assert passed[-2:] == ["registry", "reading"]
        assert report["doctor"] is None
        # Neither the key nor the Wi-Fi's password is anywhere in what was said.
        assert PASSWORD not in done.out + done.err

        examination = examined(board, place)
        assert examination.code == 0, examination.out
        states = {one["name"]: one["state"] for one in examination.document["links"]}
        assert set(states.values()) == {"PASSED"}, examination.out
        # It is left running: readings go on.
        assert _goes_on(place, told[1])


def _goes_on(place: Town, name: str, seconds: float = 60) -> bool:
    before = place.seen(name)["readings"]["position"]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if place.seen(name)["readings"]["position"] > before:
            return True
        time.sleep(0.5)
    return False


def test_step_by_step_over_a_line_without_modem_signals(place: Town, bench: Bench):
    """A pty: a person holds BOOT and presses RESET. Owner and board both sign the claim."""
    folder = place.folder
    made = cairn("board", "owner-key", folder / "owner.key", "--json", folder=folder)
    owner = made.document["owner"]
    with bench.board() as board:
        flash = Talk(
            *("board", "flash", "--port", board.pty, "--firmware", bench.image),
            *("--architecture", "bytecode", "--yes", "--json"),
            folder=folder,
        )
        flash.until("Hold BOOT")
        board.hold_boot_and_reset()
        flash.until("Press RESET")
        board.press_reset()
        assert flash.end().code == 0
        provision = cairn(
            *("board", "provision", "--port", board.pty, "--gateway", place.url),
            *("--places", folder, "--owner-key", folder / "owner.key", *STATION, "--json"),
            folder=folder,
            given=PASSWORD + "\n",
        )
        assert provision.code == 0, provision.err
        name = provision.document["device"]
        assert provision.document["owner"] == owner
        assert provision.document["owner_proven"] is True
        place.approve(name)
        run = cairn(
            *("board", "run", "--port", board.pty, "--data", place.keys.folder, "--timeout", 120),
            folder=folder,
        )
        assert run.code == 0, run.err
        accepted = dict(re.findall(r"(?m)^(\w+) +(.*)$", run.out))
        assert accepted["station"] == name
        assert re.fullmatch("[0-9a-f]{64}", accepted["reading"])
        # A value is nobody's before its release, not even here.
        assert re.search(r"(?i)cel|%rh|hpa", run.out) is None
        station = cairn(
            "station", "show", name, "--data", place.keys.folder, "--json", folder=folder
        )
        assert station.document["owner"] == owner


def test_the_machine_s_words_are_json(place: Town):
    """What cannot be reached is told in both languages, with exit code 3."""
    done = cairn(
        *("board", "doctor", "--port", "/dev/no-such-port", "--gateway", place.url, "--json"),
        folder=place.folder,
    )
    assert done.code == 3
    report = json.loads(done.out)
    assert (report["blocker"], report["links"][0]["code"]) == ("serial", "port_absent")
