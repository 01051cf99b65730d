"""The small program is the program: a fleet made of it behaves alike to the last bit."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.device.minify import DOORS, minify
from gateway.device.sources import firmware_sources, for_architecture

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
import cairn.node
from simulator.fleet import run_fleet
from simulator.scenario import load_scenario
print(cairn.node.__file__)
print(run_fleet(load_scenario("village"), 7, Path(sys.argv[1])).digest)
"""
# What the simulator takes from the firmware besides what a board's image shows anyway.
MORE_DOORS = {
    "cairn.chain": ("create",),
    "cairn.config": ("Config", "store", "load", "decode"),
    "cairn.identity": ("device_name", "device_id"),
    "cairn.limits": ("WATCHDOG_MS", "VIGIL_MS"),
    "cairn.login": ("Login",),
    "cairn.mqttlink": ("MqttLink",),
    "cairn.node": ("Node",),
    "cairn.segment": ("scan",),
    "cairn.station": ("make",),
}


def names_the_simulator_uses():
    for path in (ROOT / "simulator").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.keyword) and node.arg:
                yield node.arg


def write_small(folder):
    doors = dict(DOORS)
    for module, names in MORE_DOORS.items():
        doors[module] = tuple(dict.fromkeys(doors.get(module, ()) + names))
    texts = for_architecture(firmware_sources(), native=False)
    made = minify(texts, doors=doors, keep=set(names_the_simulator_uses()))
    for name, text in made.texts.items():
        # It starts the program on a chip.
        if name != "application.py":
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (folder / "cairn" / "__init__.py").write_text("")


def run_village(out, *first):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, first), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, digest = done.stdout.split()
    return Path(where), digest


@pytest.mark.slow
def test_a_village_of_small_stations_has_the_villages_digest(tmp_path):
    write_small(tmp_path / "small")
    where, digest = run_village(tmp_path / "one", tmp_path / "small")
    assert where.is_relative_to(tmp_path / "small")
    plain, expected = run_village(tmp_path / "two")
    assert plain.is_relative_to(ROOT / "firmware")
    assert digest == expected
