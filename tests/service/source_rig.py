"""One gateway behind either source: our endpoint, or Debian's Mosquitto with our configuration."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.core.ids import device_id, device_name
from gateway.core.login import login_password
from gateway.shell.broker import BrokerOptions, BrokerSource
from gateway.shell.endpoint import Endpoint, EndpointOptions
from gateway.shell.live import LiveEvent, Watcher
from gateway.shell.mosquitto import broker_password, broker_secret
from gateway.shell.network import NetworkKeys
from tests.service.children import MosquittoChild
from tests.service.ingest_rig import PATIENCE_S, Rig, ingesting
from tests.service.paho_station import PahoStation
from tests.service.signing_station import SigningStation

ENDPOINT, MOSQUITTO = "endpoint", "mosquitto"
SOURCES = (ENDPOINT, MOSQUITTO)


class Site:
    """A network, perhaps with a broker that outlives its gateways."""

    def __init__(self, kind: str, keys: NetworkKeys, folder: Path, names: Sequence[str]) -> None:
        self.kind = kind
        self.keys = keys
        self._port = 0
        self.broker: MosquittoChild | None = None
        if kind == MOSQUITTO:
            self.broker = MosquittoChild(keys.folder, folder / "broker", list(names))
            self.broker.start()

    @property
    def url(self) -> str:
        return self.broker.url if self.broker else f"mqtt://127.0.0.1:{self._port}"

    def client(self, station: SigningStation) -> PahoStation:
        """A paho client for a station; with a password that this kind takes."""
        password = None
        if self.broker:
            secret = broker_secret(self.keys.folder / "keys")
            password = broker_password(secret, device_name(station.device))
        return PahoStation(station, self.keys.network_id, self.url, password=password)

    def tick(self, slot_cbor: bytes) -> None:
        """Publish a control tick as the operator."""
        user, password = self._operator()
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=user)
        client.username_pw_set(user, password)
        client.connect("127.0.0.1", int(self.url.rpartition(":")[2]))
        client.loop_start()
        topic = f"cairn/1/{self.keys.network_id.hex()}/control/tick"
        client.publish(topic, slot_cbor, qos=1).wait_for_publish(PATIENCE_S)
        client.disconnect()
        client.loop_stop()

    def _operator(self) -> tuple[str, str]:
        if self.broker:
            secret = broker_secret(self.keys.folder / "keys")
            return "operator", broker_password(secret, "operator")
        key = self.keys.operator
        public = bytes(key.verify_key)
        self._counter = getattr(self, "_counter", 0) + 1
        password = login_password(
            lambda data: key.sign(data).signature,
            public,
            self.keys.network_id,
            self._counter,
            hashlib.sha256(str(self._counter).encode()).digest()[:8],
        )
        return device_name(device_id(public)), password

    @asynccontextmanager
    async def gateway(self, **options: Any) -> AsyncIterator["Served"]:
        """A gateway that serves until the end of the block, then stops in order."""
        async with ingesting(self.keys, **options) as rig:
            source = self._source(rig)
            rig.ingest.attach(source)
            await source.start()
            served = Served(rig, source)
            try:
                if isinstance(source, Endpoint):
                    self._port = source.port
                else:
                    await served.until(lambda: source.state().up)
                yield served
            finally:
                await source.stop_reading()
                await rig.ingest.stop()
                await source.stop()

    def _source(self, rig: Rig) -> Endpoint | BrokerSource:
        network_id = self.keys.network_id
        if self.broker is None:
            options = EndpointOptions(port=self._port)
            return Endpoint(rig.ingest, network_id, lambda _: b"", options)
        secret = broker_secret(self.keys.folder / "keys")
        password = broker_password(secret, "gateway")
        return BrokerSource(
            rig.ingest, network_id, BrokerOptions(self.broker.url, "gateway", password)
        )

    def close(self) -> None:
        if self.broker:
            self.broker.stop()


class Served:
    """A running gateway with its source, and everything that it has judged."""

    def __init__(self, rig: Rig, source: Endpoint | BrokerSource) -> None:
        self.rig = rig
        self.source = source
        self.events: list[LiveEvent] = []
        self._watcher: Watcher = rig.live.watch()

    async def judged(self, count: int) -> list[LiveEvent]:
        """The first `count` judgements; waits for them."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.events) < count:
                self.events += await self._watcher.next(PATIENCE_S)
        return self.events

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that nothing announces."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - a broker's state has no event
                await asyncio.sleep(0.02)
