"""A real Mosquitto, and a board with the firmware's MqttLink before it."""

import asyncio
import getpass
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cairn.boards.base import Stream
from cairn.boards.host import HostBoard, MemoryFiles
from cairn.login import Login
from cairn.mqttlink import MqttLink

from tests.unit.firmware.bench import make_config

HOST = "localhost"
STARTS = 5
WAIT_MS = 20_000
POLL_MS = 5


@dataclass
class Mosquitto:
    """One broker program. port: stays the same over restarts."""

    program: str
    folder: Path
    tls: tuple[Path, Path] | None = None
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Return when it listens; a port that somebody took meanwhile is left to him."""
        fixed = self.port
        for _ in range(STARTS):
            self.port = fixed or _free_port()
            if self._listens():
                return
        raise AssertionError("mosquitto does not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _listens(self) -> bool:
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true"]
        lines += ["max_queued_messages 0", "log_type notice", "log_type error"]
        # Started as root it would give its rights up, and then not read its key.
        lines += ["log_type information", "log_dest stderr", f"user {getpass.getuser()}"]
        if self.tls is not None:
            lines += [f"certfile {self.tls[0]}", f"keyfile {self.tls[1]}"]
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        # Its log goes to a file: nobody reads a pipe while the test runs.
        log = self.folder / "mosquitto.log"
        with log.open("w") as writes:
            self.process = subprocess.Popen(
                [self.program, "-c", str(config)], stderr=writes, text=True
            )
        while self.process.poll() is None:
            if "running" in log.read_text():
                return True
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def mosquitto(program: str, tls: tuple[Path, Path] | None = None) -> Iterator[Mosquitto]:
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(program, Path(folder), tls)
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


async def measure() -> list[tuple[int, int, int, int | None, int]]:
    return [(0, 0, -2, 2150, 0), (1, 0, -1, None, 2)]


class Station:
    """A HostBoard and its link, on a loop that runs. gate: no connection is made while it is
    down; asked: with which CA each was asked for.
    """

    def __init__(
        self, port: int, ca: bytes | None = None, network_id: bytes | None = None
    ) -> None:
        self.restarts: list[str] = []
        self.config = make_config(broker_host=HOST, broker_port=port, broker_ca=ca, time_host=None)
        self.board = HostBoard(MemoryFiles(), measure, self.restarts.append)
        network_id = self.config.network_id = network_id or self.config.network_id
        self.login = Login(self.board.fs, self.board.sign, self.board.public_key(), network_id)
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[object] = []
        self._connect = self.board.stream
        self.board.stream = self._stream  # type: ignore[method-assign]
        self.link = MqttLink(self.board, self.config, self.login)
        self.base = f"cairn/1/{network_id.hex()}/"
        self.own = self.base + self.login.device_name

    async def _stream(self, host: str, port: int, tls: object | None) -> Stream:
        self.asked.append(tls)
        await self.gate.wait()
        return await self._connect(host, port, tls)

    async def start(self) -> None:
        self.board.spawn(self.link.run())
        await self.until("up")

    async def until(self, state: str) -> None:
        await self.reach(lambda: self.link.state() == state)

    async def reach(self, done) -> None:
        """Wait for a condition that another process brings about."""
        began = self.board.ticks()
        while not done():
            assert self.board.ticks() - began < WAIT_MS, (self.link.last_fault, self.restarts)
            await self.board.sleep(POLL_MS)

    async def stop(self) -> None:
        """End its tasks, and let their connections go."""
        self.board.stop()
        for _ in range(5):
            await self.board.sleep(0)
        assert self.restarts == []
