"""What a running gateway tells boards: the ports that it really has, and what it was told."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.shell.network import NetworkKeys
from gateway.shell.onboarding import Onboarding
from tests.service.children import MosquittoChild
from tests.service.runtime_rig import Site, endpoint_up, real_network

pytestmark = pytest.mark.slow


@pytest.fixture
def keys(tmp_path: Path) -> NetworkKeys:
    return real_network(tmp_path / "data")


def asked(site: Site) -> Onboarding:
    url = f"{site.gateway.addresses.http}/v1/onboarding"
    return Onboarding.of_document(httpx.get(url, trust_env=False).raise_for_status().json())


def test_free_ports_are_told_as_they_were_bound(keys: NetworkKeys):
    with endpoint_up(keys) as site:
        told = asked(site)
        mqtt, http = urlsplit(site.gateway.addresses.mqtt), urlsplit(site.gateway.addresses.http)
    assert (told.broker.host, told.broker.port) == (mqtt.hostname, mqtt.port)
    assert (told.time.host, told.time.port) == (http.hostname, http.port)
    assert told.this_machine_only


def test_behind_a_broker_its_address_is_told(
    keys: NetworkKeys, tmp_path: Path, require_component: Callable[[str], str]
):
    require_component("mosquitto")
    broker = MosquittoChild(keys.folder, tmp_path / "broker", [])
    broker.start()
    site = Site(keys, broker)
    try:
        site.gateway.start()
        told = asked(site)
    finally:
        site.gateway.stop()
        broker.stop()
    assert (told.broker.host, told.broker.port) == ("127.0.0.1", broker.port)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_certificates_that_no_board_could_use_keep_it_from_starting(
    keys: NetworkKeys, tmp_path: Path, text: str | None
):
    """At the start, not when the first board is set up."""
    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_text(text)
    settings = tmp_path / "cairn.toml"
    settings.write_text(
        f'data_dir = "{keys.folder}"\nbroker_url = "mqtts://broker.example"\n'
        f'mqtt_ca_file = "{ca}"\nhttp_port = 0\n'
    )
    command = [sys.executable, "-m", "gateway.cli", "--config", str(settings), "gateway", "run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "tls_unusable" in done.stderr
    assert str(ca) in done.stderr
    assert "mqtt_ca_file" in done.stderr
    assert "Traceback" not in done.stderr
