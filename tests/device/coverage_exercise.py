"""Two stations that hear each other for a day of virtual time: `results()` must give the same on
both interpreters.

From entropy to a due beacon, to the other's witness row, to the reveal. Runs in the MicroPython
subset; no asyncio, so that a day takes seconds.
"""

from binascii import hexlify
from hashlib import sha256

from cairn import cbor, chain, config, cose, segment
from cairn.boards.base import Board, Event, Link
from cairn.boards.host import MemoryFiles
from cairn.ed25519 import Signer
from cairn.node import Node

DAY = 20_000
SLOTS = 1_440
HOUR_MS = 3_600_000
START_MS = DAY * 24 * HOUR_MS
END_MS = 26 * HOUR_MS
# Links come in one hour, so that a slow interpreter hashes and draws enough and no more.
LINK_HOURS = (3,)
CELL = (1 << 59) | (9 << 52) | (0b111 << 3)


class Wait:
    """Ends after delay_ms (None: never) or when the event is set."""

    def __init__(self, delay_ms: object, event: object) -> None:
        self.delay_ms = delay_ms
        self.event = event
        self.woken = False

    def __iter__(self) -> object:
        yield self
        return self.woken

    __await__ = __iter__


class World:
    """Virtual milliseconds and the tasks in them."""

    def __init__(self) -> None:
        self.now = 0
        self.order = 0
        self.due = []

    def at(self, when: int, call: object) -> None:
        self.order += 1
        entry = (when, self.order, call)
        index = len(self.due)
        while index and self.due[index - 1][:2] > entry[:2]:
            index -= 1
        self.due.insert(index, entry)

    def step(self, coroutine: object) -> None:
        try:
            wait = coroutine.send(None)
        except StopIteration:
            return
        resumed = []

        def resume(*, woken: bool) -> None:
            if not resumed:
                resumed.append(True)
                wait.woken = woken
                self.step(coroutine)

        if wait.event is not None:
            wait.event.waiting.append(lambda: self.at(self.now, lambda: resume(woken=True)))
        if wait.delay_ms is not None:
            self.at(self.now + wait.delay_ms, lambda: resume(woken=False))

    def run(self, until: int) -> None:
        while self.due and self.due[0][0] <= until:
            self.now, _, call = self.due.pop(0)
            call()
        self.now = until


class WorldEvent(Event):
    def __init__(self, world: World) -> None:
        self.world = world
        self.up = False
        self.waiting = []

    def set(self) -> None:
        self.up = True
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            wake()

    def clear(self) -> None:
        self.up = False

    async def wait(self, timeout_ms: object) -> bool:
        return True if self.up else await Wait(timeout_ms, self)


class Station(Board):
    """sent: (ms, radio, channel, power, frame); what it sends the others hear 190 ms later, over
    LoRa (radio 0) those that are tuned to its channel. tuned: (ms, radio, channel).
    """

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.fs = MemoryFiles()
        self.signer = Signer(bytes([number]) * 32)
        self.others = []
        self.sent = []
        self.tuned = [[0, 0, 0]]
        self.heard = []
        self.arrived = WorldEvent(world)
        self.draws = 0
        chain.create(self.fs)

    def now_ms(self) -> None:
        return None

    def ticks(self) -> int:
        return self.world.now

    async def sleep(self, duration_ms: int) -> None:
        await Wait(duration_ms, None)

    def spawn(self, coroutine: object) -> None:
        self.world.at(self.world.now, lambda: self.world.step(coroutine))

    def event(self) -> Event:
        return WorldEvent(self.world)

    def entropy(self, size: int) -> bytes:
        self.draws += 1
        drawn = sha256(self.signer.public_key + self.draws.to_bytes(4, "big")).digest()
        return drawn[:size]

    def public_key(self) -> bytes:
        return self.signer.public_key

    def sign(self, message: bytes) -> bytes:
        return self.signer.sign(message, b"", b"")

    async def sample(self) -> list:
        return [(0, 0, -2, 2_150, 0)]

    def radios(self) -> tuple:
        return (0, 1)

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> bool:
        self.sent.append([self.world.now, radio, channel, power_cdbm, hexlify(frame).decode()])
        for other in self.others:
            row = (radio, channel, power_cdbm - 9_000, 425 if radio == 0 else None)
            self.world.at(
                self.world.now + 190, lambda other=other, row=row: other.hear(row, frame)
            )
        return True

    def radio_listen(self, radio: int, channel: int) -> None:
        self.tuned.append([self.world.now, radio, channel])

    def hear(self, row: tuple, frame: bytes) -> None:
        if row[0] == 0 and row[1] != self.tuned[-1][2]:
            return
        self.heard.append((row[0], row[1], row[2], row[3], self.world.now, frame))
        self.arrived.set()

    async def radio_receive(self) -> tuple:
        while not self.heard:
            self.arrived.clear()
            await self.arrived.wait(None)
        return self.heard.pop(0)

    def feed(self) -> None:
        pass

    def info(self) -> tuple:
        return 100_000, 0, None, None

    def messages(self) -> list:
        stored = []
        for name in self.fs.names("outbox/"):
            data = self.fs.read(name)
            records = segment.scan(data)[0]
            stored += [hexlify(record.message(data)).decode() for record in records]
        return stored


