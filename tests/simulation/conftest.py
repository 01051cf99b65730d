"""Small scenarios and the calls that every simulation test makes."""

import dataclasses

import pytest

from simulator.fleet import run_fleet
from simulator.network import Faults
from simulator.scenario import load_scenario


@pytest.fixture(scope="session")
def village():
    """Six stations, one day, every kind of fault."""
    return load_scenario("village")


@pytest.fixture(scope="session")
def calm_village(village):
    """The village without faults."""
    return dataclasses.replace(village, faults=Faults())


@pytest.fixture
def run(tmp_path):
    """Run a scenario in a fresh directory and return its report."""

    def start(scenario, seed, folder="network"):
        return run_fleet(scenario, seed, tmp_path / folder)

    return start
