"""The end of the page's way: only an accepted reading of this station is success."""

import pytest

from gateway.core.ids import device_name
from gateway.core.registry import Policy
from gateway.core.verdicts import ADVICE, Verdict
from tests.service.api_rig import live_api
from tests.service.gateway_rig import START
from tests.service.gateway_rig import network as made_network
from tests.service.signing_station import SigningStation

pytestmark = pytest.mark.slow

FOLLOW = """async ([station, after]) => {
  const { firstReading } = await import("/flash/joining.js");
  globalThis.seen = [];
  globalThis.reading = null;
  const told = (event, advice) => globalThis.seen.push([event.kind, event.verdict, advice]);
  const signal = new AbortController().signal;
  firstReading(station, after, told, signal).then((event) => { globalThis.reading = event; });
}"""


@pytest.fixture
def api(tmp_path, request):
    policy = getattr(request, "param", Policy.OPEN)
    with live_api(made_network(tmp_path / "data"), policy) as running:
        running.clock.ms = START
        yield running


def _until(page, wanted):
    for _ in range(200):
        found = page.evaluate("[globalThis.seen, globalThis.reading]")
        if wanted(*found):
            return found
        page.wait_for_timeout(50)
    raise AssertionError(found)


def test_events_are_told_until_a_reading_is_accepted(api, open_page):
    page = open_page(api.url).page
    station = SigningStation(1, api.keys.network_id)
    other = SigningStation(2, api.keys.network_id)
    page.evaluate(FOLLOW, [device_name(station.device), -1])
    assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
    # Another station's reading is not this one's.
    assert api.deliver(other.hello(START), now_ms=START) == [Verdict.OK]
    assert api.deliver(other.reading(START, 2_000), now_ms=START + 1) == [Verdict.OK]
    seen, reading = _until(page, lambda seen, _: bool(seen))
    assert (seen, reading) == ([["hello", "ok", ""]], None)
    assert api.deliver(station.reading(START, 2_000), now_ms=START + 2) == [Verdict.OK]
    seen, reading = _until(page, lambda _, reading: reading is not None)
    assert [one[0] for one in seen] == ["hello", "readings"]
    assert (reading["device"], reading["kind"]) == (device_name(station.device), "readings")


@pytest.mark.parametrize("api", [Policy.APPROVED], indirect=True)
def test_a_station_that_waits_for_approval_is_told_what_to_do(api, open_page):
    page = open_page(api.url).page
    station = SigningStation(1, api.keys.network_id)
    page.evaluate(FOLLOW, [device_name(station.device), -1])
    page.wait_for_timeout(500)
    assert api.deliver(station.hello(START), now_ms=START) == [Verdict.WAITING_APPROVAL]
    seen, reading = _until(page, lambda seen, _: bool(seen))
    advice = ADVICE[Verdict.WAITING_APPROVAL]
    assert [one[1:] for one in seen] == [["waiting_approval", f"{advice.what} {advice.do}"]]
    assert reading is None


def test_a_reading_that_came_while_nobody_looked_is_not_missed(api, open_page):
    earlier = SigningStation(3, api.keys.network_id)
    assert api.deliver(earlier.hello(START), now_ms=START) == [Verdict.OK]
    page = open_page(api.url).page
    station = SigningStation(1, api.keys.network_id)
    position = page.evaluate("async () => (await import('/flash/gateway.js')).position()")
    assert position == 0
    for message in (station.hello(START), station.reading(START, 2_000)):
        assert api.deliver(message, now_ms=START + 1) == [Verdict.OK]
    page.evaluate(FOLLOW, [device_name(station.device), position])
    _, reading = _until(page, lambda _, reading: reading is not None)
    assert reading["position"] == 2
