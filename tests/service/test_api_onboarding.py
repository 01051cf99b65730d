"""What a board is told to join a network, and what is known of one board, over HTTP."""

import pytest

from gateway.core.genesis import Genesis
from gateway.core.ids import device_name
from gateway.core.registry import Policy
from gateway.core.verdicts import ADVICE, Verdict
from gateway.shell.api.index import FILE
from gateway.shell.onboarding import Onboarding
from tests.service.api_rig import API_KEY, MQTT_PORT, live_api
from tests.service.gateway_rig import START
from tests.service.signing_station import SigningStation
from tests.service.test_api import problem


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        yield running


@pytest.fixture
def client(api):
    api.clock.ms = START
    with api.client() as client:
        yield client


def seen(client, station: SigningStation) -> dict:
    answer = client.get(f"/v1/onboarding/{device_name(station.device)}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def test_a_board_is_told_all_that_it_needs(api, client):
    answer = client.get("/v1/onboarding")
    assert answer.headers["cache-control"] == "no-store"
    told = Onboarding.of_document(answer.json())
    assert told.document() == answer.json()
    genesis = Genesis.decode(bytes.fromhex(told.genesis))
    assert genesis == api.keys.genesis
    assert told.network_id == api.keys.network_id.hex()
    assert told.root_key == api.keys.genesis.root_key.hex()
    assert (told.broker.host, told.broker.port, told.broker.tls) == ("127.0.0.1", MQTT_PORT, False)
    assert f"http://{told.time.host}:{told.time.port}" == api.url
    assert told.this_machine_only
    assert (told.region, told.beacon_every) == ("EU868", 120)
    assert (told.name, told.simulated, told.admission_policy) == ("test", True, "open")


def test_a_board_that_never_came_is_unknown(api, client):
    station = SigningStation(1, api.keys.network_id)
    assert seen(client, station) == {
        "device": device_name(station.device),
        "state": "unknown",
        "registered_ms": None,
        "last_ms": None,
        "last_kind": None,
        "reporting_interval_ms": None,
        "readings": None,
        "refused": [],
        "position": -1,
    }


def test_the_first_accepted_reading_is_seen(api, client):
    station = SigningStation(1, api.keys.network_id)
    assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
    fresh = seen(client, station)
    assert (fresh["state"], fresh["last_kind"], fresh["readings"]) == ("registered", "hello", None)
    assert (fresh["registered_ms"], fresh["reporting_interval_ms"]) == (START, 300_000)
    assert fresh["position"] == 0
    assert api.deliver(station.reading(START, 2_000), now_ms=START + 5) == [Verdict.OK]
    first = seen(client, station)
    reading = first["readings"]
    assert (reading["position"], reading["recv_ms"], reading["verdict"]) == (1, START + 5, "ok")
    assert (first["last_kind"], first["last_ms"]) == ("readings", START + 5)
    # An older one that comes later is the newest to arrive.
    assert api.deliver(station.reading(START - 60_000, 2_000), now_ms=START + 9) == [Verdict.OK]
    assert seen(client, station)["readings"]["position"] == 2
    # Of somebody else nothing is told.
    assert seen(client, SigningStation(2, api.keys.network_id))["readings"] is None


def test_what_was_refused_is_told_with_its_advice(api, client):
    station = SigningStation(1, api.keys.network_id)
    reading = station.reading(START, 2_000)
    verdicts = api.deliver(reading, now_ms=START + 7, topic=station.device)
    assert verdicts == [Verdict.UNREGISTERED]
    found = seen(client, station)
    assert found["state"] == "unknown"
    (refused,) = found["refused"]
    advice = ADVICE[Verdict.UNREGISTERED]
    assert refused == {
        "verdict": "unregistered",
        "recv_ms": START + 7,
        "what": advice.what,
        "do": advice.do,
    }


def test_who_waits_for_approval_is_told_so_until_approved(keys):
    with live_api(keys, Policy.APPROVED) as api, api.client() as client:
        station = SigningStation(1, keys.network_id)
        verdicts = api.deliver(station.hello(START), now_ms=START, topic=station.device)
        assert verdicts == [Verdict.WAITING_APPROVAL]
        assert seen(client, station)["state"] == "waiting_approval"
        approval = client.post(
            "/v1/operator/approve",
            json={"station": device_name(station.device)},
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        assert approval.is_success
        assert seen(client, station)["state"] == "unknown"
        assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
        assert seen(client, station)["state"] == "registered"


def test_an_id_that_no_key_can_have_is_no_station(client):
    problem(client.get("/v1/onboarding/" + "z" * 26), 404, "station_unknown")
    problem(client.get("/v1/onboarding/short"), 422, "parameter_invalid")


def test_the_index_file_of_an_earlier_version_is_made_again(keys):
    (keys.folder / FILE).write_bytes(b"of another version")
    with live_api(keys) as api, api.client() as client:
        station = SigningStation(1, keys.network_id)
        assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
        assert seen(client, station)["state"] == "registered"
