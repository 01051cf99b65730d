"""Runs fleets for the verbs: a fresh data directory, the simulator, and its mistakes as faults."""

import shutil
from pathlib import Path

from gateway.cli.output import Progress
from gateway.shell.errors import Code, OperatorFault
from simulator.fleet import FleetReport, run_fleet
from simulator.recorded import CsvInvalid
from simulator.replay import run_replay
from simulator.scenario import Scenario, ScenarioInvalid, load_scenario

DAY_MS = 86_400_000
MARKER = ".made-by-cairn"
_MARKER_TEXT = "Made by a simulated run, and replaced by the next one.\n"


def simulate(name: str, seed: int, folder: Path, show: Progress) -> FleetReport:
    """Run a scenario in a fresh data directory."""
    scenario = _load(name)
    prepare_folder(folder)
    span_ms = scenario.days * DAY_MS
    return run_fleet(
        scenario, seed, folder, lambda done_ms, _signed: show(min(done_ms, span_ms), span_ms)
    )


def replay_csv(path: Path, folder: Path, show: Progress) -> FleetReport:
    """Replay recorded readings in a fresh data directory."""
    if not path.is_file():
        raise OperatorFault(
            f"There is no file {path}.",
            "The readings to replay are read from it.",
            "Check the name given with --csv.",
            Code.FILE_UNREADABLE,
        )

    prepare_folder(folder)
    try:
        return run_replay(path, folder, show)
    except CsvInvalid as error:
        raise OperatorFault(
            f"The readings in {path} cannot be replayed.",
            f"{error}.",
            "Mend that line; `cairn fleet replay --help` names the columns.",
            Code.READINGS_INVALID,
        ) from error


def prepare_folder(folder: Path) -> None:
    """Make an empty, marked directory; replace an old one only if it carries our mark."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / MARKER).is_file():
            raise OperatorFault(
                f"{folder} holds something that no simulated run made.",
                "A run replaces its directory, and this one may be somebody's network.",
                "Name another directory with --data, or move this one away.",
                Code.DATA_NOT_OURS,
            )
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(_MARKER_TEXT, "utf-8")
    except OSError as error:
        raise OperatorFault(
            f"The directory {folder} cannot be made.",
            f"{error.strerror}.",
            "Name another directory with --data.",
            Code.FILE_UNWRITABLE,
        ) from error


def _load(name: str) -> Scenario:
    try:
        return load_scenario(name)
    except ScenarioInvalid as error:
        raise OperatorFault(
            f"The scenario {name} cannot be run.",
            f"{error}.",
            "Name a shipped scenario, or mend the file; docs/simulator.md lists every key.",
            Code.SCENARIO_INVALID,
        ) from error
