"""A whole station with two programs: the loader picks one at each boot, and the tests say what is
wrong with the new one. Both are this firmware; what differs is how it behaves.
"""

from typing import Any

from cairn import downlinks, slots, station
from cairn.boards import base

from tests.unit.firmware.bench import TimeStream, downlink
from tests.unit.firmware.bench_station import (
    POWER_ON,
    RESTART_MS,
    SOFTWARE,
    WATCHDOG,
    LivingBoard,
    StationBench,
)
from tests.unit.firmware.bench_world import Wait
from tests.unit.firmware.launch_kit import loader
from tests.unit.firmware.update_kit import MemoryPrograms, Release, Server, put_program

OLD = {"application.mpy": b"old program" * 300, "same.mpy": b"same" * 500}
NEW = {"application.mpy": b"new program" * 500, "same.mpy": b"same" * 500}
RELEASE = Release(NEW)


class RoutedStream(base.Stream):
    """The time, or a page of a release: as the request says."""

    def __init__(self, bench: "UpdateBench") -> None:
        self.bench = bench
        self.request = b""
        self.stream: base.Stream | None = None
        self.left: bytes | None = None

    async def write(self, data: bytes) -> None:
        self.request += data

    async def read(self, size: int) -> bytes:
        bench = self.bench
        if b" /v1/time" in self.request:
            if self.stream is None:
                self.stream = TimeStream(bench.world, bench.gateway.time_answer)
                await self.stream.write(self.request)
            return await self.stream.read(size)
        await Wait(20, None)
        if self.left is None:
            self.left = bench.server.answer(self.request)
        part, self.left = self.left[:size], self.left[size:]
        return part

    def close(self) -> None:
        pass


class UpdatingBoard(LivingBoard):
    bench: "UpdateBench"

    def _connect(self) -> base.Stream:
        if not self.bench.online:
            raise OSError("no route")
        return RoutedStream(self.bench)

    def programs(self) -> base.Programs | None:
        return self.bench.programs

    def firmware(self) -> str:
        return slots.text(self.programs())


class UpdateBench(StationBench):
    """fault: what is wrong with the program in slot b: "" (nothing), "crash" (at its start),
    "hang" (nothing feeds the watchdog), "idle" (it only feeds it), "deaf" (its messages bring no
    receipts), "dark" (it has no network). runs: (ms, slot, trial) of each boot.
    """

    def __init__(self, monkeypatch: Any, fault: str = "", **changes: Any) -> None:
        super().__init__(monkeypatch, **changes)
        self.programs = MemoryPrograms()
        put_program(self.programs, "a", OLD, 1)
        self.server = Server(RELEASE.pages())
        self.fault = fault
        self.runs: list[tuple[int, str, bool]] = []

    def power_on(self, cause: int = POWER_ON) -> None:
        loaded = loader(self.programs)
        slot, trial = loaded.pick()
        assert slot
        self.programs.slot = slot
        self.runs.append((self.world.now, slot, trial))
        if trial:
            self.world.at(self.world.now + loaded.TRIAL_MS, lambda: self._over(loaded))
        fault = self.fault if slot == "b" else ""
        self.answering, self.online = fault != "deaf", fault != "dark"
        if fault == "crash":
            self.world.at(self.world.now + 500, lambda: self.begin_again(SOFTWARE, 10_000))
        elif fault == "hang":
            end = self.world.now + loaded.WATCHDOG_MS
            self.world.at(end, lambda: self.begin_again(WATCHDOG, RESTART_MS))
        elif fault != "idle":
            self.boots.append((self.world.now, cause))
            self.board = UpdatingBoard(self, cause)
            self.world.spawn(station.run(self.board))

    def _over(self, loaded: Any) -> None:
        if loaded.read()[1] != "-":
            self.begin_again(SOFTWARE, RESTART_MS)

    def announce(self, release: Release = RELEASE, **options: Any) -> None:
        """As the broker does to all who are connected."""
        body = list(options.pop("body", release.offer))
        data = downlink(
            downlinks.RELEASE, b"", body, self.config.network_id, now=self.utc_ms(), **options
        )
        assert self.node is not None
        link: Any = self.node._link
        link.deliver("all/release", data)

    def shown(self) -> list[str]:
        """What hello messages said of the program."""
        return [fields[7][1] for fields in self.gateway.fields(0)]

    def state(self) -> Any:
        return slots.state(self.programs)
