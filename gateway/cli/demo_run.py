"""The demo's course: a fleet, its epoch, a bundle, and an auditor in a process of its own.

Over MQTT the gateway is a process of its own too, which is killed on the way and started again;
in process it is the simulator's, and a run is a function of its seed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gateway.cli.demo_checks import DemoFacts
from gateway.cli.demo_liars import Exposed, expose, false_alarms
from gateway.cli.fleet_run import prepare_folder, simulate, simulate_over_mqtt
from gateway.cli.gateway_child import LOG, GatewayChild
from gateway.cli.output import progress
from gateway.core.epoch_inputs import StationRow
from gateway.core.manifest import Manifest, decode_manifest
from gateway.core.station_json import class_name
from gateway.core.station_table import decode_stations
from gateway.shell.bundle_export import default_path, export_bundle
from gateway.shell.bundle_file import write_whole
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import DATABASE, create_network, load_network
from gateway.shell.store.base import StoredEpoch
from gateway.shell.store.sqlite import SqliteStore
from simulator.fleet import FleetReport
from simulator.scenario import load_scenario

SCENARIO = "demo"
AUDIT_SECONDS_MAX = 300
DOWNLOAD_SECONDS_MAX = 120
# Refusals are counted with the next commit: a kill takes those of one slot, or lets a board send
# them again. One message in 500 is damaged, so two in one slot are rare already.
UNSURE_PER_KILL = 3
# What Python itself needs to start; an auditor needs nothing of ours.
_PYTHON_NEEDS = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything that a demo run came to. epoch is the last one that closed.

    kills: of the gateway; mqtt and api: where it still listens, None after a run in one process.
    """

    report: FleetReport
    manifest: Manifest
    stations: tuple[StationRow, ...]
    bundle: Path
    audit: dict[str, Any]
    kills: int
    mqtt: str | None = None
    api: str | None = None

    def exposed(self) -> list[Exposed]:
        """Every liar of the fleet with what became of it."""
        return expose(self.report.liars, self.stations)

    def false_alarms(self) -> list[StationRow]:
        """Honest stations that something said to lie."""
        return false_alarms(self.report.liars, self.stations)

    def facts(self) -> DemoFacts:
        totals = self.manifest.totals
        report = self.report
        return DemoFacts(
            broken=tuple(f"{one.invariant}: {one.detail}" for one in report.failures),
            messages_signed=report.messages_signed,
            accounted=report.messages_durable + report.messages_dropped,
            rejected=report.rejected,
            corruptions=report.corruptions,
            unsure=0 if self.mqtt is None else UNSURE_PER_KILL * self.kills,
            anchored_paid=sum(r.paid for r in self.stations if class_name(r) == "anchored"),
            witnessed_paid=sum(r.paid for r in self.stations if class_name(r) == "witnessed"),
            coverage_paid=totals.coverage_paid,
            liars_paid=sum(one.paid for one in self.exposed()),
            neighbours_paid=sum(one.neighbour_paid for one in self.exposed()),
            pool=totals.emission,
            paid=totals.paid,
            carry_before=totals.carry_before,
            carry=totals.carry_after,
            root=self.manifest.payout_root,
            audit_ok=self.audit["ok"] is True,
            audit_root=bytes.fromhex(self.audit["root"]),
        )


def header(seed: int, *, in_process: bool) -> str:
    """What the demo is about to do, in two lines."""
    scenario = load_scenario(SCENARIO)
    how = "in one process" if in_process else "over MQTT"
    return (
        f"A simulated network: {scenario.fleet.stations} stations x {scenario.days * 24} h from "
        f"{scenario.start} on, seed {seed}, {how}, over a link that loses and damages messages.\n"
        "The stations run the firmware's code and sign; the gateway admits, judges and pays; "
        "another process audits.\n"
    )


