"""What stands around a board of the runner: a real Mosquitto, a time service, a small gateway.

The gateway is the bench's (tests/unit/firmware/bench.py), moved behind real sockets: paho on the
broker, and HTTP for the time.
"""

import queue
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cairn import config, cose, segment, wire
from cairn.boards.host import MemoryFiles
from cairn.identity import device_name
from paho.mqtt.enums import CallbackAPIVersion

from simulator.micropython.host import START_MS, Happening, Runner, read_application
from tests.service.mqtt_link_rig import HOST, Mosquitto, mosquitto
from tests.unit.firmware.bench import Gateway, downlink, make_config

FIRMWARE = Path(__file__).parents[2] / "firmware"
SECONDS_MAX = 20.0
POLL_S = 0.01
MINUTE_MS = 60_000
SAMPLES = [[0, 0, -2, 2153, 0], [1, 0, -1, None, 2]]

# What station.run starts, without its safe mode: for boots that end badly by the dozen.
BARE_STATION = """
from cairn import config
from cairn.login import Login
from cairn.mqttlink import MqttLink
from cairn.node import Node
async def run(board):
    settings = config.load(board.fs, board.report)
    login = Login(board.fs, board.sign, board.public_key(), settings.network_id)
    link = MqttLink(board, settings, login)
    board.spawn(link.run())
    await Node(board, link, settings).run()
"""


def config_files(**changes: Any) -> dict[str, bytes]:
    """The flash of a board that was provisioned and never booted."""
    files = MemoryFiles()
    config.store(files, make_config(**changes))
    return {name: files.read(name) or b"" for name in files.names("")}


class TimeServer(socketserver.ThreadingTCPServer):
    """GET /v1/time, answered by `answer(request)`; closes after each."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.asked = 0
        super().__init__(("127.0.0.1", 0), _TimeRequest)
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _TimeRequest(socketserver.BaseRequestHandler):
    server: TimeServer

    def handle(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            part = self.request.recv(1_024)
            if not part:
                return
            request += part
        self.server.asked += 1
        self.request.sendall(self.server.answer(request))


MakeRunner = Callable[..., Runner]


class Echo(socketserver.ThreadingTCPServer):
    """Sends back what comes, and ends after b"bye"."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _EchoRequest)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _EchoRequest(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4_096):
            self.request.sendall(data)
            if data == b"bye":
                return


def texts(happened: list[Happening]) -> list[str]:
    return [one.values["text"] for one in happened if one.kind == "print"]


def kinds(happened: list[Happening]) -> list[tuple[str, int]]:
    return [(one.kind, one.at_ms - START_MS) for one in happened if one.kind != "print"]


def run_program(runner: Runner, program: str, length_ms: int, **options: Any) -> list[Happening]:
    runner.add(0, program=program, **options)
    runner.boot()
    runner.run_for(length_ms)
    return runner.happenings()


class Town:
    """One broker and one gateway for one board, number 0 of `runner`."""

    def __init__(self, runner: Runner, broker: Mosquitto, ca: Path | None = None) -> None:
        self.runner = runner
        self.broker = broker
        self.network_id = make_config().network_id
        self.gateway = Gateway(self.network_id, epoch_ms=0)
        self.receipts = True
        self.happened: list[Happening] = []
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.time = TimeServer(self.answer_time)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "gateway")
        self._client.on_message = lambda _c, _d, m: self._came(m.topic, bytes(m.payload))
        self._client.on_connect = lambda client, *_: client.subscribe(self.topic("+/up"), 1)
        self._subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        if ca is not None:
            self._client.tls_set(str(ca))
        self._client.connect(HOST, broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(SECONDS_MAX)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self.time.stop()

    def files(self, **changes: Any) -> dict[str, bytes]:
        values = {"broker_host": HOST, "broker_port": self.broker.port}
        values |= {"time_host": HOST, "time_port": self.time.port}
        return config_files(**(values | changes))

    def topic(self, tail: str) -> str:
        return f"cairn/1/{self.network_id.hex()}/{tail}"

    def answer_time(self, request: bytes) -> bytes:
        return self.gateway.time_answer(request, self.runner.now_ms())

    def _came(self, topic: str, data: bytes) -> None:
        self.messages.put((topic, data))
        if self.gateway.admit(data) and self.receipts:
            self.send_receipt(topic)

    def send_receipt(self, topic: str) -> None:
        name = topic.split("/")[3]
        # On paho's own thread: it cannot wait for itself.
        self._client.publish(
            self.topic(f"{name}/down/receipt"), self.receipt(self.device(name)), 1
        )

    def receipt(self, device: bytes, **changes: Any) -> bytes:
        body = self.gateway.receipt_body()
        return downlink(17, device, body, self.network_id, now=self.runner.now_ms(), **changes)

    def device(self, name: str) -> bytes:
        """The id behind a name, from a message that it sent."""
        for _, _, _, message in self.gateway.taken.values():
            kid = cose.open1(message, self.network_id, "device").kid
            if device_name(kid) == name:
                return kid
        raise AssertionError(f"{name} sent nothing")

    def down(self, name: str, tail: str, data: bytes) -> None:
        whole = self.topic(tail) if tail.startswith("all/") else self.topic(f"{name}/{tail}")
        self._client.publish(whole, data, 1).wait_for_publish(SECONDS_MAX)

    # What a test waits for.

    def look(self) -> list[Happening]:
        """Everything that happened so far."""
        self.happened += self.runner.happenings()
        return self.happened

    def reports(self) -> list[str]:
        """Codes of what the board reported, in order."""
        return [one.values["code"] for one in self.look() if one.kind == "report"]

    def reach(self, done: Callable[[], bool], step_ms: int = 5_000, steps: int = 600) -> None:
        """Let virtual time go on, with real time for the sockets, until done."""
        for _ in range(steps):
            if done():
                return
            self.runner.run_for(step_ms, hold_ms=10)
            time.sleep(POLL_S)
        raise AssertionError(f"not reached; {self.reports()} {self.look()[-8:]}")

    def delivered(self, count: int) -> Callable[[], bool]:
        """Whether so many readings messages came."""
        return lambda: self.gateway.kinds().count(wire.READINGS) >= count


def stored(files: dict[str, bytes]) -> dict[int, bytes]:
    """seq -> message of everything in the outbox of a flash."""
    found = {}
    for name in sorted(files):
        if name.startswith("outbox/") and not name.endswith(".new"):
            for record in segment.scan(files[name])[0]:
                found[record.seq] = record.message(files[name])
    return found


@contextmanager
def town(
    program: str, node_modules: Path, tls: tuple[Path, Path] | None = None, ca: Path | None = None
) -> Iterator[Town]:
    """A runner with the firmware's sources, a broker and a gateway; no board yet."""
    with (
        mosquitto(program, tls) as broker,
        Runner(read_application(FIRMWARE), node_modules) as runner,
    ):
        place = Town(runner, broker, ca)
        try:
            yield place
        finally:
            place.close()
