"""`cairn gateway run` as a process, in use: messages, kills, a full disk, TLS, and due epochs."""

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gateway.cli.gateway_child import LOG, GatewayChild
from gateway.core.genesis import DAY_MS
from gateway.shell.lock import ADDRESSES, is_held, running
from gateway.shell.network import DATABASE, NetworkKeys, create_network
from tests.service.paho_station import PahoStation
from tests.service.runtime_rig import (
    SECONDS_MAX,
    Site,
    endpoint_up,
    log_lines,
    now_ms,
    real_network,
    receipt_of,
    running_site,
    stored,
)
from tests.service.signing_station import SigningStation

WAIT_S = 10.0

BURST = 300


@pytest.fixture
def keys(tmp_path: Path) -> NetworkKeys:
    return real_network(tmp_path / "data")


@pytest.fixture
def station(keys: NetworkKeys) -> SigningStation:
    return SigningStation(1, keys.network_id)


@pytest.fixture(params=["endpoint", "mosquitto"])
def site(
    request: pytest.FixtureRequest,
    keys: NetworkKeys,
    station: SigningStation,
    tmp_path: Path,
    require_component: Callable[[str], str],
) -> Iterator[Site]:
    behind = request.param == "mosquitto"
    if behind:
        require_component("mosquitto")
    with running_site(keys, tmp_path, [station] if behind else None) as one:
        yield one


@pytest.fixture
def endpoint(keys: NetworkKeys) -> Iterator[Site]:
    with endpoint_up(keys) as site:
        yield site


# ---- in use


def test_a_message_is_receipted_and_an_orderly_end_leaves_a_clean_store(
    site: Site, station: SigningStation
):
    keys, hello = site.keys, station.hello(now_ms())
    assert running(keys.folder) is not None
    client = site.connect(station)
    client.publish(hello)
    client.wait_acked(1)
    assert receipt_of(keys, client.wait_message("receipt"))[0] == 1
    client.close()
    ready = httpx.get(f"{site.gateway.addresses.http}/ready", trust_env=False)
    assert ready.status_code == 200, ready.text
    assert site.gateway.stop() == 0
    assert not is_held(keys.folder)
    assert not (keys.folder / ADDRESSES).exists()
    # A closed write-ahead log is gone: nothing waits to be recovered.
    assert not (keys.folder / f"{DATABASE}-wal").exists()
    assert stored(keys) == [hello]


def test_the_log_says_what_happened_and_no_secret(site: Site, station: SigningStation):
    client = site.connect(station)
    client.publish(station.hello(now_ms()))
    client.wait_acked(1)
    client.close()
    key = (site.keys.folder / "keys" / "api.key").read_text().strip()
    # A broker's acknowledgement does not say that the gateway has it.
    deadline_s = time.monotonic() + WAIT_S
    while not stored(site.keys) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    # The line comes within a second; an orderly end must not swallow it.
    assert site.gateway.stop() == 0
    lines = log_lines(site.keys)
    events = [line["event"] for line in lines]
    assert (events[0], events[-1]) == ("started", "stopped")
    assert sorted(events[1:-1]) == ["ingest", "stopping"]
    assert [line["ok"] for line in lines if line["event"] == "ingest"] == [1]
    secrets = [key, *(p.read_text().strip() for p in (site.keys.folder / "keys").iterdir())]
    text = (site.keys.folder / LOG).read_text()
    assert not [secret for secret in secrets if secret in text]


def test_kill_9_loses_nothing_that_was_acknowledged(site: Site, station: SigningStation):
    keys = site.keys
    messages = [station.hello(now_ms())]
    messages += [station.reading(now_ms(), 1_000 + number) for number in range(BURST)]
    client = site.connect(station)
    client.publish(*messages)
    client.wait_acked(20)
    site.gateway.kill()
    if site.broker is None:
        # Whoever has no receipt sends again; behind a broker its queue does that.
        client.close()
        assert set(client.acked) <= set(stored(keys))
    site.gateway.start()
    again = site.connect(station)
    if site.broker is None:
        again.publish(*messages)
        again.wait_acked(len(messages))
    receipt: list[object] = [0]
    while receipt[0] != len(messages):
        receipt = receipt_of(keys, again.wait_message("receipt"))
    again.close()
    client.close()
    assert site.gateway.stop() == 0
    assert sorted(stored(keys)) == sorted(messages)


def test_a_stop_in_a_burst_acknowledges_only_what_is_stored(
    endpoint: Site, station: SigningStation
):
    client = endpoint.connect(station)
    client.publish(station.hello(now_ms()))
    client.publish(*(station.reading(now_ms(), number) for number in range(BURST)))
    client.wait_acked(10)
    assert endpoint.gateway.stop() == 0
    client.close()
    assert set(client.acked) <= set(stored(endpoint.keys))


def test_a_store_that_cannot_be_written_ends_the_gateway_and_acknowledges_nothing(
    endpoint: Site, station: SigningStation
):
    keys, child = endpoint.keys, endpoint.gateway
    client = endpoint.connect(station)
    hello = station.hello(now_ms())
    client.publish(hello)
    client.wait_acked(1)
    # What a full disk does, for this process alone: no file may grow any more.
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))
    messages = [station.reading(now_ms(), number) for number in range(100)]
    client.publish(*messages)
    assert child.wait() == 3
    client.close()
    assert client.acked == [hello]
    log = (keys.folder / LOG).read_text()
    assert "store_unwritable" in log
    assert "Traceback" not in log
    assert not is_held(keys.folder)
    child.start()
    again = endpoint.connect(station)
    again.publish(*messages)
    again.wait_acked(len(messages))
    again.close()
    assert child.stop() == 0
    assert stored(keys) == [hello, *messages]


def test_boards_come_in_by_tls(keys: NetworkKeys, station: SigningStation, tmp_path: Path):
    cert, key = certificate(tmp_path)
    options = ["--mqtt-tls-cert", str(cert), "--mqtt-tls-key", str(key)]
    child = GatewayChild(keys.folder, *options)
    try:
        url = child.start().mqtt
        assert url.startswith("mqtts://")
        client = PahoStation(station, keys.network_id, url, ca_file=cert)
        assert client.connect() == "Success"
        client.publish(station.hello(now_ms()))
        client.wait_acked(1)
        client.close()
    finally:
        assert child.stop() == 0
    assert len(stored(keys)) == 1


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=gateway"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_an_epoch_that_is_due_closes_by_itself_with_one_line(tmp_path: Path):
    """Nobody sends anything: the clock alone does it, at the start and at the end of the day."""
    today = now_ms() // DAY_MS
    keys = create_network(
        tmp_path / "data", "test", simulated=False, epoch_zero_ms=(today - 3) * DAY_MS
    )
    child = GatewayChild(keys.folder)
    child.start()
    url = f"{child.addresses.http}/v1/epochs"
    deadline = time.monotonic() + SECONDS_MAX
    while len(httpx.get(url, trust_env=False).json()["epochs"]) < 2:
        assert time.monotonic() < deadline
    assert child.stop() == 0
    closed = [line["epoch"] for line in log_lines(keys) if line["event"] == "epoch"]
    assert closed[:2] == [today - 3, today - 2]
    assert len(closed) == len(set(closed))
