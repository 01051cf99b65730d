"""The MQTT client on both interpreters: `results(cases)` must give the same on each.

Codec and logins for the cases, then MqttLink through a script of connections, with every packet
that it wrote. Runs in the MicroPython subset, beside a package cairn that can be imported.
"""

import asyncio
from binascii import hexlify, unhexlify

from cairn import cbor, config, mqtt
from cairn.boards.host import HostEvent, MemoryFiles
from cairn.ed25519 import Signer
from cairn.login import Login
from cairn.mqttlink import MqttLink

BODY_MAX = 300
STEPS_MAX = 2_000


def _parsed(data: bytes, size: int) -> list:
    """What the parser finds in data that comes in pieces of size; last a code if refused."""
    parser = mqtt.Parser(BODY_MAX)
    found = []
    try:
        for at in range(0, len(data), size):
            parser.feed(data[at : at + size])
            packet = parser.next()
            while packet is not None:
                found.append(
                    [
                        hexlify(part).decode() if isinstance(part, bytes) else part
                        for part in packet
                    ]
                )
                packet = parser.next()
    except mqtt.MqttError as error:
        found.append(error.code)
    return found


def _written(case: dict) -> list:
    topic, payload = unhexlify(case["topic"]), unhexlify(case["payload"])
    packet_id = case["packet_id"]
    publish = mqtt.publish(topic, payload, packet_id)
    packets = [
        mqtt.connect(topic, topic, payload, packet_id),
        publish,
        mqtt.again(publish),
        mqtt.puback(packet_id),
        mqtt.subscribe(packet_id, [(topic, 1), (payload, 0)]),
    ]
    return [hexlify(packet).decode() for packet in packets]


def _logins(case: dict) -> tuple:
    signer = Signer(unhexlify(case["seed"]))
    files = MemoryFiles()
    network_id = unhexlify(case["network_id"])
    passwords = []
    for boot in range(2):
        login = Login(
            files, lambda message: signer.sign(message, b"", b""), signer.public_key, network_id
        )
        passwords.append(login.password(unhexlify(case["nonce"])))
        if not boot:
            login.refused()
            passwords.append(login.password(unhexlify(case["nonce"])))
    passwords.append(hexlify(files.read("login")).decode())
    return login.device_name, passwords


class Broker:
    """One end in memory; packets: everything that the link wrote, over all connections."""

    def __init__(self) -> None:
        self.packets = []
        self.acknowledges = True
        self.connack = 0
        self.stream = None

    def take(self, packet: bytes) -> None:
        self.packets.append(hexlify(packet).decode())
        kind = packet[0] >> 4
        at = 2 if packet[1] < 128 else 3
        if kind == 1:
            self.stream.push(bytes([0x20, 2, 0, self.connack]))
        elif kind == 8:
            self.stream.push(b"\x90\x04" + packet[at : at + 2] + b"\x01\x00")
        elif kind == 3 and self.acknowledges:
            at += 2 + packet[at + 1]
            self.stream.push(b"\x40\x02" + packet[at : at + 2])


class MemoryStream:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.inbound = b""
        self.outbound = b""
        self.open = True
        self.arrived = HostEvent()

    async def read(self, size: int) -> bytes:
        while self.open and not self.inbound:
            self.arrived.clear()
            await self.arrived.wait(None)
        part, self.inbound = self.inbound[:size], self.inbound[size:]
        return part

    async def write(self, data: bytes) -> None:
        if not self.open:
            raise OSError("closed")
        self.outbound += data
        while len(self.outbound) > 1:
            # The script writes nothing longer than two bytes of length can say.
            low, at = self.outbound[1], 2
            if low > 127:
                low, at = (low & 127) | self.outbound[2] << 7, 3
            packet, self.outbound = self.outbound[: at + low], self.outbound[at + low :]
            self.broker.take(packet)

    def close(self) -> None:
        self.open = False
        self.arrived.set()

    def push(self, data: bytes) -> None:
        self.inbound += data
        self.arrived.set()


