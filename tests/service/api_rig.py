"""The API over a real gateway: real worker, real store, real uvicorn on a free port."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from gateway.core.admission import Arrival
from gateway.core.downlink import Downlink
from gateway.core.registry import Policy
from gateway.core.rules import Rules
from gateway.core.verdicts import Verdict
from gateway.shell.api.app import create_app
from gateway.shell.api.deps import ApiDeps
from gateway.shell.api.server import ApiServer
from gateway.shell.health import Check, Health
from gateway.shell.live import LiveEvent, LiveFeed
from gateway.shell.metrics import Metrics
from gateway.shell.network import DATABASE, NetworkKeys
from gateway.shell.onboarding import Onboarding, onboarding, reach
from gateway.shell.settings_fields import Settings
from gateway.shell.store.sqlite import SqliteStore
from gateway.shell.worker import Worker
from tests.service.gateway_rig import DUE, day_of, network, open_gateway
from tests.service.signing_station import CELL, SigningStation

API_KEY = "5a" * 32
FAR_CELL = 0x891F1D4D297FFFF
HEALTHY = Health(live=True, ready=True, checks=(Check("store", ok=True, detail="answers"),))
CALL_SECONDS_MAX = 60
# Nothing listens there; boards are only told of it.
MQTT_PORT = 18_830


class HandClock:
    """Protocol time as a test sets it."""

    def __init__(self) -> None:
        self.ms: int | None = None

    def now_ms(self) -> int | None:
        return self.ms


class LiveApi:
    """A gateway with its API, on an event loop in a thread of its own."""

    def __init__(self, keys: NetworkKeys, policy: Policy = Policy.OPEN) -> None:
        self.keys = keys
        self.clock = HandClock()
        self.feed: LiveFeed
        self.health = HEALTHY
        self.metrics = Metrics()
        self.app: FastAPI
        self.server: ApiServer
        self.worker = Worker()
        self.told: list[Downlink] = []
        self._policy = policy
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api under test")

    def start(self) -> None:
        self._thread.start()
        self.run(self._start())

    def stop(self) -> None:
        try:
            self.run(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, coroutine):
        """Run a coroutine on the API's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_SECONDS_MAX)

    def call(self, fn: Callable[[], object]) -> object:
        """Run a function on the API's loop."""

        async def called() -> object:
            return fn()

        return self.run(called())

    def deliver(
        self, *messages: bytes, now_ms: int, publish: bool = True, topic: bytes | None = None
    ) -> list[Verdict]:
        """Hand messages to the gateway, as ingest does, and tell the feed. topic: the device in
        it, if that is looked at.
        """
        self.clock.ms = now_ms
        arrivals = [Arrival(topic, data) for data in messages]
        return self.run(self._deliver(arrivals, now_ms, publish=publish))

    def advance(self, now_ms: int) -> None:
        """Let protocol time be, and close what is due."""
        self.clock.ms = now_ms
        self.run(self.worker.call(lambda gateway: gateway.advance(now_ms)))

    def open_store(self) -> SqliteStore:
        return SqliteStore.reader(self.keys.folder / DATABASE, self.keys.network_id)

    def _opened_store(self) -> SqliteStore:
        # Looked up at each call: a test may put another one in its place.
        return self.open_store()

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30, **options)

    def _onboarding(self, rules: Rules) -> Onboarding:
        reached = reach(Settings(), mqtt_port=MQTT_PORT, http_port=self.server.port)
        return onboarding(Settings(), self.keys, reached, rules)

    async def _tell_release(self) -> None:
        """As ingest does it, to nobody."""
        self.told += await self.worker.call(lambda gateway: gateway.release_downlinks(None))

    async def _start(self) -> None:
        self.feed = LiveFeed()
        await self.worker.start(lambda: open_gateway(self.keys, self._policy))
        deps = ApiDeps(
            worker=self.worker,
            network=self.keys,
            open_store=self._opened_store,
            clock=self.clock,
            live=self.feed,
            metrics=self.metrics,
            health=lambda: self.health,
            api_key=API_KEY,
            onboarding=self._onboarding,
            tell_release=self._tell_release,
        )
        self.app = create_app(deps)
        self.server = ApiServer(self.app, self.feed, "127.0.0.1", 0)
        await self.server.start()

    async def _stop(self) -> None:
        await self.server.stop()
        await self.worker.stop()

    async def _deliver(
        self, arrivals: list[Arrival], now_ms: int, *, publish: bool
    ) -> list[Verdict]:
        def judge(gateway):
            judged = gateway.deliver(arrivals, now_ms)
            gateway.write_refusals()
            return judged

        judged = await self.worker.call(judge)
        if publish:
            self.feed.publish(
                [
                    LiveEvent(
                        one.position,
                        sender(arrival.data),
                        one.message_id,
                        one.kind,
                        one.verdict,
                        now_ms,
                    )
                    for arrival, one in zip(arrivals, judged, strict=True)
                ]
            )
        return [one.verdict for one in judged]


def sender(data: bytes) -> bytes:
    """The device in an envelope, as its topic would name it."""
    return data[8:24] if len(data) > 100 else b""


@contextmanager
def live_api(keys: NetworkKeys, policy: Policy = Policy.OPEN) -> Iterator[LiveApi]:
    api = LiveApi(keys, policy)
    api.start()
    try:
        yield api
    finally:
        api.stop()


class World:
    """Two stations, one closed day, and an hour of the next; some messages refused."""

    def __init__(self, folder: Path) -> None:
        self.keys = network(folder)
        self.near = SigningStation(1, self.keys.network_id, CELL)
        self.far = SigningStation(2, self.keys.network_id, FAR_CELL)

    def fill(self, api: LiveApi) -> None:
        messages = sorted([*day_of(self.near), *day_of(self.far, 600_000)], key=lambda one: one[0])
        for time_ms, data in messages:
            assert api.deliver(data, now_ms=time_ms + 1_000) == [Verdict.OK]
        assert api.deliver(b"\xff" * 40, now_ms=DUE - 2) != [Verdict.OK]
        api.advance(DUE)
