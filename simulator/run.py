"""One run: real firmware nodes on simulated boards, a faulty network, and a gateway behind a door.

It starts everything, injects the faults that need a hand on the hardware (power cuts, gateway
crashes), lets the network heal, demands progress, and closes the epochs. It does not know where
the stations' readings come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cairn import chain
from cairn.boards import base
from cairn.config import Config
from cairn.node import Node

from simulator.board import (
    RESET_POWER_ON,
    RESET_SOFTWARE,
    ResponseStream,
    SimulatedBoard,
    device_id,
)
from simulator.door import Door
from simulator.ledger import Counts, Failure, Ledger
from simulator.link import DirectLink
from simulator.network import Faults, Network
from simulator.seeds import happens, stream
from simulator.sensors import Sampler
from simulator.weather import DAY_MS, HOUR_MS
from simulator.world import World

MINUTE_MS = 60_000
PROGRESS_STEP_MS = 10 * MINUTE_MS
# After the faults stop, this long may pass until every message has its receipt: a board sends
# again after two reporting intervals, and may notice that only with its next status. Less than
# an epoch waits before it closes.
DRAIN_MS_MAX = 170 * MINUTE_MS
TIME_HOST = "gateway.invalid"
CONNECT_MS_MAX = 100
ARMED_CALLS_MAX = 6

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StationPlan:
    """Everything about one station that is decided before the run.

    sampler: makes, for a world, what stands behind `Board.sample`. wakes_ms: see SimulatedBoard;
    such a station also has an exact clock, so that what it replays keeps its times to the ms.
    """

    name: str
    key_seed: bytes
    scoring_cell: int
    place_commitment: bytes
    quantities: tuple[tuple[int, int, int], ...]
    sample_interval_ms: int
    samples_per_message: int
    sampler: Callable[[World], Sampler]
    status_interval_ms: int = HOUR_MS
    owner: bytes | None = None
    anchored: bool = False
    power_on_ms: int = 0
    drift_ppm: int = 0
    held: bool = False
    wakes_ms: tuple[int, ...] = ()
    outbox_bytes_max: int = 524_288


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is common to all stations. `days` whole days are measured from start_ms on."""

    seed: int
    data_dir: Path
    epoch_zero_ms: int
    start_ms: int
    end_ms: int
    faults: Faults


