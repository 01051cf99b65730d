"""The EDR API keeps to its OpenAPI document, and its CoverageJSON to the specification."""

import json
from itertools import pairwise

import pytest
import schemathesis
from covjson_pydantic.coverage import Coverage, CoverageCollection
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode

from gateway.core.ids import device_name
from gateway.shell.api.app import document
from tests.service.api_rig import World, live_api

CELL = "871f1d489ffffff"
BERLIN = "POLYGON((13 52, 14 52, 14 53, 13 53))"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("schema") / "data")
    with live_api(world.keys) as running:
        world.fill(running)
        running.near = world.near
        yield running


schema = schemathesis.openapi.from_dict(document()).include(path_regex="^(/edr|/v1/cells)")


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_a_live_gateway_keeps_to_its_document(case, api):
    if case.meta.generation.mode is GenerationMode.POSITIVE and "location" in case.path_parameters:
        stations = case.path_parameters.get("collection") == "stations"
        known = device_name(api.near.device) if stations else CELL
        case.path_parameters["location"] = known
    case.call_and_validate(base_url=api.url, timeout=30)


@pytest.mark.parametrize("collection", ["cells-10min", "cells-1h", "cells-1d", "stations"])
def test_coverages_survive_a_round_trip_and_fit_together(api, collection):
    path = f"/edr/collections/{collection}"
    with api.client() as client:
        several = client.get(f"{path}/area", params={"coords": BERLIN}).content
        location = device_name(api.near.device) if collection == "stations" else CELL
        single = client.get(f"{path}/locations/{location}").content
    for model, content in ((CoverageCollection, several), (Coverage, single)):
        again = model.model_validate_json(content).model_dump_json(exclude_none=True)
        assert json.loads(again) == json.loads(content)
    whole = json.loads(several)
    assert whole["type"] == "CoverageCollection"
    systems = {one["system"]["type"]: one["coordinates"] for one in whole["referencing"]}
    assert systems == {"GeographicCRS": ["x", "y"], "TemporalRS": ["t"]}
    for one in whole["coverages"]:
        _check(one, whole["parameters"])
    alone = json.loads(single)
    _check(alone, alone["parameters"])
    assert len(whole["coverages"]) == 2


def _check(coverage: dict, parameters: dict) -> None:
    """What JSON's structure alone does not say."""
    axes = coverage["domain"]["axes"]
    times = axes["t"]["values"]
    assert times
    assert all(earlier < later for earlier, later in pairwise(times))
    assert set(coverage["ranges"]) <= set(parameters)
    for name, values in coverage["ranges"].items():
        assert values["axisNames"] == ["t"]
        assert values["shape"] == [len(times)] == [len(values["values"])]
        assert any(value is not None for value in values["values"]) or "_" in name
    for one in parameters.values():
        assert one["unit"]["symbol"]["type"] == "http://www.opengis.net/def/uom/UCUM/"
