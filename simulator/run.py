"""What every run of a fleet has in common, whichever way its messages take to the gateway.

It boots real firmware nodes on simulated boards, keeps the ledger, cuts power, lets the network
heal, demands progress and compares what was signed with what is stored. Links, the passing of
time and the gateway belong to `in_process.py` and `mqtt_run.py`. It does not know where the
stations' readings come from.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cairn import chain
from cairn.boards import base
from cairn.config import Config
from cairn.node import Node
from nacl.bindings import crypto_sign_seed_keypair

from simulator.board import RESET_POWER_ON, RESET_SOFTWARE, SimulatedBoard, device_id, device_name
from simulator.epochs import EpochSummary
from simulator.ledger import Counts, Failure, Ledger, Stored
from simulator.network import Faults, Network
from simulator.record import Record
from simulator.seeds import happens, stream
from simulator.sensors import Sampler
from simulator.weather import DAY_MS, HOUR_MS
from simulator.world import World

MINUTE_MS = 60_000
# After the faults stop, this long may pass until every message has its receipt: a board sends
# again after two reporting intervals, and may notice that only with its next status. Less than
# an epoch waits before it closes.
DRAIN_MS_MAX = 170 * MINUTE_MS
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
class Course:
    """What is common to all stations. `days` whole days are measured from start_ms on."""

    seed: int
    start_ms: int
    end_ms: int
    faults: Faults


@dataclass(frozen=True, slots=True)
class RunOptions(Course):
    """A course in a new network in data_dir."""

    data_dir: Path
    epoch_zero_ms: int


@dataclass(frozen=True, slots=True)
class Transport:
    """What a run over MQTT says of its connections. stalled_slots: those that ended although a
    message that was handed over had no receipt. pauses: how often time stood still because the
    gateway, its broker or a connection was away. crashes_left_out: those of the scenario, if
    nobody was there who could kill the gateway.
    """

    broker: str
    slots: int
    stalled_slots: int
    reconnects: int
    pauses: int
    crashes_left_out: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened at the gateway and on the way to it; FleetReport says what each one means.

    carry_before: what the network had kept for later days when the run began.
    """

    rejected: int
    deferred: int
    corruptions: int
    duplicates: int
    gateway_crashes: int
    epochs: tuple[EpochSummary, ...]
    carry_before: int = 0
    transport: Transport | None = None


