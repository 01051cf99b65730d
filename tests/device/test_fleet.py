"""Fleets of real MicroPython interpreters against a real Mosquitto and a real gateway process.

Real: MicroPython (the WebAssembly build, one interpreter a board), the whole application as the
image for `bytecode` holds it (station, sensor drivers, MQTT client, signatures in Python, outbox,
commitments, beacons, witnesses), TCP connections, Mosquitto with the access list and the passwords
of `cairn broker init mosquitto`, killed with SIGKILL and started again, `cairn gateway run` on
SQLite, killed likewise, its admission, its epochs and its API.

Modelled: the flash (a file system with the ESP32's errors; a power cut ends the interpreter inside
an operation that is done wholly, in part or not at all), time (virtual, slot by slot, by the
operator's ticks), radio waves (simulator/medium.py), the weather, the sensors' parts as registers
and frames on their buses (simulator/chips), Wi-Fi (connections die and none comes about), the
crystal's drift. There is no ESP32: nothing here says how long anything takes on one, and machine
code is checked elsewhere.

Nothing lost is checked twice: by the ledger, which saw every signature, and by what was on a
board's flash or had left it, which must be in the store itself; a gap only excuses what a full
outbox dropped (there is none here) or what a cut kept from the flash. What sensors measured is
held against what their models had: a failure of the run if it is another. test_fleet_sensors.py
has the faults of sensors one by one, and shows that a wrong driver is found.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import httpx
import pytest

from gateway.cli.fleet_boards import simulate_on_boards
from gateway.cli.fleet_run import Broker
from gateway.cli.gateway_child import GatewayChild
from gateway.core.epoch_inputs import StationRow
from gateway.core.model import Kind
from gateway.core.station_table import decode_stations
from gateway.core.verdicts import Verdict
from gateway.shell.network import DATABASE, create_network, load_network
from gateway.shell.settings import load
from gateway.shell.spec_files import read_spec
from gateway.shell.store.sqlite import SqliteStore
from simulator.fleet import FleetReport, plan_stations
from simulator.run import device_of_plan
from simulator.scenario import Scenario, parse_scenario
from tests.service.children import MosquittoChild
from tests.simulation.gateways import broker_options, driven_gateway, mosquitto

SEED = 20_261_124
DAY_MS = 86_400_000
RARE, OFTEN = b"beacon_every_slots = 120", b"beacon_every_slots = 10"
# Of a COSE header; reason of a gap.
KID, CHAIN_LOST = 4, 2
FORKED = {Verdict.FORKED, Verdict.CLONE}

SCENARIO = """
name = "boards"
description = "Every board loses its power three times; Wi-Fi, broker and gateway go away."
start = 2026-03-02
minutes = {minutes}
lead_minutes = {lead}

[fleet]
stations = {stations}
anchored = 2
sample_interval_s = 120

[errors]
dropout_ppm = 200_000
stuck_ppm = 200_000

[town]
radius_m = 3_000
spacing_m = 200

[radio]
region = "EU868"

[faults]
partitions = 2
partition_minutes = 6
partition_stations_ppm = 500_000
power_off_s = 120
gateway_crash_minutes = {crashes}

[boards]
power_cuts = 3
"""


def scenario(*, stations: int, lead: int, minutes: int, crashes: list[int]) -> Scenario:
    text = SCENARIO.format(stations=stations, lead=lead, minutes=minutes, crashes=crashes)
    return parse_scenario(text, "boards.toml")


@dataclass
class Town:
    """One network with its broker and its gateway, both killed in turn by `crash`."""

    folder: Path
    broker: MosquittoChild
    gateway: GatewayChild
    deaths: int = 0

    def crash(self) -> None:
        victim = (self.broker, self.gateway)[self.deaths % 2]
        self.deaths += 1
        victim.kill()
        victim.start()

    def run(self, plan: Scenario, node_modules: Path) -> FleetReport:
        loaded = load({"data_dir": self.folder}, None, {})
        return simulate_on_boards(
            plan,
            SEED,
            Broker("auto", loaded),
            lambda _done, _total: None,
            node_modules=node_modules,
            on_gateway_crash=self.crash,
        )

    def stations_listed(self) -> list[dict[str, Any]]:
        url = f"{self.gateway.addresses.http}/v1/stations?limit=100"
        document = httpx.get(url, timeout=20, trust_env=False).json()
        assert document["next"] is None
        return list(document["stations"])


@contextmanager
def town(folder: Path, plan: Scenario) -> Iterator[Town]:
    data = folder / "network"
    rules = read_spec("rules/0001.toml")
    assert RARE in rules
    create_network(
        data,
        "boards",
        simulated=True,
        epoch_zero_ms=plan.start_ms - DAY_MS,
        seed=SEED,
        rules=rules.replace(RARE, OFTEN),
    )
    devices = [device_of_plan(one) for one in plan_stations(plan, SEED)]
    with (
        mosquitto(data, folder / "broker", devices) as broker,
        driven_gateway(data, 0, SEED, *broker_options(data, broker.url)) as gateway,
    ):
        yield Town(data, broker, gateway)


@dataclass(frozen=True)
class Held:
    """What the gateway's store holds."""

    kinds: Counter[Kind]
    ids: list[bytes]
    seqs: list[tuple[bytes, int]]
    chain_lost: int
    witness_rows: int
    beacon_rows: int
    epochs: list[tuple[StationRow, ...]]


