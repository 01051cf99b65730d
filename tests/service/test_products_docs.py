"""What docs/products.md shows, run from top to bottom against a live gateway."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.ids import device_name
from gateway.shell.api.app import document
from gateway.shell.products.table import COLUMNS
from tests.service.api_rig import World, live_api
from tests.service.gateway_rig import EPOCH
from tests.service.test_api_docs import shown_in, steps

PAGE = Path(__file__).resolve().parents[2] / "docs" / "products.md"
TEXT = PAGE.read_text("utf-8")
STEPS = steps(TEXT)
RECIPES = re.findall(r"(?ms)^```python\n(.*?)^```$", TEXT)
QGIS = re.findall(r"`(http://127\.0\.0\.1:8080/[^`]*)`", TEXT)
SECONDS_MAX = 120


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("docs") / "data")
    with live_api(world.keys) as running:
        world.fill(running)
        running.near = world.near
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory, api):
    folder = tmp_path_factory.mktemp("buyer")
    (folder / "cairn-data").symlink_to(api.keys.folder)
    return folder


def here(api, text: str) -> str:
    real = {
        "http://127.0.0.1:8080": api.url,
        "h5x2exbg4yonsgxg7ipvz7nuwm": device_name(api.near.device),
        "20514": str(EPOCH),
    }
    for written, meant in real.items():
        text = text.replace(written, meant)
    return text


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "NO_PROXY": "*", "no_proxy": "*"}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False,
        timeout=SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_do_what_the_manual_shows(api, folder, require_component):
    """In order: the recipes read what the export wrote."""
    require_component("curl")
    for command, shown in STEPS:
        printed = run(["bash", "-c", here(api, command)], folder)
        for line in shown:
            assert shown_in(here(api, line), printed), f"not printed: {line}\n{printed}"
    for recipe in RECIPES:
        printed = run([sys.executable, "-c", here(api, recipe)], folder)
        assert printed.strip(), recipe
        assert "Empty" not in printed, recipe
    assert (folder / "day.gpkg").exists()


def test_what_qgis_is_given_opens_in_its_driver(api, folder):
    """GDAL's GeoJSON driver over HTTP, which is what QGIS uses."""
    assert len(QGIS) == 2
    for url in QGIS:
        script = (
            "import geopandas, sys; read = geopandas.read_file(sys.argv[1]); "
            "assert set(read.geometry.geom_type) == {'Polygon'}; print(read['mean'].count())"
        )
        assert int(run([sys.executable, "-c", script, here(api, url)], folder)) >= 2


def test_every_column_and_path_is_explained():
    explained = set(re.findall(r"`([a-z_0-9]+)`", TEXT.partition("## Ask")[0]))
    assert set(COLUMNS) <= explained
    queries = [
        path.split("{collection}/")[1] for path in document()["paths"] if "collection}/" in path
    ]
    assert {query.partition("/")[0] for query in queries} == {"position", "area", "locations"}
    assert all(f"`{query.partition('/')[0]}`" in TEXT for query in queries)


def test_there_is_something_to_run():
    assert len(STEPS) == 8
    assert len(RECIPES) == 3
