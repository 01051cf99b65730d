"""`cairn fleet run --runtime micropython` when something is wrong, and when somebody stops it.

Real and modelled is what test_fleet.py says. The ones that take more than the first run are slow.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli import fleet_boards
from gateway.cli.fleet_boards import board_program, simulate_on_boards
from gateway.cli.fleet_run import Broker
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import create_network
from gateway.shell.settings import load
from simulator import micropython_run
from simulator.fleet import plan_stations
from simulator.run import device_of_plan
from simulator.scenario import parse_scenario
from tests.service.children import free_port
from tests.simulation.gateways import broker_options, driven_gateway, mosquitto

pytestmark = pytest.mark.slow
SEED = 3
SECONDS_MAX = 60
DAY_MS = 86_400_000
SMALL = """
name = "two"
description = "Two boards without radios, eight minutes from midnight on."
start = 2026-03-02
minutes = 8

[fleet]
stations = 2
sample_interval_s = 60

[boards]
power_cuts = 1
store_every_s = 0
"""
PLAN = parse_scenario(SMALL, "two.toml")
FAILING = b"async def run(board):\n    raise ValueError('as the test wants it')\n"


@pytest.fixture
def modules(node_modules: Callable[[str], Path]) -> Path:
    return node_modules("device")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    folder = tmp_path / "network"
    create_network(folder, "two", simulated=True, epoch_zero_ms=PLAN.start_ms, seed=SEED)
    return folder


def run(network: Path, modules: Path, url: str = "auto") -> None:
    broker = Broker(url, load({"data_dir": network}, None, {}))
    simulate_on_boards(PLAN, SEED, broker, lambda _done, _total: None, node_modules=modules)


def fault(network: Path, modules: Path, url: str = "auto") -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        run(network, modules, url)
    return caught.value


def command(network: Path, modules: Path, *options: str) -> list[str]:
    scenario = network.parent / "two.toml"
    scenario.write_text(SMALL)
    return [
        *(sys.executable, "-m", "gateway.cli", "fleet", "run", "--runtime", "micropython"),
        *("--scenario", str(scenario), "--broker", "auto", "--network", str(network)),
        *("--node-modules", str(modules), *options),
    ]


def test_two_boards_at_the_gateways_own_endpoint(network: Path, modules: Path) -> None:
    with driven_gateway(network, 0, SEED):
        done = subprocess.run(
            command(network, modules, "--json"), capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["failures"] == []
    assert report["messages_signed"] == report["messages_durable"] >= 10
    assert report["boards"]["interpreters"] == report["boards"]["power_cuts"] == 2
    assert report["boards"]["boots"] == 4
    assert report["boards"]["heap_bytes_max"] > 0
    assert report["replay"].endswith(f"--broker {report['transport']['broker']}")


def test_without_a_gateway_the_fault_says_so(network: Path, modules: Path) -> None:
    assert fault(network, modules).code == Code.GATEWAY_ABSENT


def test_a_broker_that_is_not_there(
    network: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(micropython_run, "LOGIN_S", 1.0)
    with driven_gateway(network, 0, SEED):
        told = fault(network, modules, f"mqtt://127.0.0.1:{free_port()}")
    assert told.code == Code.FLEET_HALTED
    assert "operator" in told.what


def test_a_broker_that_lets_no_board_in(
    network: Path,
    modules: Path,
    tmp_path: Path,
    require_component: Callable[[str], str],
) -> None:
    require_component("mosquitto")
    with (
        mosquitto(network, tmp_path / "broker", []) as broker,
        driven_gateway(network, 0, SEED, *broker_options(network, broker.url)),
    ):
        told = fault(network, modules)
    assert told.code == Code.FLEET_HALTED
    assert "No board could connect" in told.what
    assert "link.refused" in told.why


def test_a_program_that_fails_is_a_fault(
    network: Path, modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = {n: d for n, d in board_program().items() if not n.startswith("cairn/station.")}
    failing = {**program, "cairn/station.py": FAILING}
    monkeypatch.setattr(fleet_boards, "board_program", lambda: failing)
    with driven_gateway(network, 0, SEED):
        told = fault(network, modules)
    assert told.code == Code.BOARDS_FAILED
    assert "as the test wants it" in told.why


def test_a_fleet_runs_once_on_a_network(network: Path, modules: Path) -> None:
    assert {device_of_plan(one) for one in plan_stations(PLAN, SEED)}
    with driven_gateway(network, 0, SEED):
        run(network, modules)
        assert fault(network, modules).code == Code.FLEET_UNFIT


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8")
    return [int(word) for word in text.split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_ctrl_c_ends_the_interpreters_too(
    network: Path, modules: Path, listening_to_ctrl_c: None
) -> None:
    with (
        driven_gateway(network, 0, SEED),
        subprocess.Popen(
            command(network, modules), stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as child,
    ):
        until = time.monotonic() + SECONDS_MAX
        node: list[int] = []
        while not node:
            assert child.poll() is None
            assert time.monotonic() < until
            node = [pid for pid in children_of(child.pid) if _is_node(pid)]
        # As a terminal does it: to everybody in the foreground.
        os.killpg(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=SECONDS_MAX)
    assert child.returncode == 130, said
    assert "stopped" in said
    assert "Traceback" not in said
    # Interrupted at its very begin it ends because its standard input does.
    until = time.monotonic() + SECONDS_MAX
    while any(Path(f"/proc/{pid}").exists() for pid in node):
        assert time.monotonic() < until, "Node.js is left behind"


def _is_node(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8").strip() in {"node", "MainThread"}
    except OSError:
        return False
