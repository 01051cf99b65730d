"""A bench with radios: a board that records what it sends, and the gateway's entropy."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cairn import cbor
from cairn.boards import base

from tests.unit.firmware.bench import (
    START_MS,
    Bench,
    BenchBoard,
    downlink,
    make_config,
)
from tests.unit.firmware.bench_world import BenchEvent, World

START_DAY = START_MS // 86_400_000
SLOTS = 1_440
ENTROPY_COMMIT = 19


class AirBoard(BenchBoard):
    """sent: (world ms, radio, channel, conducted power, frame). Frames come by hear(). tuned:
    (world ms, radio, channel).
    """

    def __init__(self, world: World, files: base.Files, radios: tuple[int, ...] = (0,)) -> None:
        super().__init__(world, files)
        self.radio_ids = radios
        self.sent: list[tuple[int, int, int, int, bytes]] = []
        self.tuned: list[tuple[int, int, int]] = []
        self.busy = False
        self.broken = False
        self.incoming: list[Any] = []
        self.arrived = BenchEvent(world)

    def radios(self) -> tuple[int, ...]:
        return self.radio_ids

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> bool | None:
        if radio not in self.radio_ids:
            return None
        if not self.busy:
            self.sent.append((self.world.now, radio, channel, power_cdbm, frame))
        return not self.busy

    def radio_listen(self, radio: int, channel: int) -> None:
        self.tuned.append((self.world.now, radio, channel))

    async def radio_receive(self) -> tuple[int, int, int, int | None, int, bytes] | None:
        while not self.incoming:
            if self.broken:
                raise OSError("the radio failed")
            self.arrived.clear()
            await self.arrived.wait(None)
        got: tuple[int, int, int, int | None, int, bytes] = self.incoming.pop(0)
        return got

    def hear(self, frame: bytes, *, radio: int = 0, channel: int = 0, late_ms: int = 0) -> None:
        """A frame whose end was late_ms ago."""
        got = (radio, channel, -9_000, 550, self.ticks() - late_ms, frame)
        self.incoming.append(got)
        self.arrived.set()

    def fail(self) -> None:
        self.broken = True
        self.arrived.set()


@dataclass
class Chain:
    """The gateway's chain of one day."""

    day: int
    seed: bytes = b"chain"
    values: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        value = sha256(self.seed + self.day.to_bytes(4, "big")).digest()
        self.values = [value]
        for _ in range(SLOTS - 1):
            value = sha256(value).digest()
            self.values.append(value)
        self.end = sha256(value).digest()
        self.values.reverse()

    @property
    def first(self) -> int:
        return self.day * SLOTS

    def value(self, slot: int) -> bytes:
        return self.values[slot - self.first]

    def link(self, slot: int, external: bytes = b"") -> bytes:
        return cbor.encode([slot, self.value(slot), external])

    def commit(self, network_id: bytes, **changes: Any) -> bytes:
        body = [changes.pop("end", self.end), changes.pop("first", self.first)]
        body.append(changes.pop("slots", SLOTS))
        changes.setdefault("now", self.day * 86_400_000 - 1_000)
        return downlink(ENTROPY_COMMIT, b"", body, network_id, **changes)


_CHAINS: dict[int, Chain] = {}


def chain_of(day: int) -> Chain:
    if day not in _CHAINS:
        _CHAINS[day] = Chain(day)
    return _CHAINS[day]


@dataclass
class AirBench(Bench):
    """A station with radios that gets commits and one link in every slot, while `entropy` is set;
    mute: slots without a link; external: of every slot.
    """

    radios: tuple[int, ...] = (0,)
    entropy: bool = True
    late_ms: int = 0
    mute: Callable[[int], bool] = lambda _: False
    external: bytes = b""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.make_board = lambda world, files: AirBoard(world, files, self.radios)
        self.frames: list[tuple[int, int, int, int, bytes]] = []

    @property
    def air(self) -> AirBoard:
        assert isinstance(self.board, AirBoard)
        return self.board

    def utc(self) -> int:
        return self.gateway.epoch_ms + self.world.now

    def boot(self) -> Any:
        node = super().boot()
        self.air.sent = self.frames
        self.world.spawn(self._drive())
        return node

    def commit(self, day: int) -> None:
        data = chain_of(day).commit(self.config.network_id)
        self.link.deliver(f"all/entropy-commit/{day % 2}", data)

    async def _drive(self) -> None:
        day = self.utc() // 86_400_000
        self.commit(day + 1)
        self.commit(day)
        while True:
            now = self.utc()
            slot = now // 60_000 + 1
            await self.board.sleep(slot * 60_000 - now + self.late_ms)
            if slot % SLOTS == 0:
                self.commit(slot // SLOTS + 1)
            if self.entropy and not self.mute(slot):
                link = chain_of(slot // SLOTS).link(slot, self.external)
                self.link.deliver("all/entropy", link)

    def bodies(self, kind: int) -> list[list[Any]]:
        return [fields[7] for fields in self.gateway.fields(kind)]


def air_config(**changes: Any) -> Any:
    values: dict[str, Any] = {"region": 1, "beacon_every": 60, "antenna": (215, 30)}
    values.update(changes)
    return make_config(**values)
