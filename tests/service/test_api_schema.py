"""The OpenAPI document: committed as the code makes it, and kept to by a live gateway."""

import json
import re
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from gateway.core.ids import device_name
from gateway.shell.api.app import document
from gateway.shell.api.document import text
from gateway.shell.api.problems import CATALOG, SCHEMA, ApiCode
from gateway.shell.releases import publish
from tests.service.api_rig import API_KEY, World, live_api
from tests.service.gateway_rig import EPOCH, OWNER, START
from tests.unit.gateway.release_kit import ReleaseWorld

ROOT = Path(__file__).resolve().parents[2]
AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}
RELEASE = 3
ANY_ROUTE = {"busy", "gateway_fault"}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("schema") / "data")
    with live_api(world.keys) as running:
        world.fill(running)
        running.near = world.near
        running.release = ReleaseWorld(world.keys).release(RELEASE)
        publish(world.keys.folder, running.release, world.keys, START)
        yield running


schema = schemathesis.openapi.from_dict(document())


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_a_live_gateway_keeps_to_its_document(case, api):
    """Every check of schemathesis, on requests that fit the document and on others."""
    if case.path == "/v1/events":
        _bound(case)
    elif case.meta.generation.mode is GenerationMode.POSITIVE and len(case.id) % 2:
        _point_at_something(case, api)
    # Where the headers are what is wrong, ours would mend them.
    keyless = case.meta.is_negative_at(ParameterLocation.HEADER)
    headers = {} if keyless else AUTHORIZED
    case.call_and_validate(base_url=api.url, headers=headers, timeout=30)


def _bound(case) -> None:
    """Let a stream end at once, unless its `wait` is what the request has wrong."""
    wait = case.query.get("wait", 0)
    if isinstance(wait, int) and 0 <= wait <= 86_400:
        case.query["wait"] = 0


def _point_at_something(case, api) -> None:
    """Ask for what there is: a random id is only ever unknown."""
    real = {
        "device": device_name(api.near.device),
        "epoch": EPOCH,
        "owner": f"0x{OWNER.hex()}",
        "collection": "cells-1h",
        "location": "871f1d489ffffff",
        "counter": RELEASE,
        "architecture": "bytecode",
        "sha256": min(api.release.files).hex(),
    }
    for name in case.path_parameters:
        case.path_parameters[name] = real[name]


def test_the_committed_document_is_what_the_code_makes():
    committed = (ROOT / "spec" / "openapi.json").read_text("utf-8")
    assert committed == text(), "python -m gateway.shell.api.document > spec/openapi.json"


def test_every_route_documents_its_problems_and_says_what_it_does():
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description") or operation.get("summary"), (path, method)
            problems = {
                status: answer
                for status, answer in operation["responses"].items()
                if int(status) >= 400
            }
            assert {"500", "503"} <= problems.keys(), (path, method)
            for status, answer in problems.items():
                assert list(answer["content"]) == ["application/problem+json"], (path, status)
            if operation.get("parameters") or operation.get("requestBody"):
                assert "422" in problems, (path, method)
            if path.startswith("/v1/operator/"):
                assert {"401", "403"} <= problems.keys(), (path, method)
                assert operation["security"] == [{"HTTPBearer": []}]


def test_every_problem_code_is_explained_in_the_manual():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \| (\d+) \| (.+?) \| (.+?) \|$", page)
    explained = {code: (int(status), title, do) for code, status, title, do in rows}
    assert explained == {str(code): tuple(entry) for code, entry in CATALOG.items()}
    assert set(ApiCode) <= set(CATALOG)
    assert SCHEMA["properties"]["code"]["enum"] == sorted(map(str, CATALOG))


def test_the_manual_names_every_path():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    absent = [path for path in json.loads(text())["paths"] if f"`{path}`" not in page]
    assert not absent
