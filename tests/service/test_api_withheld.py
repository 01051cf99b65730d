"""Beacon reports, witness reports and reveals leave by no outlet before their day's deadline."""

import pytest

from gateway.core.genesis import DAY_MS, SLOT_MS
from gateway.core.ids import device_name
from gateway.core.model import Kind
from gateway.core.verdicts import Verdict
from tests.service.api_rig import API_KEY, World, live_api
from tests.service.gateway_rig import DUE, EPOCH, START
from tests.service.signing_station import SigningStation

AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}
HOUR_MS = 3_600_000
TAG = bytes(range(0x60, 0x70))
# Of the day behind the closed one, and before the close.
EARLY_MS = START + DAY_MS + HOUR_MS
DEADLINE_MS = START + 2 * DAY_MS + HOUR_MS


def witness(station: SigningStation, time_ms: int, day: int, tag: bytes = TAG) -> bytes:
    slot = time_ms // SLOT_MS
    body = [day, 0, [slot], [tag], [-9_000], [500], [0], [31_000]]
    return station.message(Kind.WITNESS, time_ms, body)


def beacon(station: SigningStation, time_ms: int, day: int) -> bytes:
    slot = time_ms // SLOT_MS
    return station.message(Kind.BEACON, time_ms, [day, [[slot, 0, 1_600, 31_000]]])


def reveal(station: SigningStation, time_ms: int, day: int) -> bytes:
    return station.message(Kind.REVEAL, time_ms, [day, TAG * 2])


REPORTS = pytest.mark.parametrize("report", [witness, beacon, reveal])


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "data")


@pytest.fixture
def api(world: World):
    with live_api(world.keys) as running:
        hellos = [one.hello(START) for one in (world.near, world.far)]
        assert running.deliver(*hellos, now_ms=START + 1) == [Verdict.OK] * 2
        yield running


@pytest.fixture
def client(api):
    with api.client() as client:
        yield client


def bundle_opens(api, client, from_ms: int) -> int:
    """The protocol time at which the first epoch's bundle may be had; at from_ms it may not."""
    path = f"/v1/epochs/{EPOCH}/bundle"
    api.clock.ms = from_ms
    while (answer := client.get(path)).status_code == 503:
        pass  # the index is being made
    assert answer.status_code == 404, "it is released already"
    assert answer.json()["code"] == "bundle_unreleased"
    opens_ms = from_ms + int(answer.headers["retry-after"]) * 1_000
    api.clock.ms = opens_ms - 1_000
    assert client.get(path).status_code == 404
    api.clock.ms = opens_ms
    assert client.get(path).status_code == 200
    return opens_ms


@REPORTS
def test_a_bundle_waits_for_the_reports_of_the_next_day(api, client, world: World, report):
    data = report(world.near, EARLY_MS, EPOCH + 1)
    assert api.deliver(data, now_ms=EARLY_MS)[0] in {Verdict.OK, Verdict.NOT_EVALUATED}
    api.advance(DUE)
    assert bundle_opens(api, client, DUE) == DEADLINE_MS


@REPORTS
def test_reports_of_its_own_day_do_not_hold_a_bundle_back(api, client, world: World, report):
    api.deliver(report(world.near, EARLY_MS - HOUR_MS, EPOCH), now_ms=EARLY_MS - HOUR_MS)
    api.advance(DUE)
    api.clock.ms = DUE
    assert client.get(f"/v1/epochs/{EPOCH}/bundle").status_code == 200


@pytest.mark.parametrize("day", [EPOCH + 2, 1 << 40])
def test_a_report_of_a_day_to_come_holds_it_back_no_longer(api, client, world: World, day: int):
    api.deliver(witness(world.near, EARLY_MS, day), now_ms=EARLY_MS)
    api.advance(DUE)
    assert bundle_opens(api, client, DUE) == DEADLINE_MS


def test_a_report_among_many_messages_is_found(api, client, world: World):
    """More came behind it than are looked at in one go."""
    api.deliver(witness(world.near, EARLY_MS, EPOCH + 1), now_ms=EARLY_MS)
    readings = [world.far.reading(EARLY_MS + n, n) for n in range(2_100)]
    assert set(api.deliver(*readings, now_ms=EARLY_MS + 5_000)) == {Verdict.OK}
    api.advance(DUE)
    assert bundle_opens(api, client, DUE) == DEADLINE_MS


def test_a_report_that_is_badly_made_is_held_back_too(api, client, world: World):
    """It is in the log, and its tags are as good as any."""
    broken = world.near.message(Kind.WITNESS, EARLY_MS, [EPOCH + 1, 0, [1], [TAG], [], [], [], []])
    assert api.deliver(broken, now_ms=EARLY_MS) == [Verdict.BAD_BODY]
    api.advance(DUE)
    assert bundle_opens(api, client, DUE) == DEADLINE_MS


@REPORTS
def test_no_other_outlet_shows_what_is_in_a_report(api, client, world: World, report):
    api.deliver(report(world.near, EARLY_MS, EPOCH + 1), now_ms=EARLY_MS)
    api.advance(DUE)
    name = device_name(world.near.device)
    slot = str(EARLY_MS // SLOT_MS)
    for path in (
        "/v1/events?after=-1&wait=0",
        f"/v1/stations/{name}",
        "/v1/stations",
        f"/v1/stations/{name}/readings",
        "/v1/verdicts",
        f"/v1/epochs/{EPOCH}",
        f"/v1/epochs/{EPOCH}/coverage",
        f"/v1/epochs/{EPOCH}/stations/{name}/explanation",
        "/metrics",
        "/health",
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert TAG.hex() not in answer.text, path
        assert TAG not in answer.content, path
        assert slot not in answer.text, path
    assert name in client.get("/v1/events?after=-1&wait=0").text


def refused(client, verdict: str) -> list[str | None]:
    answer = client.get(f"/v1/operator/refused?verdict={verdict}", headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text
    return [one["data"] for one in answer.json()["samples"]]


def test_a_refused_report_is_no_sample_before_its_deadline(api, client, world: World):
    data = witness(world.near, EARLY_MS, EPOCH + 1)
    forged = data[:-1] + bytes([data[-1] ^ 1])
    cut = data[:-70]
    said = api.deliver(forged, cut, now_ms=EARLY_MS)
    assert said == [Verdict.BAD_SIGNATURE, Verdict.TRUNCATED]
    api.clock.ms = DEADLINE_MS - 1
    for verdict in ("bad_signature", "truncated"):
        assert refused(client, verdict) == [None]
    api.clock.ms = DEADLINE_MS
    assert refused(client, "bad_signature") == [forged.hex()]
    assert refused(client, "truncated") == [cut.hex()]


def test_what_tells_of_no_radio_is_shown_at_once(api, client, world: World):
    stranger = SigningStation(9, world.keys.network_id)
    reading = stranger.reading(EARLY_MS, 5)
    assert api.deliver(reading, now_ms=EARLY_MS) == [Verdict.UNREGISTERED]
    assert refused(client, "unregistered") == [reading.hex()]
