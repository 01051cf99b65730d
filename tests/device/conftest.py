"""Starts the pinned MicroPython build (npm, WebAssembly) for the tests of this directory."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[1] / "firmware" / "cairn"
PACKAGE = HERE / "node_modules" / "@micropython" / "micropython-webassembly-pyscript"
TIMEOUT_S = 300

RunMicroPython = Callable[..., str]


def _cannot_run(reason: str) -> None:
    # A skip on a laptop without Node is honest; in CI it would hide that nothing was proved.
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def micropython(tmp_path_factory: pytest.TempPathFactory) -> RunMicroPython:
    """Callable (script, copies={local: remote}) -> stdout; firmware/cairn is at /lib/cairn."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            _cannot_run(f"{tool} is not installed, so firmware/cairn did not run on MicroPython")
    if not PACKAGE.is_dir():
        _install(tmp_path_factory)

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


def _install(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Test workers start together and npm ci empties node_modules: build aside, then move in.
    aside = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, aside / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=aside, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        _cannot_run(f"npm ci failed, so MicroPython could not be installed: {done.stderr[-500:]}")
    try:
        shutil.move(aside / "node_modules", HERE / "node_modules")
    except OSError:
        if not PACKAGE.is_dir():
            raise
