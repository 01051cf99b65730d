"""HostBoard.stream with TLS: the certificate is checked, and what fails is an OSError."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cairn import limits
from cairn.boards.base import Stream
from cairn.boards.host import HostBoard, HostStream, MemoryFiles

from tests.unit.firmware import conformance
from tests.unit.firmware.certificates import Authority, make_authority

NAME = "localhost"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def measure() -> list[tuple[int, int, int, int | None, int]]:
    return []


def make_board() -> HostBoard:
    return HostBoard(MemoryFiles(), measure, lambda _: None)


@pytest.fixture
def authority(require_component, tmp_path: Path) -> Authority:
    return make_authority(require_component("openssl"), tmp_path / "one")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
        if data == b"bye":
            break


async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await writer.drain()


@asynccontextmanager
async def peer(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Port of a server that ends with every one of its connections."""
    connections: list[tuple[asyncio.StreamWriter, asyncio.Event]] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = asyncio.Event()
        connections.append((writer, done))
        with suppress(OSError):
            await handler(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.set()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        for writer, done in connections:
            writer.transport.abort()
            await done.wait()


class Tls(HostBoard):
    """A board whose streams are TLS whatever is asked for."""

    ca: bytes

    async def stream(self, host: str, port: int, tls: object | None) -> Stream:  # noqa: ARG002
        return await super().stream(NAME, port, self.ca)


def serving(
    authority: Authority | None,
    name: str,
    use: Callable[[int], Awaitable[None]],
    handler: Handler = echo,
) -> None:
    """Run use(port) beside a server, with a certificate for name if there is an authority."""
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(name))

    async def run() -> None:
        async with peer(handler, context) as port:
            await use(port)

    asyncio.run(run())


@pytest.mark.parametrize("form", ["pem", "der"])
@pytest.mark.parametrize("case", conformance.STREAMS)
def test_stream(case, form: str, authority: Authority) -> None:
    async def use(port: int) -> None:
        board = Tls(MemoryFiles(), measure, lambda _: None)
        board.ca = authority.der() if form == "der" else authority.certificate.read_bytes()
        await case(board, NAME, port)

    serving(authority, NAME, use)


def test_a_server_of_another_authority_is_refused(
    authority: Authority, require_component, tmp_path: Path
) -> None:
    other = make_authority(require_component("openssl"), tmp_path / "other")

    async def use(port: int) -> None:
        with pytest.raises(OSError, match=r"TLS.*certificate verify failed"):
            await make_board().stream(NAME, port, other.certificate.read_bytes())

    serving(authority, NAME, use)


def test_a_server_of_another_name_is_refused(authority: Authority) -> None:
    async def use(port: int) -> None:
        with pytest.raises(OSError, match=r"TLS.*[Hh]ostname mismatch"):
            await make_board().stream(NAME, port, authority.certificate.read_bytes())

    serving(authority, "other.test", use)


def test_a_server_without_tls_is_refused(authority: Authority) -> None:
    async def use(port: int) -> None:
        with pytest.raises(OSError, match=r"."):
            await make_board().stream(NAME, port, authority.certificate.read_bytes())

    serving(None, NAME, use)


@pytest.mark.parametrize(
    "ca", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAA", "text", b"\xff"]
)
def test_a_damaged_ca_is_an_os_error(ca: object) -> None:
    with pytest.raises(OSError, match="TLS: the CA certificate"):
        asyncio.run(make_board().stream(NAME, 1, ca))


def test_an_interpreter_without_tls_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssl", None)
    with pytest.raises(OSError, match="no module ssl"):
        asyncio.run(make_board().stream(NAME, 1, b"ca"))


def test_a_value_error_of_the_handshake_is_an_os_error() -> None:
    """MicroPython's ssl checks the certificate at the first write or read, and raises that."""

    class Handshake:
        def write(self, data: bytes) -> None:  # noqa: ARG002
            raise ValueError("The certificate is not correctly signed by the trusted CA")

        async def read(self, size: int) -> bytes:  # noqa: ARG002
            raise ValueError("The certificate is not correctly signed by the trusted CA")

        def close(self) -> None:
            pass

    async def run() -> None:
        stream = HostStream(Handshake(), Handshake())  # type: ignore[arg-type]
        with pytest.raises(OSError, match="TLS: The certificate"):
            await stream.write(b"x")
        with pytest.raises(OSError, match="TLS: The certificate"):
            await stream.read(1)
        stream.close()

    asyncio.run(run())


def test_a_host_that_answers_nothing_is_given_up(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAM_TIMEOUT_MS", 50)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            with pytest.raises(OSError, match="in time"):
                await make_board().stream(NAME, port, authority.certificate.read_bytes())

    asyncio.run(run())


@pytest.mark.parametrize("tls", [False, True])
def test_close_ends_a_read_even_of_a_dead_peer(authority: Authority, tls: bool) -> None:  # noqa: FBT001
    async def use(port: int) -> None:
        board = make_board()
        stream = await board.stream(NAME, port, authority.der() if tls else None)
        ended = board.event()

        async def read() -> None:
            with suppress(OSError):
                assert await stream.read(1) == b""
            ended.set()

        board.spawn(read())
        await board.sleep(0)
        stream.close()
        stream.close()
        assert await ended.wait(5_000)

    serving(authority if tls else None, NAME, use, ignore)


def test_small_writes_leave_at_once() -> None:
    async def use(port: int) -> None:
        stream = await make_board().stream(NAME, port, None)
        assert isinstance(stream, HostStream)
        connected = stream._writer.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        stream.close()

    serving(None, NAME, use)
