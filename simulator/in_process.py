"""A run in one process: DirectLinks into the door, on virtual time alone.

Two of the same options are equal to the byte, in any process. Here the gateway crashes inside its
commits, and boards ask it for the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from cairn.boards import base
from cairn.config import Config

from simulator.board import ResponseStream
from simulator.door import Door
from simulator.ledger import Failure, Stored
from simulator.link import DirectLink
from simulator.run import (
    MINUTE_MS,
    Progress,
    Run,
    RunOptions,
    StationPlan,
    station_config,
)
from simulator.seeds import stream
from simulator.tally import Tally
from simulator.weather import DAY_MS

PROGRESS_STEP_MS = 10 * MINUTE_MS
TIME_HOST = "gateway.invalid"
CONNECT_MS_MAX = 100


class InProcessRun(Run):
    """Stations, network and gateway in one event heap."""

    def __init__(
        self, options: RunOptions, plans: list[StationPlan], progress: Progress | None = None
    ) -> None:
        super().__init__(options, plans, progress)
        self.door = Door(self.world, options.data_dir, options.epoch_zero_ms, self._downlink)
        self._links: dict[int, DirectLink] = {}
        self._retained: dict[int, bytes] = {}
        self._retained_by_all: dict[str, bytes] = {}
        self._published_before = 0

    def tally(self) -> Tally:
        door = self.door
        return Tally(
            rejected=door.rejected,
            deferred=door.deferred,
            corruptions=door.corrupted_delivered,
            duplicates=door.duplicates,
            gateway_crashes=door.crashes,
            epochs=door.epochs(),
        )

    def close(self) -> None:
        self.door.close()

    def _config(self, index: int) -> Config:
        return station_config(self.plans[index], self.door.genesis, TIME_HOST)

    def _make_link(self, index: int) -> base.Link:
        if index in self._links:
            self._published_before += self._links[index].published
        link = DirectLink(self.world, self.network, index, self.door.is_up, self.door.arrive)
        self._links[index] = link
        if index in self._retained:
            link.deliver("down/receipt", self._retained[index])
        self._hand_retained(index)
        return link

    def _hand_retained(self, index: int) -> None:
        for tail, data in self._retained_by_all.items():
            self._links[index].hand(tail, data)

    async def _connect(self, index: int, host: str, port: int) -> base.Stream:
        link = self._links[index]
        if host != TIME_HOST or port != 80 or link.state() != "up":
            raise OSError("host unreachable")
        generator = stream(self.course.seed, "connect", index, self.world.now_ms)
        there_ms, back_ms = (generator.randrange(1, CONNECT_MS_MAX) for _ in range(2))
        if self.plans[index].wakes_ms:
            back_ms = there_ms  # the half round trip is then the truth
        return ResponseStream(self.door.respond, there_ms, back_ms)

    def _begin(self) -> None:
        for index in range(len(self.plans)):
            self.door.admit_sender(self._devices[index], index)
        for index, plan in enumerate(self.plans):
            if plan.anchored:
                self.door.anchor(self._devices[index])
        if self.air is not None:
            self.door.publish_entropy(self.course.end_ms)

    def _downlink(self, device: bytes | None, tail: str, data: bytes) -> None:
        if device is None:
            self._retained_by_all[f"all/{tail}"] = data
            for link in self._links.values():
                link.hand(f"all/{tail}", data)
            return
        if tail == "receipt":
            self.ledger.receipted(device, data)
        for index in self._stations[device]:
            if tail == "receipt":
                self._retained[index] = data
            if index in self._links:
                self._links[index].deliver(f"down/{tail}", data)

    def _plan_crashes(self) -> None:
        faults = self.course.faults
        for minute in faults.gateway_crash_minutes:
            at_ms = self.course.start_ms + minute * MINUTE_MS
            down_ms = faults.gateway_down_s * 1_000
            self.world.call_at(at_ms, partial(self.door.crash_in_next_batch, down_ms))
        for cut in self.network.partitions:
            for station in sorted(cut.stations):
                self.world.call_at(cut.last_ms, partial(self._rejoin, station))

    def _rejoin(self, index: int) -> None:
        if index in self._links:
            self._hand_retained(index)

    def _run_to(self, until_ms: int) -> None:
        while self.world.now_ms < until_ms:
            self.world.run(min(self.world.now_ms + PROGRESS_STEP_MS, until_ms))
            done_ms = max(self.world.now_ms - self.course.start_ms, 0)
            self._progress(done_ms, self.ledger.signed_count)

    def _heal(self) -> None:
        self.door.disarm()
        super()._heal()

    def _close_epochs(self) -> None:
        # In flight is at most what a board sent in its last moment.
        self.world.run(self.world.now_ms + MINUTE_MS)
        while (close_ms := self.door.next_close_ms()) <= self.course.end_ms + DAY_MS // 2:
            self.world.run(close_ms)
            self.door.advance()

    def _stored(self) -> Iterable[Stored]:
        return self.door.stored()

    def _published(self) -> int:
        return self._published_before + sum(link.published for link in self._links.values())

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
