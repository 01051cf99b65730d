"""The manual's curl lines, run from top to bottom against a live gateway.

A `shell-session` block shows commands (`$ `) with what they print. Each shown line must occur in
the output; `…` stands for anything. Address, ids and epoch are those of the gateway under test.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.ids import device_name
from tests.service.api_rig import API_KEY, World, live_api
from tests.service.gateway_rig import EPOCH, OWNER

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"(?ms)^```shell-session\n(.*?)^```$")
SECONDS_MAX = 60


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("docs") / "data")
    with live_api(world.keys) as running:
        world.fill(running)
        running.near = world.near
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory, api):
    folder = tmp_path_factory.mktemp("buyer")
    (folder / "cairn-data" / "keys").mkdir(parents=True)
    (folder / "cairn-data" / "keys" / "api.key").write_text(f"{API_KEY}\n")
    return folder


def steps(text: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif line.strip("… "):
                found[-1][1].append(line)
    return found


def shown_in(line: str, printed: str) -> bool:
    pattern = ".*".join(map(re.escape, line.split("…")))
    return re.search(f"(?m)^{pattern}$", printed) is not None


STEPS = steps(PAGE.read_text("utf-8"))


@pytest.mark.parametrize("command, shown", STEPS, ids=[f"line{n}" for n in range(len(STEPS))])
def test_the_command_does_what_the_manual_shows(command, shown, api, folder, require_component):
    require_component("curl")
    real = {
        "http://127.0.0.1:8080": api.url,
        "h5x2exbg4yonsgxg7ipvz7nuwm": device_name(api.near.device),
        "20514": str(EPOCH),
        "b8cbbc633f43d61eb9f8c3e86bc0eece6e31d144": OWNER.hex(),
    }

    def here(text: str) -> str:
        for written, meant in real.items():
            text = text.replace(written, meant)
        return text

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", here(command)],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in shown:
        assert shown_in(here(line), done.stdout), f"not printed: {line}\n{done.stdout}"


def test_there_are_commands_and_a_wrong_line_is_noticed():
    assert sum(command.startswith("curl ") for command, _ in STEPS) > 10
    assert shown_in('{"a": …}', 'x\n{"a": 1}\n')
    assert not shown_in('{"b": …}', '{"a": 1}')
