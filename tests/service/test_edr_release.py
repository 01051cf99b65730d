"""Through EDR too: nothing before its release, and what comes late makes a revision."""

import asyncio
import csv
import io
import threading

import pytest

from gateway.core.admission import Arrival
from gateway.core.verdicts import Verdict
from gateway.shell.products.table import iso
from tests.service.api_rig import live_api
from tests.service.gateway_rig import START
from tests.service.products_rig import CELL_7, GRACE_MS, MINUTE_MS, NOON, WINDOW_MS
from tests.service.signing_station import SigningStation

RELEASE = NOON + WINDOW_MS + GRACE_MS
POINT = {"coords": "POINT(13.409062 52.525748)"}


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        yield running


@pytest.fixture
def stations(api, keys):
    stations = [SigningStation(number, keys.network_id) for number in (1, 2)]
    hellos = [station.hello(START) for station in stations]
    assert api.deliver(*hellos, now_ms=START) == [Verdict.OK] * 2
    return stations


@pytest.mark.parametrize("form", ["CoverageJSON", "GeoJSON", "CSV"])
@pytest.mark.parametrize("collection", ["cells-10min", "stations"])
def test_nothing_is_shown_before_its_release(api, stations, form, collection):
    api.deliver(stations[0].reading(NOON, 2_150), now_ms=NOON)
    path = f"/edr/collections/{collection}/position"
    asked = POINT | {"f": form, "datetime": iso(NOON)}
    with api.client() as client:
        for now_ms in (NOON + 1, RELEASE - 1):
            api.clock.ms = now_ms
            assert client.get(path, params=asked).status_code == 204
            assert client.get("/v1/cells?period=10min").json()["features"] == []
            assert client.get("/edr/collections/cells-10min/locations").json()["features"] == []
        api.clock.ms = RELEASE
        answer = client.get(path, params=asked)
        assert answer.status_code == 200
        assert "21.5" in answer.text
        assert len(client.get("/v1/cells?period=10min").json()["features"]) == 1


def test_revisions_stay_readable(api, stations):
    one, two = stations
    api.deliver(one.reading(NOON, 2_000), now_ms=NOON)
    api.deliver(two.reading(NOON, 3_000), now_ms=RELEASE + MINUTE_MS)
    api.clock.ms = RELEASE + WINDOW_MS
    path = f"/edr/collections/cells-10min/locations/{CELL_7:x}"
    with api.client() as client:

        def told(**asked) -> dict[str, str]:
            text = client.get(path, params={"f": "CSV"} | asked).text
            [row] = csv.DictReader(io.StringIO(text))
            return row

        first, second = told(revision=1), told()
        assert (first["revision"], first["late"], first["made_ms"]) == ("1", "0", str(RELEASE))
        assert (second["revision"], second["late"]) == ("2", "1")
        assert second["made_ms"] == str(RELEASE + WINDOW_MS)
        assert first["mean"] == second["mean"] == "20.0"
        [mapped] = client.get("/v1/cells?period=10min&revision=1").json()["features"]
        assert mapped["properties"]["revision"] == 1
        late = client.get("/edr/collections/stations/position", params=POINT | {"f": "CSV"}).text
        flags = {row["value"]: row["post_release"] for row in csv.DictReader(io.StringIO(late))}
        assert flags == {"20.0": "0", "30.0": "1"}


def test_products_are_there_after_a_restart_without_a_tick(keys, stations, api):
    api.deliver(stations[0].reading(NOON, 2_000), now_ms=NOON)
    later = RELEASE + 60 * MINUTE_MS
    api.deliver(stations[1].reading(later, 2_000), now_ms=later)
    api.clock.ms = None
    with api.client() as client:
        answer = client.get("/edr/collections/cells-10min/position", params=POINT)
        assert answer.status_code == 200


def test_what_is_still_on_its_way_into_the_store_is_not_overtaken(api, stations):
    """The clock goes on while the worker is busy: nothing is made of what it has not written."""
    begin, free = threading.Event(), threading.Event()

    def busy(_) -> None:
        begin.set()
        assert free.wait(30)

    message = stations[0].reading(NOON, 2_000)
    blocked = asyncio.run_coroutine_threadsafe(api.worker.call(busy), api._loop)
    assert begin.wait(30)
    behind = asyncio.run_coroutine_threadsafe(
        api.worker.call(lambda gateway: gateway.deliver([Arrival(None, message)], NOON)), api._loop
    )
    api.clock.ms = RELEASE + WINDOW_MS
    path = "/edr/collections/cells-10min/position"
    with api.client() as client:
        assert client.get(path, params=POINT).status_code == 204
        free.set()
        blocked.result(30)
        behind.result(30)
        answer = client.get(path, params=POINT | {"f": "CSV"})
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["readings"], row["late"]) == ("1", "0")
