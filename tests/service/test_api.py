"""The gateway about itself over HTTP: time, health, network, and how it refuses."""

import asyncio
import base64
import socket
import threading
from collections import Counter

import httpx
import pytest
from cairn import downlinks, timesync

from gateway.core.cose import Role, open_envelope
from gateway.core.genesis import Genesis
from gateway.core.statements import open_statement
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.shell.api.context import READERS, WAITING_MAX
from gateway.shell.api.middleware import BODY_BYTES_MAX
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.health import Check, Health
from tests.service.api_rig import API_KEY, live_api
from tests.service.gateway_rig import START
from tests.service.signing_station import SigningStation

AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        running.clock.ms = START
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    """The problem in an answer, after checking its form (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert found["code"] == code
    assert found["type"] == f"urn:cairn:problem:{code}"
    assert all(found[member] for member in ("title", "detail", "do"))
    return found


# ---- time


def raw(api, request: bytes) -> bytes:
    """What the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(4096):
            answer += part
        return answer


def test_the_firmware_can_ask_for_the_time(api, keys):
    api.clock.ms = START + 12_345
    nonce = bytes(range(16))
    # The very request and parsers of the board: HTTP/1.0, Content-Length, connection closed.
    answer = raw(api, timesync._request("gateway", nonce))
    body = timesync.http_body(answer)
    assert body is not None, answer
    statement, message = downlinks.parse_time_answer(body)
    opened = open_statement(statement, keys.network_id, keys.genesis.root_key)
    assert not isinstance(opened, Verdict)
    envelope = open_envelope(message, keys.network_id, Role.GATEWAY)
    assert not isinstance(envelope, Verdict)
    assert signature_valid(opened.public_key, envelope.signature, envelope.to_be_signed)
    kind, to, _, time_ms, fields = downlinks.parse(envelope.payload)
    assert (kind, to, time_ms, fields[0]) == (downlinks.TIME, b"", START + 12_345, nonce)
    assert opened.not_before_ms <= time_ms < opened.not_after_ms


