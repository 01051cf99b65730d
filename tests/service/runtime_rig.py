"""What tests of `cairn gateway run` share: a network, its gateway, and what both leave behind."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import cbor2
import httpx

from gateway.cli.gateway_child import LOG, GatewayChild
from gateway.core.cose import Role, open_envelope
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.shell.mosquitto import broker_password, broker_secret
from gateway.shell.network import DATABASE, NetworkKeys, create_network
from gateway.shell.store.sqlite import SqliteStore
from tests.service.children import MosquittoChild
from tests.service.paho_station import PahoStation
from tests.service.signing_station import SigningStation

SECONDS_MAX = 60


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def real_network(folder: Path) -> NetworkKeys:
    """A real network that began today: no epoch is due."""
    return create_network(
        folder, "test", simulated=False, epoch_zero_ms=now_ms() // DAY_MS * DAY_MS
    )


class Site:
    """A gateway with one of its two sources, and how a station reaches it."""

    def __init__(self, keys: NetworkKeys, broker: MosquittoChild | None) -> None:
        self.keys = keys
        self.broker = broker
        options = []
        if broker is not None:
            password = keys.folder / "keys" / "broker-gateway.password"
            options = ["--broker-url", broker.url, "--broker-password-file", str(password)]
        self.gateway = GatewayChild(keys.folder, *options)

    def connect(self, station: SigningStation) -> PahoStation:
        password = None
        if self.broker is not None:
            secret = broker_secret(self.keys.folder / "keys")
            password = broker_password(secret, device_name(station.device))
        self._wait_ready()
        url = self.gateway.addresses.mqtt
        client = PahoStation(station, self.keys.network_id, url, password=password)
        assert client.connect() == "Success"
        return client

    def _wait_ready(self) -> None:
        """A broker drops what is published before the gateway first subscribes there."""
        deadline = time.monotonic() + SECONDS_MAX
        while httpx.get(f"{self.gateway.addresses.http}/ready", trust_env=False).is_error:
            assert time.monotonic() < deadline


@contextmanager
def running_site(
    keys: NetworkKeys, folder: Path, stations: "list[SigningStation] | None"
) -> Iterator[Site]:
    """A site at work. stations: whom a Mosquitto before the gateway knows; None: no broker."""
    broker = None
    if stations is not None:
        names = [device_name(one.device) for one in stations]
        broker = MosquittoChild(keys.folder, folder / "broker", names)
        broker.start()
    site = Site(keys, broker)
    try:
        site.gateway.start()
        yield site
    finally:
        site.gateway.stop()
        if broker is not None:
            broker.stop()


@contextmanager
def endpoint_up(keys: NetworkKeys) -> Iterator[Site]:
    """A gateway that listens itself, already up."""
    site = Site(keys, None)
    site.gateway.start()
    try:
        yield site
    finally:
        site.gateway.stop()


def stored(keys: NetworkKeys) -> list[bytes]:
    """The messages in the store, in the order of the log."""
    store = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
    try:
        return [logged.data for logged in store.iterate()]
    finally:
        store.close()


def receipt_of(keys: NetworkKeys, data: bytes) -> list[object]:
    """The body of a receipt, after checking who signed it."""
    envelope = open_envelope(data, keys.network_id, Role.GATEWAY)
    assert not isinstance(envelope, Verdict)
    key = bytes(keys.gateway.verify_key)
    assert signature_valid(key, envelope.signature, envelope.to_be_signed)
    body: list[object] = cbor2.loads(envelope.payload)[5]
    return body


def log_lines(keys: NetworkKeys) -> list[dict[str, object]]:
    return [json.loads(line) for line in (keys.folder / LOG).read_text().splitlines()]


def run(*arguments: str, stdin: TextIO | None = None) -> subprocess.CompletedProcess[str]:
    """`cairn gateway run` that is expected to end by itself."""
    command = [sys.executable, "-m", "gateway.cli", "gateway", "run", *arguments]
    return subprocess.run(
        command, stdin=stdin, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
