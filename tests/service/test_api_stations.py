"""Stations over HTTP: found, filtered, paged, and never placed finer than they may be."""

import re
import sqlite3

import pytest

from gateway.core import h3bits
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.model import Kind
from gateway.core.verdicts import Verdict
from gateway.shell.api.index import FILE, MessageIndex
from gateway.shell.network import DATABASE
from gateway.shell.store.sqlite import SqliteStore
from tests.service.api_rig import FAR_CELL, World, live_api
from tests.service.gateway_rig import EPOCH, START
from tests.service.signing_station import CELL, SigningStation
from tests.service.test_api import problem

NOON = START + DAY_MS // 2


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


def register(api, count: int, cell: int = CELL, first: int = 0) -> list[SigningStation]:
    stations = [
        SigningStation(number, api.keys.network_id, cell) for number in range(first, first + count)
    ]
    for station in stations:
        assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
    return stations


def names(stations) -> list[str]:
    return sorted((device_name(one.device) for one in stations), key=lambda name: name)


def test_pages_list_every_station_once(api, client):
    stations = register(api, 7)
    for limit in (1, 3, 7, 100):
        seen: list[str] = []
        after = {}
        while True:
            page = client.get("/v1/stations", params={"limit": limit} | after).json()
            assert len(page["stations"]) <= limit
            seen += [one["station"] for one in page["stations"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert sorted(seen) == names(stations)
        assert len(set(seen)) == len(seen)
    assert client.get("/v1/stations").json()["epoch"] is None


def test_no_answer_about_stations_is_finer_than_resolution_7(api, client):
    station, coarse = register(api, 2)
    fine = SigningStation(9, api.keys.network_id, h3bits.parent(CELL, 7))
    api.deliver(fine.hello(START), now_ms=START)
    api.deliver(station.reading(NOON, 1), now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 4
    paths = ["/v1/stations", *(f"/v1/stations/{name}" for name in names([station, coarse, fine]))]
    paths.append(f"/v1/stations/{device_name(station.device)}/readings")
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200
        assert f"{CELL:x}" not in answer.text
        for cell in re.findall(r'"(8[0-9a-f]{14})"', answer.text):
            assert h3bits.resolution(int(cell, 16)) == 7
            assert int(cell, 16) == h3bits.parent(CELL, 7)


def test_filters_by_cell_and_class(tmp_path):
    world = World(tmp_path / "data")
    with live_api(world.keys) as api, api.client() as client:
        world.fill(api)
        near = f"{h3bits.parent(CELL, 7):x}"
        found = client.get("/v1/stations", params={"cell": near}).json()
        assert [one["station"] for one in found["stations"]] == names([world.near])
        assert found["epoch"] == EPOCH
        assert {one["class"] for one in found["stations"]} == {"unproven"}
        assert client.get("/v1/stations", params={"class": "anchored"}).json()["stations"] == []
        both = client.get("/v1/stations", params={"class": "unproven"}).json()
        assert [one["station"] for one in both["stations"]] == names([world.near, world.far])
        far = f"{h3bits.parent(FAR_CELL, 7):x}"
        both = client.get("/v1/stations", params={"class": "unproven", "cell": far, "limit": 1})
        assert [one["station"] for one in both.json()["stations"]] == names([world.far])
        problem(client.get("/v1/stations?cell=zz"), 422, "parameter_invalid")
        problem(client.get("/v1/stations?class=best"), 422, "parameter_invalid")
        last = client.get(f"/v1/stations/{device_name(world.near.device)}").json()["last_epoch"]
        assert last["epoch"] == EPOCH
        assert last["reason"].startswith("paid_")
        assert int(last["paid"]) > 0


def test_one_station_tells_what_it_declared_and_what_is_missing(api, client):
    (station,) = register(api, 1)
    path = f"/v1/stations/{device_name(station.device)}"
    sent = [station.reading(NOON + n, n) for n in range(10)]
    kept = [sent[0], *sent[3:5], sent[8]]
    api.deliver(*kept, now_ms=NOON)
    found = client.get(path).json()
    assert found["registered_ms"] == START
    assert (found["last_ms"], found["last_kind"]) == (NOON, "readings")
    assert found["declared"] == [
        {"quantity": "temperature", "channel": 0, "unit": "Cel", "interval_ms": 300_000}
    ]
    assert found["firmware"] == "test"
    # Seq 1 is the hello, so sent[n] has seq n + 2.
    assert found["highest_seq"] == 10
    assert found["holes"] == [[3, 4], [7, 9]]
    assert found["holes_cut"] is False
    api.deliver(station.message(Kind.GAP, NOON, [7, 8, 2, 1]), sent[1], now_ms=NOON + 1)
    found = client.get(path).json()
    assert (found["highest_seq"], found["holes"]) == (12, [[4, 4], [9, 9], [11, 11]])
    assert found["messages"] == 7


def test_the_hello_that_counts_is_the_one_with_the_highest_seq(api, client):
    (station,) = register(api, 1)
    station.seq += 5
    old = SigningStation(0, api.keys.network_id, FAR_CELL)
    old.seq = 2
    moved = SigningStation(0, api.keys.network_id, FAR_CELL)
    moved.seq = 8
    path = f"/v1/stations/{device_name(station.device)}"
    api.deliver(station.hello(NOON), now_ms=NOON)
    api.deliver(old.hello(NOON), now_ms=NOON)
    assert client.get(path).json()["cell"] == f"{h3bits.parent(CELL, 7):x}"
    api.deliver(moved.hello(NOON), now_ms=NOON)
    assert client.get(path).json()["cell"] == f"{h3bits.parent(FAR_CELL, 7):x}"
    assert client.get(path).json()["registered_ms"] == START


def test_an_answer_that_has_not_changed_is_not_sent_again(api, client):
    register(api, 1)
    first = client.get("/v1/stations")
    tag = first.headers["etag"]
    again = client.get("/v1/stations", headers={"If-None-Match": f'W/"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    register(api, 1, first=5)
    assert client.get("/v1/stations", headers={"If-None-Match": tag}).status_code == 200


# ---- the index


def dump(path) -> list[list[tuple]]:
    """Everything in an index."""
    tables = ("stations", "spans", "readings", "clocks", "progress")
    with sqlite3.connect(path) as database:
        found = [sorted(database.execute(f"SELECT * FROM {name}")) for name in tables]  # noqa: S608
    database.close()
    return found


def index_of(world_keys, path, step: int) -> MessageIndex:
    store = SqliteStore.open(world_keys.folder / DATABASE, world_keys.network_id)
    index = MessageIndex(path, world_keys.network_id)
    while not index.follow(store, step):
        pass
    store.close()
    index.close()
    return index


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("index") / "data")
    with live_api(world.keys) as api:
        world.fill(api)
    return world


def test_however_it_is_cut_the_index_is_the_same(filled, tmp_path):
    for step in (1, 7, 10_000):
        index_of(filled.keys, tmp_path / f"{step}.db", step)
    whole = dump(tmp_path / "10000.db")
    assert whole == dump(tmp_path / "1.db") == dump(tmp_path / "7.db")
    assert len(whole[2]) == 288 + 144


@pytest.mark.parametrize("damage", ["garbage", "empty", "torn", "other network", "other version"])
def test_an_index_that_does_not_fit_is_made_again(filled, tmp_path, damage):
    path = tmp_path / FILE
    index_of(filled.keys, path, 10_000)
    whole = dump(path)
    data = path.read_bytes()
    match damage:
        case "garbage":
            path.write_bytes(b"no database" * 100)
        case "empty":
            path.write_bytes(b"")
        case "torn":
            path.write_bytes(data[: len(data) // 2])
        case "other network":
            with sqlite3.connect(path) as database:
                database.execute("UPDATE progress SET network = x'00'")
            database.close()
        case "other version":
            with sqlite3.connect(path) as database:
                database.execute("UPDATE progress SET version = 999")
            database.close()
    index_of(filled.keys, path, 10_000)
    assert dump(path) == whole


def test_an_index_of_a_log_that_was_set_back_is_made_again(filled, keys, tmp_path):
    """A restored copy of the database has another log, or a shorter one."""
    path = tmp_path / FILE
    index_of(filled.keys, path, 10_000)
    whole = dump(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE progress SET hash = x'aa'")
    database.close()
    index_of(filled.keys, path, 10_000)
    assert dump(path) == whole
    with sqlite3.connect(path) as database:
        database.execute("UPDATE progress SET position = position + 5")
    database.close()
    index_of(filled.keys, path, 10_000)
    assert dump(path) == whole


def test_holes_agree_with_the_ranges_that_receipts_are_made_of(filled, tmp_path):
    """Any order of arrival gives the merged ranges that the gateway itself holds."""
    import random

    from gateway.core.receipts import Delivered
    from gateway.core.wire import decode
    from gateway.shell.api.index_entries import _cover

    station = SigningStation(3, filled.keys.network_id)
    generator = random.Random(5)
    for _ in range(30):
        index = MessageIndex(tmp_path / f"{generator.random()}.db", filled.keys.network_id)
        database = index._opened()
        delivered = Delivered()
        for _ in range(40):
            station.seq = generator.randrange(1, 60)
            message = decode(station.reading(START, 1), filled.keys.network_id).message
            delivered.add(message, Verdict.OK)
            _cover(database, message.device, message.seq, message.seq)
            if generator.random() < 0.3:
                first = generator.randrange(1, 50)
                station.seq = first + 8
                gap = station.message(Kind.GAP, START, [first, first + 7, 8, 1])
                message = decode(gap, filled.keys.network_id).message
                delivered.add(message, Verdict.OK)
                _cover(database, message.device, message.seq, message.seq)
                _cover(database, message.device, first, first + 7)
        spans = tuple(reversed(index.spans(station.device, 1_000)))
        assert spans == delivered.ranges
        index.close()