@pytest.mark.parametrize(
    "nonce", ["", "AAAA", "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "+" * 21 + "A", "é" * 22]
)
def test_a_nonce_that_is_not_16_bytes_is_refused(client, nonce):
    found = problem(client.get("/v1/time", params={"nonce": nonce}), 422, "parameter_invalid")
    assert "nonce" in found["errors"][0]


def test_every_16_bytes_make_a_nonce(client):
    for seed in range(64):
        nonce = bytes((seed * 37 + n * 101) % 256 for n in range(16))
        text = base64.urlsafe_b64encode(nonce).decode().rstrip("=")
        answer = client.get("/v1/time", params={"nonce": text})
        assert answer.status_code == 200
        assert nonce in answer.content


def test_a_driven_clock_without_a_tick_gives_no_time(api, client):
    api.clock.ms = None
    problem(client.get("/v1/time", params={"nonce": "A" * 22}), 503, "clock_unset")
    assert client.get("/v1/network").json()["protocol_time_ms"] is None


# ---- health


def test_health_and_readiness_say_what_the_gateway_says(api, client):
    assert client.get("/health").json()["live"] is True
    assert client.get("/ready").json()["ready"] is True
    bad = Check("broker", ok=False, detail="refused the connection", do="Start the broker.")
    api.health = Health(live=True, ready=False, checks=(api.health.checks[0], bad))
    assert client.get("/health").status_code == 200
    found = problem(client.get("/ready"), 503, "not_ready")
    assert found["checks"][1] == {
        "name": "broker",
        "ok": False,
        "detail": "refused the connection",
        "do": "Start the broker.",
    }
    assert "refused the connection" in found["detail"]
    api.health = Health(live=False, ready=False, checks=(bad,))
    problem(client.get("/health"), 503, "not_live")


# ---- network, verdicts, metrics


def test_the_network_is_told_as_an_auditor_needs_it(client, keys):
    answer = client.get("/v1/network").json()
    genesis = Genesis.decode(bytes.fromhex(answer["genesis"]))
    assert genesis == keys.genesis
    assert answer["network_id"] == keys.network_id.hex()
    assert answer["simulated"] is True
    assert [one["role"] for one in answer["statements"]] == ["gateway", "operator"]
    for shown, data in zip(answer["statements"], keys.statements, strict=True):
        assert bytes.fromhex(shown["bytes"]) == data
    assert answer["statements"][0]["public_key"] == bytes(keys.gateway.verify_key).hex()
    assert answer["protocol_time_ms"] == START


def test_refusals_are_counted_by_verdict(api, client):
    assert client.get("/v1/verdicts").json() == {"verdicts": []}
    stranger = SigningStation(9, api.keys.network_id)
    stranger.hello(START)
    assert api.deliver(stranger.reading(START, 1), b"", now_ms=START) == [
        Verdict.UNREGISTERED,
        Verdict.TRUNCATED,
    ]
    counts = {one["verdict"]: one for one in client.get("/v1/verdicts").json()["verdicts"]}
    assert {name: one["refused"] for name, one in counts.items()} == {
        "unregistered": 1,
        "truncated": 1,
    }
    assert counts["unregistered"]["do"].startswith("Send hello first")


def test_metrics_are_prometheus_text(api, client):
    api.call(lambda: api.metrics.messages(Verdict.STEP, 3))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'cairn_messages_total{verdict="step"} 3.0' in answer.text
    assert f"cairn_protocol_time_seconds {START / 1000:g}"[:40] in answer.text


# ---- refusals of the framework, and faults


def test_what_the_framework_refuses_is_a_problem_too(client):
    problem(client.get("/v2"), 404, "not_found")
    problem(client.get("/v1/stations/"), 404, "not_found")
    problem(client.get("/docs"), 404, "not_found")
    found = client.put("/v1/stations")
    problem(found, 405, "method_not_allowed")
    assert found.headers["allow"] == "GET"
    problem(client.get("/v1/epochs/first"), 422, "parameter_invalid")
    bad = {**AUTHORIZED, "Content-Type": "application/json"}
    for body in (b"{", b"\xff\xfe", b"[]", b"null", b'{"station": 1}', b""):
        answer = client.post("/v1/operator/approve", content=body, headers=bad)
        problem(answer, 422, "body_invalid")


def test_bodies_are_bounded_however_they_are_sent(client):
    large = b" " * (BODY_BYTES_MAX + 1)
    stated = client.post("/v1/operator/approve", content=large, headers=AUTHORIZED)
    problem(stated, 413, "body_too_large")
    chunks = (large[:30_000] for _ in range(3))
    chunked = client.post("/v1/operator/approve", content=chunks, headers=AUTHORIZED)
    problem(chunked, 413, "body_too_large")


def test_a_fault_of_the_surroundings_is_not_told_to_strangers(api, client):
    def broken():
        raise OperatorFault(
            "The database /secret/path is damaged.", "Why.", "Do.", Code.STORE_CORRUPT
        )

    api.open_store = broken
    answer = client.get("/v1/epochs")
    problem(answer, 500, "gateway_fault")
    assert "/secret" not in answer.text


def test_a_bug_is_a_problem_and_the_server_goes_on(api, client):
    api.health = None
    answer = client.get("/health")
    assert "AttributeError" in problem(answer, 500, "gateway_fault")["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/v1/epochs").status_code == 200


def test_answers_carry_headers_that_keep_browsers_careful(client):
    for answer in (client.get("/v1/epochs"), client.get("/nowhere")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "server" not in answer.headers
    operator = client.get("/v1/operator/refused?verdict=step", headers=AUTHORIZED)
    assert operator.status_code == 200
    assert "access-control-allow-origin" not in operator.headers
    assert operator.headers["cache-control"] == "no-store"


def test_too_many_readers_are_told_to_come_again(api):
    """One slow disk must not pile up requests without end."""
    begun, go_on = threading.Semaphore(0), threading.Event()
    opened = api.open_store

    def slow():
        begun.release()
        assert go_on.wait(60)
        return opened()

    api.open_store = slow
    most = READERS + WAITING_MAX

    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=api.url, trust_env=False, timeout=60, limits=limits
        ) as client:
            waiting = [asyncio.create_task(client.get("/v1/verdicts")) for _ in range(most + 5)]
            # The five that are too many are answered while all others still wait.
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 5:
                done, _ = await asyncio.wait(waiting, timeout=0.05)
            early = [task.result().status_code for task in done]
            go_on.set()
            assert early == [503] * 5
            return await asyncio.gather(*waiting)

    answers = asyncio.run(flood())
    codes = Counter(one.status_code for one in answers)
    assert codes == {200: most, 503: 5}
    refused = next(one for one in answers if one.status_code == 503)
    problem(refused, 503, "busy")
    assert refused.headers["retry-after"] == "1"
