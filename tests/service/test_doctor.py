"""`cairn gateway doctor` finds exactly what is wrong with a network, its gateway, its stations."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.gateway_child import GatewayChild
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.model import Kind
from gateway.shell.lock import Addresses, held, write_addresses
from gateway.shell.network import DATABASE, NetworkKeys
from tests.service.children import MosquittoChild, free_port
from tests.service.doctor_rig import (
    ALL,
    doctor,
    failed,
    gateway_up,
    heard_network,
    make,
    now_ms,
    skipped,
    store_messages,
)
from tests.service.signing_station import INTERVAL_MS, TEMPERATURE, SigningStation


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkKeys:
    return heard_network(tmp_path, monkeypatch)


@pytest.fixture
def up(keys: NetworkKeys) -> Iterator[GatewayChild]:
    with gateway_up(keys) as child:
        yield child


# ---- nothing is wrong


def test_all_is_well_beside_a_gateway(keys: NetworkKeys, up: GatewayChild):
    checks = doctor(keys)
    assert failed(checks) == skipped(checks) == []
    assert str(up.pid) in checks["gateway"]["what"]
    assert not list(keys.folder.glob(".doctor*"))


def test_all_is_well_without_one(keys: NetworkKeys):
    checks = doctor(keys)
    assert failed(checks) == []
    assert skipped(checks) == ["gateway", "mqtt", "entropy"]
    assert checks["gateway"]["do"] == "`cairn gateway run`"


def test_a_network_in_which_no_gateway_has_run(keys: NetworkKeys):
    (keys.folder / DATABASE).unlink()
    checks = doctor(keys)
    assert failed(checks) == []
    assert skipped(checks) == ["database", "gateway", "mqtt", "entropy", "stations"]


def test_no_network_is_one_finding(keys: NetworkKeys):
    shutil.rmtree(keys.folder)
    checks = doctor(keys)
    assert failed(checks) == ["network"]
    assert skipped(checks) == ALL[1:]
    assert "cairn network init" in checks["network"]["do"]


# ---- broker down


def test_an_external_broker_that_is_down(keys: NetworkKeys):
    checks = doctor(keys, broker_url=f"mqtt://127.0.0.1:{free_port()}")
    assert failed(checks) == ["mqtt"]
    assert "refused" in checks["mqtt"]["why"]
    assert skipped(checks) == ["gateway", "entropy", "stations"]


def test_an_external_broker_beside_its_gateway(
    keys: NetworkKeys, tmp_path: Path, require_component: Callable[[str], str]
):
    require_component("mosquitto")
    broker = MosquittoChild(keys.folder, tmp_path / "broker", [])
    password = str(keys.folder / "keys" / "broker-gateway.password")
    settings = {"broker_url": broker.url, "broker_password_file": password}
    broker.start()
    child = GatewayChild(
        keys.folder, "--broker-url", broker.url, "--broker-password-file", password
    )
    try:
        assert failed(doctor(keys, **settings)) == []
        child.start()
        until(lambda: not failed(doctor(keys, **settings)))
        # Its own connection would have thrown the gateway out.
        assert failed(doctor(keys, **settings)) == []
        broker.kill()
        until(lambda: failed(doctor(keys, **settings)) == ["mqtt"])
        assert child.stop() == 0
        assert failed(doctor(keys, **settings)) == ["mqtt"]
        broker.start()
        assert failed(doctor(keys, **settings)) == []
        refused = doctor(keys, broker_url=broker.url)
        assert failed(refused) == ["mqtt"]
        assert "not allowed" in refused["mqtt"]["why"]
    finally:
        child.stop()
        broker.stop()


def until(holds: Callable[[], bool]) -> None:
    """Ask again until it holds; each question takes its time."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline


def test_an_endpoint_that_does_not_listen(keys: NetworkKeys, up: GatewayChild, tmp_path: Path):
    """Another process plays the gateway: its API is up, its endpoint is not."""
    other = tmp_path / "other"
    shutil.copytree(keys.folder, other, ignore=shutil.ignore_patterns("gateway.*"))
    shutil.copytree(keys.folder / "keys", other / "keys", dirs_exist_ok=True)
    with held(other):
        url = f"mqtt://127.0.0.1:{free_port()}"
        write_addresses(other, Addresses(up.pid, url, up.addresses.http, "real"))
        command = [sys.executable, "-m", "gateway.cli", "gateway", "doctor", "--json"]
        done = subprocess.run(
            [*command, "--data", str(other)], capture_output=True, text=True, check=False
        )
    checks = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert failed(checks) == ["mqtt"]
    assert url in checks["mqtt"]["what"]


