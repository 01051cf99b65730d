"""The demo: small and in one process, whole and over MQTT, and left by Ctrl-C or a signal."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli import demo_run, main
from tests.service.test_cli_fleet import SMALL

RADIO = """
[town]
radius_m = 3_000
spacing_m = 700

[radio]
region = "EU868"

[liars]
location_lie_50km = 1
"""
COMMAND = [sys.executable, "-m", "gateway.cli", "demo", "--json"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CAIRN_"):
            monkeypatch.delenv(name)
    Path("small.toml").write_text(SMALL + RADIO)


def cairn(*arguments: str):
    return CliRunner().invoke(main, arguments)


def test_the_demo_shows_what_to_try_and_that_works(monkeypatch: pytest.MonkeyPatch):
    """Of twelve stations one bar cannot be met, which is the one problem that may be reported."""
    monkeypatch.setattr(demo_run, "SCENARIO", "small.toml")
    result = cairn("demo", "--once", "--in-process", "--data", "d", "--seed", "3")
    assert result.exit_code == 1
    problems = [line for line in result.stderr.splitlines() if line.startswith("problem:")]
    assert len(problems) == 1, result.stderr
    assert "fewer than 10000" in problems[0]
    assert "run it again: cairn demo --seed 3 --in-process" in result.stderr
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
    result = cairn("demo", "--once", "--json", "--in-process", "--data", "d")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["audit"]["ok"] is False
    assert any("the audit found a problem" in problem for problem in answer["problems"])


@pytest.mark.slow
def test_over_mqtt_it_keeps_every_promise_and_serves_until_ctrl_c(listening_to_ctrl_c):
    with subprocess.Popen(
        [*COMMAND, "--seed", "11"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        line = child.stdout.readline()
        assert line, child.stderr.read()
        answer = json.loads(line)
        gateway = json.loads(Path("cairn-demo/gateway.json").read_text())["pid"]
        ready = httpx.get(f"{answer['api']}/ready", trust_env=False)
        epochs = httpx.get(f"{answer['api']}/v1/epochs", trust_env=False).json()
        child.send_signal(signal.SIGINT)
        rest, errors = child.communicate(timeout=60)
    assert (child.returncode, rest) == (0, ""), errors
    assert answer["problems"] == []
    assert answer["transport"] == "mqtt"
    assert answer["gateway_kills"] == 1
    assert answer["stations"] == 100
    assert answer["messages_signed"] >= 10_000
    assert answer["audit"] == {"ok": True, "root": answer["root"]}
    assert int(answer["paid"]) + int(answer["carry"]) == int(answer["pool"])
    assert all(isinstance(answer[key], str) for key in ("pool", "paid", "carry", "root"))
    assert ready.status_code == 200, ready.text
    assert [one["root"] for one in epochs["epochs"]] == [answer["root"]]
    assert not Path("cairn-demo/gateway.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(gateway, 0)


def test_a_demo_that_is_terminated_takes_its_gateway_along():
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        told = Path("cairn-demo/gateway.json")
        while not told.exists():
            assert child.poll() is None, child.stderr.read()
        gateway = json.loads(told.read_text())["pid"]
        child.terminate()
        child.communicate(timeout=60)
    assert child.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(gateway, 0)
