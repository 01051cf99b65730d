"""Starts the pinned MicroPython builds for the tests of this directory."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.micropython.host import Runner, read_application
from tests.device.runner_rig import Echo, MakeRunner

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware" / "cairn"
TIMEOUT_S = 300

RunMicroPython = Callable[..., str]


@pytest.fixture(scope="session")
def micropython(node_modules: Callable[[str], Path]) -> RunMicroPython:
    """Callable (script, copies={local: remote}) -> stdout; firmware/cairn is at /lib/cairn."""
    node_modules("device")

    def run(script: Path, copies: dict[Path, str] | None = None) -> str:
        places = {FIRMWARE: "/lib/cairn", **(copies or {})}
        command = ["node", str(HERE / "micropython.mjs"), str(script)]
        command += [f"{local}={remote}" for local, remote in places.items()]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def make_runner(node_modules: Callable[[str], Path]) -> Iterator[MakeRunner]:
    made: list[Runner] = []

    def make(**options: Any) -> Runner:
        made.append(Runner(read_application(FIRMWARE.parent), node_modules("device"), **options))
        return made[-1]

    yield make
    for runner in made:
        runner.close()


@pytest.fixture
def runner(make_runner: MakeRunner) -> Runner:
    return make_runner()


@pytest.fixture
def echo_port() -> Iterator[int]:
    with Echo() as server:
        yield server.server_address[1]
        server.shutdown()
