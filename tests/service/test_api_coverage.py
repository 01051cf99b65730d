"""What the API tells of coverage: the table of an epoch, page by page, and a station's page."""

from dataclasses import replace

import pytest

from gateway.core.coverage.model import Coverage, Link, PlaceResult, StationCoverage
from gateway.core.coverage.table import encode_coverage
from gateway.core.ids import device_name
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict
from gateway.shell.store.sqlite import SqliteStore
from tests.service.api_rig import World, live_api
from tests.service.gateway_rig import DUE, EPOCH

DEVICES = sorted(bytes([n]) * 16 for n in range(1, 6))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("coverage") / "data")


@pytest.fixture(scope="module")
def api(world: World):
    with live_api(world.keys) as running:
        hellos = [one.hello(DUE - 90_000_000) for one in (world.near, world.far)]
        running.deliver(*hellos, now_ms=DUE - 90_000_000)
        running.advance(DUE)
        store = SqliteStore.open(world.keys.folder / "cairn.db", world.keys.network_id)
        settled = store.epoch(EPOCH)
        # Two more epochs as they might be: one with links, one from before there were tables.
        told = replace(settled, epoch=EPOCH + 1, manifest_hash=b"m" * 32)
        near = world.near.device
        store.store_epoch(replace(told, coverage=encode_coverage(table(near))))
        store.store_epoch(replace(told, epoch=EPOCH + 2, manifest_hash=b"n" * 32, coverage=b""))
        store.close()
        yield running


@pytest.fixture(scope="module")
def client(api):
    with api.client() as client:
        yield client


def station(device: bytes, place: PlaceResult | None = None) -> StationCoverage:
    return StationCoverage(
        device=device,
        expected=12,
        heard=9,
        witnesses=3,
        witness_ppm=2_500_000,
        listening_hours=20,
        hops=2,
        place=place,
        v_ppm=1_000_000,
        u_ppm=800_000,
        station_class=StationClass.WITNESSED,
        near_proof=True,
        unrevealed=False,
        findings=(),
    )


def table(near: bytes) -> Coverage:
    devices = sorted([*DEVICES, near])
    place = PlaceResult(
        3, 3, 500, 900, 100, 200, (52_500_123, 13_400_456), 40, 300, Verdict.PLACE_PLAUSIBLE, ()
    )
    link = Link(DEVICES[0], DEVICES[1], 0, 9, 3, -11_000, 2_400, Verdict.HEARD, 1_000_000)
    back = replace_link(link, beaconer=DEVICES[1], witness=DEVICES[0])
    return Coverage(
        tuple(station(one, place if one == near else None) for one in devices),
        (link, back),
        frozenset({(DEVICES[2], DEVICES[3])}),
    )


def replace_link(link: Link, **changes: bytes) -> Link:
    return link._replace(**changes)


def test_a_closed_epoch_has_a_row_for_each_station(client, world: World):
    answer = client.get(f"/v1/epochs/{EPOCH}/coverage")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["epoch"] == EPOCH
    names = [device_name(one) for one in sorted([world.near.device, world.far.device])]
    assert [one["station"] for one in said["stations"]] == names
    assert said["next"] is None
    held = client.get(
        f"/v1/epochs/{EPOCH}/coverage", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert held.status_code == 304


def test_links_stand_with_the_station_that_was_heard(client):
    stations = client.get(f"/v1/epochs/{EPOCH + 1}/coverage").json()["stations"]
    links = {one["station"]: one["links"] for one in stations if one["links"]}
    assert links.keys() == {device_name(DEVICES[0]), device_name(DEVICES[1])}
    (link,) = links[device_name(DEVICES[0])]
    assert link["witness"] == device_name(DEVICES[1])
    assert (link["heard"], link["silent"], link["distance_m"]) == (9, 3, 2_400)
    assert link["verdict"] == "heard"


def test_pages_end_and_lose_nothing(client):
    path, seen, pairs, after = f"/v1/epochs/{EPOCH + 1}/coverage", [], [], {}
    while True:
        page = client.get(path, params={"limit": 2, **after}).json()
        assert len(page["stations"]) <= 2
        seen += [one["station"] for one in page["stations"]]
        pairs += page["co_located"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    whole = client.get(path).json()
    assert seen == [one["station"] for one in whole["stations"]]
    assert len(seen) == 6
    assert pairs[0] == [device_name(DEVICES[2]), device_name(DEVICES[3])]


@pytest.mark.parametrize(
    "epoch, code", [(EPOCH + 2, "coverage_absent"), (EPOCH + 9, "epoch_missing")]
)
def test_what_there_is_not_is_a_problem(client, epoch: int, code: str):
    answer = client.get(f"/v1/epochs/{epoch}/coverage")
    assert answer.status_code == 404
    assert answer.json()["code"] == code


def test_a_station_page_tells_of_its_newest_epoch_and_of_no_fine_place(api, client, world: World):
    name = device_name(world.near.device)
    # The newest epoch has no table.
    assert client.get(f"/v1/stations/{name}").json()["last_epoch"]["coverage"] is None
    store = api.open_store()
    try:
        assert store.epoch_numbers()[-1] == EPOCH + 2
    finally:
        store.close()
    newest = api.open_store
    api.open_store = lambda: _without_newest(newest())
    try:
        answer = client.get(f"/v1/stations/{name}")
    finally:
        api.open_store = newest
    last = answer.json()["last_epoch"]
    assert last["coverage"] == {
        "expected": 12,
        "heard": 9,
        "witnesses": 3,
        "listening_hours": 20,
        "hops": 2,
        "place": "place_plausible",
        "unrevealed": False,
    }
    assert isinstance(last["verifiability_ppm"], int)
    assert "52500123" not in answer.text


def _without_newest(store: SqliteStore) -> SqliteStore:
    numbers = store.epoch_numbers()[:-1]
    store.epoch_numbers = lambda: numbers
    return store
