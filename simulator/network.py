"""What a poor network does to messages: drop, duplicate, delay, corrupt, cut off.

It decides the fate of each message from the run's seed and counts what it did. It knows neither
what a message means nor who reads it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from simulator.seeds import happens, stream


@dataclass(frozen=True, slots=True)
class Faults:
    """Every fault of a run in one place; shares are ppm of the messages of a link.

    from_minute: before it all is well, as while a person stands beside a new station.
    Crash minutes count from the run's start; a crash strikes inside the next ingest batch.
    """

    from_minute: int = 0
    drop_ppm: int = 0
    duplicate_ppm: int = 0
    reorder_ppm: int = 0
    reorder_delay_s: int = 120
    corrupt_ppm: int = 0
    partitions: int = 0
    partition_minutes: int = 30
    partition_stations_ppm: int = 300_000
    gateway_crash_minutes: tuple[int, ...] = ()
    gateway_down_s: int = 90
    power_cut_ppm_per_day: int = 0
    power_off_s: int = 120


@dataclass(slots=True)
class NetworkCounts:
    """What the network did, uplinks and downlinks together unless a name says otherwise."""

    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted_up: int = 0
    corrupted_down: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a message on its way: when it comes out, and what comes out."""

    delay_ms: int
    data: bytes
    corrupted: bool


@dataclass(frozen=True, slots=True)
class Partition:
    """Stations that cannot reach the gateway from first_ms until before last_ms."""

    first_ms: int
    last_ms: int
    stations: frozenset[int]


LATENCY_MS_MIN = 20
LATENCY_MS_MAX = 200


@dataclass(slots=True)
class Network:
    """All links of a run. `heal` ends the faults, so that progress can be demanded."""

    faults: Faults
    seed: int
    start_ms: int
    end_ms: int
    stations: int
    counts: NetworkCounts = field(default_factory=NetworkCounts)
    _healed: bool = False
    _partitions: list[Partition] = field(init=False)
    _generators: dict[int, random.Random] = field(default_factory=dict)
    _newest_ms: dict[tuple[int, bool], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        generator = stream(self.seed, "partitions")
        self._partitions = [self._draw(generator) for _ in range(self.faults.partitions)]

    @property
    def partitions(self) -> tuple[Partition, ...]:
        return tuple(self._partitions)

    def heal(self) -> None:
        """No new faults from now on; what is under way still arrives."""
        self._healed = True

    def reachable(self, station: int, now_ms: int) -> bool:
        """Whether a partition lets the station through."""
        return self._healed or not any(
            cut.first_ms <= now_ms < cut.last_ms and station in cut.stations
            for cut in self._partitions
        )

    def carry(self, station: int, data: bytes, now_ms: int, *, up: bool) -> list[Delivery]:
        """Copies of one message that will come out; none if it was dropped."""
        generator = self._generators.get(station)
        if generator is None:
            generator = self._generators[station] = stream(self.seed, "link", station)
        faults = self.faults
        latency_ms = self._in_order(station, now_ms, generator, up=up)
        if self._healed or now_ms < self.start_ms + faults.from_minute * 60_000:
            return [Delivery(latency_ms, data, corrupted=False)]
        if happens(generator, faults.drop_ppm):
            self.counts.dropped += 1
            return []
        copies = [self._copy(generator, data, latency_ms, up=up)]
        if happens(generator, faults.duplicate_ppm):
            self.counts.duplicated += 1
            copies.append(self._copy(generator, data, latency_ms, up=up))
        return copies

    def _in_order(self, station: int, now_ms: int, generator: random.Random, *, up: bool) -> int:
        """Latency of a connection, which overtakes nothing; only the fault `reorder` does."""
        at_ms = now_ms + generator.randrange(LATENCY_MS_MIN, LATENCY_MS_MAX)
        at_ms = self._newest_ms[station, up] = max(at_ms, self._newest_ms.get((station, up), 0))
        return at_ms - now_ms

    def _copy(
        self, generator: random.Random, data: bytes, latency_ms: int, *, up: bool
    ) -> Delivery:
        if happens(generator, self.faults.reorder_ppm):
            self.counts.reordered += 1
            latency_ms += generator.randrange(self.faults.reorder_delay_s * 1000 + 1)
        if not happens(generator, self.faults.corrupt_ppm):
            return Delivery(latency_ms, data, corrupted=False)
        if up:
            self.counts.corrupted_up += 1
        else:
            self.counts.corrupted_down += 1
        return Delivery(latency_ms, flip_bit(data, generator), corrupted=True)

    def _draw(self, generator: random.Random) -> Partition:
        length_ms = self.faults.partition_minutes * 60_000
        earliest_ms = self.start_ms + self.faults.from_minute * 60_000
        first_ms = generator.randrange(earliest_ms, max(self.end_ms - length_ms, earliest_ms + 1))
        share = self.faults.partition_stations_ppm
        chosen = frozenset(i for i in range(self.stations) if happens(generator, share))
        return Partition(first_ms, first_ms + length_ms, chosen)


def flip_bit(data: bytes, generator: random.Random) -> bytes:
    """The message with one bit changed."""
    position = generator.randrange(len(data) * 8)
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    return bytes(damaged)
