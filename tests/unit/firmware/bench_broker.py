"""An MQTT broker for one client, in memory and by script: the far end for tests of MqttLink.

It reads what the client writes with a decoder of its own, and answers unless told not to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from cairn import mqtt
from cairn.boards import base
from cairn.boards.host import MemoryFiles
from cairn.login import Login
from cairn.mqttlink import MqttLink

from tests.unit.firmware.bench import BenchBoard, make_config
from tests.unit.firmware.bench_world import BenchEvent, World

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14


class Packet(NamedTuple):
    kind: int
    flags: int
    body: bytes


class Published(NamedTuple):
    topic: str
    payload: bytes
    packet_id: int
    dup: bool


def split_packets(data: bytearray) -> list[Packet]:
    """Take every whole packet out of data."""
    packets = []
    while len(data) >= 2:
        length, used = 0, 1
        while True:
            length |= (data[used] & 127) << (7 * (used - 1))
            used += 1
            if data[used - 1] < 128:
                break
            if used == len(data):
                return packets
        if len(data) < used + length:
            break
        packets.append(Packet(data[0] >> 4, data[0] & 15, bytes(data[used : used + length])))
        del data[: used + length]
    return packets


def fields(body: bytes) -> list[bytes]:
    """What stands in body as strings of two bytes of length."""
    found = []
    while body:
        size = int.from_bytes(body[:2], "big")
        found.append(body[2 : 2 + size])
        body = body[2 + size :]
    return found


def published(packet: Packet) -> Published:
    size = int.from_bytes(packet.body[:2], "big")
    topic, rest = packet.body[2 : 2 + size], packet.body[2 + size :]
    assert packet.flags & 6 == 2, "the link publishes with QoS 1"
    packet_id = int.from_bytes(rest[:2], "big")
    return Published(topic.decode(), rest[2:], packet_id, packet.flags & 8 != 0)


class BrokerStream(base.Stream):
    """The client's end of one connection."""

    def __init__(self, broker: "ScriptedBroker") -> None:
        self.broker = broker
        self.inbound = bytearray()
        self.outbound = bytearray()
        self.arrived = BenchEvent(broker.world)
        self.open = True

    async def read(self, size: int) -> bytes:
        while self.open and not self.inbound:
            self.arrived.clear()
            await self.arrived.wait(None)
        if not self.inbound:
            return b""
        part = bytes(self.inbound[: min(size, self.broker.read_size)])
        del self.inbound[: len(part)]
        return part

    async def write(self, data: bytes) -> None:
        while self.open and self.broker.stuck:
            self.arrived.clear()
            await self.arrived.wait(None)
        if not self.open:
            raise OSError("closed")
        self.outbound += data
        for packet in split_packets(self.outbound):
            self.broker.take(self, packet)

    def close(self) -> None:
        self.open = False
        self.arrived.set()

    def push(self, data: bytes) -> None:
        self.inbound += data
        self.arrived.set()


@dataclass
class ScriptedBroker:
    """answers: the kinds that it answers. reachable: whether it takes connections; stuck: whether
    writes to it hang. read_size: how many bytes one read of the client brings at most.
    """

    world: World
    answers: set[int] = field(default_factory=lambda: {CONNECT, SUBSCRIBE, PUBLISH, PINGREQ})
    reachable: bool = True
    stuck: bool = False
    read_size: int = 1 << 20
    connack: int = 0
    suback: bytes = b"\x01\x00"
    streams: list[BrokerStream] = field(default_factory=list)
    connected_at: list[int] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    publishes: list[Published] = field(default_factory=list)
    on_publish: Callable[[Published], None] = lambda _: None

    def connect(self) -> base.Stream:
        self.attempts.append(self.world.now)
        if not self.reachable:
            raise OSError("nobody listens")
        self.streams.append(BrokerStream(self))
        return self.streams[-1]

    def take(self, stream: BrokerStream, packet: Packet) -> None:
        self.packets.append(packet)
        packet_id = packet.body[:2]
        if packet.kind == PUBLISH:
            one = published(packet)
            self.publishes.append(one)
            packet_id = one.packet_id.to_bytes(2, "big")
        if packet.kind not in self.answers:
            return
        if packet.kind == CONNECT:
            self.connected_at.append(self.world.now)
            stream.push(bytes([0x20, 2, 0, self.connack]))
        elif packet.kind == SUBSCRIBE:
            stream.push(bytes([0x90, 4]) + packet_id + self.suback)
        elif packet.kind == PUBLISH:
            stream.push(b"\x40\x02" + packet_id)
            self.on_publish(one)
        elif packet.kind == PINGREQ:
            stream.push(b"\xd0\x00")

    def send(self, data: bytes) -> None:
        self.streams[-1].push(data)

    def drop(self) -> None:
        self.streams[-1].close()

    def kinds(self) -> list[int]:
        return [packet.kind for packet in self.packets]

    def of(self, kind: int) -> list[Packet]:
        return [packet for packet in self.packets if packet.kind == kind]


class LinkBench:
    """A MqttLink and its broker in virtual time."""

    def __init__(self, files: base.Files | None = None, **config: object) -> None:
        self.world = World()
        self.broker = ScriptedBroker(self.world)
        self.board = BenchBoard(self.world, files or MemoryFiles())
        self.board.connect = self.broker.connect
        self.config = make_config(broker_host="broker.test", **config)
        self.login = Login(
            self.board.fs, self.board.sign, self.board.public_key(), self.config.network_id
        )
        self.link = MqttLink(self.board, self.config, self.login)
        self.base = f"cairn/1/{self.config.network_id.hex()}/"
        self.results: list[bool] = []
        self.got: list[tuple[str, bytes]] = []

    def start(self) -> "LinkBench":
        self.world.spawn(self.link.run())
        self.run(1)
        return self

    def run(self, duration_ms: int) -> None:
        self.world.run(self.world.now + duration_ms)

    def publish(self, *messages: bytes) -> None:
        async def each() -> None:
            for message in messages:
                self.results.append(await self.link.publish(message))

        self.world.spawn(each())
        self.run(1)

    def receive(self, count: int) -> list[tuple[str, bytes]]:
        """What the link gives; fewer than count if it waits."""
        got: list[tuple[str, bytes]] = []

        async def each() -> None:
            for _ in range(count):
                got.append(await self.link.receive())  # noqa: PERF401 - the last may never come

        self.world.spawn(each())
        self.run(1)
        return got

    def topic(self, tail: str) -> bytes:
        own = "" if tail.startswith("all/") else self.login.device_name + "/"
        return (self.base + own + tail).encode()

    def send(self, tail: str, data: bytes, packet_id: int = 0) -> None:
        self.broker.send(mqtt.publish(self.topic(tail), data, packet_id))
        self.run(1)
