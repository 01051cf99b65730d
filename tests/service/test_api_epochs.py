"""Closed epochs over HTTP: what the command line prints, the bundle, and what is held back."""

import hashlib
import json

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.verdicts import Verdict
from gateway.settlement.claims import ClaimVerdict, verify_claim
from tests.service.api_rig import World, live_api
from tests.service.gateway_rig import DUE, EPOCH, OWNER, START
from tests.service.signing_station import SigningStation
from tests.service.test_api import problem

GRACE_MS = 1_800_000
WINDOW_MS = 600_000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("epochs") / "data")


@pytest.fixture(scope="module")
def api(world):
    with live_api(world.keys) as running:
        world.fill(running)
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


def printed(world, *arguments: str) -> dict:
    """What a verb prints with --json."""
    done = CliRunner().invoke(main, [*arguments, "--json", "--data", str(world.keys.folder)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_epochs_are_listed_as_the_command_line_lists_them(world, client):
    assert client.get("/v1/epochs").json() == {**printed(world, "epoch", "list"), "next": None}
    assert client.get(f"/v1/epochs?before={EPOCH}").json() == {"epochs": [], "next": None}


def test_one_epoch_is_what_epoch_show_prints_page_by_page(world, client):
    whole = printed(world, "epoch", "show", str(EPOCH))
    assert client.get(f"/v1/epochs/{EPOCH}").json() == {**whole, "next": None}
    first = client.get(f"/v1/epochs/{EPOCH}?limit=1").json()
    second = client.get(f"/v1/epochs/{EPOCH}?limit=1&after={first['next']}").json()
    assert first["stations"] + second["stations"] == whole["stations"]
    assert second["next"] is None
    assert second["manifest"] == whole["manifest"]
    missing = problem(client.get("/v1/epochs/7"), 404, "epoch_missing")
    assert str(EPOCH) in missing["detail"]


def test_explanations_are_those_of_cairn_explain(world, client):
    for station in (world.near, world.far):
        name = device_name(station.device)
        answer = client.get(f"/v1/epochs/{EPOCH}/stations/{name}/explanation")
        assert answer.json() == printed(world, "explain", name, str(EPOCH))
    stranger = device_name(SigningStation(8, world.keys.network_id).device)
    answer = client.get(f"/v1/epochs/{EPOCH}/stations/{stranger}/explanation")
    problem(answer, 404, "station_unknown")


def test_claims_are_those_of_cairn_claim_and_hold(world, client):
    whole = printed(world, "claim", "proof", OWNER.hex(), "--epoch", str(EPOCH))
    for written in (OWNER.hex(), f"0x{OWNER.hex().upper()}"):
        answer = client.get(f"/v1/epochs/{EPOCH}/claims/{written}")
        assert answer.json() == whole
    root = bytes.fromhex(client.get("/v1/epochs").json()["epochs"][0]["root"])
    assert verify_claim(answer.json(), root) is ClaimVerdict.VALID
    problem(client.get(f"/v1/epochs/{EPOCH}/claims/{'00' * 20}"), 404, "owner_unknown")
    problem(client.get(f"/v1/epochs/{EPOCH}/claims/me"), 422, "parameter_invalid")


def test_the_bundle_is_the_exported_file(world, client, tmp_path):
    answer = client.get(f"/v1/epochs/{EPOCH}/bundle")
    path = tmp_path / "exported.cairn"
    told = printed(world, "export", "bundle", str(EPOCH), "--out", str(path))
    assert answer.content == path.read_bytes()
    digest = hashlib.sha256(answer.content).hexdigest()
    assert answer.headers["etag"] == f'"{digest}"' == f'"{told["sha256"]}"'
    held = client.get(
        f"/v1/epochs/{EPOCH}/bundle", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (held.status_code, held.content) == (304, b"")
    part = client.get(f"/v1/epochs/{EPOCH}/bundle", headers={"Range": "bytes=8-15"})
    assert (part.status_code, part.content) == (206, answer.content[8:16])


@pytest.mark.parametrize("damage", ["flipped", "short", "gone", "another epoch's"])
def test_a_file_that_is_not_the_bundle_is_made_again(world, client, damage):
    whole = client.get(f"/v1/epochs/{EPOCH}/bundle").content
    path = world.keys.folder / "bundles" / f"{EPOCH}.cairn"
    match damage:
        case "flipped":
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        case "short":
            path.write_bytes(whole[:100])
        case "gone":
            path.unlink()
        case _:
            path.write_bytes(b"")
    assert client.get(f"/v1/epochs/{EPOCH}/bundle").content == whole
    assert path.read_bytes() == whole


def test_without_a_tick_what_was_released_is_still_there(api, client):
    whole = client.get(f"/v1/epochs/{EPOCH}/bundle").content
    before, api.clock.ms = api.clock.ms, None
    try:
        # A closed epoch proves that protocol time came to its close.
        assert client.get(f"/v1/epochs/{EPOCH}/bundle").content == whole
    finally:
        api.clock.ms = before


def test_settled_answers_have_tags_and_are_kept(client):
    for path in (f"/v1/epochs/{EPOCH}", f"/v1/epochs/{EPOCH}/claims/{OWNER.hex()}"):
        answer = client.get(path)
        assert answer.headers["cache-control"].startswith("public")
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_bundle_waits_for_the_last_reading_in_it(tmp_path):
    """It holds the first hours of the next day, of which the last half hour is not released."""
    world = World(tmp_path / "data")
    with live_api(world.keys) as api, api.client() as client:
        world.fill(api)
        early_ms = DUE + DAY_MS - 5_000
        value = world.near.reading(early_ms, 4_321)
        assert api.deliver(value, now_ms=early_ms) == [Verdict.OK]
        api.advance(DUE + DAY_MS)
        path = f"/v1/epochs/{EPOCH + 1}/bundle"
        assert client.get(f"/v1/epochs/{EPOCH + 1}").status_code == 200
        answer = client.get(path)
        problem(answer, 404, "bundle_unreleased")
        wait_s = int(answer.headers["retry-after"])
        assert GRACE_MS // 1000 < wait_s <= (GRACE_MS + 2 * WINDOW_MS) // 1000
        assert not (world.keys.folder / "bundles" / f"{EPOCH + 1}.cairn").exists()
        # The day before is not held back by it.
        assert client.get(f"/v1/epochs/{EPOCH}/bundle").status_code == 200
        api.clock.ms = DUE + DAY_MS + wait_s * 1000 - 1_000
        problem(client.get(path), 404, "bundle_unreleased")
        api.clock.ms = DUE + DAY_MS + wait_s * 1000
        assert client.get(path).status_code == 200
        readings = client.get(
            f"/v1/stations/{device_name(world.near.device)}/readings",
            params={"from": START, "to": early_ms + 1, "limit": 10_000},
        )
        assert readings.status_code == 200
