"""The demo's course: a fleet, its epoch, a bundle, and an auditor in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cli.demo_checks import DemoFacts
from gateway.cli.fleet_run import simulate
from gateway.cli.output import progress
from gateway.core.epoch_inputs import StationRow
from gateway.core.manifest import Manifest, decode_manifest
from gateway.core.slots import StationClass
from gateway.core.station_table import decode_stations
from gateway.shell.bundle_export import default_path, export_bundle
from gateway.shell.network import DATABASE, load_network
from gateway.shell.store.sqlite import SqliteStore
from simulator.fleet import FleetReport
from simulator.scenario import load_scenario

SCENARIO = "demo"
AUDIT_SECONDS_MAX = 300
# What Python itself needs to start; an auditor needs nothing of ours.
_PYTHON_NEEDS = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything that a demo run came to. epoch is the last one that closed."""

    report: FleetReport
    manifest: Manifest
    stations: tuple[StationRow, ...]
    bundle: Path
    audit: dict[str, Any]

    def facts(self) -> DemoFacts:
        totals = self.manifest.totals
        proven = StationClass.WITNESSED
        report = self.report
        return DemoFacts(
            broken=tuple(f"{one.invariant}: {one.detail}" for one in report.failures),
            messages_signed=report.messages_signed,
            accounted=report.messages_durable + report.messages_dropped,
            rejected=report.rejected,
            corruptions=report.corruptions,
            anchored_paid=sum(r.paid for r in self.stations if r.station_class is proven),
            unproven_paid=sum(
                r.paid for r in self.stations if r.station_class is StationClass.UNPROVEN
            ),
            pool=totals.emission,
            paid=totals.paid,
            carry_before=totals.carry_before,
            carry=totals.carry_after,
            root=self.manifest.payout_root,
            audit_ok=self.audit["ok"] is True,
            audit_root=bytes.fromhex(self.audit["root"]),
        )


def header(seed: int) -> str:
    """What the demo is about to do, in two lines."""
    scenario = load_scenario(SCENARIO)
    return (
        f"A simulated network: {scenario.fleet.stations} stations x {scenario.days * 24} h from "
        f"{scenario.start} on, seed {seed}, over a link that loses and damages messages.\n"
        "The stations run the firmware's code and sign; the gateway admits, judges and pays; "
        "another process audits.\n"
    )


def run_demo(seed: int, folder: Path) -> Demo:
    """Run the demo scenario in a fresh directory, export its bundle and have it audited."""
    with progress("simulate and pay") as show:
        report = simulate(SCENARIO, seed, folder, show)
    network = load_network(folder)
    store = SqliteStore.open(folder / DATABASE, network.network_id)
    try:
        stored = store.epoch(store.epoch_numbers()[-1])
        assert stored is not None
        bundle = default_path(network, stored.epoch)
        export_bundle(store, network, stored, bundle)
    finally:
        store.close()
    with progress("audit elsewhere ") as show:
        audit = audit_elsewhere(bundle)
        show(1, 1)
    return Demo(
        report, decode_manifest(stored.manifest), decode_stations(stored.outcome), bundle, audit
    )


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
