"""Starts the pinned MicroPython build (npm, WebAssembly) for the tests of this directory."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