class Run:
    """Make one, call `execute` once, and read the rest."""

    def __init__(
        self, options: RunOptions, plans: list[StationPlan], progress: Progress | None = None
    ) -> None:
        self.options = options
        self.plans = plans
        self.world = World(options.start_ms, options.seed)
        self.network = Network(
            options.faults, options.seed, options.start_ms, options.end_ms, len(plans)
        )
        self.ledger = Ledger()
        self.door = Door(self.world, options.data_dir, options.epoch_zero_ms, self._downlink)
        self.board_restarts = 0
        self.resends = 0
        self.counts = Counts(0, 0, 0, 0)
        self.failures: list[Failure] = []
        self._progress = progress or (lambda _ms, _messages: None)
        self._links: dict[int, DirectLink] = {}
        self._retained: dict[int, bytes] = {}
        self._published = 0
        self._healed = False
        self._boards = [self._make_board(index, plan) for index, plan in enumerate(plans)]
        self._devices = [device_id(board.public_key()) for board in self._boards]
        self._index = {device: index for index, device in enumerate(self._devices)}
        self._configs = [self._config(plan) for plan in plans]

    def execute(self) -> None:
        """Run to the close of the last day. TaskFailed is a bug, named by seed and time."""
        for index, plan in enumerate(self.plans):
            self.ledger.open_account(self._devices[index], plan.name)
            self.door.admit_sender(self._devices[index], index)
            chain.create(self._boards[index].fs)
            self.world.call_at(plan.power_on_ms, partial(self._boot, index, RESET_POWER_ON))
        for index, plan in enumerate(self.plans):
            if plan.anchored:
                self.door.anchor(self._devices[index])
        self._plan_crashes()
        self._plan_power_cuts()
        self._run_to(self.options.end_ms)
        self._heal()
        self._drain()
        for board in self._boards:
            board.power_off()
        self._close()
        self._check()

    def device(self, index: int) -> bytes:
        return self._devices[index]

    # ---- boards

    def _make_board(self, index: int, plan: StationPlan) -> SimulatedBoard:
        return SimulatedBoard(
            self.world,
            index,
            plan.key_seed,
            plan.sampler(self.world),
            partial(self._connect, index),
            drift_ppm=plan.drift_ppm,
            held=plan.held,
            wakes_ms=plan.wakes_ms,
            on_sign=self._signed,
            on_restart=self._restarted,
        )

    def _config(self, plan: StationPlan) -> Config:
        return Config(
            genesis=self.door.genesis,
            quantities=plan.quantities,
            sample_interval_ms=plan.sample_interval_ms,
            samples_per_message=plan.samples_per_message,
            status_interval_ms=plan.status_interval_ms,
            scoring_cell=plan.scoring_cell,
            place_commitment=plan.place_commitment,
            owner=plan.owner,
            time_host=TIME_HOST,
            outbox_bytes_max=plan.outbox_bytes_max,
        )

    def _boot(self, index: int, reset_cause: int) -> None:
        board = self._boards[index]
        if board.group.alive:
            return
        board.power_on(reset_cause)
        self._published += self._links[index].published if index in self._links else 0
        link = DirectLink(self.world, self.network, index, self.door.is_up, self.door.arrive)
        self._links[index] = link
        if board.boots > 1:
            self.board_restarts += 1
        if index in self._retained:
            link.deliver("down/receipt", self._retained[index])
        node = Node(board, link, self._configs[index])
        self.world.spawn(node.run(), board.group)

    def _signed(self, index: int, to_be_signed: bytes) -> None:
        self.ledger.signed(self._devices[index], to_be_signed)

    def _restarted(self, index: int, reason: str) -> None:
        cut = reason == "power cut"
        off_ms = self._off_ms(index) if cut else 1_000
        cause = RESET_POWER_ON if cut else RESET_SOFTWARE
        self.world.call_at(self.world.now_ms + off_ms, partial(self._boot, index, cause))

    def _off_ms(self, index: int) -> int:
        generator = stream(self.options.seed, "off", index, self._boards[index].boots)
        return generator.randrange(1_000, self.options.faults.power_off_s * 1_000 + 1_001)

    # ---- network and gateway

    async def _connect(self, index: int, host: str, port: int) -> base.Stream:
        link = self._links[index]
        if host != TIME_HOST or port != 80 or link.state() != "up":
            raise OSError("host unreachable")
        generator = stream(self.options.seed, "connect", index, self.world.now_ms)
        there_ms, back_ms = (generator.randrange(1, CONNECT_MS_MAX) for _ in range(2))
        if self.plans[index].wakes_ms:
            back_ms = there_ms  # the half round trip is then the truth
        return ResponseStream(self.door.respond, there_ms, back_ms)

    def _downlink(self, device: bytes | None, tail: str, data: bytes) -> None:
        if device is None:
            for link in self._links.values():
                link.deliver(f"all/{tail}", data)
            return
        index = self._index[device]
        if tail == "receipt":
            self.ledger.receipted(device, data)
            self._retained[index] = data
        if index in self._links:
            self._links[index].deliver(f"down/{tail}", data)

    # ---- faults

    def _plan_crashes(self) -> None:
        faults = self.options.faults
        for minute in faults.gateway_crash_minutes:
            at_ms = self.options.start_ms + minute * MINUTE_MS
            down_ms = faults.gateway_down_s * 1_000
            self.world.call_at(at_ms, partial(self.door.crash_in_next_batch, down_ms))

    def _plan_power_cuts(self) -> None:
        options = self.options
        earliest_ms = options.start_ms + options.faults.from_minute * MINUTE_MS
        for index in range(len(self.plans)):
            generator = stream(options.seed, "power", index)
            for day_ms in range(options.start_ms, options.end_ms, DAY_MS):
                at_ms = day_ms + generator.randrange(DAY_MS)
                calls = generator.randrange(2 * ARMED_CALLS_MAX) - ARMED_CALLS_MAX
                cuts = happens(generator, options.faults.power_cut_ppm_per_day)
                if cuts and earliest_ms <= at_ms < options.end_ms:
                    self.world.call_at(at_ms, partial(self._cut_power, index, calls))

    def _cut_power(self, index: int, calls: int) -> None:
        """Between two events (calls < 0), or in the next but `calls` change of the flash."""
        board = self._boards[index]
        if calls >= 0:
            board.fs.arm(calls)
        elif board.group.alive:
            board.power_off()
            self._restarted(index, "power cut")

    # ---- the course of a run

    def _run_to(self, until_ms: int) -> None:
        while self.world.now_ms < until_ms:
            self.world.run(min(self.world.now_ms + PROGRESS_STEP_MS, until_ms))
            self._progress(self.world.now_ms - self.options.start_ms, self.ledger.signed_count)

    def _heal(self) -> None:
        self._healed = True
        self.network.heal()
        self.door.disarm()
        for board in self._boards:
            board.fs.disarm()

    def _drain(self) -> None:
        """Faults have stopped: every message must find its receipt within a bound."""
        last_ms = self.world.now_ms + DRAIN_MS_MAX
        while self.world.now_ms < last_ms:
            self._run_to(self.world.now_ms + MINUTE_MS)
            if not self.ledger.unreceipted():
                return
        self.failures += [
            Failure("progress after faults", f"{name} still waits for the receipt of seq {seq}")
            for name, seq in self.ledger.unreceipted()
        ]

    def _close(self) -> None:
        # In flight is at most what a board sent in its last moment.
        self.world.run(self.world.now_ms + MINUTE_MS)
        while (close_ms := self.door.next_close_ms()) <= self.options.end_ms + DAY_MS // 2:
            self.world.run(close_ms)
            self.door.advance()

    def _check(self) -> None:
        self.counts, broken = self.ledger.compare(self.door.stored())
        self.failures += broken
        links = self._links.values()
        published = self._published + sum(link.published for link in links)
        self.resends = published - self.counts.signed
        self.failures += self._check_refusals()

    def _check_refusals(self) -> list[Failure]:
        door = self.door
        failures = []
        if door.corrupted_held:
            failures.append(
                Failure("damage is refused", f"{door.corrupted_held} damaged messages were taken")
            )
        refusable = door.corrupted_delivered - door.corrupted_deferred
        if door.rejected != refusable:
            tally = {verdict.name.lower(): n for verdict, n in sorted(door.verdicts.items())}
            failures.append(
                Failure(
                    "only damage is refused",
                    f"{door.rejected} rejected, {refusable} damaged; verdicts {tally}",
                )
            )
        return failures


def place_commitment(salt: bytes, lat_deg: float, lon_deg: float) -> bytes:
    """SHA-256(salt || exact place): what a board signs instead of where it stands."""
    return hashlib.sha256(salt + f"{lat_deg:.6f},{lon_deg:.6f}".encode()).digest()
