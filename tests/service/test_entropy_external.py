"""What is mixed into the entropy from outside: fetched in time, or done without."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gateway.shell.entropy_timer import Drand, EntropyTimer
from gateway.shell.metrics import Metrics
from gateway.shell.network import NetworkKeys
from tests.service.entropy_rig import link_of
from tests.service.ingest_rig import FixedClock, ingesting, run

ROUND = bytes(range(32))
GOOD = json.dumps({"round": 7, "randomness": ROUND.hex(), "signature": "00"}).encode()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


class Server:
    """An HTTP server on this machine. hold: answers wait while it is clear."""

    def __init__(self, status: int, body: bytes) -> None:
        self.asked = 0
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.hold.wait(20)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/public/latest"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(status: int = 200, body: bytes = GOOD) -> Iterator[Server]:
    server = Server(status, body)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def failures(metrics: Metrics) -> str:
    (line,) = [
        line
        for line in metrics.render().decode().splitlines()
        if line.startswith("cairn_entropy_external_failed_total")
    ]
    return line.rpartition(" ")[2]


def fetched(url: str, **limits: float) -> tuple[bytes, str]:
    """What came, and how many failures were counted."""
    metrics = Metrics()
    found: list[bytes] = []

    async def test() -> None:
        drand = Drand(url, metrics, **limits)
        found.append(await drand())
        await drand.stop()

    run(test)
    return found[0], failures(metrics)


def test_the_newest_round_is_taken():
    with serving() as server:
        assert fetched(server.url) == (ROUND, "0.0")
        assert server.asked == 1


@pytest.mark.parametrize(
    "status, body",
    [
        (500, GOOD),
        (200, b"no json"),
        (200, b"[]"),
        (200, b"\xff\xfe"),
        (200, json.dumps({"randomness": "0011"}).encode()),
        (200, json.dumps({"randomness": "xy" * 32}).encode()),
        (200, json.dumps({"randomness": 7}).encode()),
        (200, json.dumps({"randomness": ROUND.hex(), "more": "x" * 70_000}).encode()),
        (200, b"[" * 60_000),
        (301, GOOD),
    ],
)
def test_what_is_no_round_is_a_counted_failure(status: int, body: bytes):
    with serving(status, body) as server:
        assert fetched(server.url) == (b"", "1.0")


def test_an_address_where_nobody_answers_is_a_failure():
    assert fetched("http://127.0.0.1:9/") == (b"", "1.0")


def test_an_answer_that_does_not_come_is_not_waited_for(caplog: pytest.LogCaptureFixture):
    with serving() as server:
        server.hold.clear()
        assert fetched(server.url, wait_s=0.05) == (b"", "1.0")
    assert "entropy_external_slow" in caplog.text


def test_a_fetch_gives_up():
    with serving() as server:
        server.hold.clear()
        assert fetched(server.url, wait_s=10, fetch_s=0.05) == (b"", "1.0")


def test_a_round_is_mixed_into_the_link_and_a_slot_without_one_goes_on(keys: NetworkKeys):
    async def test() -> None:
        clock = FixedClock()
        metrics = Metrics()
        with serving() as server:
            async with ingesting(keys, clock) as rig:
                drand = Drand(server.url, metrics, wait_s=10)
                timer = EntropyTimer(rig.ingest, clock, lambda: True, drand)
                running = asyncio.create_task(timer.run())
                await rig.source.until(lambda: rig.source.downlinks("entropy"))
                running.cancel()
                server.stop()
                clock.ms += 60_000
                running = asyncio.create_task(timer.run())
                await rig.source.until(lambda: len(rig.source.downlinks("entropy")) == 2)
                running.cancel()
                first, second = rig.source.downlinks("entropy")
                assert link_of([first])[2] == ROUND
                assert link_of([second])[2] == b""
                await drand.stop()

    run(test)
