"""Runs a fleet on real MicroPython for `cairn fleet run`: finds the interpreter, builds the
board's program, and says what can go wrong with either as faults.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli.fleet_run import Broker, Calls, check_new, halts, load_named, meet, scaled
from gateway.cli.output import Progress
from gateway.device.image import build_image
from gateway.shell.errors import Code, OperatorFault
from simulator.fleet import FleetReport, plan_stations
from simulator.micropython.host import INTERPRETER, NODE_MODULES
from simulator.micropython.node_process import RunnerError
from simulator.micropython_fleet import check_boards_can, run_fleet_on_boards
from simulator.record import Record
from simulator.scenario import Scenario

DAY_MS = 86_400_000
# They start the program on a chip; the runner does that itself.
NOT_FOR_RUNNER = ("main.py", "application.mpy")


def simulate_on_boards(
    scenario: str | Scenario,
    seed: int,
    broker: Broker,
    show: Progress,
    *,
    node_modules: Path | None = None,
    on_gateway_crash: Callable[[], None] | None = None,
    record: Record | None = None,
) -> FleetReport:
    """Run a scenario on interpreters against the running gateway of the broker's network.

    It begins on the first day that this network has not seen yet; with radios its first whole day
    is the next one. on_gateway_crash as in simulate_over_mqtt.
    """
    modules = node_modules or NODE_MODULES
    check_interpreter(modules)
    with halts():
        if isinstance(scenario, str):
            scenario = load_named(scenario)
        check_boards_can(scenario)
    folder = broker.loaded.settings.data_dir
    network, target, hooks = meet(broker, folder, Calls(on_gateway_crash, record))
    lead_ms = -(-scenario.lead_ms // DAY_MS) * DAY_MS
    day = datetime.fromtimestamp((network.earliest_ms + lead_ms) / 1000, UTC).date()
    scenario = dataclasses.replace(scenario, start=day)
    with halts(), board_faults():
        check_new(plan_stations(scenario, seed), network)
        return run_fleet_on_boards(
            scenario,
            seed,
            (target, network),
            hooks,
            application=board_program(),
            node_modules=modules,
            beacon_every=network.beacon_every,
            progress=scaled(show, scenario.end_ms - scenario.start_ms),
        )


def board_program() -> dict[str, bytes]:
    """The files of a board's image, compiled for any interpreter."""
    files = build_image(architecture="bytecode").files
    return {name: data for name, data in files.items() if name not in NOT_FOR_RUNNER}


def check_interpreter(modules: Path) -> None:
    """OperatorFault if what runs boards is not installed."""
    if shutil.which("node") is None:
        raise OperatorFault(
            "There is no Node.js on this machine.",
            "MicroPython runs in it as WebAssembly, and no program `node` is on the PATH.",
            "Install Node.js 20 or newer.",
            Code.INTERPRETER_MISSING,
        )
    if not (modules / INTERPRETER).is_file():
        raise OperatorFault(
            "MicroPython's interpreter is not installed.",
            f"There is no file {modules / INTERPRETER}.",
            "Run `npm ci` in tests/device of the checkout, or name the folder with "
            "--node-modules.",
            Code.INTERPRETER_MISSING,
        )


@contextmanager
def board_faults() -> Iterator[None]:
    """Say what goes wrong in an interpreter as a fault."""
    try:
        yield
    except RunnerError as error:
        raise OperatorFault(
            "A board's program failed.",
            f"{error}.",
            "That is a bug of the firmware or of the runner: report it with this text and the "
            "command.",
            Code.BOARDS_FAILED,
        ) from error