class Run(ABC):
    """Make one, call `execute` once, read the rest, and `close` it."""

    def __init__(
        self,
        course: Course,
        plans: list[StationPlan],
        progress: Progress | None = None,
    ) -> None:
        self.course = course
        self.plans = plans
        self.world = World(course.start_ms, course.seed)
        self.network = Network(
            course.faults, course.seed, course.start_ms, course.end_ms, len(plans)
        )
        self.ledger = Ledger()
        self.board_restarts = 0
        self.resends = 0
        self.counts = Counts(0, 0, 0, 0)
        self.failures: list[Failure] = []
        self.record: Record | None = None
        self._progress = progress or (lambda _ms, _messages: None)
        self._boards = [self._make_board(index, plan) for index, plan in enumerate(plans)]
        self._devices = [device_id(board.public_key()) for board in self._boards]
        self._configs: list[Config] = []
        self._index = {device: index for index, device in enumerate(self._devices)}

    def execute(self) -> None:
        """Run to the close of the last day. TaskFailed is a bug, named by seed and time."""
        self._begin()
        for index, plan in enumerate(self.plans):
            self.ledger.open_account(self._devices[index], plan.name)
            self._configs.append(self._config(index))
            chain.create(self._boards[index].fs)
            self.world.call_at(plan.power_on_ms, partial(self._boot, index, RESET_POWER_ON))
        self._plan_crashes()
        self._plan_power_cuts()
        self._run_to(self.course.end_ms)
        self._heal()
        self._drain()
        for board in self._boards:
            board.power_off()
        self._close_epochs()
        self.counts, broken = self.ledger.compare(self._stored())
        self.failures += broken
        self.resends = self._published() - self.counts.signed
        self.failures += self._check_refusals()

    def device(self, index: int) -> bytes:
        return self._devices[index]

    @abstractmethod
    def tally(self) -> Tally:
        """What happened at the gateway."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the gateway."""

    # ---- what the way to the gateway decides

    @abstractmethod
    def _config(self, index: int) -> Config:
        """What station `index` is provisioned with."""

    @abstractmethod
    def _make_link(self, index: int) -> base.Link:
        """A new boot's way to the gateway."""

    @abstractmethod
    async def _connect(self, index: int, host: str, port: int) -> base.Stream:
        """Where a board's own streams lead."""

    @abstractmethod
    def _begin(self) -> None:
        """Prepare network and gateway; the world has not moved yet."""

    @abstractmethod
    def _plan_crashes(self) -> None:
        """Let the gateway die at the minutes that the faults name."""

    @abstractmethod
    def _run_to(self, until_ms: int) -> None:
        """Let virtual time pass."""

    @abstractmethod
    def _close_epochs(self) -> None:
        """Let time jump from close to close."""

    @abstractmethod
    def _stored(self) -> Iterable[Stored]:
        """What the gateway made durable of this run."""

    @abstractmethod
    def _published(self) -> int:
        """How often links were asked to publish."""

    @abstractmethod
    def _check_refusals(self) -> list[Failure]:
        """Whether the gateway refused what is damaged, and that alone."""

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

    def _boot(self, index: int, reset_cause: int) -> None:
        board = self._boards[index]
        if board.group.alive:
            return
        board.power_on(reset_cause)
        if board.boots > 1:
            self.board_restarts += 1
        node = Node(board, self._make_link(index), self._configs[index])
        self.world.spawn(node.run(), board.group)

    def _signed(self, index: int, to_be_signed: bytes) -> None:
        seq = self.ledger.signed(self._devices[index], to_be_signed)
        if self.record is not None:
            self.record.signed(self._devices[index], seq, self.world.now_ms)

    def _restarted(self, index: int, reason: str) -> None:
        cut = reason == "power cut"
        off_ms = self._off_ms(index) if cut else 1_000
        cause = RESET_POWER_ON if cut else RESET_SOFTWARE
        self.world.call_at(self.world.now_ms + off_ms, partial(self._boot, index, cause))

    def _off_ms(self, index: int) -> int:
        generator = stream(self.course.seed, "off", index, self._boards[index].boots)
        return generator.randrange(1_000, self.course.faults.power_off_s * 1_000 + 1_001)

    # ---- faults

    def _plan_power_cuts(self) -> None:
        course = self.course
        earliest_ms = course.start_ms + course.faults.from_minute * MINUTE_MS
        for index in range(len(self.plans)):
            generator = stream(course.seed, "power", index)
            for day_ms in range(course.start_ms, course.end_ms, DAY_MS):
                at_ms = day_ms + generator.randrange(DAY_MS)
                calls = generator.randrange(2 * ARMED_CALLS_MAX) - ARMED_CALLS_MAX
                cuts = happens(generator, course.faults.power_cut_ppm_per_day)
                if cuts and earliest_ms <= at_ms < course.end_ms:
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

    def _heal(self) -> None:
        self.network.heal()
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


def station_config(
    plan: StationPlan, genesis: bytes, time_host: str | None, **broker: Any
) -> Config:
    """What a station is provisioned with; `broker` names the fields that say how to reach one."""
    return Config(
        genesis=genesis,
        quantities=plan.quantities,
        sample_interval_ms=plan.sample_interval_ms,
        samples_per_message=plan.samples_per_message,
        status_interval_ms=plan.status_interval_ms,
        scoring_cell=plan.scoring_cell,
        place_commitment=plan.place_commitment,
        owner=plan.owner,
        time_host=time_host,
        outbox_bytes_max=plan.outbox_bytes_max,
        **broker,
    )


def device_of_plan(plan: StationPlan) -> str:
    """The device id, as topics spell it, of the board that this plan becomes."""
    public_key, _ = crypto_sign_seed_keypair(plan.key_seed)
    return device_name(device_id(public_key))


def place_commitment(salt: bytes, lat_deg: float, lon_deg: float) -> bytes:
    """SHA-256(salt || exact place): what a board signs instead of where it stands."""
    return hashlib.sha256(salt + f"{lat_deg:.6f},{lon_deg:.6f}".encode()).digest()
