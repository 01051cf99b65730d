from typing import Any

import pytest
from cairn import cbor
from cairn.boards.host import MemoryFiles
from cairn.keyring import Keyring
from cairn.timesync import fetch_time, http_body
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import (
    ROOT_PUBLIC,
    START_MS,
    BenchBoard,
    TimeStream,
    downlink,
    gateway_sign,
    http,
    keypair,
    make_config,
    nonce_of,
    statement,
)
from tests.unit.firmware.bench_world import World

CONFIG = make_config()
DEVICE = b"d" * 16
OTHER_PUBLIC, other_sign = keypair("other")


class Sync:
    """One board that asks for the time; answer(request, now) is what comes back."""

    def __init__(self, files: MemoryFiles | None = None) -> None:
        self.world = World()
        self.board = BenchBoard(self.world, files or MemoryFiles())
        self.keyring = Keyring(self.board, CONFIG.network_id, ROOT_PUBLIC)
        self.result: Any = None
        self.latency_ms = 20

    def fetch(self, answer: Any) -> Any:
        self.board.connect = lambda: TimeStream(self.world, answer, self.latency_ms)

        async def run() -> None:
            self.result = await fetch_time(self.board, self.keyring, DEVICE, "gateway.test", 80)

        self.world.spawn(run())
        self.world.run(self.world.now + 60_000)
        return self.result


def answer(
    *,
    keys: bytes | None = None,
    kind: int = 16,
    to: bytes = b"",
    nonce: bytes | None = None,
    serial: int = 1,
    now: int = START_MS,
) -> Any:
    def respond(request: bytes, at: int) -> bytes:
        assert request.startswith(b"GET /v1/time?nonce=")
        body = [nonce or nonce_of(request)]
        message = downlink(kind, to, body, CONFIG.network_id, serial=serial, now=now)
        return http(cbor.encode([keys or statement(), message]))

    return respond


def test_time_comes_with_half_the_round_trip() -> None:
    sync = Sync()
    sync.latency_ms = 21
    # Stated after 21 ms, arrived after 42: half the round trip is the best guess and the bound.
    assert sync.fetch(answer()) == (START_MS + 21, 42, 21)
    assert sync.keyring.serial == 1


def test_nonce_is_the_urls_base64() -> None:
    seen: list[bytes] = []

    def respond(request: bytes, now: int) -> bytes:
        seen.append(request)
        return answer()(request, now)

    sync = Sync()
    sync.fetch(respond)
    value = seen[0].split(b"nonce=")[1].split(b" ")[0]
    assert len(value) == 22
    assert not set(value) & set(b"+/=")


@pytest.mark.parametrize(
    "make,code",
    [
        (lambda: answer(nonce=b"n" * 16), "nonce"),
        (lambda: answer(to=b"x" * 16), "kind"),
        (lambda: answer(kind=21), "slot"),
        (lambda: answer(serial=2), "serial"),
        (lambda: answer(keys=statement(serial=0), serial=0, now=START_MS), None),
        (lambda: answer(keys=statement(role="operator")), "role"),
        (lambda: answer(keys=statement(public_key=OTHER_PUBLIC)), "serial"),
        (lambda: answer(keys=statement(sign=other_sign)), "root_signature"),
        (lambda: answer(keys=statement(root=OTHER_PUBLIC, sign=other_sign)), "root_kid"),
        (lambda: answer(keys=statement(sign=gateway_sign)), "root_signature"),
        (lambda: answer(keys=statement(first=START_MS + 1)), "validity"),
        (lambda: answer(keys=statement(last=START_MS)), "validity"),
        (lambda: answer(keys=statement(last=1 << 53)), "not_after"),
        (lambda: answer(keys=statement(serial=1 << 53), serial=1 << 53), "serial"),
        (lambda: answer(now=1 << 53), "time_ms"),
        (lambda: answer(keys=b"nonsense"), "not_sign1"),
        (lambda: lambda *_: http(b"nonsense"), "truncated"),
        (lambda: lambda *_: http(cbor.encode([b"", b""])), "not_sign1"),
        (lambda: lambda *_: http(cbor.encode([1])), "fields"),
        (lambda: lambda *_: http(b"", "503 Busy"), "http"),
        (lambda: lambda *_: b"", "http"),
        (lambda: lambda *_: b"HTTP/1.1 200 OK\r\n\r\n" + bytes(9000), "http"),
    ],
)
def test_refusals(make: Any, code: str | None) -> None:
    result = Sync().fetch(make())
    if code is None:
        assert result == (START_MS + 20, 40, 20)
    else:
        assert result == code


