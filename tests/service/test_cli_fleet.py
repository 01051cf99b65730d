"""Fleets and the demo through the command line, on a scenario small enough to run often."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import demo_run, main

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


def test_a_run_replaces_its_own_directory_and_shows_a_table():
    for _ in range(2):
        result = cairn("fleet", "run", "--scenario", "small.toml", "--data", "f")
        assert result.exit_code == 0, result.output
    assert "digest" in result.stdout
    assert "\x1b" not in result.output
    assert cairn("epoch", "list", "--data", "f").exit_code == 0


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


def test_the_demo_shows_what_to_try_and_that_works(monkeypatch: pytest.MonkeyPatch):
    """Of twelve stations one bar cannot be met, which is the one problem that may be reported."""
    monkeypatch.setattr(demo_run, "SCENARIO", "small.toml")
    result = cairn("demo", "--once", "--in-process", "--data", "d", "--seed", "3")
    assert result.exit_code == 1
    problems = [line for line in result.stderr.splitlines() if line.startswith("problem:")]
    assert len(problems) == 1, result.stderr
    assert "fewer than 10000" in problems[0]
    assert "run it again: cairn demo --seed 3" in result.stderr
    first, second, blank = result.stdout.splitlines()[:3]
    assert first.startswith("A simulated network: 12 stations x 24 h from 2026-03-02 on, seed 3")
    assert second.endswith("another process audits.")
    assert blank == ""
    assert re.search(r"(?m)^time taken +[0-9.]+ s, audit included$", result.stdout)
    assert "the same root" in result.stdout
    following = result.stdout.split("Next:\n")[1].splitlines()
    commands = [shlex.split(line)[1:] for line in following]
    assert [command[0] for command in commands] == ["explain", "explain", "audit", "claim"]
    for command in commands:
        assert cairn(*command).exit_code == 0, command


def test_the_demo_notices_a_bundle_that_does_not_hold(monkeypatch: pytest.MonkeyPatch):
    def damaged(store, network, stored, path):
        written = export(store, network, stored, path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        return written

    export = demo_run.export_bundle
    monkeypatch.setattr(demo_run, "SCENARIO", "small.toml")
    monkeypatch.setattr(demo_run, "export_bundle", damaged)
    result = cairn("demo", "--once", "--json", "--data", "d")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["audit"]["ok"] is False
    assert any("the audit found a problem" in problem for problem in answer["problems"])


@pytest.mark.slow
def test_the_demo_keeps_every_promise():
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "demo", "--once", "--json", "--seed", "11"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    answer = json.loads(done.stdout)
    assert answer["problems"] == []
    assert answer["stations"] == 100
    assert answer["messages_signed"] >= 10_000
    assert answer["rejected"] == answer["corruptions"] > 0
    assert answer["audit"] == {"ok": True, "root": answer["root"]}
    assert int(answer["paid"]) + int(answer["carry"]) == int(answer["pool"])
    assert all(isinstance(answer[key], str) for key in ("pool", "paid", "carry", "root"))


@pytest.fixture
def listening_to_ctrl_c():
    """A shell's background jobs ignore SIGINT, and their children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
