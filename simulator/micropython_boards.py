"""What boards on MicroPython are given before their first boot, and how they look at the end.

A board's flash is that of a station that was provisioned and never switched on: a key, an empty
chain and a configuration, in the firmware's own forms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn import chain, config, identity
from cairn.boards.host import MemoryFiles
from cairn.config import Config
from nacl.bindings import crypto_sign_seed_keypair

from simulator.board import device_id
from simulator.ledger import Stored
from simulator.medium import AirCounts
from simulator.micropython.host import Runner
from simulator.micropython_sensors import declared, profile_of
from simulator.run import StationPlan
from simulator.tally import Boards

# Kinds of messages (spec/protocol.md section 4).
BEACON, WITNESS = 3, 4
TAP = "fleet_tap.py"
PROGRAM = """
from cairn.station import run as work
from fleet_tap import tap

def run(board):
    tap(board)
    return work(board)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What boards are made of. application: the program, path -> bytes, as in a board's image.
    node_modules: where the interpreter lies. beacon_every: of the network's rules. store_every_ms:
    of Config. power_cuts: of each board, in a change of its flash.
    """

    application: Mapping[str, bytes]
    node_modules: Path
    beacon_every: int = 120
    store_every_ms: int = 60_000
    power_cuts: int = 0


def provision(
    index: int, plan: StationPlan, genesis: bytes, equipment: Equipment, **broker: Any
) -> Config:
    """The configuration of the board that this plan becomes; `broker` says how to reach one. It
    declares what its sensors measure, whatever the plan does.
    """
    sensors = profile_of(index)
    return Config(
        genesis=genesis,
        sensors=sensors,
        quantities=declared(sensors, plan.sample_interval_ms),
        sample_interval_ms=plan.sample_interval_ms,
        samples_per_message=plan.samples_per_message,
        status_interval_ms=plan.status_interval_ms,
        scoring_cell=plan.scoring_cell,
        place_commitment=plan.place_commitment,
        owner=plan.owner,
        outbox_bytes_max=plan.outbox_bytes_max,
        region=plan.region,
        beacon_every=equipment.beacon_every,
        store_every_ms=equipment.store_every_ms,
        **broker,
    )


def first_flash(plan: StationPlan, settings: Config) -> dict[str, bytes]:
    """The files of a board with this configuration that was never switched on."""
    files = MemoryFiles()
    config.store(files, settings)
    chain.create(files)
    public_key, _ = crypto_sign_seed_keypair(plan.key_seed)
    files.write(identity.FILE, plan.key_seed + public_key)
    return {name: files.read(name) or b"" for name in files.names("")}


def add_board(runner: Runner, index: int, plan: StationPlan, settings: Config, seed: int) -> None:
    """Put a board on the runner's table, switched off."""
    tap = Path(__file__).with_name("micropython_tap.py").read_bytes()
    runner.add(
        index,
        files=first_flash(plan, settings),
        extra={TAP: tap},
        program=PROGRAM,
        radios=plan.antenna.radios,
        drift_ppm=plan.drift_ppm,
        held=plan.held,
        seed=seed,
        chips=None,
        tell_flash=True,
    )


def device_of_key(key_seed: bytes) -> bytes:
    """The device id behind a key."""
    public_key, _ = crypto_sign_seed_keypair(key_seed)
    return device_id(public_key)


def look_at(runner: Runner, stations: int, air: AirCounts, stored: Iterable[Stored]) -> Boards:
    """What is to be seen of the boards themselves, before they are switched off."""
    kinds = [entry.kind for entry in stored]
    counts = [runner.counts(index) for index in range(stations)]
    heap = sorted(_held_bytes(runner, index) for index in range(stations))
    return Boards(
        interpreters=stations,
        boots=sum(one.boots for one in counts),
        flash_operations=sum(one.operations for one in counts),
        frames_sent=air.sent,
        frames_received=air.received,
        beacon_messages=kinds.count(BEACON),
        witness_messages=kinds.count(WITNESS),
        heap_bytes_median=heap[stations // 2],
        heap_bytes_max=heap[-1],
        rss_bytes=runner.memory()["rss"],
    )


def _held_bytes(runner: Runner, index: int) -> int:
    """What a board's program holds; this interpreter collects after the call that asks for it."""
    if runner.state(index) != "on":
        return 0
    runner.evaluate(index, "gc.collect()")
    return int(runner.evaluate(index, "gc.mem_alloc()"))
