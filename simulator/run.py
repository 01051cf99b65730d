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

from cairn import chain, config, station
from cairn.boards import base
from cairn.config import Config
from cairn.limits import WATCHDOG_MS
from cairn.node import Node
from nacl.bindings import crypto_sign_seed_keypair

from simulator.board import (
    RESET_POWER_ON,
    RESET_SLEEP,
    RESET_SOFTWARE,
    RESET_WATCHDOG,
    SimulatedBoard,
    device_id,
    device_name,
)
from simulator.ledger import Counts, Failure, Ledger, Stored
from simulator.medium import NO_RADIO, Antenna, Medium
from simulator.network import Faults, Network
from simulator.ntp import NtpServer
from simulator.radio import PRESETS
from simulator.seeds import happens, stream
from simulator.sensors import Sampler
from simulator.tally import Tally
from simulator.weather import DAY_MS, HOUR_MS
from simulator.world import World

MINUTE_MS = 60_000
# After the faults stop, this long may pass until every message has its receipt: a board sends
# again after two reporting intervals, and may notice that only with its next status. Less than
# an epoch waits before it closes.
DRAIN_MS_MAX = 170 * MINUTE_MS
# A board reveals its day's secret 61 to 80 min after the day; a clock may be off by a little.
REVEALED_MS = 82 * MINUTE_MS
ARMED_CALLS_MAX = 6
NTP_HOST = "ntp.invalid"

_CAUSES = {"power cut": RESET_POWER_ON, "sleep": RESET_SLEEP, "watchdog": RESET_WATCHDOG}

Progress = Callable[[int, int], None]
Hardware = Callable[..., SimulatedBoard]
Carriage = Callable[[World, base.Link], base.Link]


@dataclass(frozen=True, slots=True)
class StationPlan:
    """Everything about one station that is decided before the run.

    sampler: makes, for a world, what stands behind `Board.sample`. wakes_ms: see SimulatedBoard;
    such a station also has an exact clock, so that what it replays keeps its times to the ms.
    region: code of the radio region, 0: no coverage. antenna: where its radios really are.
    hardware and carriage: what makes its board and what its link is wrapped in, for stations that
    lie; attack: the lie's name, and tries: what it is after. whole: it runs all of station.run,
    with watchdog, safe mode, deep sleep and SNTP, and not its node alone; duty: as it declares.
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
    region: int = 0
    antenna: Antenna = NO_RADIO
    hardware: Hardware = SimulatedBoard
    carriage: Carriage | None = None
    attack: str = ""
    tries: str = ""
    whole: bool = False
    duty: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is common to all stations. Whole days are measured from start_ms to end_ms.

    lead_ms: how much earlier boards are switched on, so that they have committed themselves when
    the first day begins. surroundings: a name of radio.PRESETS.
    """

    seed: int
    start_ms: int
    end_ms: int
    faults: Faults
    lead_ms: int = 0
    surroundings: str = "town"

    @property
    def begin_ms(self) -> int:
        return self.start_ms - self.lead_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Course):
    """A course in a new network in data_dir."""

    data_dir: Path
    epoch_zero_ms: int


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
        self.world = World(course.begin_ms, course.seed)
        self.network = Network(
            course.faults, course.seed, course.start_ms, course.end_ms, len(plans)
        )
        self.ledger = Ledger()
        self.board_restarts = 0
        self.resends = 0
        self.counts = Counts(0, 0, 0, 0)
        self.failures: list[Failure] = []
        self._progress = progress or (lambda _ms, _messages: None)
        self.air = self._make_air()
        self._boards = [self._make_board(index, plan) for index, plan in enumerate(plans)]
        self._devices = [device_id(board.public_key()) for board in self._boards]
        self._configs: list[Config] = []
        # Several have one id where a key was cloned.
        self._stations: dict[bytes, list[int]] = {}
        for index, device in enumerate(self._devices):
            self._stations.setdefault(device, []).append(index)

    def execute(self) -> None:
        """Run to the close of the last day. TaskFailed is a bug, named by seed and time."""
        self._begin()
        for index, plan in enumerate(self.plans):
            self.ledger.open_account(self._devices[index], plan.name)
            self._configs.append(self._config(index))
            chain.create(self._boards[index].fs)
            if plan.whole:
                config.store(self._boards[index].fs, self._configs[index])
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

    def _make_air(self) -> Medium | None:
        if not any(plan.region for plan in self.plans):
            return None
        antennas = [plan.antenna for plan in self.plans]
        surroundings = PRESETS[self.course.surroundings]
        # After the last day the air is silent: nobody measures that day any more.
        return Medium(self.world, antennas, surroundings, self.course.end_ms)

    def _make_board(self, index: int, plan: StationPlan) -> SimulatedBoard:
        return plan.hardware(
            self.world,
            index,
            plan.key_seed,
            plan.sampler(self.world),
            partial(self._connect, index),
            drift_ppm=plan.drift_ppm,
            held=plan.held,
            wakes_ms=plan.wakes_ms,
            air=self.air,
            radios=plan.antenna.radios,
            watchdog_ms=WATCHDOG_MS if plan.whole else None,
            ntp=NtpServer(stream(self.course.seed, "ntp", index)) if plan.whole else None,
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
        link, carriage = self._make_link(index), self.plans[index].carriage
        if carriage is not None:
            link = carriage(self.world, link)
        if self.plans[index].whole:
            self.world.spawn(station.run(board, link), board.group)
        else:
            self.world.spawn(Node(board, link, self._configs[index]).run(), board.group)

    def _signed(self, index: int, to_be_signed: bytes) -> None:
        self.ledger.signed(self._devices[index], to_be_signed)

    def _restarted(self, index: int, reason: str) -> None:
        off_ms, cause = 1_000, _CAUSES.get(reason, RESET_SOFTWARE)
        if cause == RESET_POWER_ON:
            off_ms = self._off_ms(index)
        elif cause == RESET_SLEEP:
            off_ms = self._boards[index].asleep_ms
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
        if self.air is not None:
            self._run_to(self.course.end_ms + REVEALED_MS)
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
        region=plan.region,
        store_every_ms=60_000 if plan.whole else 0,
        duty=plan.duty,
        sntp_host=NTP_HOST if plan.whole else None,
        **broker,
    )


def device_of_plan(plan: StationPlan) -> str:
    """The device id, as topics spell it, of the board that this plan becomes."""
    public_key, _ = crypto_sign_seed_keypair(plan.key_seed)
    return device_name(device_id(public_key))


def place_commitment(salt: bytes, lat_deg: float, lon_deg: float) -> bytes:
    """SHA-256(salt || exact place): what a board signs instead of where it stands."""
    return hashlib.sha256(salt + f"{lat_deg:.6f},{lon_deg:.6f}".encode()).digest()
