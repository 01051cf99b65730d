"""Fleets through the command line, on a scenario small enough to run often."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.shell.lock import held

SMALL = """
name = "small"
description = "Twelve stations, one day, every fault."
start = 2026-03-02

[fleet]
stations = 12
close_stations = 2
anchored = 2
owners = 9

[faults]
from_minute = 30
drop_ppm = 10_000
duplicate_ppm = 10_000
reorder_ppm = 20_000
corrupt_ppm = 5_000
gateway_crash_minutes = [500]
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CAIRN_"):
            monkeypatch.delenv(name)
    Path("small.toml").write_text(SMALL)


def cairn(*arguments: str):
    return CliRunner().invoke(main, arguments)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_digest_in_two_processes():
    answers = []
    for folder in ("a", "b"):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "gateway.cli", "fleet", "run", "--scenario", "small.toml"),
                *("--seed", "5", "--in-process", "--data", folder, "--json"),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        answers.append(json.loads(done.stdout))
    assert answers[0] == answers[1]
    (epoch,) = answers[0]["epochs"]
    assert answers[0]["failures"] == []
    assert answers[0]["gateway_crashes"] == 1
    assert answers[0]["rejected"] == answers[0]["corruptions"] > 0
    assert int(epoch["paid"]) + int(epoch["carry"]) == int(epoch["pool"])
    other = json.loads(cairn("fleet", "run", "--scenario", "small.toml", "--json").stdout)
    assert other["digest"] != answers[0]["digest"]


@pytest.mark.slow
def test_a_run_replaces_its_own_directory_and_shows_a_table():
    for _ in range(2):
        result = cairn("fleet", "run", "--scenario", "small.toml", "--data", "f")
        assert result.exit_code == 0, result.output
    assert "digest" in result.stdout
    assert "\x1b" not in result.output
    assert cairn("epoch", "list", "--data", "f").exit_code == 0


@pytest.mark.slow
def test_a_directory_is_not_replaced_under_a_running_gateway():
    first = cairn("fleet", "run", "--scenario", "small.toml", "--data", "f", "--json")
    assert first.exit_code == 0, first.output
    with held(Path("f")):
        for verb in ("fleet", "run", "--scenario", "small.toml"), ("demo", "--once"):
            refused = cairn(*verb, "--data", "f")
            assert refused.exit_code == 3
            assert "gateway_running" in refused.stderr
            assert Path("f/cairn.db").exists()
    again = cairn("fleet", "run", "--scenario", "small.toml", "--data", "f", "--json")
    assert again.stdout == first.stdout


CSV_HEAD = "station,unix_time,lat,lon,temperature[Cel]\n"
DAY_S = 1_772_409_600  # 2026-03-02


def test_recorded_readings_are_signed_sent_and_paid():
    rows = [
        f"{station},{DAY_S + minute * 60},52.5{station},13.40,{10 + minute % 7 / 10:.1f}\n"
        for minute in range(0, 1_440, 10)
        for station in (1, 2)
    ]
    Path("readings.csv").write_text(CSV_HEAD + "".join(rows))
    result = cairn("fleet", "replay", "--csv", "readings.csv", "--data", "r", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["stations"] == 2
    assert report["messages_signed"] == report["messages_durable"] > 0
    assert int(report["epochs"][0]["paid"]) >= 0


def test_a_mistake_in_the_readings_is_named():
    Path("readings.csv").write_text(CSV_HEAD + f"1,{DAY_S},52.5,13.4,warm\n")
    result = cairn("fleet", "replay", "--csv", "readings.csv", "--data", "r")
    assert result.exit_code == 1
    assert "readings_invalid" in result.stderr
    assert "warm" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_stops_a_run_and_keeps_what_was_committed(listening_to_ctrl_c):
    command = [sys.executable, "-m", "gateway.cli", "fleet", "run", "--data", "f"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        database = Path("f/cairn.db-wal")
        while not (database.exists() and database.stat().st_size > 100_000):
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert stderr == "stopped; everything that was committed is kept\n"
    opened = cairn("epoch", "list", "--data", "f", "--json")
    assert json.loads(opened.stdout) == {"epochs": []}


def refusal(*options: str) -> tuple[int, str]:
    done = cairn("fleet", "run", *options)
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def test_a_run_on_interpreters_needs_a_broker():
    code, said = refusal("--runtime", "micropython")
    assert (code, "needs --broker" in said) == (2, True)
    code, said = refusal("--node-modules", "x")
    assert (code, "--runtime micropython" in said) == (2, True)


ON_BOARDS = ("--runtime", "micropython", "--broker", "auto", "--network", "trial")


def test_a_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch):
    code, said = refusal(*ON_BOARDS, "--node-modules", "empty")
    assert code == 3
    assert "interpreter_missing" in said
    assert "npm ci" in said or "Node.js" in said
    monkeypatch.setenv("PATH", "")
    code, said = refusal(*ON_BOARDS)
    assert code == 3
    assert "interpreter_missing" in said
    assert "Node.js" in said


def test_what_only_one_kind_of_board_can_play_is_refused():
    code, said = refusal("--scenario", "micropython")
    assert code == 1
    assert "scenario_invalid" in said
    assert "--runtime micropython" in said
    assert not Path("cairn-fleet").exists()
