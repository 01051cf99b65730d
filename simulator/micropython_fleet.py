"""A scenario on real MicroPython: what of it boards can do, the run, and its report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from simulator.counterpart import Counterpart, Hooks, Target
from simulator.fleet import FleetReport, course_of, plan_stations, replay_command, report_of
from simulator.micropython_boards import Equipment
from simulator.micropython_run import MicroPythonRun
from simulator.run import Progress
from simulator.scenario import Scenario, ScenarioInvalid

# They act between a node and its MQTT client, which are one program on a board.
FAULTS_INSIDE = ("drop_ppm", "duplicate_ppm", "reorder_ppm", "corrupt_ppm")


def run_fleet_on_boards(
    scenario: Scenario,
    seed: int,
    home: tuple[Target, Counterpart],
    hooks: Hooks,
    *,
    application: Mapping[str, bytes],
    node_modules: Path,
    beacon_every: int,
    progress: Progress | None = None,
) -> FleetReport:
    """Run a scenario against a gateway elsewhere, on its driven clock, each station on an
    interpreter of its own. application: the program, path -> bytes. progress as in run_fleet.

    FleetHalted if gateway or broker stay away, RunnerError if a board's program fails.
    """
    check_boards_can(scenario)
    equipment = Equipment(
        application=application,
        node_modules=node_modules,
        beacon_every=beacon_every,
        store_every_ms=scenario.boards.store_every_s * 1_000,
        power_cuts=scenario.boards.power_cuts,
    )
    course = course_of(scenario, seed)
    plans = plan_stations(scenario, seed)
    run = MicroPythonRun(course, plans, home, hooks, equipment=equipment, progress=progress)
    url = shlex.quote(home[0].url)
    replay = f"{replay_command(scenario, seed)} --runtime micropython --broker {url}"
    try:
        run.execute()
        return report_of(run, scenario.name, replay)
    finally:
        run.close()


def check_boards_can(scenario: Scenario) -> None:
    """ScenarioInvalid if it asks for what real interpreters cannot do."""
    name, faults = scenario.source or scenario.name, scenario.faults
    for key in FAULTS_INSIDE:
        if getattr(faults, key):
            raise ScenarioInvalid(
                f"{name}: 'faults.{key}' acts between a node and its MQTT client, which are one "
                "program on a real interpreter; leave it out"
            )
    if faults.power_cut_ppm_per_day:
        raise ScenarioInvalid(
            f"{name}: 'faults.power_cut_ppm_per_day' is for simulated flash; write "
            "'boards.power_cuts' for real interpreters"
        )
    liars = scenario.liars.counts()
    if liars:
        raise ScenarioInvalid(
            f"{name}: 'liars.{liars[0][0]}' lies below or beside the firmware, and real "
            "interpreters have no hardware of that kind; leave it out"
        )
