"""A whole station on MicroPython: Node on a HostBoard, with a small gateway behind its link.

Started as a script by micropython.mjs, in real time. Two boots on the same files, the first with
an outage in it; then it writes as JSON what the gateway took and what the node counted.
"""

import asyncio
import json
import os
import sys
from binascii import a2b_base64, hexlify
from hashlib import sha256

sys.path.insert(0, "/lib")

from cairn import cbor, config, cose, identity, wire
from cairn.boards import asyncio_base as host_board
from cairn.boards.base import Link, Stream
from cairn.boards.host import HostBoard, HostEvent, MemoryFiles
from cairn.ed25519 import Signer
from cairn.ed25519_verify import verify
from cairn.errors import OperatorError
from cairn.node import Node

BOOTS_S = (8, 4)
OUTAGE_S = (3, 5)
EPOCH_MS = 20_000 * 86_400_000 + 3_600_000


class _Os:
    """This port has no os.urandom; nothing here needs a secret that lasts."""

    def __init__(self) -> None:
        self.draws = 0

    def urandom(self, size: int) -> bytes:
        drawn = b""
        while len(drawn) < size:
            self.draws += 1
            drawn += sha256(b"station %d" % self.draws).digest()
        return drawn[:size]

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


host_board.os = _Os()


class Gateway:
    """Takes what is signed, answers with receipts and with the time."""

    def __init__(self) -> None:
        self.root = Signer(b"r" * 32)
        self.key = Signer(b"g" * 32)
        genesis = cbor.encode([1, "micropython", self.root.public_key, 0, bytes(32), 0])
        self.config = config.Config(
            genesis=genesis,
            quantities=[(0, 0, 1_000), (1, 0, 1_000)],
            sample_interval_ms=1_000,
            samples_per_message=2,
            status_interval_ms=60_000,
            scoring_cell=(1 << 59) | (9 << 52),
            place_commitment=bytes(32),
            owner=bytes(20),
            time_host="gateway.test",
            store_every_ms=0,
        )
        self.network_id = self.config.network_id
        self.messages = {}
        self.covered = set()
        self.online = True
        self.inbox = []

    def admit(self, message: bytes) -> None:
        opened = cose.open1(message, self.network_id, "device")
        fields = cbor.decode(opened.payload)
        if fields[1] == wire.HELLO:
            assert verify(fields[7][0], opened.to_be_signed, opened.signature)
        self.messages[fields[3]] = (sha256(opened.to_be_signed).digest()[:16], message)
        self.covered.add(fields[3])
        if fields[1] == wire.GAP:
            self.covered.update(range(fields[7][0], fields[7][1] + 1))
        up_to = 0
        while up_to + 1 in self.covered:
            up_to += 1
        named = max([seq for seq in self.messages if seq <= up_to] + [0])
        id16 = self.messages[named][0] if named else bytes(16)
        body = [up_to, id16, [], [], EPOCH_MS]
        self.inbox.append(("down/receipt", self._signed(17, opened.kid, body, EPOCH_MS)))

    def hostile(self, device: bytes) -> list:
        """Downlinks that must be refused, each for another reason."""
        good = self._signed(17, device, [0, bytes(16), [], [], 0], EPOCH_MS)
        return [
            b"",
            good[:-1],
            good + bytes(512),
            self._signed(17, device, [0], EPOCH_MS),
            self._signed(17, device, [1 << 53, bytes(16), [], [], 0], EPOCH_MS),
            self._signed(21, b"", [1], EPOCH_MS),
        ]

    def time_answer(self, nonce: bytes, now: int) -> bytes:
        terms = [16, "gateway", self.key.public_key, 1, 0, 1 << 50]
        statement = self._cose(self.root, "root", terms)
        message = self._signed(16, b"", [nonce], EPOCH_MS + now)
        body = cbor.encode([statement, message])
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def _signed(self, kind: int, to: bytes, body: list, time_ms: int) -> bytes:
        return self._cose(self.key, "gateway", [16, kind, to, 1, time_ms, body])

    def _cose(self, signer: Signer, role: str, payload: list) -> bytes:
        kid = cose.kid_of(signer.public_key)
        return cose.sign1(
            lambda message: signer.sign(message, b"", b""),
            kid,
            self.network_id,
            role,
            cbor.encode(payload),
        )[0]


