"""One day in every format: the same numbers, from the signed readings to a GeoPandas frame."""

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import geopandas
import httpx
import pandas as pd
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.shell.products.table import COLUMNS, iso
from tests.service.api_rig import live_api
from tests.service.gateway_rig import DUE, EPOCH, START, network
from tests.service.products_rig import (
    CELL_7,
    DIRECTION,
    FAR_CELL,
    HUMIDITY,
    MINUTE_MS,
    NOON,
    TEMPERATURE,
    ProductStation,
)

NEAR, FAR = f"{CELL_7:x}", "87194ad14ffffff"
QUANTITIES = {"temperature": TEMPERATURE, "humidity": HUMIDITY, "wind_direction": DIRECTION}
WORLD = "POLYGON((-1 51, 14 51, 14 53, -1 53))"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """Four stations, one alone in London; a liar, a faulty sensor, and late readings."""
    keys = network(tmp_path_factory.mktemp("agree") / "data")
    near = [ProductStation(number, keys.network_id) for number in range(3)]
    far = ProductStation(9, keys.network_id, FAR_CELL)
    with live_api(keys) as running:
        running.deliver(*(one.hello(START) for one in (*near, far)), now_ms=START)
        for number in range(0, 24 * 60, 5):
            time_ms = START + number * MINUTE_MS
            messages = [
                station.columns(time_ms, *columns(number, place))
                for place, station in enumerate((*near, far))
            ]
            running.deliver(*messages, now_ms=time_ms, publish=False)
        late = near[0].columns(NOON + 7, [TEMPERATURE, 0, -2, [-4_000]])
        running.deliver(late, now_ms=NOON + DAY_MS // 4)
        running.advance(DUE)
        running.clock.ms = DUE + MINUTE_MS
        running.far = far
        yield running


def columns(number: int, place: int) -> list[list]:
    """Slow and never the same, in three fineness; the third says 30 degrees too much."""
    wander = number * 7 % 90 + 13 * place
    warm = [TEMPERATURE, 0, -2, [1_500 + wander + (3_000 if place == 2 else 0)]]
    wet = [HUMIDITY, 0, -3, [48_000 + wander]]
    if place == 1 and number % 30 == 0:
        wet = [HUMIDITY, 0, -1, [None], [[0, 4]]]
    return [warm, wet, [DIRECTION, 0, 0, [(350 + wander) % 360]]]


@pytest.fixture(scope="module")
def folder(api, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    data = str(api.keys.folder)
    done = CliRunner().invoke(
        main, ["export", "products", str(EPOCH), "--out", str(folder), "--data", data]
    )
    assert done.exit_code == 0, done.output
    return folder


def typed(line: dict[str, str]) -> dict:
    return {key: kind(line[key]) if line[key] else None for key, kind in COLUMNS.items()}


def exported(folder: Path, name: str) -> list[dict]:
    with (folder / f"{name}.csv").open() as handle:
        return [typed(line) for line in csv.DictReader(handle)]


@pytest.mark.parametrize("period", ["10min", "1h", "1d"])
def test_every_format_of_the_products_says_the_same(api, folder, period):
    truth = exported(folder, f"cells-{period}")
    assert len(truth) >= 2 * 4 * 3
    table = pyarrow.parquet.read_table(folder / f"cells-{period}.parquet")
    assert table.to_pylist() == truth
    by_cell: dict[tuple, dict] = {}
    for row in truth:
        by_cell[row["cell"], row["quantity"], row["start"]] = row
    path = f"/edr/collections/cells-{period}/area"
    asked = {"coords": WORLD, "datetime": iso(START)[:10]}
    with api.client() as client:
        for resolution in (5, 6, 7, 8):
            here = {key: row for key, row in by_cell.items() if row["resolution"] == resolution}
            asked["h3-resolution"] = str(resolution)
            text = client.get(path, params=asked | {"f": "CSV"}).text
            lines = [typed(line) for line in csv.DictReader(io.StringIO(text))]
            assert {(r["cell"], r["quantity"], r["start"]): r for r in lines} == here
            shown = client.get(path, params=asked | {"f": "GeoJSON"}).json()["features"]
            assert [one["properties"] for one in shown] == lines
            collection = client.get(path, params=asked).json()
            _compare_coverages(collection["coverages"], here)


STATISTICS = {
    "": "mean", "_spread": "spread", "_standard_error": "standard_error",
    "_stations": "stations", "_readings": "readings", "_late": "late", "_coverage": "coverage",
    "_flag": "flag", "_revision": "revision",
}  # fmt: skip


def _compare_coverages(coverages: list[dict], rows: dict[tuple, dict]) -> None:
    seen = set()
    for one in coverages:
        for quantity in QUANTITIES:
            for suffix, column in STATISTICS.items():
                values = one["ranges"][quantity + suffix]["values"]
                for time, value in zip(one["domain"]["axes"]["t"]["values"], values, strict=True):
                    assert value == rows[one["id"], quantity, time][column]
                    seen.add((one["id"], quantity, time))
    assert seen == set(rows)


def test_the_map_says_the_same(api, folder):
    for row in exported(folder, "cells-1h")[::7]:
        asked = {
            "at": row["start_ms"], "period": "1h", "quantity": row["quantity"],
            "resolution": row["resolution"],
        }  # fmt: skip
        with api.client() as client:
            shown = client.get("/v1/cells", params=asked).json()["features"]
        [found] = [one["properties"] for one in shown if one["id"] == row["cell"]]
        assert found == row


def pages(api, form: str) -> Iterator[httpx.Response]:
    """The lone station's day, as the readings API gives it."""
    link = f"/v1/stations/{device_name(api.far.device)}/readings"
    asked = {"from": START, "to": START + DAY_MS, "format": form, "limit": 10_000}
    with api.client() as client:
        answer = client.get(link, params=asked)
        yield answer
        while "next" in answer.links:
            answer = client.get(answer.links["next"]["url"])
            yield answer


def test_a_lone_station_s_product_is_the_mean_of_its_signed_readings(api, folder):
    """From SenML, by exact arithmetic."""
    pack = []
    for page in pages(api, "senml-json"):
        pack += json.loads(page.text, parse_float=Decimal, parse_int=Decimal)
    hours = [row for row in exported(folder, "cells-1h") if row["cell"] == FAR]
    for row in hours:
        if row["quantity"] == "wind_direction":
            continue
        inside = [
            Fraction(one["v"])
            for one in pack
            if one["n"] == f"{row['quantity']}:0"
            and row["start_ms"] <= one["t"] * 1000 < row["start_ms"] + 3_600_000
        ]
        assert len(inside) == row["readings"] == 12, row
        digits = 4 if row["quantity"] == "temperature" else 3
        assert row["mean"] == float(round(sum(inside) / 12, digits))
    assert len(hours) == 3 * 24


def test_the_liar_is_held_back_and_the_late_one_left_out(folder):
    noon = [
        row for row in exported(folder, "cells-10min")
        if (row["cell"], row["quantity"], row["start_ms"]) == (NEAR, "temperature", NOON)
    ]  # fmt: skip
    [row] = noon
    assert (row["stations"], row["late"], row["revision"], row["flag"]) == (3, 1, 2, 1)
    assert row["mean"] < 16.5
    assert row["coverage"] == 1.0


def test_readings_say_the_same_in_every_format(api):
    name = device_name(api.far.device)
    path = f"/edr/collections/stations/locations/{name}"
    with api.client() as client:
        asked = {"datetime": iso(START)[:10]}
        text = client.get(path, params=asked | {"f": "CSV"}).text
        shown = client.get(path, params=asked | {"f": "GeoJSON"}).json()["features"]
        coverage = client.get(path, params=asked).json()
    truth = [one for page in pages(api, "json") for one in page.json()["readings"]]
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == len(truth) == len(shown) == 3 * 288
    series: dict[str, dict[str, float]] = {}
    for line, one, feature in zip(lines, truth, shown, strict=True):
        assert Decimal(line["value"]) == Decimal(one["value"])
        assert feature["properties"]["value"] == float(one["value"])
        for column in ("quantity", "message_id"):
            assert line[column] == one[column] == feature["properties"][column]
        assert int(line["time_ms"]) == one["time_ms"]
        series.setdefault(one["quantity"], {})[iso(one["time_ms"])] = float(one["value"])
    for quantity, values in series.items():
        told = coverage["ranges"][quantity]["values"]
        assert dict(zip(coverage["domain"]["axes"]["t"]["values"], told, strict=True)) == values


def test_pandas_reads_both_files_alike(folder):
    frame = pd.read_csv(folder / "cells-1d.csv")
    other = pd.read_parquet(folder / "cells-1d.parquet")
    assert list(frame.columns) == list(other.columns) == list(COLUMNS)
    for column, kind in COLUMNS.items():
        if kind is str:
            assert frame[column].tolist() == other[column].tolist()
        else:
            assert (frame[column].fillna(-1) == other[column].fillna(-1)).all()
    assert set(frame["quantity"]) == set(QUANTITIES)
    truth = exported(folder, "cells-1d")
    assert frame["mean"].tolist() == [row["mean"] for row in truth]


def test_geopandas_reads_map_query_and_outlines(api, folder):
    with api.client() as client:
        mapped = client.get("/v1/cells").content
        asked = {"coords": WORLD, "f": "GeoJSON"}
        area = client.get("/edr/collections/cells-1d/area", params=asked).content
    frame = geopandas.read_file(io.BytesIO(mapped))
    assert set(frame.geometry.geom_type) == {"Polygon"}
    assert frame.crs.to_epsg() == 4326
    assert frame.geometry.is_valid.all()
    outlines = geopandas.read_file(folder / "cells.geojson")
    joined = outlines.merge(pd.read_parquet(folder / "cells-1d.parquet"), on="cell")
    day = geopandas.read_file(io.BytesIO(area))
    seven = joined[joined["resolution"] == 7].sort_values(["cell", "quantity"])
    day = day.sort_values(["cell", "quantity"])
    assert day["mean"].tolist() == seven["mean"].tolist()
    assert (day.geometry.to_wkb().tolist()) == seven.geometry.to_wkb().tolist()
    # A cell of resolution 7 has 5.16 km2 on average.
    area_km2 = frame.to_crs(6933).area / 1e6
    assert area_km2.between(3, 8).all()
