"""A bench for one Node: virtual time, flash that loses power, a small gateway. No simulator.

Everything here is the firmware's own view of the world: boards.base on one side, the protocol's
receipts and time answers on the other.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256, shake_256
from typing import Any

from cairn import cbor, chain, cose, segment, wire
from cairn.boards import base
from cairn.config import Config
from cairn.node import Node
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from tests.unit.firmware.bench_world import BenchEvent, FaultyFiles, Wait, World

DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS
CELL = (1 << 59) | (9 << 52) | (0b111 << 3)


def keypair(name: str) -> tuple[bytes, Callable[[bytes], bytes]]:
    """Public key and signing function of a named key, signed by the C library."""
    public, secret = crypto_sign_seed_keypair(sha256(name.encode()).digest())
    return public, lambda message: crypto_sign(message, secret)[:64]


ROOT_PUBLIC, root_sign = keypair("root")
GATEWAY_PUBLIC, gateway_sign = keypair("gateway")


def genesis(simulated: int = 0) -> bytes:
    return cbor.encode([1, "bench", ROOT_PUBLIC, 19_000 * DAY_MS, bytes(32), simulated])


def make_config(**changes: Any) -> Config:
    values: dict[str, Any] = {
        "genesis": genesis(),
        "quantities": [(0, 0, 300_000), (1, 0, 300_000)],
        "sample_interval_ms": 300_000,
        "samples_per_message": 2,
        "status_interval_ms": 3_600_000,
        "scoring_cell": CELL,
        "place_commitment": bytes(32),
        "owner": bytes(range(20)),
        "time_host": "gateway.test",
        "outbox_bytes_max": 65_536,
        "store_every_ms": 0,
    }
    values.update(changes)
    return Config(**values)


def statement(
    *,
    serial: int = 1,
    role: str = "gateway",
    public_key: bytes = GATEWAY_PUBLIC,
    first: int = 0,
    last: int = 1 << 50,
    sign: Callable[[bytes], bytes] = root_sign,
    root: bytes = ROOT_PUBLIC,
    network_id: bytes | None = None,
) -> bytes:
    payload = cbor.encode([16, role, public_key, serial, first, last])
    network = network_id or make_config().network_id
    return cose.sign1(sign, cose.kid_of(root), network, "root", payload)[0]


def downlink(
    kind: int,
    to: bytes,
    body: list[Any],
    network_id: bytes,
    *,
    serial: int = 1,
    now: int = START_MS,
) -> bytes:
    payload = cbor.encode([16, kind, to, serial, now, body])
    kid = cose.kid_of(GATEWAY_PUBLIC)
    return cose.sign1(gateway_sign, kid, network_id, "gateway", payload)[0]


class BenchBoard(base.Board):
    """A board that knows no UTC; entropy repeats from run to run."""

    def __init__(self, world: World, files: base.Files, name: str = "device") -> None:
        self.world = world
        self.fs = files
        self.booted = world.now
        self.held: int | None = None
        self.draws = 0
        self.reading: Callable[[int], list[tuple[int, int, int, int | None, int]]] = weather
        self.connect: Callable[[], base.Stream] | None = None
        self._public, self._sign = keypair(name)

    def now_ms(self) -> int | None:
        return self.held

    def ticks(self) -> int:
        return self.world.now - self.booted

    async def sleep(self, duration_ms: int) -> None:
        await Wait(duration_ms, None)

    def spawn(self, coroutine: Any) -> None:
        self.world.spawn(coroutine)

    def event(self) -> base.Event:
        return BenchEvent(self.world)

    def entropy(self, size: int) -> bytes:
        self.draws += 1
        return shake_256(self._public + self.draws.to_bytes(4, "big")).digest(size)

    def public_key(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        return self._sign(message)

    async def sample(self) -> list[tuple[int, int, int, int | None, int]]:
        return self.reading(self.world.now)

    async def stream(self, host: str, port: int, tls: object | None) -> base.Stream:  # noqa: ARG002
        if self.connect is None:
            raise OSError("no route")
        return self.connect()

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> bool | None:
        """No radio."""

    async def radio_receive(self) -> tuple[int, int, int, int | None, int, bytes] | None:
        return None

    def feed(self) -> None:
        pass

    def restart(self, reason: str) -> None:
        raise AssertionError(reason)

    def info(self) -> tuple[int, int, int | None, int | None]:
        return 100_000, 1, None, -60


def weather(now: int) -> list[tuple[int, int, int, int | None, int]]:
    return [(0, 0, -2, 2000 + now // 60_000 % 100, 0), (1, 0, -1, None, 2)]


class TimeStream(base.Stream):
    """Answers GET /v1/time after latency_ms each way."""

    def __init__(
        self, world: World, answer: Callable[[bytes, int], bytes], latency_ms: int = 20
    ) -> None:
        self.world = world
        self.answer = answer
        self.latency_ms = latency_ms
        self.request = b""
        self.left: bytes | None = None

    async def write(self, data: bytes) -> None:
        self.request += data

    async def read(self, size: int) -> bytes:
        if self.left is None:
            await Wait(self.latency_ms, None)
            self.left = self.answer(self.request, self.world.now)
            await Wait(self.latency_ms, None)
        part, self.left = self.left[:size], self.left[size:]
        return part

    def close(self) -> None:
        pass


def http(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def nonce_of(request: bytes) -> bytes:
    text = request.split(b"nonce=")[1].split(b" ")[0]
    return base64.urlsafe_b64decode(text + b"==")


@dataclass
class Gateway:
    """Admits all that is signed, and answers with receipts; kept over the boots of a board."""

    network_id: bytes
    epoch_ms: int = START_MS
    registered: bool = False
    taken: dict[int, tuple[bytes, int, list[Any], bytes]] = field(default_factory=dict)
    covered: set[int] = field(default_factory=set)
    arrivals: list[int] = field(default_factory=list)
    forks: list[int] = field(default_factory=list)

    def time_answer(self, request: bytes, now: int) -> bytes:
        body = [nonce_of(request)]
        message = downlink(16, b"", body, self.network_id, now=self.epoch_ms + now)
        return http(cbor.encode([statement(), message]))

    def admit(self, message: bytes) -> bool:
        opened = cose.open1(message, self.network_id, "device")
        fields = cbor.decode(opened.payload)
        kind, seq, body = fields[1], fields[3], fields[7]
        self.arrivals.append(seq)
        if kind == wire.HELLO:
            self.registered = True
        if not self.registered:
            return False
        identity = sha256(opened.to_be_signed).digest()[:16]
        if seq in self.taken and self.taken[seq][0] != identity:
            self.forks.append(seq)
        self.taken[seq] = (identity, kind, fields, message)
        self.covered.add(seq)
        if kind == wire.GAP:
            self.covered.update(range(body[0], body[1] + 1))
        return True

    def receipt_body(self) -> list[Any]:
        up_to = 0
        while up_to + 1 in self.covered:
            up_to += 1
        heads = [seq for seq in self.taken if seq <= up_to]
        id16 = self.taken[max(heads)][0] if heads else bytes(16)
        ranges: list[list[int]] = []
        for seq in sorted(seq for seq in self.covered if seq > up_to):
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1][1] = seq
            else:
                ranges.append([seq, seq])
        return [up_to, id16, ranges[:32], [], self.epoch_ms]

    def fields(self, kind: int) -> list[list[Any]]:
        """Payloads of a kind, by seq."""
        return [self.taken[seq][2] for seq in sorted(self.taken) if self.taken[seq][1] == kind]

    def complete(self) -> bool:
        """Every seq up to the highest is delivered, no seq and no prev twice."""
        prevs = [
            payload[4]
            for _, kind, payload, _ in self.taken.values()
            if kind != wire.GAP or payload[7][3] != wire.GAP_CHAIN_LOST
        ]
        assert self.forks == []
        assert len(set(prevs)) == len(prevs)
        return self.receipt_body()[0] == max(self.taken)

    def kinds(self) -> list[int]:
        return [self.taken[seq][1] for seq in sorted(self.taken)]


class BenchLink(base.Link):
    """One boot's link. lose(seq count) -> True swallows a message on its way."""

    def __init__(self, world: World, gateway: Gateway, device: bytes) -> None:
        self.world = world
        self.gateway = gateway
        self.device = device
        self.online = True
        self.receipts = True
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.inbox: list[tuple[str, bytes]] = []
        self.arrived = BenchEvent(world)

    async def publish(self, message: bytes) -> bool:
        await Wait(5, None)
        if not self.online:
            return False
        if not self.lose(message) and self.gateway.admit(message) and self.receipts:
            self.send_receipt()
        return True

    def send_receipt(self) -> None:
        body = self.gateway.receipt_body()
        now = self.gateway.epoch_ms + self.world.now
        data = downlink(17, self.device, body, self.gateway.network_id, now=now)
        self.deliver("down/receipt", data)

    def deliver(self, tail: str, data: bytes) -> None:
        self.inbox.append((tail, data))
        self.arrived.set()

    async def receive(self) -> tuple[str, bytes]:
        while not self.inbox:
            self.arrived.clear()
            await self.arrived.wait(None)
        return self.inbox.pop(0)

    def state(self) -> str:
        return "up" if self.online else "down"


