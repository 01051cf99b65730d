"""Releases at a running gateway: announced by every way, after restarts too, and fetched."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cbor2
import httpx
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.cose import Role, open_envelope
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.shell.network import NetworkKeys
from gateway.shell.release_folder import write_release
from tests.service.paho_station import PahoStation
from tests.service.runtime_rig import Site, real_network, running_site
from tests.service.signing_station import SigningStation
from tests.unit.gateway.release_kit import ReleaseWorld

NONE = [bytes(32), 0]


@pytest.fixture
def keys(tmp_path: Path) -> NetworkKeys:
    return real_network(tmp_path / "data")


@pytest.fixture
def world(keys: NetworkKeys) -> ReleaseWorld:
    return ReleaseWorld(keys)


@pytest.fixture
def stations(keys: NetworkKeys) -> list[SigningStation]:
    return [SigningStation(number, keys.network_id) for number in range(4)]


@pytest.fixture(params=["endpoint", "mosquitto"])
def site(
    request: pytest.FixtureRequest,
    keys: NetworkKeys,
    stations: list[SigningStation],
    tmp_path: Path,
    require_component: Callable[[str], str],
) -> Iterator[Site]:
    behind = request.param == "mosquitto"
    if behind:
        require_component("mosquitto")
    with running_site(keys, tmp_path, stations if behind else None) as one:
        yield one


def cairn(world: ReleaseWorld, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["release", *arguments, "--data", str(world.folder)])
    assert done.exit_code == 0, done.output
    return done.stdout


def body_of(keys: NetworkKeys, data: bytes) -> list[object]:
    """Of an announcement, after checking it as a board does."""
    envelope = open_envelope(data, keys.network_id, Role.GATEWAY)
    assert not isinstance(envelope, Verdict)
    key = bytes(keys.gateway.verify_key)
    assert signature_valid(key, envelope.signature, envelope.to_be_signed)
    payload = cbor2.loads(envelope.payload)
    assert payload[:3] == [16, 22, b""]
    return payload[5]


def announced(world: ReleaseWorld, counter: int) -> list[object]:
    return [hashlib.sha256(world.release(counter).index()).digest(), counter]


def publish(world: ReleaseWorld, tmp_path: Path, counter: int) -> None:
    folder = tmp_path / f"release-{counter}"
    write_release(folder, world.release(counter))
    assert "published" in cairn(world, "publish", str(folder))


@pytest.mark.slow
def test_a_damaged_list_of_releases_keeps_no_reading_away(site, world, stations, tmp_path):
    """At the start, and told of it while it runs."""
    station = site.connect(stations[0])
    station.wait_message("keys")
    publish(world, tmp_path, 3)
    station.wait_message("all/release")
    (world.folder / "releases" / "published.json").write_text("{")
    asked = CliRunner().invoke(main, ["release", "status", "--data", str(world.folder)])
    assert "code: release_damaged" in asked.stderr
    _close(station)
    site.gateway.stop()
    site.gateway.start()
    again = site.connect(stations[1])
    again.wait_message("keys")
    url = site.gateway.addresses.http
    assert httpx.get(f"{url}/ready", trust_env=False).is_success
    assert httpx.get(f"{url}/v1/releases/3/index", trust_env=False).status_code >= 400
    assert httpx.get(f"{url}/ready", trust_env=False).is_success
    _close(again)


@pytest.mark.slow
def test_boards_are_told_whenever_they_come(site, world, stations, tmp_path):
    """Connected before, and subscribed after: the message is retained. A restart says it again,
    and after a withdrawal nobody is told of it any more.
    """
    before = site.connect(stations[0])
    before.wait_message("keys")
    publish(world, tmp_path, 3)
    assert body_of(world.keys, before.wait_message("all/release")) == announced(world, 3)
    later = site.connect(stations[1])
    assert body_of(world.keys, later.wait_message("all/release")) == announced(world, 3)
    publish(world, tmp_path, 4)
    assert body_of(world.keys, later.wait_message("all/release")) == announced(world, 4)
    cairn(world, "withdraw", "4", "--yes")
    assert body_of(world.keys, later.wait_message("all/release")) == announced(world, 3)
    _close(before, later)
    site.gateway.stop()
    cairn(world, "withdraw", "3", "--yes")
    site.gateway.start()
    last = site.connect(stations[2])
    said = body_of(world.keys, last.wait_message("all/release"))
    if said != NONE:
        # What a broker retained comes first; what the gateway says at its start is the newest.
        assert site.broker is not None
        said = body_of(world.keys, last.wait_message("all/release"))
    assert said == NONE
    _close(last)


def _close(*clients: PahoStation) -> None:
    for client in clients:
        client.close()


@pytest.mark.slow
def test_nobody_is_told_of_a_release_that_never_was(site, world, stations, tmp_path):
    client = site.connect(stations[0])
    client.wait_message("keys")
    station = stations[0]
    client.publish(station.hello(1))
    client.wait_acked(1)
    seen = [client.messages.get_nowait().topic for _ in range(client.messages.qsize())]
    assert not [topic for topic in seen if topic.endswith("/release")]
    _close(client)


@pytest.mark.slow
def test_curl_fetches_in_parts(keys, world, tmp_path, require_component):
    require_component("curl")
    site = Site(keys, None)
    site.gateway.start()
    try:
        publish(world, tmp_path, 3)
        data = max(world.release(3).files.values(), key=len)
        digest = hashlib.sha256(data).hexdigest()
        url = f"{site.gateway.addresses.http}/v1/releases/files/{digest}"
        part = tmp_path / "part"
        part.write_bytes(data[:1_000])
        subprocess.run(
            ["curl", "-sSf", "--noproxy", "*", "-C", "-", "-o", str(part), url], check=True
        )
        assert part.read_bytes() == data
        with httpx.Client(trust_env=False) as client:
            broken = client.get(url, headers={"Range": f"bytes={len(data)}-"})
        assert broken.status_code == 416
    finally:
        site.gateway.stop()
