"""The event stream: every admitted message once and in order, whatever happens to the client."""

import json
import random
import socket
import threading
import time

import httpx
import pytest

from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.shell.api import server
from gateway.shell.live import RECENT_EVENTS_MAX, WATCHER_EVENTS_MAX, LiveEvent
from tests.service.api_rig import live_api
from tests.service.gateway_rig import START
from tests.service.signing_station import SigningStation

SECONDS_MAX = 60


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        yield running


@pytest.fixture
def station(api, keys):
    station = SigningStation(1, keys.network_id)
    assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
    return station


def events(text: str) -> list[dict]:
    """Server-sent events, parsed as the standard says; comments and retry are left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "data" in fields:
            event = json.loads(fields["data"])
            assert fields["event"] == "message"
            assert fields.get("id") == (
                None if event["position"] is None else str(event["position"])
            )
            found.append(event)
    return found


def read(api, **parameters) -> list[dict]:
    with api.client() as client:
        answer = client.get("/v1/events", params=parameters)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return events(answer.text)


def until(condition) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_an_event_has_ids_kinds_and_verdicts_and_no_value(api, station):
    reading = station.reading(START, 31_415)
    api.deliver(reading, reading, b"\x00" * 200, now_ms=START + 7)
    with api.client() as client:
        text = client.get("/v1/events", params={"after": "0", "wait": 0}).text
    admitted, duplicate, refused = events(text)
    assert admitted.keys() == {
        "position",
        "device",
        "message_id",
        "kind",
        "verdict",
        "recv_ms",
    }
    name = device_name(station.device)
    assert (admitted["position"], admitted["device"], admitted["kind"]) == (1, name, "readings")
    assert (admitted["verdict"], admitted["recv_ms"]) == ("ok", START + 7)
    assert duplicate["verdict"] == "duplicate"
    assert (refused["position"], refused["kind"], refused["message_id"]) == (None, None, None)
    assert "31415" not in text
    assert "314.15" not in text


def test_the_store_says_what_the_feed_says(api, station):
    for number in range(20):
        api.deliver(station.reading(START + number, number), now_ms=START + number)
    told = read(api, after=-1, wait=0)
    api.call(api.feed._recent.clear)
    assert read(api, after=-1, wait=0) == told
    assert [one["position"] for one in told] == list(range(21))
    header = {"Last-Event-ID": "18"}
    with api.client(headers=header) as client:
        text = client.get("/v1/events", params={"wait": 0}).text
    assert [one["position"] for one in events(text)] == [19, 20]
    assert [one["position"] for one in read(api, after=3, limit=2)] == [4, 5]
    # Behind the end of the log, as after a restored copy: what comes from now on.
    assert read(api, after=999, wait=0) == []


def test_without_a_position_a_stream_begins_now(api, station):
    api.deliver(station.reading(START, 1), now_ms=START)
    seen: list[dict] = []

    def watch() -> None:
        seen.extend(read(api, limit=2))

    watching = threading.Thread(target=watch)
    watching.start()
    until(lambda: api.feed.watchers == 1)
    api.deliver(b"", now_ms=START)
    api.deliver(station.reading(START + 1, 1), now_ms=START + 1)
    watching.join(SECONDS_MAX)
    assert [(one["position"], one["verdict"]) for one in seen] == [(None, "truncated"), (2, "ok")]


def test_what_the_feed_never_showed_is_read_from_the_store(api, station):
    """As after a batch whose events were lost between the commit and the feed."""
    seen: list[dict] = []
    watching = threading.Thread(target=lambda: seen.extend(read(api, after=0, limit=5)))
    watching.start()
    until(lambda: api.feed.watchers == 1)
    readings = [station.reading(START + n, n) for n in range(5)]
    api.deliver(*readings[:2], now_ms=START, publish=False)
    api.deliver(readings[2], now_ms=START)
    api.deliver(readings[3], now_ms=START, publish=False)
    api.deliver(readings[4], now_ms=START)
    watching.join(SECONDS_MAX)
    assert [one["position"] for one in seen] == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_clients_that_come_and_go_miss_nothing(api, station):
    """Ten clients drop their connection again and again while messages come; seeded."""
    count = RECENT_EVENTS_MAX // 4
    done = threading.Event()
    seen: list[list[int]] = [[] for _ in range(10)]

    def follow(number: int) -> None:
        generator = random.Random(number)
        last = -1
        while last < count:
            limit = generator.choice([1, 3, 50, 400])
            wait = 0 if done.is_set() else 5
            for event in read(api, after=last, limit=limit, wait=wait):
                if event["position"] is not None:
                    seen[number].append(event["position"])
                    last = event["position"]

    followers = [threading.Thread(target=follow, args=(number,)) for number in range(10)]
    for follower in followers:
        follower.start()
    for first in range(0, count, 8):
        readings = [station.reading(START + n, n) for n in range(first, first + 8)]
        # Every third batch is never shown, and garbage lies between.
        api.deliver(*readings, b"x", now_ms=START + first, publish=first % 3 > 0)
    done.set()
    for follower in followers:
        follower.join(SECONDS_MAX)
    assert [len(one) for one in seen] == [count + 1] * 10
    assert all(one == list(range(count + 1)) for one in seen)
    until(lambda: api.feed.watchers == 0)


def test_a_client_that_does_not_read_is_cut_off(api, station, monkeypatch):
    monkeypatch.setattr(server, "WRITE_STALL_S", 0.2)
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lazy.connect(("127.0.0.1", api.server.port))
        lazy.sendall(b"GET /v1/events HTTP/1.1\r\nHost: gateway\r\n\r\n")
        until(lambda: api.feed.watchers == 1)
        sent = 0
        event = LiveEvent(None, bytes(16), bytes(32), None, Verdict.RATE_LIMITED, START)
        held = next(iter(api.feed._watchers))
        while api.feed.watchers:
            api.call(lambda: api.feed.publish([event] * 100))
            assert len(held._events) <= WATCHER_EVENTS_MAX
            sent += 100
            assert sent < 1_000_000
        # Whoever reads is served as before.
        assert len(read(api, after=-1, limit=1)) == 1
        lazy.settimeout(SECONDS_MAX)
        assert cut_off(lazy)


def cut_off(client: socket.socket) -> bool:
    """Whether what is left to read ends without the last chunk of a whole answer."""
    rest = b""
    try:
        while part := client.recv(65_536):
            rest = (rest + part)[-16:]
    except ConnectionError:
        return True
    return not rest.endswith(b"0\r\n\r\n")


def test_streams_are_counted_and_end_with_their_clients(api):
    with api.client() as client, client.stream("GET", "/v1/events") as stream:
        # Kept: an iterator that is dropped closes its connection.
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        until(lambda: api.app.state.api.streams == 1)
    until(lambda: api.app.state.api.streams == 0)
    assert api.feed.watchers == 0


def test_a_heartbeat_shows_that_the_stream_is_alive(api, station, monkeypatch):
    from gateway.shell.api import routes_events

    monkeypatch.setattr(routes_events, "HEARTBEAT_S", 0.05)
    with api.client() as client, client.stream("GET", "/v1/events") as stream:
        beats = 0
        for line in stream.iter_lines():
            beats += line == ": still here"
            if beats == 3:
                break


def test_the_server_stops_while_streams_are_open(keys):
    with live_api(keys) as api:
        ended: list[str] = []

        def watch() -> None:
            try:
                read(api)
                ended.append("clean")
            except httpx.HTTPError as error:
                ended.append(repr(error))

        watching = [threading.Thread(target=watch) for _ in range(20)]
        for one in watching:
            one.start()
        until(lambda: api.feed.watchers == 20)
        began = time.monotonic()
        api.run(api.server.stop())
        # Not the grace that answers get: the streams end by themselves.
        assert time.monotonic() - began < 3
        for one in watching:
            one.join(SECONDS_MAX)
        assert ended == ["clean"] * 20


def test_the_server_stops_although_a_client_does_not_read(keys, monkeypatch):
    monkeypatch.setattr(server, "_GRACE_S", 1)
    with live_api(keys) as api, socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lazy.connect(("127.0.0.1", api.server.port))
        lazy.sendall(b"GET /v1/events HTTP/1.1\r\nHost: gateway\r\n\r\n")
        until(lambda: api.feed.watchers == 1)
        event = LiveEvent(None, bytes(16), bytes(32), None, Verdict.RATE_LIMITED, START)
        (held,) = api.feed._watchers
        while not held.overflowed:
            api.call(lambda: api.feed.publish([event] * 100))
        began = time.monotonic()
        api.run(api.server.stop())
        assert time.monotonic() - began < 5


def test_there_is_a_bound_on_streams(api, monkeypatch):
    from gateway.shell.api import routes_events

    monkeypatch.setattr(routes_events, "STREAMS_MAX", 0)
    with api.client() as client:
        answer = client.get("/v1/events", params={"wait": 0})
    assert answer.status_code == 503
    assert answer.json()["code"] == "busy"


@pytest.mark.parametrize("position", ["x", "-2", "1.5", "9" * 16])
def test_a_position_that_is_none_is_refused(api, position):
    with api.client() as client:
        assert client.get("/v1/events", params={"after": position}).status_code == 422
        header = {"Last-Event-ID": position}
        assert client.get("/v1/events", params={"wait": 0}, headers=header).status_code == 422
