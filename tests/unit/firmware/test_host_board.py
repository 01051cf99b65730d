import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from cairn import chain, identity
from cairn.boards.base import Files
from cairn.boards.host import DirectoryFiles, HostBoard, MemoryFiles
from cairn.node import Node

from tests.unit.firmware import conformance
from tests.unit.firmware.bench import BenchBoard, BenchLink, Gateway, make_config
from tests.unit.firmware.bench_world import FaultyFiles, World


async def measure() -> list[tuple[int, int, int, int | None, int]]:
    return [(0, 0, -2, 2150, 0), (1, 0, -1, None, 2)]


def make_board(files: Files | None = None, reasons: list[str] | None = None) -> HostBoard:
    kept = [] if reasons is None else reasons
    return HostBoard(files or MemoryFiles(), measure, kept.append)


@pytest.fixture(params=["memory", "directory", "faulty"])
def make_files(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Files]:
    makers: dict[str, Callable[[], Files]] = {
        "memory": MemoryFiles,
        "directory": lambda: DirectoryFiles(str(tmp_path / "board")),
        "faulty": FaultyFiles,
    }
    return makers[request.param]


@pytest.mark.parametrize("case", conformance.FILES)
def test_files(case, make_files: Callable[[], Files]) -> None:
    case(make_files)


@pytest.mark.parametrize("case", conformance.EVENTS + conformance.BOARDS)
def test_board(case) -> None:
    reasons: list[str] = []

    async def run() -> None:
        await case(make_board(reasons=reasons))

    asyncio.run(run())
    assert reasons == []


@pytest.mark.parametrize("case", conformance.STREAMS)
def test_stream(case) -> None:
    ended = asyncio.Event()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
            if data == b"bye":
                break
        writer.close()
        await writer.wait_closed()
        ended.set()

    async def run() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            await case(make_board(), "127.0.0.1", server.sockets[0].getsockname()[1])
            await ended.wait()
        await asyncio.sleep(0)

    asyncio.run(run())


@pytest.mark.parametrize("case", conformance.EVENTS + conformance.BOARDS)
def test_the_benchs_board(case) -> None:
    world = World()
    board = BenchBoard(world, MemoryFiles())
    done: list[bool] = []
    board.held = 1_700_000_000_000

    async def run() -> None:
        await case(board)
        done.append(True)

    world.spawn(run())
    world.run(60_000)
    assert done == [True]


@pytest.mark.parametrize("case", conformance.LINKS)
def test_the_benchs_link(case) -> None:
    world = World()
    board = BenchBoard(world, MemoryFiles())
    link = BenchLink(world, Gateway(b"network!"), b"d" * 16)
    far: list[bytes] = []
    link.lose = lambda message: far.append(message) or True  # type: ignore[func-returns-value]
    done: list[bool] = []

    async def run() -> None:
        await case(board, link, far, link.deliver)
        done.append(True)

    world.spawn(run())
    world.run(60_000)
    assert done == [True]


def test_nobody_listening_is_an_os_error() -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match=r"."):
            await make_board().stream("127.0.0.1", port, None)
        with pytest.raises(OSError, match="TLS"):
            await make_board().stream("127.0.0.1", port, b"certificate")

    asyncio.run(run())


def test_failing_task_restarts_the_board() -> None:
    reasons: list[str] = []

    async def fail() -> None:
        raise OSError(28, "no space")

    async def never() -> None:
        await asyncio.sleep(3600)

    async def run() -> None:
        board = make_board(reasons=reasons)
        board.spawn(never())
        board.spawn(fail())
        while not reasons:
            await board.sleep(1)

    asyncio.run(run())
    assert len(reasons) == 1
    assert "no space" in reasons[0]


def test_files_of_a_directory_outlive_the_object(tmp_path: Path) -> None:
    first = make_board(DirectoryFiles(str(tmp_path)))
    key = first.public_key()
    first.fs.append("outbox/00000001", b"x")
    again = make_board(DirectoryFiles(str(tmp_path)))
    assert again.public_key() == key
    assert again.fs.names("") == [chain.FILE, identity.FILE, "outbox/00000001"]


def test_half_written_replacement_is_not_seen(tmp_path: Path) -> None:
    files = DirectoryFiles(str(tmp_path))
    files.write("chain", b"old")
    (tmp_path / "chain.new").write_bytes(b"torn")
    assert files.read("chain") == b"old"
    assert files.names("") == ["chain"]
    files.write("chain", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["chain"]


def test_a_node_signs_on_a_real_clock() -> None:
    """The whole node on asyncio and the firmware's own signer, one message."""

    async def run() -> None:
        board = make_board()
        world = World()
        gateway = Gateway(make_config().network_id)
        seen = board.event()

        class Link(BenchLink):
            async def publish(self, message: bytes) -> bool:
                gateway.admit(message)
                seen.set()
                return True

            async def receive(self) -> tuple[str, bytes]:
                await board.event().wait(None)
                raise AssertionError

        node = Node(board, Link(world, gateway, b""), make_config(time_host=None))
        now = (1_700_000_000_000, 1, 0)
        board.spawn(node.run())
        await board.sleep(0)
        hello = [board.public_key(), "test", [[0, 0, 1000]], [0, 0, 0], bytes(32), 1, None]
        assert node.write(0, hello, now)
        assert await seen.wait(20_000)
        assert list(gateway.taken) == [1]
        board.stop()
        await asyncio.sleep(0)

    asyncio.run(run())
