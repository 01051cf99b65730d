"""The EDR API and the map of cells over a live gateway: places, times, parameters, refusals."""

import csv
import io
from urllib.parse import urlsplit

import h3
import pytest
from covjson_pydantic.coverage import Coverage, CoverageCollection
from edr_pydantic.capabilities import ConformanceModel, LandingPageModel
from edr_pydantic.collections import Collection, Collections

from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.shell.products.table import iso
from tests.service.api_rig import World, live_api
from tests.service.gateway_rig import START
from tests.service.signing_station import CELL
from tests.service.test_api import problem

NEAR_CELL, FAR_CELL_7 = "871f1d489ffffff", "871f1d4d2ffffff"
NOON = START + DAY_MS // 2
HOUR_MS, WINDOW_MS = 3_600_000, 600_000
NEAR_POINT = "POINT(13.409062 52.525748)"
BERLIN = "POLYGON((13 52, 14 52, 14 53, 13 53, 13 52))"
CELLS = "/edr/collections/cells-1h"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("edr") / "data")
    with live_api(world.keys) as running:
        world.fill(running)
        running.near = world.near
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


def rows(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def coverage(answer) -> Coverage:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.cov+json"
    return Coverage.model_validate_json(answer.content)


def times(answer) -> list[str]:
    return [one["start"] for one in rows(answer)]


def test_it_describes_itself_as_the_standard_wants(client):
    landing = LandingPageModel.model_validate_json(client.get("/edr").content)
    assert {link.rel for link in landing.links} == {"self", "service-desc", "conformance", "data"}
    conformance = ConformanceModel.model_validate_json(client.get("/edr/conformance").content)
    assert "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/core" in conformance.conformsTo
    found = Collections.model_validate_json(client.get("/edr/collections").content)
    names = [one.id for one in found.collections]
    assert names == ["cells-10min", "cells-1h", "cells-1d", "stations"]
    for one in found.collections:
        alone = client.get(f"/edr/collections/{one.id}")
        assert Collection.model_validate_json(alone.content) == one
        assert one.extent.temporal is not None
        temperature = one.parameter_names.root["temperature"]
        assert temperature.unit.symbol.value == "Cel"
        for query in ("position", "area", "locations"):
            link = getattr(one.data_queries, query).link.href
            assert urlsplit(link).path == f"/edr/collections/{one.id}/{query}"


def test_every_link_of_it_leads_somewhere(client):
    landing = client.get("/edr").json()
    for link in landing["links"]:
        assert client.get(link["href"]).status_code == 200, link


@pytest.mark.parametrize("resolution", [5, 6, 7, 8])
def test_a_position_is_its_cell_at_the_resolution_asked_for(client, resolution):
    cell = h3.cell_to_parent(f"{CELL:x}", resolution)
    latitude, longitude = h3.cell_to_latlng(cell)
    asked = {"coords": f"POINT({longitude:.6f} {latitude:.6f})", "h3-resolution": resolution}
    found = coverage(client.get(f"{CELLS}/position", params=asked))
    assert found.id == cell
    if resolution >= 7:
        assert found.ranges["temperature"].values[0] == 10.055
    assert len(found.domain.axes.t.values) == 24
    assert found.domain.axes.x.values == [pytest.approx(longitude, abs=1e-6)]
    assert found.domain.axes.y.values == [pytest.approx(latitude, abs=1e-6)]


@pytest.mark.parametrize("collection", ["cells-1h", "stations"])
def test_where_nothing_is_there_is_no_content(client, collection):
    path = f"/edr/collections/{collection}"
    for query, coords in [
        ("position", "POINT(0 0)"),
        ("area", "POLYGON((0 0, 1 0, 1 1))"),
    ]:
        answer = client.get(f"{path}/{query}", params={"coords": coords})
        assert (answer.status_code, answer.content) == (204, b"")
        assert int(answer.headers["cairn-released-to"]) > START


def test_an_area_holds_the_cells_that_meet_it(client):
    def cells(coords: str) -> list[str]:
        asked = {"coords": coords, "f": "CSV"}
        return list(dict.fromkeys(one["cell"] for one in rows(client.get(path, params=asked))))

    path = f"{CELLS}/area"
    assert cells(BERLIN) == [NEAR_CELL, FAR_CELL_7]
    assert cells("POLYGON((13.40 52.52, 13.41 52.52, 13.41 52.53))") == [NEAR_CELL]
    # West of both, but for its tip.
    assert cells("POLYGON((12 52, 13.43 52.495, 12 53))") == [FAR_CELL_7]
    answer = client.get(path, params={"coords": BERLIN})
    found = CoverageCollection.model_validate_json(answer.content)
    assert [one.id for one in found.coverages] == [NEAR_CELL, FAR_CELL_7]


def test_an_area_of_stations_holds_those_whose_cell_meets_it(client, api):
    asked = {"coords": "POLYGON((13.40 52.52, 13.41 52.52, 13.41 52.53))", "f": "CSV"}
    found = rows(client.get("/edr/collections/stations/area", params=asked))
    assert {one["station"] for one in found} == {device_name(api.near.device)}
    asked["coords"] = BERLIN
    found = rows(client.get("/edr/collections/stations/area", params=asked))
    assert {one["cell"] for one in found} == {NEAR_CELL, FAR_CELL_7}


def test_locations_are_polygons_page_by_page(client):
    path = f"{CELLS}/locations"
    whole = client.get(path)
    assert whole.headers["content-type"] == "application/geo+json"
    features = whole.json()["features"]
    assert [one["id"] for one in features] == [NEAR_CELL, FAR_CELL_7]
    boundary = h3.cell_to_boundary(NEAR_CELL)
    ring = features[0]["geometry"]["coordinates"][0]
    assert [(round(x, 6), round(y, 6)) for y, x in boundary] == [tuple(p) for p in ring[:-1]]
    assert ring[0] == ring[-1]
    first = client.get(path, params={"limit": 1})
    assert [one["id"] for one in first.json()["features"]] == [NEAR_CELL]
    second = client.get(first.links["next"]["url"])
    assert [one["id"] for one in second.json()["features"]] == [FAR_CELL_7]
    assert "next" not in second.links
    assert len(client.get(path, params={"h3-resolution": 5}).json()["features"]) == 2


def test_stations_are_points_of_resolution_7_page_by_page(client):
    path = "/edr/collections/stations/locations"
    seen, link = [], f"{path}?limit=1"
    while link:
        answer = client.get(link)
        seen += answer.json()["features"]
        link = answer.links.get("next", {}).get("url")
    assert len(seen) == 2
    for one in seen:
        x, y = one["geometry"]["coordinates"]
        assert h3.latlng_to_cell(y, x, 7) == one["properties"]["cell"]
        assert client.get(f"{path}/{one['id']}").status_code == 200


def test_a_location_is_a_cell_of_any_resolution_or_a_station(client):
    for resolution in (5, 6, 7, 8):
        cell = h3.cell_to_parent(f"{CELL:x}", resolution)
        assert coverage(client.get(f"{CELLS}/locations/{cell}")).id == cell


@pytest.mark.parametrize(
    "path, code",
    [
        ("/edr/collections/cells-2h", "not_found"),
        ("/edr/collections/cells-2h/locations", "not_found"),
        ("/edr/collections/cells-2h/position?coords=POINT(1 1)", "not_found"),
        (f"{CELLS}/locations/871f1d488ffffff", "not_found"),
        (f"{CELLS}/locations/891f1d48947ffff", "not_found"),
        (f"{CELLS}/locations/{'a' * 26}", "not_found"),
        (f"/edr/collections/stations/locations/{'a' * 26}", "station_unknown"),
        (f"/edr/collections/stations/locations/{NEAR_CELL}", "station_unknown"),
        (f"{CELLS}/locations/{NEAR_CELL}?parameter-name=temprature", "not_found"),
        (f"/edr/collections/stations/position?coords={NEAR_POINT}&parameter-name=x", "not_found"),
        ("/v1/cells?quantity=x", "not_found"),
    ],
)
def test_what_there_is_not_is_said_to_be_absent(client, path, code):
    problem(client.get(path), 404, code)


@pytest.mark.parametrize(
    "path",
    [
        f"{CELLS}/position",
        f"{CELLS}/position?coords=POINT(13)",
        f"{CELLS}/position?coords=POINT(181 0)",
        f"{CELLS}/position?coords=POINT(0 91)",
        f"{CELLS}/area?coords=POLYGON((0 0, 1 1))",
        f"{CELLS}/area?coords=POLYGON((0 0,1 0,1 1),(0 0,1 0,1 1))",
        f"{CELLS}/area?coords=POLYGON(({', '.join(['1 1'] * 101)}))",
        f"{CELLS}/position?coords=POINT(1 1)&datetime=yesterday",
        f"{CELLS}/position?coords=POINT(1 1)&datetime=2024-02-30",
        f"{CELLS}/position?coords=POINT(1 1)&h3-resolution=9",
        f"{CELLS}/position?coords=POINT(1 1)&f=XML",
        f"{CELLS}/locations/x",
        "/v1/cells?resolution=9",
        "/v1/cells?period=2h",
    ],
)
def test_what_does_not_fit_is_refused(client, path):
    problem(client.get(path), 422, "parameter_invalid")


HOURS = [
    (iso(NOON), [NOON]),
    (iso(NOON + 1), [NOON]),
    (f"{iso(NOON + 1)}/{iso(NOON + HOUR_MS)}", [NOON, NOON + HOUR_MS]),
    (f"{iso(NOON)}/{iso(NOON + HOUR_MS - 1)}", [NOON]),
    (f"../{iso(START)}", [START]),
    (f"{iso(START + 23 * HOUR_MS)}/..", [START + 23 * HOUR_MS]),
    (iso(START)[:10], [START + hour * HOUR_MS for hour in range(24)]),
    ("../..", [START + hour * HOUR_MS for hour in range(24)]),
    (None, [START + hour * HOUR_MS for hour in range(24)]),
]


@pytest.mark.parametrize("datetime, starts", HOURS)
def test_a_time_means_the_periods_that_it_meets(client, datetime, starts):
    asked = {"f": "CSV"} | ({} if datetime is None else {"datetime": datetime})
    answer = client.get(f"{CELLS}/locations/{NEAR_CELL}", params=asked)
    assert times(answer) == [iso(start) for start in starts]


def test_a_time_that_runs_backwards_or_is_elsewhere_is_empty(client):
    path = f"{CELLS}/locations/{NEAR_CELL}"
    for datetime in (f"{iso(NOON)}/{iso(START)}", "2001-01-01", "2024-02-29T00:00Z/2024-03-01"):
        assert client.get(path, params={"datetime": datetime}).status_code == 204


def test_parameters_are_chosen_by_name(client):
    path = f"{CELLS}/locations/{NEAR_CELL}"
    asked = {"parameter-name": "temperature_coverage,temperature"}
    found = coverage(client.get(path, params=asked))
    assert set(found.ranges) == {"temperature_coverage", "temperature"}
    assert set(found.parameters.root) == set(found.ranges)
    assert set(found.ranges["temperature_coverage"].values) == {1.0}
    # Known, but nobody measured it.
    assert client.get(path, params={"parameter-name": "humidity"}).status_code == 204


def test_an_answer_can_be_asked_for_again(client):
    path = f"{CELLS}/locations/{NEAR_CELL}"
    for form in ("CoverageJSON", "GeoJSON", "CSV"):
        first = client.get(path, params={"f": form})
        assert first.headers["cache-control"] == "no-cache"
        assert first.headers["access-control-allow-origin"] == "*"
        held = {"If-None-Match": first.headers["etag"]}
        again = client.get(path, params={"f": form}, headers=held)
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("collection", ["cells-10min", "stations"])
def test_an_answer_that_would_be_too_large_is_refused(client, monkeypatch, collection):
    module = "edr_readings" if collection == "stations" else "edr_cells"
    monkeypatch.setattr(f"gateway.shell.api.{module}.ROWS_MAX", 100)
    path = f"/edr/collections/{collection}/area"
    body = problem(client.get(path, params={"coords": BERLIN, "datetime": iso(START)[:10]}), 422,
                   "parameter_invalid")  # fmt: skip
    assert "shorter datetime" in body["detail"]
    short = {"coords": BERLIN, "datetime": iso(NOON)}
    assert client.get(path, params=short).status_code == 200


def test_the_map_shows_one_moment(client):
    newest = client.get("/v1/cells").json()
    assert newest["start_ms"] == START + 23 * HOUR_MS
    assert newest["next"] is None
    cells = [one["properties"] for one in newest["features"]]
    assert [one["cell"] for one in cells] == [NEAR_CELL, FAR_CELL_7]
    assert {one["quantity"] for one in cells} == {"temperature"}
    asked = {"at": NOON + 1, "period": "10min", "resolution": 6, "limit": 1}
    first = client.get("/v1/cells", params=asked)
    assert first.json()["start_ms"] == NOON
    assert first.json()["next"] == first.json()["features"][0]["id"]
    second = client.get(first.links["next"]["url"]).json()
    assert len(second["features"]) == 1
    assert second["next"] is None
    assert client.get("/v1/cells", params={"quantity": "humidity"}).json()["features"] == []
    assert client.get("/v1/cells", params={"at": 0}).json()["features"] == []
