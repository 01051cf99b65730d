"""The products of an epoch as files: their hashes, their bytes, and what they leave out."""

import csv
import hashlib
import json
import sys

import pyarrow.parquet
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.genesis import DAY_MS
from gateway.shell.products.projection import FILE
from gateway.shell.products.table import COLUMNS
from tests.service.gateway_rig import DUE, EPOCH, START
from tests.service.products_rig import (
    CELL_7,
    FAR_CELL,
    MINUTE_MS,
    NOON,
    TEMPERATURE,
    Followed,
    ProductStation,
)

NAMES = ["cells-10min", "cells-1h", "cells-1d"]


@pytest.fixture
def world(keys):
    """Two stations, a closed day, and a reading that came after the close."""
    world = Followed(keys)
    near, far = ProductStation(1, keys.network_id), ProductStation(2, keys.network_id, FAR_CELL)
    world.send(near.hello(START), far.hello(START), now_ms=START)
    for number in range(0, 24 * 60, 10):
        time_ms = START + number * MINUTE_MS
        columns = [TEMPERATURE, 0, -2, [1_000 + number % 70]]
        both = [station.columns(time_ms, columns) for station in (near, far)]
        world.send(*both, now_ms=time_ms)
    world.gateway.advance(DUE)
    late = near.columns(NOON + 1, [TEMPERATURE, 0, -2, [1]])
    world.send(late, now_ms=DUE + MINUTE_MS)
    world.gateway.advance(DUE + DAY_MS)
    yield world
    world.close()


def export(world, out, *options: str):
    data = str(world.keys.folder)
    asked = ["export", "products", str(EPOCH), "--out", str(out), "--data", data, *options]
    return CliRunner().invoke(main, asked)


def bytes_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_file_is_listed_with_its_hash(world, tmp_path):
    out = tmp_path / "out"
    done = export(world, out, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    index = json.loads((out / "index.json").read_text())
    assert told["files"] == index["files"]
    assert index["format"] == "cairn-products-1"
    assert index["network_id"] == world.keys.network_id.hex()
    assert (index["epoch"], index["as_of_ms"]) == (EPOCH, DUE)
    listed = {one["name"]: one for one in index["files"]}
    tables = [f"{name}.{kind}" for name in NAMES for kind in ("csv", "parquet")]
    assert sorted(listed) == sorted([*tables, "cells.geojson"])
    assert set(bytes_of(out)) == {*listed, "index.json", "SHA256SUMS"}
    for name, one in listed.items():
        data = (out / name).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert one["size"] == len(data)
    sums = (out / "SHA256SUMS").read_text().splitlines()
    assert sums == [f"{one['sha256']}  {one['name']}" for one in index["files"]]
    assert listed["cells-10min.csv"]["rows"] == 2 * 4 * 144
    assert listed["cells-1h.parquet"]["rows"] == 2 * 4 * 24
    assert listed["cells.geojson"]["rows"] == 2 * 4


def test_the_same_epoch_gives_the_same_bytes_even_from_another_file_of_products(world, tmp_path):
    assert export(world, tmp_path / "one").exit_code == 0
    (world.keys.folder / FILE).unlink()
    assert export(world, tmp_path / "two").exit_code == 0
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_what_came_after_the_close_is_in_the_newest_alone(world, tmp_path):
    assert export(world, tmp_path / "closed").exit_code == 0
    assert export(world, tmp_path / "newest", "--newest").exit_code == 0

    def revisions(folder: str) -> list[tuple[str, str]]:
        with (tmp_path / folder / "cells-1h.csv").open() as handle:
            return [
                (row["revision"], row["late"])
                for row in csv.DictReader(handle)
                if row["start_ms"] == str(NOON) and row["cell"] == f"{CELL_7:x}"
            ]

    assert revisions("closed") == [("1", "0")]
    assert revisions("newest") == [("2", "1")]
    index = json.loads((tmp_path / "newest" / "index.json").read_text())
    assert index["as_of_ms"] is None


def test_csv_and_parquet_hold_the_same(world, tmp_path):
    assert export(world, tmp_path).exit_code == 0
    for name in NAMES:
        with (tmp_path / f"{name}.csv").open() as handle:
            lines = list(csv.DictReader(handle))
        table = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet")
        assert table.column_names == list(COLUMNS) == list(lines[0])
        read = [
            {key: kind(line[key]) if line[key] else None for key, kind in COLUMNS.items()}
            for line in lines
        ]
        assert table.to_pylist() == read


def test_without_pyarrow_it_says_how_to_get_it(world, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("gateway.shell.products.parquet.find_spec", lambda _: None)
    refused = export(world, tmp_path / "out")
    assert refused.exit_code == 2
    assert 'pip install "cairn-depin[parquet]"' in refused.output
    assert not (tmp_path / "out").exists()
    plain = export(world, tmp_path / "out", "--no-parquet")
    assert plain.exit_code == 0, plain.output
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {
        ".csv", ".geojson", ".json", "",
    }  # fmt: skip


def test_what_is_not_closed_cannot_be_exported(world, tmp_path):
    data = str(world.keys.folder)
    done = CliRunner().invoke(main, ["export", "products", str(EPOCH + 9), "--data", data])
    assert done.exit_code == 2
    assert "epoch_missing" in done.stderr


def test_a_folder_that_cannot_be_written_is_a_fault(world, tmp_path):
    (tmp_path / "out").write_text("in the way")
    done = export(world, tmp_path / "out")
    assert done.exit_code == 3
    assert "file_unwritable" in done.stderr


def test_by_default_it_lies_in_the_data_directory(world):
    data = world.keys.folder
    done = CliRunner().invoke(main, ["export", "products", str(EPOCH), "--data", str(data)])
    assert done.exit_code == 0
    folder = data / "products" / str(EPOCH)
    assert (folder / "SHA256SUMS").exists()
    assert f"{folder / 'cells-1d.csv'}: 8 rows, " in done.stdout
