"""A whole station through its boots: station.run on a board that resets, sleeps and is watched.

Virtual time and the small gateway are those of bench.py; the link is its BenchLink in MqttLink's
place, because what is tested here is what happens around it.
"""

from collections.abc import Callable, Coroutine
from itertools import accumulate
from typing import Any

from cairn import chain, config, cose, limits, station, wire
from cairn.boards import base
from cairn.node import Node

from tests.unit.firmware.bench import (
    BenchBoard,
    BenchLink,
    Gateway,
    TimeStream,
    make_config,
    weather,
)
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut, Wait, World

POWER_ON, WATCHDOG, SOFTWARE, SLEEP = 1, 2, 4, 5
RESTART_MS = 1_000

Sample = list[tuple[int, int, int, int | None, int]]


class Reset(BaseException):
    """The chip begins anew; unwinds the task in which that happens."""


class LivingBoard(BenchBoard):
    """One boot. What survives it is the bench's."""

    def __init__(self, bench: "StationBench", cause: int) -> None:
        super().__init__(bench.world, bench.files)
        self.bench = bench
        self.booted = bench.world.now
        self.draws = 1_000 * len(bench.boots)
        self.cause = cause
        self.connect = self._connect
        self._dog = 0

    def _connect(self) -> base.Stream:
        if not self.bench.online or not self.bench.time_service:
            raise OSError("no route")
        return TimeStream(self.world, self.bench.gateway.time_answer)

    @property
    def vault(self) -> base.Files:
        return self.bench.vault

    def offer(self) -> bytes | None:
        return self.bench.offered

    def spawn(self, coroutine: Any) -> None:
        self.world.spawn(self._watched(coroutine))

    async def _watched(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001 - as every board does
            self.report("task.failed", repr(error))
            self.bench.reset(SOFTWARE, RESTART_MS)

    def now_ms(self) -> int | None:
        return self.bench.rtc_ms()

    def set_clock(self, utc_ms: int) -> None:
        self.bench.clock_set = (self.world.now, utc_ms)

    async def sample(self) -> Sample:
        return await self.bench.sampler()

    def storage_bytes(self) -> int | None:
        return self.bench.storage

    def equip(self, config: Any) -> None:
        self.bench.equip(config)

    async def datagram(self, host: str, port: int, data: bytes, timeout_ms: int) -> bytes:  # noqa: ARG002
        await Wait(15, None)
        if not self.bench.online or self.bench.sntp is None:
            raise OSError("timed out")
        return self.bench.sntp(data, self.bench.utc_ms())

    def feed(self) -> None:
        self._dog = self.world.now + limits.WATCHDOG_MS
        self.world.at(self._dog, self._bite)

    def _bite(self) -> None:
        if self.world.now >= self._dog:
            self.bench.reset(WATCHDOG, RESTART_MS)

    def restart(self, reason: str) -> None:
        self.bench.restarts.append((self.world.now, reason))
        self.bench.reset(SOFTWARE, RESTART_MS)

    def deep_sleep(self, duration_ms: int) -> None:
        self.bench.sleeps.append((self.world.now - self.booted, duration_ms))
        true_ms = duration_ms * (1_000_000 + self.bench.rtc_ppm) // 1_000_000
        self.bench.reset(SLEEP, true_ms)

    def retained(self) -> bytes | None:
        return self.bench.kept

    def retain(self, data: bytes) -> bool:
        if not self.bench.memory or len(data) > limits.RETAINED_BYTES:
            return False
        self.bench.kept = data or None
        return True

    async def recover(self, stage: int) -> None:
        self.bench.recovered.append((self.world.now, stage))

    def report(self, code: str, detail: str) -> None:
        self.bench.reports.append((self.world.now, code, detail))

    def info(self) -> tuple[int, int, int | None, int | None]:
        return 60_000, self.cause, 3_700, -60


class StationBench:
    """rtc_ppm: how much longer a sleep takes than was asked for. rtc: the board has a clock that
    survives resets. vault: where the configuration is, which a board may have beside its files.
    memory: it has retained memory. core_alone: a power cut of the files is a
    reset of the core, which leaves retained memory alone. files hold a configuration; network:
    what the station's link can reach. node: that of the newest boot.
    """

    def __init__(self, monkeypatch: Any, **changes: Any) -> None:
        self.config = make_config(**{"broker_host": "broker.test", **changes})
        self.world = World()
        self.vault: base.Files = FaultyFiles()
        self.files = self.vault
        self.offered: bytes | None = None
        chain.create(self.files)
        config.store(self.files, self.config)
        self.gateway = Gateway(self.config.network_id)
        self.online = self.time_service = self.memory = True
        self.core_alone = False
        self.answering = True
        self.rtc = False
        self.storage: int | None = None
        self.rtc_ppm = 0
        self.clock_set: tuple[int, int] | None = None
        self.kept: bytes | None = None
        self.sntp: Callable[[bytes, int], bytes] | None = None
        self.boots: list[tuple[int, int]] = []
        self.restarts: list[tuple[int, str]] = []
        self.sleeps: list[tuple[int, int]] = []
        self.recovered: list[tuple[int, int]] = []
        self.reports: list[tuple[int, str, str]] = []
        self.taken: list[int] = []
        self.sampler: Callable[[], Coroutine[Any, Any, Sample]] = self.measure
        self.equip: Callable[[Any], None] = lambda _: None
        self.node: Node | None = None
        bench = self

        class Link(BenchLink):
            def __init__(self, board: LivingBoard, *_: object) -> None:
                super().__init__(board.world, bench.gateway, cose.kid_of(board.public_key()))

            async def run(self) -> None:
                if bench.online and bench.gateway.taken:
                    self.send_receipt()

            async def publish(self, message: bytes) -> bool:
                self.online = bench.online
                self.receipts = bench.answering
                return await super().publish(message)

            def state(self) -> str:
                return "up" if bench.online else "down"

        class Seen(Node):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                bench.node = self

        monkeypatch.setattr("cairn.mqttlink.MqttLink", Link)
        monkeypatch.setattr("cairn.node.Node", Seen)

    def utc_ms(self) -> int:
        return self.gateway.epoch_ms + self.world.now

    def rtc_ms(self) -> int | None:
        if not self.rtc or self.clock_set is None:
            return None
        return self.clock_set[1] + self.world.now - self.clock_set[0]

    async def measure(self) -> Sample:
        self.taken.append(self.utc_ms())
        return weather(self.world.now)

    def power_on(self, cause: int = POWER_ON) -> None:
        self.boots.append((self.world.now, cause))
        self.board = LivingBoard(self, cause)
        self.world.spawn(station.run(self.board))

    def reset(self, cause: int, after_ms: int) -> None:
        """From inside a task: it ends here, and so do the others."""
        self.begin_again(cause, after_ms)
        raise Reset

    def cut_power(self, off_ms: int = 5_000) -> None:
        """Between two events."""
        self.kept = self.clock_set = None
        self.begin_again(POWER_ON, off_ms)

    def begin_again(self, cause: int, after_ms: int) -> None:
        """A reset; between two events, if nobody else asks for it."""
        self.world.clear()
        self.world.at(self.world.now + after_ms, lambda: self.power_on(cause))

    def run(self, duration_ms: int) -> None:
        until = self.world.now + duration_ms
        while True:
            try:
                self.world.run(until)
            except Reset:
                continue
            except PowerCut:
                self.files.cut = None
                if self.core_alone:
                    self.begin_again(WATCHDOG, RESTART_MS)
                else:
                    self.cut_power()
                continue
            return

    def codes(self) -> list[str]:
        return [code for _, code, _ in self.reports]

    def sample_times(self) -> list[tuple[int, int]]:
        """(UTC, uncertainty) of each sample, as messages say and clock messages map it."""
        clocks = {row[7][0]: row[7] for row in self.gateway.fields(wire.CLOCK)}
        found = []
        for header in self.gateway.fields(wire.READINGS):
            base_ms, uncertainty_ms = header[5], header[6][1]
            if header[6][0] == wire.SOURCE_NONE:
                if header[2] not in clocks:
                    continue
                base_ms += clocks[header[2]][1]
                uncertainty_ms += clocks[header[2]][3]
            age, changes, _ = header[7]
            times = [base_ms - age]
            # The intervals are told as how each differs from the one before.
            for interval_ms in reversed(list(accumulate(changes))):
                times.append(times[-1] - interval_ms)
            found += [(time, uncertainty_ms) for time in times]
        return sorted(found)