@dataclass
class Bench:
    """One station through its boots."""

    config: Config = field(default_factory=make_config)
    files: FaultyFiles = field(default_factory=FaultyFiles)
    world: World = field(default_factory=World)
    time_service: bool = True
    make_board: Callable[[World, base.Files], BenchBoard] = BenchBoard

    def __post_init__(self) -> None:
        self.gateway = Gateway(self.config.network_id)
        chain.create(self.files)
        self.files.calls = 0

    def boot(self) -> Node:
        """Start the node; what an earlier boot had in RAM is gone."""
        now = self.world.now
        self.world.clear()
        self.board = self.make_board(self.world, self.files)
        self.board.booted = now
        if self.time_service:
            self.board.connect = lambda: TimeStream(self.world, self.gateway.time_answer)
        device = cose.kid_of(self.board.public_key())
        self.link = BenchLink(self.world, self.gateway, device)
        self.node = Node(self.board, self.link, self.config)
        self.world.spawn(self.node.run())
        return self.node

    def run(self, duration_ms: int) -> None:
        self.world.run(self.world.now + duration_ms)

    def stored(self) -> dict[int, bytes]:
        """seq -> message of everything in the outbox's files."""
        found = {}
        for name in self.files.names("outbox/"):
            data = self.files.read(name) or b""
            for record in segment.scan(data)[0]:
                found[record.seq] = record.message(data)
        return found