class DownLink(Link):
    """Nothing goes up: what is written stays in the outbox, where messages() finds it."""

    def __init__(self, world: World) -> None:
        self.inbox = []
        self.arrived = WorldEvent(world)

    async def publish(self, _: bytes) -> bool:
        await Wait(5, None)
        return False

    async def receive(self) -> tuple:
        while not self.inbox:
            self.arrived.clear()
            await self.arrived.wait(None)
        return self.inbox.pop(0)

    def state(self) -> str:
        return "down"

    def deliver(self, tail: str, data: bytes) -> None:
        self.inbox.append((tail, data))
        self.arrived.set()


class Gateway:
    """Signs what stations get."""

    def __init__(self) -> None:
        self.root = Signer(b"r" * 32)
        self.key = Signer(b"g" * 32)
        genesis = cbor.encode([1, "coverage", self.root.public_key, 0, bytes(32), 1])
        self.config = config.Config(
            genesis=genesis,
            quantities=[(0, 0, 6 * HOUR_MS)],
            sample_interval_ms=6 * HOUR_MS,
            samples_per_message=1,
            status_interval_ms=8 * HOUR_MS,
            scoring_cell=CELL,
            place_commitment=bytes(32),
            antenna=(215, 60),
            region=1,
            beacon_every=4,
            store_every_ms=0,
        )
        self.values = [sha256(b"last value").digest()]
        for _ in range(SLOTS):
            self.values.append(sha256(self.values[-1]).digest())
        self.values.reverse()

    def signed(self, signer: Signer, role: str, fields: list) -> bytes:
        return cose.sign1(
            lambda message: signer.sign(message, b"", b""),
            cose.kid_of(signer.public_key),
            self.config.network_id,
            role,
            cbor.encode(fields),
        )[0]

    def down(self, kind: int, body: list) -> bytes:
        return self.signed(self.key, "gateway", [16, kind, b"", 1, START_MS, body])

    def start(self) -> list:
        """In the order of retained messages that happens to be the worst."""
        statement = [16, "gateway", self.key.public_key, 1, 0, 1 << 50]
        return [
            ("all/entropy-commit/0", self.down(19, [self.values[0], DAY * SLOTS, SLOTS])),
            ("all/tick", self.down(21, [DAY * SLOTS])),
            ("all/keys", self.down(18, [self.signed(self.root, "root", statement)])),
        ]

    def link(self, minute: int) -> bytes:
        return cbor.encode([DAY * SLOTS + minute, self.values[minute + 1], b"external"])


def results() -> dict:
    """Every message of both stations, every frame on the air, and what was counted."""
    world = World()
    gateway = Gateway()
    stations = [Station(world, number) for number in (1, 2)]
    links = [DownLink(world) for _ in stations]
    nodes = []
    for number, station in enumerate(stations):
        station.others = [other for other in stations if other is not station]
        nodes.append(Node(station, links[number], gateway.config))
        station.spawn(nodes[-1].run())
        for tail, data in gateway.start():
            links[number].deliver(tail, data)
    for hour in LINK_HOURS:
        for minute in range(hour * 60, hour * 60 + 60):
            world.run(minute * 60_000 + 2_000)
            for link in links:
                link.deliver("all/entropy", gateway.link(minute))
    world.run(END_MS)
    return {
        "network_id": hexlify(gateway.config.network_id).decode(),
        "messages": [station.messages() for station in stations],
        "sent": [station.sent for station in stations],
        "tuned": [station.tuned[1:] for station in stations],
        "refused": [[node.downlinks_refused, node.last_refusal] for node in nodes],
        "files": [station.fs.names("") for station in stations],
    }