def held(folder: Path) -> Held:
    found = Held(Counter(), [], [], 0, 0, 0, [])
    chain_lost = witness_rows = beacon_rows = 0
    store = SqliteStore.open(folder / DATABASE, load_network(folder).network_id)
    try:
        for logged in store.iterate():
            protected, _, signed, _ = cbor2.loads(logged.data).value
            payload = cbor2.loads(signed)
            kind, body = Kind(payload[1]), payload[7]
            found.kinds[kind] += 1
            found.ids.append(logged.entry.message_id)
            found.seqs.append((cbor2.loads(protected)[KID], payload[3]))
            chain_lost += kind == Kind.GAP and body[3] == CHAIN_LOST
            # [day, radio, slots, tags, ...] and [day, rows].
            witness_rows += len(body[2]) if kind == Kind.WITNESS else 0
            beacon_rows += len(body[1]) if kind == Kind.BEACON else 0
        for number in store.epoch_numbers():
            stored = store.epoch(number)
            assert stored is not None
            found.epochs.append(decode_stations(stored.outcome))
    finally:
        store.close()
    return dataclasses.replace(
        found, chain_lost=chain_lost, witness_rows=witness_rows, beacon_rows=beacon_rows
    )


def check(report: FleetReport, plan: Scenario, place: Town) -> Held:
    """Everything that holds for any fleet, whatever happened to it."""
    stations, found = plan.fleet.stations, held(place.folder)
    seed = f"seed {SEED}"
    assert report.failures == (), seed
    boards, transport = report.boards, report.transport
    assert boards is not None
    assert transport is not None
    # What was to happen did happen.
    assert boards.interpreters == stations
    assert boards.power_cuts == plan.boards.power_cuts * stations, seed
    assert boards.boots == boards.interpreters + boards.power_cuts, seed
    assert boards.wifi_losses > 0, seed
    assert place.deaths == len(plan.faults.gateway_crash_minutes) == report.gateway_crashes
    assert transport.reconnects > 0, seed
    # Nothing lost: what a board stored or sent is in the store, and nothing else was dropped.
    assert boards.kept == report.messages_durable == len(found.ids), seed
    assert report.messages_signed == report.messages_durable, seed
    assert report.messages_dropped == report.rejected == 0, seed
    # Nothing twice.
    assert len(set(found.ids)) == len(found.ids), seed
    assert len(set(found.seqs)) == len(found.seqs), seed
    # Chains are whole: a cut never costs a board its chain, and no epoch finds a fork.
    assert found.chain_lost == 0, seed
    assert len(found.epochs) == 2
    for rows in found.epochs:
        assert len(rows) == stations, seed
        assert [row.device for row in rows if findings(row) & FORKED] == [], seed
    # What is in the store is what the models of the sensors had; the rest would be a failure.
    assert boards.measured > 50 * stations, seed
    # The whole application took part.
    # A cut between a hello and the note that it was said makes a second one.
    assert min(found.kinds[Kind.HELLO], found.kinds[Kind.CLAIM]) >= stations, seed
    assert found.kinds[Kind.COMMIT] >= 2 * stations, seed
    assert found.kinds[Kind.READINGS] > stations, seed
    assert found.witness_rows > 0, seed
    assert {one["station"] for one in place.stations_listed()} == {
        device_of_plan(one) for one in plan_stations(plan, SEED)
    }
    return found


def findings(row: StationRow) -> set[Verdict]:
    return {one.verdict for one in row.findings} | {row.reason}


@pytest.mark.slow
def test_six_boards_through_every_fault(
    tmp_path: Path,
    node_modules: Callable[[str], Path],
    require_component: Callable[[str], str],
) -> None:
    """From before midnight until the witness rows of the first hour are out; a broker's death."""
    require_component("mosquitto")
    plan = scenario(stations=6, lead=5, minutes=72, crashes=[20])
    with town(tmp_path, plan) as place:
        report = place.run(plan, node_modules("device"))
        check(report, plan, place)


@pytest.mark.slow
def test_forty_boards_through_every_fault(
    tmp_path: Path,
    node_modules: Callable[[str], Path],
    require_component: Callable[[str], str],
) -> None:
    """A night of forty boards: commitments in the evening, beacons from 23:00 on, their reports
    and reveals after 01:01; 120 power cuts; the broker dies at 00:20, the gateway at 00:40.
    """
    require_component("mosquitto")
    plan = scenario(stations=40, lead=125, minutes=85, crashes=[20, 40])
    with town(tmp_path, plan) as place:
        report = place.run(plan, node_modules("device"))
        found = check(report, plan, place)
    assert found.beacon_rows > 0
    assert report.boards is not None
    # Loose plugs, and dust sensors that were just switched on.
    assert report.boards.sensor_faults.keys() >= {"1"}
    # With one slot in ten a board in 400 has none in an hour.
    assert found.kinds[Kind.REVEAL] == plan.fleet.stations
    assert found.kinds[Kind.BEACON] > plan.fleet.stations * 9 // 10
    # Nobody is out of everybody's earshot in this town.
    assert found.witness_rows > 10 * plan.fleet.stations
    assert report.transport is not None