class LinkBoard:
    """What a link asks of its board. Time stands; a wait between connections ends with `go`."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.go = HostEvent()
        self.waits = False
        self.draws = 0
        self.tasks = []
        self.failures = []

    async def stream(self, *_: object) -> MemoryStream:
        self.broker.stream = MemoryStream(self.broker)
        return self.broker.stream

    def event(self) -> HostEvent:
        return HostEvent()

    def spawn(self, coroutine: object) -> None:
        self.tasks.append(asyncio.create_task(self._watched(coroutine)))

    async def _watched(self, coroutine: object) -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            self.failures.append(repr(error))

    def ticks(self) -> int:
        return 0

    async def sleep(self, _: int) -> None:
        self.waits = True
        await self.go.wait(None)
        self.go.clear()
        self.waits = False

    def entropy(self, size: int) -> bytes:
        self.draws += 1
        return bytes([self.draws]) * size


class Script:
    """Drives one link; `told` is what it says of itself on the way."""

    def __init__(self) -> None:
        signer = Signer(b"m" * 32)
        genesis = cbor.encode([1, "mqtt", signer.public_key, 0, bytes(32), 0])
        settings = config.Config(
            genesis=genesis,
            quantities=[(0, 0, 1_000)],
            sample_interval_ms=1_000,
            samples_per_message=1,
            status_interval_ms=60_000,
            scoring_cell=(1 << 59) | (9 << 52),
            place_commitment=bytes(32),
            broker_host="broker.test",
        )
        self.broker = Broker()
        self.board = LinkBoard(self.broker)
        login = Login(
            MemoryFiles(),
            lambda message: signer.sign(message, b"", b""),
            signer.public_key,
            settings.network_id,
        )
        self.link = MqttLink(self.board, settings, login)
        base = "cairn/1/" + hexlify(settings.network_id).decode() + "/"
        self.base, self.own = base.encode(), (base + login.device_name + "/").encode()
        self.told = []

    async def until(self, condition: object) -> None:
        for _ in range(STEPS_MAX):
            if condition():
                return
            await asyncio.sleep(0)
        told = (self.link.state(), self.link.connects, self.link.last_fault, self.board.failures)
        raise AssertionError("the script is stuck: " + repr(told))

    async def retry(self) -> None:
        """Let the link try again after it gave a connection up."""
        await self.until(lambda: self.board.waits)
        self.board.go.set()

    async def up(self, connects: int) -> None:
        await self.until(lambda: self.link.state() == "up" and self.link.connects == connects)

    def nothing_in_flight(self) -> bool:
        return self.link._flight.oldest_ticks() is None

    async def down(self, topic: bytes, data: bytes, packet_id: int) -> None:
        for byte in mqtt.publish(topic, data, packet_id):
            self.broker.stream.push(bytes([byte]))
            await asyncio.sleep(0)

    async def run(self) -> None:
        link, broker = self.link, self.broker
        self.told.append([link.state(), await link.publish(b"too early")])
        self.board.spawn(link.run())
        await self.up(1)
        for number in range(20):
            # MicroPython has no await inside a comprehension.
            self.told.append(await link.publish(b"m%d" % number * 70))
        await self.until(self.nothing_in_flight)
        broker.acknowledges = False
        self.told.append([await link.publish(b"in flight"), await link.publish(b"this too")])
        await self.until(lambda: hexlify(b"this too").decode() in broker.packets[-1])
        broker.stream.close()
        broker.acknowledges = True
        await self.retry()
        await self.up(2)
        # Their answers must not fall between the single bytes that follow.
        await self.until(self.nothing_in_flight)
        await self.down(self.own + b"down/receipt", b"r" * 400, 7)
        await self.down(self.base + b"all/tick", b"tick", 0)
        await self.down(self.base + b"all/other", b"", 0)
        await self.down(self.own + b"down/receipt", b"r" * 513, 8)
        await self.down(self.own + b"down/receipt", b"", 9)
        for _ in range(2):
            tail, data = await link.receive()
            self.told.append([tail, hexlify(data).decode()])
        broker.connack = 5
        broker.stream.push(b"\x60\x02\x00\x01")
        await self.retry()
        await self.until(lambda: link.last_fault.startswith("refused"))
        broker.connack = 0
        await self.retry()
        await self.up(3)
        self.told.append([link.coalesced, link.unknown, link.oversize, link.last_fault])
        for task in self.board.tasks:
            task.cancel()
        await asyncio.sleep(0)


async def results(cases: dict) -> dict:
    script = Script()
    await script.run()
    return {
        "parsed": [_parsed(unhexlify(data), size) for data, size in cases["streams"]],
        "written": [_written(case) for case in cases["packets"]],
        "logins": [_logins(case) for case in cases["logins"]],
        "link": script.broker.packets,
        "told": script.told,
        "failures": script.board.failures,
    }
