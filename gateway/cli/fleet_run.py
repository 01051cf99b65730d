"""Runs fleets for the verbs: in a fresh data directory, or against a running gateway; and what
can go wrong with either as faults.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.fleet_network import FleetNetwork
from gateway.cli.output import Progress
from gateway.core.ids import device_name
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.lock import Addresses, is_held, running
from gateway.shell.settings import Loaded, load
from simulator.control import Address
from simulator.counterpart import FleetHalted, Hooks, Target
from simulator.fleet import (
    FleetReport,
    check_common,
    plan_stations,
    run_fleet,
    run_fleet_over_mqtt,
)
from simulator.record import Record
from simulator.recorded import CsvInvalid
from simulator.replay import Replay, plan_replay, run_replay, run_replay_over_mqtt
from simulator.run import StationPlan, device_of_plan
from simulator.scenario import Scenario, ScenarioInvalid, load_scenario

DAY_MS = 86_400_000
MARKER = ".made-by-cairn"
AUTO = "auto"
PORTS = {"mqtt": 1883, "mqtts": 8883}
_MARKER_TEXT = "Made by a simulated run, and replaced by the next one.\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Broker:
    """Where a fleet connects, and the network whose gateway takes its messages.

    url: `mqtt://HOST:PORT`, `mqtts://…`, or `auto` for what the running gateway says of itself.
    ca_file: certificate that vouches for mqtts.
    """

    url: str
    loaded: Loaded
    ca_file: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Calls:
    """What a caller wants to do or keep. anchor: None asks the gateway's API."""

    on_gateway_crash: Callable[[], None] | None = None
    record: Record | None = None
    anchor: Callable[[list[bytes]], None] | None = None


def simulate(name: str, seed: int, folder: Path, show: Progress) -> FleetReport:
    """Run a scenario in a fresh data directory."""
    scenario = load_named(name)
    with halts():
        check_common(scenario)
    prepare_folder(folder)
    return run_fleet(scenario, seed, folder, scaled(show, scenario.days * DAY_MS))


def replay_csv(path: Path, folder: Path, show: Progress) -> FleetReport:
    """Replay recorded readings in a fresh data directory."""
    _check_csv(path)
    prepare_folder(folder)
    with _csv_faults(path):
        return run_replay(path, folder, show)


def simulate_over_mqtt(
    scenario: str | Scenario,
    seed: int,
    broker: str | Broker,
    folder: Path,
    show: Progress,
    *,
    on_gateway_crash: Callable[[], None] | None = None,
    record: Record | None = None,
    anchor: Callable[[list[bytes]], None] | None = None,
) -> FleetReport:
    """Run a scenario over MQTT against the running gateway of the network in `folder`.

    It begins on the first day that this network has not seen yet, whatever the scenario's own.
    on_gateway_crash kills the gateway and starts it again, at the scenario's minutes.
    """
    if isinstance(scenario, str):
        scenario = load_named(scenario)
    network, target, hooks = meet(broker, folder, Calls(on_gateway_crash, record, anchor))
    day = datetime.fromtimestamp(network.earliest_ms / 1000, UTC).date()
    scenario = dataclasses.replace(scenario, start=day)
    shown = scaled(show, scenario.days * DAY_MS)
    with halts():
        check_new(plan_stations(scenario, seed), network)
        return run_fleet_over_mqtt(scenario, seed, (target, network), hooks, shown)


