"""The operator's own MQTT connection, on which slots begin (protocol section 7, driven clock).

A client of four packets, apart from the firmware's: it logs in, publishes `control/tick` at QoS 1
and says the newest tick again whenever it had to connect anew. It does not know who listens.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import cbor2

from simulator.wire import TcpStream, Wire
from simulator.world import Group

CONNACK, PUBACK = 0x20, 0x40
RETRY_MS = 100
# The fleet is silent for as long as it takes to run a slot or to wait for a gateway.
KEEPALIVE_S = 1_200


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker listens; authority: the certificate that vouches for it, None: no TLS."""

    host: str
    port: int
    authority: bytes | None = None


class Control:
    """login() -> (client id and user name, password), asked for every attempt.

    refused: the return code of the newest CONNACK that was no welcome, else None. failure: why the
    newest attempt came to nothing.
    """

    def __init__(
        self, wire: Wire, address: Address, topic: str, login: Callable[[], tuple[str, str]]
    ) -> None:
        self.up = False
        self.connections = 0
        self.refused: int | None = None
        self.failure = ""
        self.acknowledged = -1
        self._wire = wire
        self._address = address
        self._topic = topic.encode()
        self._login = login
        self._stream: TcpStream | None = None
        self._slot = -1
        self._packet_id = 0
        self._sent: dict[int, int] = {}
        self.group = Group("operator")

    def start(self) -> None:
        self._wire.world.spawn(self._run(), self.group)

    def stop(self) -> None:
        """Disconnect."""
        self.group.kill()
        if self._stream is not None:
            self._stream.close()
        self.up = False

    def tick(self, slot: int) -> None:
        """Let a slot begin, as soon as there is a connection; the same slot may be said again."""
        self._slot = slot
        if self.up:
            self._wire.world.spawn(self._say(), self.group)

    async def _run(self) -> None:
        while True:
            stream = self._stream = TcpStream(self._wire)
            try:
                await self._connect(stream)
                await self._listen(stream)
            except OSError as error:
                self.failure = error.strerror or str(error)
            self.up = False
            stream.close()
            await self._wire.sleep(RETRY_MS)

    async def _connect(self, stream: TcpStream) -> None:
        address = self._address
        await stream.connect(address.host, address.port, address.authority)
        user, password = self._login()
        body = _text(b"MQTT") + struct.pack("!BBH", 4, 0xC2, KEEPALIVE_S)
        body += _text(user.encode()) * 2 + _text(password.encode())
        await stream.write(_packet(0x10, body))
        kind, answer = await _read_packet(stream)
        if kind != CONNACK or len(answer) != 2:
            raise OSError("it does not speak MQTT")
        if answer[1]:
            self.refused = answer[1]
            raise OSError(f"it refuses the operator's login with code {answer[1]}")
        self.refused = None
        self.up = True
        self.connections += 1
        self._sent.clear()
        if self._slot >= 0:
            await self._say()

    async def _say(self) -> None:
        assert self._stream is not None
        self._packet_id = self._packet_id % 0xFFFF + 1
        self._sent[self._packet_id] = self._slot
        body = _text(self._topic) + struct.pack("!H", self._packet_id)
        try:
            await self._stream.write(_packet(0x32, body + cbor2.dumps([self._slot])))
        except OSError:
            return  # the reading task sees it too, and connects again

    async def _listen(self, stream: TcpStream) -> None:
        while True:
            kind, body = await _read_packet(stream)
            if kind == PUBACK and len(body) == 2:
                slot = self._sent.pop(int.from_bytes(body, "big"), -1)
                self.acknowledged = max(self.acknowledged, slot)


def _text(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _packet(first: int, body: bytes) -> bytes:
    head, size = bytearray([first]), len(body)
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + body


async def _read_packet(stream: TcpStream) -> tuple[int, bytes]:
    """(kind, body) of the next packet; OSError at the end of the connection."""
    first = await _exactly(stream, 1)
    size = shift = 0
    while True:
        byte = (await _exactly(stream, 1))[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
        if shift > 21:
            raise OSError("it does not speak MQTT")
    return first[0] & 0xF0, await _exactly(stream, size)


async def _exactly(stream: TcpStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.read(size - len(data))
        if not part:
            raise OSError("the connection was closed")
        data += part
    return data