@contextmanager
def demonstration(seed: int, folder: Path, *, in_process: bool) -> Iterator[Demo]:
    """Run the demo scenario in a fresh directory and have its bundle audited.

    The gateway of a run over MQTT is up until the context ends, however it ends.
    """
    if in_process:
        yield _in_process(seed, folder)
        return
    with _terminated_as_interrupted():
        prepare_folder(folder)
        scenario = load_scenario(SCENARIO)
        create_network(
            folder,
            f"simulated-{seed}",
            simulated=True,
            epoch_zero_ms=scenario.start_ms,
            seed=seed,
        )
        child = GatewayChild(folder, "--clock", "driven")
        try:
            yield _over_mqtt(seed, folder, child)
        finally:
            child.stop()


def _in_process(seed: int, folder: Path) -> Demo:
    with progress("simulate and pay") as show:
        report = simulate(SCENARIO, seed, folder, show)
    network = load_network(folder)
    store = SqliteStore.open(folder / DATABASE, network.network_id)
    try:
        stored = _last_epoch(store)
        bundle = default_path(network, stored.epoch)
        export_bundle(store, network, stored, bundle)
    finally:
        store.close()
    return _judged(report, stored, bundle, report.gateway_crashes)


def _over_mqtt(seed: int, folder: Path, child: GatewayChild) -> Demo:
    addresses = child.start()
    with progress("simulate and pay") as show:
        report = simulate_over_mqtt(
            SCENARIO, seed, addresses.mqtt, folder, show, on_gateway_crash=lambda: _crash(child)
        )
    network = load_network(folder)
    store = SqliteStore.open(folder / DATABASE, network.network_id)
    try:
        stored = _last_epoch(store)
    finally:
        store.close()
    bundle = default_path(network, stored.epoch)
    write_whole(bundle, _download(f"{addresses.http}/v1/epochs/{stored.epoch}/bundle"))
    kills = child.starts - 1
    return _judged(report, stored, bundle, kills, addresses.mqtt, addresses.http)


def _crash(child: GatewayChild) -> None:
    child.kill()
    child.start()


def _last_epoch(store: SqliteStore) -> StoredEpoch:
    stored = store.epoch(store.epoch_numbers()[-1])
    assert stored is not None
    return stored


def _judged(  # noqa: PLR0917
    report: FleetReport,
    stored: StoredEpoch,
    bundle: Path,
    kills: int,
    mqtt: str | None = None,
    api: str | None = None,
) -> Demo:
    with progress("audit elsewhere ") as show:
        audit = audit_elsewhere(bundle)
        show(1, 1)
    manifest, stations = decode_manifest(stored.manifest), decode_stations(stored.outcome)
    return Demo(report, manifest, stations, bundle, audit, kills, mqtt, api)


def _download(url: str) -> bytes:
    import httpx

    deadline_s = time.monotonic() + DOWNLOAD_SECONDS_MAX
    while True:
        answer = httpx.get(url, timeout=DOWNLOAD_SECONDS_MAX, trust_env=False)
        wait_s = answer.headers.get("Retry-After", "")
        # A gateway that has just been started is still reading its store.
        if not wait_s.isdigit() or time.monotonic() + int(wait_s) > deadline_s:
            break
        time.sleep(int(wait_s))
    if answer.is_error:
        raise OperatorFault(
            "The bundle could not be downloaded from the gateway.",
            f"{url}: HTTP {answer.status_code}: {answer.text}.",
            f"Look into {LOG} in the data directory.",
            Code.GATEWAY_ENDED,
        )
    return answer.content


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C: the gateway in its process must not be left behind."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def audit_elsewhere(bundle: Path) -> dict[str, Any]:
    """The answer of `cairn audit BUNDLE --json` in a process that knows nothing but the file."""
    command = [sys.executable, "-m", "gateway.cli", "audit", str(bundle.resolve()), "--json"]
    environment = {name: os.environ[name] for name in _PYTHON_NEEDS if name in os.environ}
    done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
        command,
        env=environment,
        cwd=bundle.parent,
        capture_output=True,
        text=True,
        timeout=AUDIT_SECONDS_MAX,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return {"ok": False, "root": "", "checks": [], "error": last[0]}
    return answer