def replay_over_mqtt(
    csv_path: Path,
    broker: str | Broker,
    folder: Path,
    show: Progress,
    *,
    record: Record | None = None,
    seed: int = 1,
) -> FleetReport:
    """Replay recorded readings over MQTT against the running gateway of `folder`'s network."""
    _check_csv(csv_path)
    with _csv_faults(csv_path):
        replay = plan_replay(csv_path, seed)
    network, target, hooks = meet(broker, folder, Calls(record=record))
    _check_days(replay, network)
    check_new(replay.plans, network)
    shown = scaled(show, replay.end_ms - replay.start_ms)
    with halts():
        return run_replay_over_mqtt(replay, seed, (target, network), hooks, shown)


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
        if is_held(folder):
            raise OperatorFault(
                f"A gateway runs on {folder}.",
                "A run replaces its directory, and would take that gateway's database away.",
                "Stop the gateway first (`kill` its process), or name another directory.",
                Code.GATEWAY_RUNNING,
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


def meet(broker: str | Broker, folder: Path, calls: Calls) -> tuple[FleetNetwork, Target, Hooks]:
    """The network of a running gateway, its broker, and what the run may ask of the caller."""
    if isinstance(broker, str):
        broker = Broker(broker, load({"data_dir": folder}, None, {}))
    addresses = running(folder)
    if addresses is None:
        raise OperatorFault(
            f"No gateway runs on {folder}.",
            "A fleet over MQTT needs one that admits its messages and closes its days.",
            f"Start one with `cairn gateway run --clock driven --data {folder}`.",
            Code.GATEWAY_ABSENT,
        )
    network = FleetNetwork(folder, broker.loaded.keys_dir)
    if not network.keys.genesis.simulated or addresses.clock != "driven":
        raise _unfit(
            f"The gateway on {folder} does not follow a fleet's time.",
            "Its network is not simulated, or it runs by the real clock.",
            "Make a network with `cairn network init NAME --simulated`, and run its gateway with "
            "`--clock driven`.",
        )
    target = _target(broker, addresses)
    anchor = calls.anchor or _api_anchor(broker.loaded, addresses)
    return network, target, Hooks(anchor, calls.on_gateway_crash, calls.record)


def _target(broker: Broker, addresses: Addresses) -> Target:
    url = addresses.mqtt if broker.url == AUTO else broker.url
    parts = urlsplit(url)
    port = _port(url)
    if parts.scheme not in PORTS or not parts.hostname or port is None:
        raise OperatorFault(
            f"{url} is no broker's address.",
            "It must look like mqtt://HOST:PORT or mqtts://HOST:PORT.",
            "Correct --broker, or write `--broker auto`.",
            Code.CONFIG_INVALID,
        )
    authority = None
    if parts.scheme == "mqtts":
        authority = _certificate(broker.ca_file)
    return Target(url, Address(parts.hostname, port, authority))


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port or PORTS.get(urlsplit(url).scheme)
    except ValueError:
        return None


def _certificate(path: Path | None) -> bytes:
    """What vouches for an mqtts broker; a board has no certificates of its own to fall back on."""
    try:
        if path is None:
            raise FileNotFoundError(0, "None was named")
        return path.read_bytes()
    except OSError as error:
        raise OperatorFault(
            "The broker's certificate cannot be read.",
            f"{path or 'mqtts needs one'}: {error.strerror}.",
            "Name the file of the certificate that signed the broker's own with --broker-ca.",
            Code.FILE_UNREADABLE,
        ) from error


def _api_anchor(loaded: Loaded, addresses: Addresses) -> Callable[[list[bytes]], None]:
    from gateway.cli.operate import ask_gateway

    def anchor(devices: list[bytes]) -> None:
        for device in devices:
            body = {"station": device_name(device), "anchored": True}
            ask_gateway(loaded, addresses, "/v1/operator/anchor", body)

    return anchor


def _check_days(replay: Replay, network: FleetNetwork) -> None:
    if replay.start_ms < network.earliest_ms:
        day = datetime.fromtimestamp(replay.start_ms / 1000, UTC).date()
        raise _unfit(
            f"{replay.path} begins before this network's next day.",
            "A recording keeps its times, and a network's time never runs back.",
            f"Use a new network: `cairn network init NAME --simulated --epoch-zero {day}`.",
        )


def check_new(plans: list[StationPlan], network: FleetNetwork) -> None:
    """A board that begins its chain anew under an old key would be taken for a clone."""
    known = network.senders()
    if any(device_of_plan(plan) in known for plan in plans):
        raise _unfit(
            "This fleet has sent to this network before.",
            "Its boards have the same keys again and would sign the same sequence numbers.",
            "Give another --seed, or use a new network.",
        )


def _unfit(what: str, why: str, do: str) -> OperatorFault:
    return OperatorFault(what, why, do, Code.FLEET_UNFIT)


def scaled(show: Progress, span_ms: int) -> Progress:
    return lambda done_ms, _signed: show(min(done_ms, span_ms), span_ms)


@contextmanager
def halts() -> Iterator[None]:
    try:
        yield
    except FleetHalted as error:
        raise OperatorFault(error.what, error.why, error.do, Code.FLEET_HALTED) from error
    except ScenarioInvalid as error:
        raise _scenario_invalid("The scenario", error) from error


@contextmanager
def _csv_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except CsvInvalid as error:
        raise OperatorFault(
            f"The readings in {path} cannot be replayed.",
            f"{error}.",
            "Mend that line; `cairn fleet replay --help` names the columns.",
            Code.READINGS_INVALID,
        ) from error


def _check_csv(path: Path) -> None:
    if not path.is_file():
        raise OperatorFault(
            f"There is no file {path}.",
            "The readings to replay are read from it.",
            "Check the name given with --csv.",
            Code.FILE_UNREADABLE,
        )


def load_named(name: str) -> Scenario:
    try:
        return load_scenario(name)
    except ScenarioInvalid as error:
        raise _scenario_invalid(f"The scenario {name}", error) from error


def _scenario_invalid(what: str, error: ScenarioInvalid) -> OperatorFault:
    return OperatorFault(
        f"{what} cannot be run.",
        f"{error}.",
        "Name a shipped scenario, or mend the file; docs/simulator.md lists every key.",
        Code.SCENARIO_INVALID,
    )
