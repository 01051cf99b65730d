"""The operator's verbs over HTTP: only with the key, and each is a signed event in the log."""

import pytest

from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.operator import (
    Anchor,
    Appeal,
    Approve,
    Quarantine,
    RulesChange,
    SetOwner,
    open_operator_event,
)
from gateway.core.registry import Policy
from gateway.core.rules import rules_hash
from gateway.core.verdicts import Verdict
from gateway.shell.opening import open_statements
from tests.service.api_rig import API_KEY, live_api
from tests.service.gateway_rig import OWNER, START
from tests.service.signing_station import SigningStation
from tests.service.test_api import problem

AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}
VERBS = ("approve", "anchor", "owner", "quarantine", "appeal", "rules")


@pytest.fixture
def api(keys):
    with live_api(keys, Policy.APPROVED) as running:
        running.clock.ms = START
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


@pytest.fixture
def station(keys):
    return SigningStation(1, keys.network_id)


def events(api) -> list:
    """The bodies of the operator log, signatures checked."""
    store = api.open_store()
    stored = store.events(0, store.operator_head().length)
    store.close()
    statements = open_statements(api.keys)
    opened = [open_operator_event(data, api.keys.network_id, statements) for data in stored]
    assert not any(isinstance(one, Verdict) for one in opened)
    return opened


def test_every_verb_becomes_the_event_that_it_names(api, client, station, keys):
    name = device_name(station.device)
    digest = rules_hash((keys.folder / "rules" / "0001.toml").read_bytes())
    first_epoch = START // DAY_MS + 3
    requests = [
        ("approve", {"station": name}, Approve(station.device)),
        ("anchor", {"station": name}, Anchor(station.device, anchored=True)),
        ("anchor", {"station": name, "anchored": False}, Anchor(station.device, anchored=False)),
        ("owner", {"station": name, "owner": f"0x{OWNER.hex()}"}, SetOwner(station.device, OWNER)),
        (
            "quarantine",
            {"station": name, "first": 2, "last": 9, "reason": "on a roof"},
            Quarantine(station.device, 2, 9, "on a roof"),
        ),
        (
            "appeal",
            {"station": name, "first": 2, "last": 9.0},
            Appeal(station.device, 2, 9, lifted=True),
        ),
        (
            "rules",
            {"first_epoch": first_epoch, "rules_hash": digest.hex()},
            RulesChange(first_epoch, digest),
        ),
    ]
    for serial, (verb, body, _) in enumerate(requests, 1):
        api.clock.ms = START + serial
        answer = client.post(f"/v1/operator/{verb}", json=body, headers=AUTHORIZED)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"serial": serial, "time_ms": START + serial}
    logged = events(api)
    assert [one.body for one in logged] == [event for _, _, event in requests]
    assert [one.time_ms for one in logged] == [START + n for n in range(1, len(requests) + 1)]


def test_an_approved_station_gets_in(api, client, station):
    hello = station.hello(START)
    assert api.deliver(hello, now_ms=START) == [Verdict.WAITING_APPROVAL]
    name = device_name(station.device)
    samples = client.get("/v1/operator/refused?verdict=waiting_approval", headers=AUTHORIZED)
    assert [one["data"] for one in samples.json()["samples"]] == [hello.hex()]
    problem(client.get(f"/v1/stations/{name}"), 404, "station_unknown")
    answer = client.post("/v1/operator/approve", json={"station": name}, headers=AUTHORIZED)
    assert answer.status_code == 200
    assert api.deliver(hello, now_ms=START) == [Verdict.OK]
    assert client.get(f"/v1/stations/{name}").status_code == 200


@pytest.mark.parametrize(
    "header, refused",
    [
        (None, (401, "key_missing")),
        ("", (401, "key_missing")),
        ("Bearer", (401, "key_missing")),
        ("Basic abc", (401, "key_missing")),
        (API_KEY, (401, "key_missing")),
        (f"Bearer {API_KEY[:-1]}", (403, "key_wrong")),
        (f"Bearer {API_KEY}0", (403, "key_wrong")),
        (f"Bearer {API_KEY.upper()}", (403, "key_wrong")),
    ],
)
def test_nobody_operates_without_the_key(api, client, station, header, refused):
    status, code = refused
    headers = {} if header is None else {"Authorization": header}
    body = {"station": device_name(station.device)}
    for verb in VERBS:
        answer = client.post(f"/v1/operator/{verb}", json=body, headers=headers)
        problem(answer, status, code)
        assert ("www-authenticate" in answer.headers) == (status == 401)
    problem(client.get("/v1/operator/refused?verdict=ok", headers=headers), status, code)
    assert events(api) == []


@pytest.mark.parametrize(
    "verb, body",
    [
        ("approve", {}),
        ("approve", {"station": "x"}),
        ("approve", {"station": "a" * 26, "also": 1}),
        ("anchor", {"station": "a" * 26, "anchored": "yes"}),
        ("anchor", {"station": "a" * 26, "anchored": 1}),
        ("owner", {"station": "a" * 26, "owner": "0x12"}),
        ("quarantine", {"station": "a" * 26, "first": 0, "last": 1, "reason": ""}),
        ("quarantine", {"station": "a" * 26, "first": "1", "last": 1, "reason": ""}),
        ("quarantine", {"station": "a" * 26, "first": 1, "last": 2**53, "reason": ""}),
        ("quarantine", {"station": "a" * 26, "first": 1, "last": 1, "reason": "x" * 65}),
        ("appeal", {"station": "a" * 26, "first": 1.5, "last": 2}),
        ("rules", {"first_epoch": True, "rules_hash": "00" * 32}),
        ("rules", {"first_epoch": 1, "rules_hash": "00"}),
    ],
)
def test_bodies_that_do_not_fit_are_refused(api, client, verb, body):
    answer = client.post(f"/v1/operator/{verb}", json=body, headers=AUTHORIZED)
    found = problem(answer, 422, "body_invalid")
    assert found["errors"]
    assert events(api) == []


def test_events_that_may_not_follow_are_refused(api, client, station):
    name = device_name(station.device)

    def post(verb: str, **body: object):
        return client.post(f"/v1/operator/{verb}", json=body, headers=AUTHORIZED)

    backwards = post("quarantine", station=name, first=9, last=2, reason="")
    problem(backwards, 409, "event_refused")
    # 64 characters, but more than 64 bytes.
    problem(
        post("quarantine", station=name, first=1, last=2, reason="é" * 64), 409, "event_refused"
    )
    digest = "ab" * 32
    today = START // DAY_MS
    problem(post("rules", first_epoch=today, rules_hash=digest), 409, "event_refused")
    problem(post("rules", first_epoch=today + 2, rules_hash=digest), 409, "rules_unknown")
    problem(post("approve", station="b" * 26), 404, "station_unknown")
    api.clock.ms = None
    problem(post("approve", station=name), 503, "clock_unset")
    assert events(api) == []


def test_the_scheme_may_be_written_as_one_likes(client):
    for scheme in ("bearer", "BEARER"):
        answer = client.get(
            "/v1/operator/refused?verdict=step", headers={"Authorization": f"{scheme} {API_KEY}"}
        )
        assert answer.status_code == 200


def test_refused_samples_are_of_a_verdict_that_exists(client):
    problem(
        client.get("/v1/operator/refused?verdict=nonsense", headers=AUTHORIZED),
        422,
        "parameter_invalid",
    )
    assert client.get("/v1/operator/refused?verdict=step", headers=AUTHORIZED).json() == {
        "verdict": "step",
        "samples": [],
    }