def test_a_gateway_that_hangs(keys: NetworkKeys, tmp_path: Path):
    with held(keys.folder):
        http = f"http://127.0.0.1:{free_port()}"
        write_addresses(keys.folder, Addresses(os.getpid(), "mqtt://127.0.0.1:1", http, "real"))
        checks = doctor(keys)
    assert failed(checks) == ["gateway"]
    assert skipped(checks) == ["mqtt", "entropy", "stations"]


def test_what_answers_is_no_mqtt(keys: NetworkKeys):
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        checks = doctor(keys, broker_url=f"mqtt://127.0.0.1:{port}")
    assert failed(checks) == ["mqtt"]
    assert "does not speak MQTT" in checks["mqtt"]["why"]


@contextmanager
def server(answer: bytes) -> Iterator[int]:
    """A TCP server that gives every caller one answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4_096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


# ---- stale station


def two_stations(keys: NetworkKeys, silent_ms: int) -> tuple[SigningStation, SigningStation]:
    """The first was heard just now, the second silent_ms earlier."""
    early = now_ms() - silent_ms
    heard, silent = (SigningStation(number, keys.network_id) for number in (11, 12))
    both = [(early, heard.hello(early)), (early, silent.hello(early))]
    store_messages(keys, [*both, (now_ms(), heard.reading(now_ms(), 1_000))])
    return heard, silent


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetworkKeys:
    monkeypatch.chdir(tmp_path)
    return make(tmp_path / "data", now_ms() - DAY_MS)


def test_a_stale_station_is_named(fresh: NetworkKeys):
    heard, silent = two_stations(fresh, 4 * INTERVAL_MS)
    checks = doctor(fresh)
    assert failed(checks) == ["stations"]
    assert device_name(silent.device) in checks["stations"]["what"]
    assert device_name(heard.device) not in checks["stations"]["what"]
    assert f"cairn station show {device_name(silent.device)}" in checks["stations"]["do"]
    assert failed(doctor(fresh, stale_intervals_max=10)) == []


def test_a_station_that_is_a_little_late_is_not_stale(fresh: NetworkKeys):
    two_stations(fresh, 2 * INTERVAL_MS)
    assert failed(doctor(fresh)) == []


def test_an_outage_of_the_gateway_is_no_station_s_fault(fresh: NetworkKeys):
    """Both were silent for days because nobody listened."""
    long_ago = now_ms() - 3_600_000
    station = SigningStation(11, fresh.network_id)
    store_messages(fresh, [(long_ago, station.hello(long_ago))])
    assert failed(doctor(fresh)) == []
    child = GatewayChild(fresh.folder)
    child.start()
    try:
        assert failed(doctor(fresh)) == []
        began = now_ms() - 4 * INTERVAL_MS
        os.utime(fresh.folder / "gateway.json", ns=(began * 10**6, began * 10**6))
        checks = doctor(fresh)
        assert failed(checks) == ["stations"]
        assert skipped(checks) == []
    finally:
        child.stop()


def test_a_board_that_packs_many_samples_may_be_silent_for_as_long(fresh: NetworkKeys):
    then = now_ms() - 4 * INTERVAL_MS
    heard, silent = (SigningStation(number, fresh.network_id) for number in (11, 12))
    ages = [INTERVAL_MS * number for number in range(11, -1, -1)]
    deltas = [1_000, *[0] * 11]
    steps = [ages[n] - ages[n + 1] for n in range(11)]
    body = [0, steps, [[TEMPERATURE, 0, -2, deltas]]]
    packed = [(then, silent.hello(then)), (then, silent.message(Kind.READINGS, then, body))]
    store_messages(fresh, [*packed, (now_ms(), heard.hello(now_ms()))])
    assert failed(doctor(fresh)) == []