def test_flipped_signature_of_the_time_message() -> None:
    def respond(request: bytes, now: int) -> bytes:
        message = downlink(16, b"", [nonce_of(request)], CONFIG.network_id)
        return http(cbor.encode([statement(), message[:-1] + bytes([message[-1] ^ 1])]))

    assert Sync().fetch(respond) == "signature"


def test_serial_never_falls_even_over_a_restart() -> None:
    files = MemoryFiles()
    assert Sync(files).fetch(answer(keys=statement(serial=5), serial=5)) == (START_MS + 20, 40, 20)
    again = Sync(files)
    assert again.keyring.serial == 5
    assert again.fetch(answer(keys=statement(serial=4), serial=4)) == "serial"
    other = statement(serial=5, public_key=OTHER_PUBLIC)
    assert again.fetch(answer(keys=other, serial=5)) == "serial"
    assert again.fetch(answer(keys=statement(serial=6), serial=6)) == (START_MS + 20, 120_040, 20)


def test_no_route() -> None:
    sync = Sync()

    async def run() -> None:
        sync.result = await fetch_time(sync.board, sync.keyring, DEVICE, "gateway.test", 80)

    sync.world.spawn(run())
    sync.world.run(10)
    assert sync.result == "unreachable"


def test_silent_server_is_given_up() -> None:
    class Silent(TimeStream):
        def __init__(self, world: World) -> None:
            super().__init__(world, lambda *_: b"")
            self.closed = BenchBoard(world, MemoryFiles()).event()

        async def read(self, size: int) -> bytes:  # noqa: ARG002
            await self.closed.wait(None)
            raise OSError("closed")

        def close(self) -> None:
            self.closed.set()

    sync = Sync()
    sync.board.connect = lambda: Silent(sync.world)

    async def run() -> None:
        sync.result = await fetch_time(sync.board, sync.keyring, DEVICE, "gateway.test", 80)

    sync.world.spawn(run())
    sync.world.run(30_000)
    assert sync.result == "broken"


def test_answer_in_small_pieces() -> None:
    class Dripping(TimeStream):
        async def read(self, size: int) -> bytes:
            return await super().read(min(size, 7))

    sync = Sync()
    respond = answer()

    async def run() -> None:
        sync.board.connect = lambda: Dripping(sync.world, respond)
        sync.result = await fetch_time(sync.board, sync.keyring, DEVICE, "gateway.test", 80)

    sync.world.spawn(run())
    sync.world.run(60_000)
    assert sync.result[0] >= START_MS


@pytest.mark.parametrize(
    "data,body",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-LENGTH:  2 \r\n\r\nabc", b"ab"),
        (b"HTTP/1.0 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\nabc", None),
        (b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nabc", None),
        (b"SMTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", None),
        (b"\r\n\r\n", None),
    ],
)
def test_http_body(data: bytes, body: bytes | None) -> None:
    assert http_body(data) == body


@given(st.binary(max_size=200), st.integers(0, 60), st.integers(0, 255))
def test_http_body_survives_noise(data: bytes, place: int, byte: int) -> None:
    http_body(data)
    mutated = bytearray(http(data))
    mutated[place % len(mutated)] = byte
    http_body(bytes(mutated))