class ScriptedLink(Link):
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.arrived = HostEvent()

    async def publish(self, message: bytes) -> bool:
        await asyncio.sleep(0)
        if self.gateway.online:
            self.gateway.admit(message)
            self.arrived.set()
        return self.gateway.online

    async def receive(self) -> tuple:
        while not self.gateway.inbox:
            self.arrived.clear()
            await self.arrived.wait(None)
        return self.gateway.inbox.pop(0)

    def state(self) -> str:
        return "up" if self.gateway.online else "down"


class TimeStream(Stream):
    def __init__(self, gateway: Gateway, board: HostBoard) -> None:
        self.gateway = gateway
        self.board = board
        self.answer = b""

    async def write(self, data: bytes) -> None:
        nonce = data.split(b"nonce=")[1].split(b" ")[0].replace(b"-", b"+").replace(b"_", b"/")
        self.answer = self.gateway.time_answer(a2b_base64(nonce + b"=="), self.board.ticks())

    async def read(self, size: int) -> bytes:
        part, self.answer = self.answer[:size], self.answer[size:]
        return part

    def close(self) -> None:
        pass


class Station(HostBoard):
    """A HostBoard whose only host is the gateway's time service."""

    gateway = Gateway()

    async def stream(self, host: str, port: int, tls: object) -> Stream:
        assert (host, port, tls) == ("gateway.test", 80, None)
        return TimeStream(self.gateway, self)


async def samples() -> list:
    return [(0, 0, -2, 2153, 0), (1, 0, -1, None, 2)]


async def boot(files: MemoryFiles, length_s: int, outage_s: tuple) -> Node:
    restarts = []
    board = Station(files, samples, restarts.append)
    node = Node(board, ScriptedLink(Station.gateway), Station.gateway.config)
    board.spawn(node.run())
    for data in Station.gateway.hostile(cose.kid_of(board.public_key())):
        Station.gateway.inbox.append(("down/receipt", data))
    for second in range(length_s):
        Station.gateway.online = not outage_s[0] <= second < outage_s[1]
        await board.sleep(1_000)
    board.stop()
    assert restarts == [], restarts
    return node


def operator_faults() -> list:
    """Codes of faults that the owner of a board is to read."""
    empty, damaged = MemoryFiles(), MemoryFiles()
    damaged.write("config", b"damaged")
    damaged.write("identity", bytes(64))
    codes = []
    for call in (
        lambda: config.load(empty),
        lambda: config.load(damaged),
        lambda: identity.open_identity(damaged, host_board.os.urandom, int, b""),
        lambda: identity.open_identity(empty, bytes, int, b""),
    ):
        try:
            call()
        except OperatorError as error:
            codes.append(error.code)
    return codes


async def main() -> dict:
    files = MemoryFiles()
    first = await boot(files, BOOTS_S[0], OUTAGE_S)
    second = await boot(files, BOOTS_S[1], (0, 0))
    return {
        "network_id": hexlify(Station.gateway.network_id).decode(),
        "messages": [hexlify(m[1]).decode() for m in Station.gateway.messages.values()],
        "up_to": max(Station.gateway.covered),
        "covered": len(Station.gateway.covered),
        "refusals": [[node.downlinks_refused, node.last_refusal] for node in (first, second)],
        "operator_faults": operator_faults(),
        "files": files.names(""),
    }


sys.stdout.write(json.dumps(await main()))  # noqa: F704, PLE1142 - the runner awaits it
