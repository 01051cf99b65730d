"""Releases over HTTP: what boards fetch, whole and in parts, and what is not there."""

import hashlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.downlink import TO_ALL
from gateway.core.releases import Accepted, Standing, judge
from gateway.shell.api.routes_releases import _span
from gateway.shell.releases import publish, withdraw
from tests.service.api_rig import API_KEY, live_api
from tests.service.gateway_rig import START, body_of
from tests.service.test_api import problem
from tests.unit.gateway.release_kit import ReleaseWorld

pytestmark = pytest.mark.slow

AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        running.world = ReleaseWorld(keys)
        running.release = running.world.release(3)
        publish(keys.folder, running.release, keys, START)
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


def largest(api) -> bytes:
    return max(api.release.files.values(), key=len)


def path_of(data: bytes) -> str:
    return f"/v1/releases/files/{hashlib.sha256(data).hexdigest()}"


def test_a_board_gets_from_the_index_to_every_file(api, client):
    index = client.get("/v1/releases/3/index")
    assert (index.status_code, index.headers["content-type"]) == (200, "application/cbor")
    assert index.content == api.release.index()
    bundle = client.get("/v1/releases/3/bytecode").content
    genesis = api.keys.genesis
    judged = judge(bundle, Standing("bytecode"), api.keys.network_id, genesis.root_key)
    assert isinstance(judged, Accepted)
    for file in judged.manifest.files:
        found = client.get(f"/v1/releases/files/{file.sha256.hex()}")
        assert found.headers["content-length"] == str(file.size)
        assert hashlib.sha256(found.content).digest() == file.sha256


@pytest.mark.parametrize(
    "asked, first, last",
    [
        ("bytes=0-", 0, None),
        ("bytes=1-", 1, None),
        ("bytes=100-199", 100, 199),
        ("bytes=0-0", 0, 0),
        ("bytes=10-999999999", 10, None),
        ("bytes=-5", -5, None),
        ("bytes=-999999999", 0, None),
    ],
)
def test_a_part_of_a_file(api, client, asked, first, last):
    data = largest(api)
    answer = client.get(path_of(data), headers={"Range": asked})
    first = max(len(data) + first, 0) if first < 0 else first
    last = len(data) - 1 if last is None else last
    assert answer.status_code == 206
    assert answer.content == data[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
    assert answer.headers["content-length"] == str(last + 1 - first)


@pytest.mark.parametrize(
    "asked", ["bytes=5-4", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "-5", ""]
)
def test_a_range_that_nobody_knows_gets_all_of_it(api, client, asked):
    answer = client.get(path_of(largest(api)), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, largest(api))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes={size}-", "bytes=999999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_none(api, client, asked):
    size = len(largest(api))
    answer = client.get(path_of(largest(api)), headers={"Range": asked.format(size=size)})
    problem(answer, 416, "range_unsatisfiable")
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_a_download_that_breaks_goes_on(api, client):
    data = largest(api)
    got = b""
    while len(got) < len(data):
        headers = {"Range": f"bytes={len(got)}-"} if got else {}
        got += client.get(path_of(data), headers=headers).content[:700]
    assert got == data


@given(st.binary(max_size=40), st.integers(0, 60), st.none() | st.integers(0, 60))
def test_a_range_is_a_slice(data, first, last):
    span = _span(f"bytes={first}-{'' if last is None else last}", len(data))
    if span is None:
        assert last is not None
        assert last < first
        return
    wanted = data[first:] if last is None else data[first : last + 1]
    assert data[span[0] : span[1] + 1] == wanted
    assert (span[0] > span[1]) is (wanted == b"")


@given(st.text(max_size=30))
def test_any_range_at_all_is_survived(text):
    span = _span(text, 100)
    assert span is None or (span[0] >= 0 and span[1] < 100)


def test_an_old_protocol_is_enough(api):
    """As a board asks: HTTP/1.0, a Host, and the connection ends with the answer."""
    data = largest(api)
    host, port = api.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"GET {path_of(data)} HTTP/1.0\r\nHost: {host}\r\nRange: bytes=9-\r\n\r\n"
        connection.sendall(head.encode())
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 206 " in head.splitlines()[0]
    assert f"content-range: bytes 9-{len(data) - 1}/{len(data)}".encode() in head.lower()
    assert body == data[9:]


def test_what_one_holds_is_not_sent_again(api, client):
    for path in (
        "/v1/releases",
        "/v1/releases/3/index",
        "/v1/releases/3/bytecode",
        path_of(largest(api)),
    ):
        tag = client.get(path).headers["etag"]
        answer = client.get(path, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/releases/4/index",
        "/v1/releases/3/rv32imc",
        "/v1/releases/3/files",
        "/v1/releases/files/" + "0" * 64,
    ],
)
def test_what_is_not_published_is_not_there(client, path):
    problem(client.get(path), 404, "release_missing")


@pytest.mark.parametrize(
    "path, status",
    [
        ("/v1/releases/3/..%2F..%2Fkeys%2Froot.key", 404),
        ("/v1/releases/3/..%2fpublished.json", 404),
        ("/v1/releases/3/published.json", 422),
        ("/v1/releases/files/..%2F..%2Fpublished.json", 404),
        ("/v1/releases/files/%2e%2e", 422),
        ("/v1/releases/0/index", 422),
        ("/v1/releases/-1/index", 422),
        ("/v1/releases/3/INDEX", 422),
        ("/v1/releases/03x/index", 422),
        ("/v1/releases/lock", 404),
    ],
)
def test_no_path_leads_elsewhere(api, path, status):
    """As raw bytes: a client would tidy the path up first."""
    host, port = api.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.split()[1] == str(status).encode()
    assert b"application/problem+json" in answer


def test_the_list_names_what_boards_should_run(api, client):
    found = client.get("/v1/releases").json()
    assert found["announced"] == 3
    (row,) = found["releases"]
    assert (row["counter"], row["version"], row["withdrawn_ms"]) == (3, "0.3.0", None)
    publish(api.keys.folder, api.world.release(4), api.keys, START + 1)
    withdraw(api.keys.folder, 4, START + 2)
    found = client.get("/v1/releases").json()
    assert found["announced"] == 3
    assert [one["counter"] for one in found["releases"]] == [4, 3]
    problem(client.get("/v1/releases/4/index"), 404, "release_missing")


def test_the_operator_lets_boards_be_told(api, client):
    problem(client.post("/v1/operator/announce-release"), 401, "key_missing")
    assert api.told == []
    answer = client.post("/v1/operator/announce-release", headers=AUTHORIZED)
    assert answer.json() == {"counter": 3}
    (said,) = api.told
    assert (said.device, said.tail, said.retained) == (TO_ALL, "release", True)
    assert body_of(api.keys, said) == [hashlib.sha256(api.release.index()).digest(), 3]
    withdraw(api.keys.folder, 3, START)
    assert client.post("/v1/operator/announce-release", headers=AUTHORIZED).json() == {
        "counter": None
    }
    assert body_of(api.keys, api.told[-1]) == [bytes(32), 0]
