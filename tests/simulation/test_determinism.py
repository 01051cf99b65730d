"""A run is a function of scenario and seed, in any process."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from pathlib import Path
from simulator.fleet import run_fleet
from simulator.scenario import load_scenario
print(run_fleet(load_scenario("village"), int(sys.argv[1]), Path(sys.argv[2])).digest)
"""


def digest_in_new_process(seed, folder, hash_seed):
    # Another hash seed: no set or dict order of bytes and texts may reach the result.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seed), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_same_seed_in_two_processes_gives_one_digest(tmp_path, run, village):
    one = digest_in_new_process(7, tmp_path / "one", hash_seed=1)
    two = digest_in_new_process(7, tmp_path / "two", hash_seed=2)
    assert one == two == run(village, 7).digest


def test_another_seed_gives_another_digest(run, village):
    assert run(village, 7, "a").digest != run(village, 8, "b").digest


def test_same_seed_repeats_every_number(run, village):
    one, two = run(village, 3, "a"), run(village, 3, "b")
    assert one == two
