"""The world around the one board of `cairn bench heap`: a broker, a time service and a gateway
that signs, in a few hundred lines, so that nothing but the board's heap is measured.
"""

import socketserver
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, ClassVar

from cairn import cbor, config, cose, wire
from cairn.boards.host import MemoryFiles
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

HOST = "127.0.0.1"
DAY_MS = 86_400_000
SLOT_MS = 60_000
SLOTS_A_DAY = 1_440
# An evening: what is committed by now counts from midnight on.
START_MS = 20_776 * DAY_MS + 84_600_000
_CELL = (1 << 59) | (9 << 52) | (0b111 << 3)
_TIME, _RECEIPT, _ENTROPY_COMMIT = 16, 17, 19
_RANGES_MAX = 32

Sign = Callable[[bytes], bytes]


def _keypair(name: str) -> tuple[bytes, Sign]:
    public, secret = crypto_sign_seed_keypair(sha256(name.encode()).digest())
    return public, lambda message: crypto_sign(message, secret)[:64]


class HeapTown:
    """now_ms: the board's world time. kinds: how often each kind of message came."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._root, self._root_sign = _keypair("root")
        self._gateway, self._sign = _keypair("gateway")
        self._genesis = cbor.encode([1, "heap", self._root, START_MS - DAY_MS, bytes(32), 0])
        self.network_id = sha256(self._genesis).digest()[:8]
        self._prefix = f"cairn/1/{self.network_id.hex()}/"
        self._taken: dict[int, bytes] = {}
        self._gaps: set[int] = set()
        self.kinds: dict[int, int] = {}
        self._chains: dict[int, list[bytes]] = {}
        self._client: _Client | None = None
        self._device = b""
        self._name = ""
        self._broker = _serve(_Client, self)
        self._time = _serve(_Question, self)

    def close(self) -> None:
        """End its two servers."""
        for server in (self._broker, self._time):
            server.shutdown()
            server.server_close()

    def flash(self) -> dict[str, bytes]:
        """The files of a board that was provisioned for this town."""
        files = MemoryFiles()
        settings = config.Config(
            genesis=self._genesis,
            quantities=[(0, 0, 30_000), (1, 0, 30_000), (2, 0, 30_000)],
            sample_interval_ms=30_000,
            samples_per_message=2,
            status_interval_ms=600_000,
            scoring_cell=_CELL,
            place_commitment=bytes(32),
            owner=bytes(range(20)),
            time_host=HOST,
            time_port=self._time.server_address[1],
            broker_host=HOST,
            broker_port=self._broker.server_address[1],
            region=1,
            beacon_every=2,
        )
        config.store(files, settings)
        return {name: files.read(name) or b"" for name in files.names("")}

    def frame(self, slot: int) -> bytes:
        """A beacon of some neighbour."""
        return b"\x01" + self.network_id[:3] + sha256(b"%d" % slot).digest()[:16]

    def begin_slot(self) -> None:
        """Tell the board the slot's entropy, and once a day the end of its chain."""
        slot = self._now_ms() // SLOT_MS
        for day in (slot // SLOTS_A_DAY, slot // SLOTS_A_DAY + 1):
            if day not in self._chains:
                body = [self._chain(day)[-1], day * SLOTS_A_DAY, SLOTS_A_DAY]
                self._send(
                    f"all/entropy-commit/{day & 1}", self._signed(_ENTROPY_COMMIT, b"", body)
                )
        value = self._chain(slot // SLOTS_A_DAY)[-2 - slot % SLOTS_A_DAY]
        self._send("all/entropy", cbor.encode([slot, value, b""]))

    def _chain(self, day: int) -> list[bytes]:
        """Links from the last slot's to the first's, and the end."""
        if day not in self._chains:
            links = [sha256(b"%d" % day).digest()]
            for _ in range(SLOTS_A_DAY):
                links.append(sha256(links[-1]).digest())
            self._chains[day] = links
        return self._chains[day]

    def _signed(self, kind: int, to: bytes, body: list[Any]) -> bytes:
        payload = cbor.encode([16, kind, to, 1, self._now_ms(), body])
        kid = cose.kid_of(self._gateway)
        return cose.sign1(self._sign, kid, self.network_id, "gateway", payload)[0]

    def _send(self, tail: str, data: bytes) -> None:
        if self._client is not None:
            self._client.publish((self._prefix + tail).encode(), data)

    # What comes from the board.

    def time_answer(self, request: bytes) -> bytes:
        """The answer to GET /v1/time."""
        nonce = urlsafe_b64decode(request.split(b"nonce=")[1].split(b" ")[0] + b"==")
        statement = cbor.encode([16, "gateway", self._gateway, 1, 0, 1 << 50])
        kid = cose.kid_of(self._root)
        signed = cose.sign1(self._root_sign, kid, self.network_id, "root", statement)[0]
        body = cbor.encode([signed, self._signed(_TIME, b"", [nonce])])
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def connected(self, client: "_Client") -> None:
        """A board is there."""
        self._client = client

    def take(self, topic: str, message: bytes) -> None:
        """A message of the board, which gets a receipt."""
        opened = cose.open1(message, self.network_id, "device")
        fields: Any = cbor.decode(opened.payload)
        kind, seq = fields[1], fields[3]
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self._taken[seq] = sha256(opened.to_be_signed).digest()[:16]
        if kind == wire.GAP:
            self._gaps |= set(range(fields[7][0], fields[7][1] + 1))
        self._device, self._name = opened.kid, topic.split("/")[3]
        receipt = self._signed(_RECEIPT, self._device, self._receipt())
        self._send(f"{self._name}/down/receipt", receipt)

    def _receipt(self) -> list[Any]:
        covered = self._gaps | set(self._taken)
        up_to = 0
        while up_to + 1 in covered:
            up_to += 1
        newest = max((seq for seq in self._taken if seq <= up_to), default=0)
        ranges: list[list[int]] = []
        for seq in sorted(seq for seq in covered if seq > up_to):
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1][1] = seq
            else:
                ranges.append([seq, seq])
        id16 = self._taken.get(newest, bytes(16))
        return [up_to, id16, ranges[:_RANGES_MAX], [], self._now_ms()]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    town: HeapTown


def _serve(handler: type[socketserver.BaseRequestHandler], town: HeapTown) -> _Server:
    server = _Server((HOST, 0), handler)
    server.town = town
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


class _Question(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            line = self.rfile.readline()
            if not line:
                return
            request += line
        self.wfile.write(self.server.town.time_answer(request))


class _Client(socketserver.StreamRequestHandler):
    """MQTT 3.1.1 as far as one board needs it."""

    server: _Server
    _ANSWERS: ClassVar = {1: b"\x20\x02\x00\x00", 12: b"\xd0\x00"}

    def handle(self) -> None:
        self._lock = threading.Lock()
        while head := self.rfile.read(1):
            kind, data = head[0] >> 4, self.rfile.read(self._length())
            if kind in self._ANSWERS:
                self._write(self._ANSWERS[kind])
            elif kind == 8:
                self._write(b"\x90\x04" + data[:2] + b"\x01\x00")
                self.server.town.connected(self)
            elif kind == 3:
                size = 2 + int.from_bytes(data[:2], "big")
                self._write(b"\x40\x02" + data[size : size + 2])
                self.server.town.take(data[2:size].decode(), data[size + 2 :])

    def publish(self, topic: bytes, data: bytes) -> None:
        """Send with QoS 0."""
        body = len(topic).to_bytes(2, "big") + topic + data
        length, rest = b"", len(body)
        while rest > 127:
            length += bytes([rest & 127 | 128])
            rest >>= 7
        self._write(b"\x30" + length + bytes([rest]) + body)

    def _length(self) -> int:
        value = shift = 0
        while True:
            byte = self.rfile.read(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _write(self, data: bytes) -> None:
        with self._lock:
            self.wfile.write(data)
