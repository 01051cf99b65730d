"""Readings over HTTP: not a moment before their release, to the last digit, in every form."""

import json
from decimal import Decimal

import cbor2
import pytest

from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.model import Kind
from gateway.core.operator import OperatorKind
from gateway.core.rules import rules_hash
from gateway.core.verdicts import Verdict
from tests.service.api_rig import live_api
from tests.service.gateway_rig import START
from tests.service.signing_station import SigningStation
from tests.service.test_api import problem

WINDOW_MS = 600_000
GRACE_MS = 1_800_000
MINUTE_MS = 60_000
NOON = START + DAY_MS // 2
JSON, SENML_JSON, SENML_CBOR = "json", "senml-json", "senml-cbor"
FORMS = (JSON, SENML_JSON, SENML_CBOR)


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        yield running


@pytest.fixture
def station(api, keys):
    station = SigningStation(1, keys.network_id)
    assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
    return station


@pytest.fixture
def ask(api, station):
    """A question for the station's readings; default: everything."""
    path = f"/v1/stations/{device_name(station.device)}/readings"
    with api.client() as client:

        def asked(**parameters):
            everything = {"from": 0, "to": START + 40 * DAY_MS}
            return client.get(path, params=everything | parameters)

        yield asked


def found(answer, form: str = JSON) -> list[tuple[int, str, bool]]:
    """Time, value and flag of each reading in an answer."""
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    if form == JSON:
        return [
            (one["time_ms"], one["value"], one["post_release"])
            for one in answer.json()["readings"]
        ]
    if form == SENML_JSON:
        assert answer.headers["content-type"] == "application/senml+json"
        records = json.loads(answer.text, parse_float=str)
        return [
            (int(Decimal(r["t"]) * 1000), str(r["v"]), r.get("post_release", False))
            for r in records
        ]
    assert answer.headers["content-type"] == "application/senml+cbor"
    return [
        (int(r[6] * 1000), str(r[2]), r.get("post_release", False))
        for r in cbor2.loads(answer.content)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_reading_is_absent_until_its_release_and_there_from_then_on(api, station, ask, form):
    time_ms = NOON + WINDOW_MS - 1
    released_ms = NOON + WINDOW_MS + GRACE_MS
    api.deliver(station.reading(time_ms, 2150), now_ms=time_ms)
    for now_ms in (time_ms, released_ms - GRACE_MS, released_ms - 1):
        api.clock.ms = now_ms
        answer = ask(format=form)
        assert found(answer, form) == []
        assert int(answer.headers["cairn-released-to"]) <= NOON
    api.clock.ms = released_ms
    answer = ask(format=form)
    assert found(answer, form) == [(time_ms, "21.50", False)]
    assert int(answer.headers["cairn-released-to"]) == NOON + WINDOW_MS


def test_the_answer_says_how_far_it_is_complete(api, station, ask):
    for time_ms in range(NOON, NOON + 60 * MINUTE_MS, 5 * MINUTE_MS):
        api.deliver(station.reading(time_ms, 1), now_ms=time_ms)
    api.clock.ms = NOON + 45 * MINUTE_MS
    document = ask().json()
    assert document["released_to_ms"] == NOON + 10 * MINUTE_MS
    assert [one["time_ms"] for one in document["readings"]] == [NOON, NOON + 5 * MINUTE_MS]
    # Its own end as the next question's beginning: nothing twice, nothing left out.
    api.clock.ms = NOON + 60 * MINUTE_MS
    following = ask(**{"from": document["released_to_ms"]}).json()
    assert following["readings"][0]["time_ms"] == NOON + 10 * MINUTE_MS
    assert following["released_to_ms"] == NOON + 30 * MINUTE_MS


@pytest.mark.parametrize("form", FORMS)
def test_what_came_after_its_release_is_shown_and_flagged(api, station, ask, form):
    released_ms = NOON + WINDOW_MS + GRACE_MS
    api.deliver(station.reading(NOON, 1), now_ms=released_ms - 1)
    api.deliver(station.reading(NOON + 1, 2), now_ms=released_ms)
    assert found(ask(format=form), form) == [(NOON, "0.01", False), (NOON + 1, "0.02", True)]


def test_other_rules_count_from_their_first_day(api, station, ask, keys):
    """A shorter grace that begins tomorrow releases nothing of today earlier."""
    text = (keys.folder / "rules" / "0001.toml").read_bytes()
    longer = text.replace(b"grace_ms = 1_800_000", b"grace_ms = 600_000")
    assert longer != text
    (keys.folder / "rules" / "0002.toml").write_bytes(longer)
    first_epoch = START // DAY_MS + 1
    event = [first_epoch, rules_hash(longer)]
    api.clock.ms = NOON
    api.run(api.worker.call(lambda gateway: gateway.operate(OperatorKind.RULES, event, NOON)))
    midnight = START + DAY_MS
    last, first = midnight - MINUTE_MS, midnight + MINUTE_MS
    api.deliver(station.reading(last, 1), station.reading(first, 2), now_ms=first)
    api.clock.ms = midnight + WINDOW_MS + 600_000
    assert [one[0] for one in found(ask())] == [first]
    api.clock.ms = midnight + GRACE_MS
    assert [one[0] for one in found(ask())] == [last, first]


def test_every_form_says_the_same_and_every_digit(api, station, ask):
    body = [
        1_000,
        [60_000, 5],
        [
            [0, 0, -2, [2150, None, -4301]],
            [2, 0, 2, [7, 1, -8]],
            [2, 1, -9, [2**53, -1, None], [[2, 4]]],
            [77, 3, 0, [None, None, 12]],
        ],
    ]
    api.deliver(station.message(Kind.READINGS, NOON, body), now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 4
    times = [NOON - 1_000 - 60_000 - 60_005, NOON - 1_000 - 60_005, NOON - 1_000]
    rows = ask().json()["readings"]
    told = {(one["quantity"], one["channel"], one["time_ms"]): one for one in rows}
    values = {key: one["value"] for key, one in told.items()}
    assert values == {
        ("temperature", 0, times[0]): "21.50",
        ("temperature", 0, times[2]): "-21.51",
        ("pressure", 0, times[0]): "700",
        ("pressure", 0, times[1]): "800",
        ("pressure", 0, times[2]): "0",
        ("pressure", 1, times[0]): "9007199.254740992",
        ("pressure", 1, times[1]): "9007199.254740991",
        ("pressure", 1, times[2]): None,
        ("77", 3, times[2]): "12",
    }
    assert told["pressure", 1, times[2]]["fault"] == 4
    assert told["pressure", 0, times[0]]["unit"] == "hPa"
    assert told["77", 3, times[2]]["unit"] == ""
    assert [one["time_ms"] for one in rows] == sorted(one["time_ms"] for one in rows)
    as_json = json.loads(ask(format=SENML_JSON).text, parse_float=Decimal, parse_int=Decimal)
    as_cbor = cbor2.loads(ask(format=SENML_CBOR).content)
    numbers = [
        (Decimal(value) if value is not None else None, Decimal(key[2]) / 1000)
        for key, value in sorted(values.items(), key=lambda item: (item[0][2], item[0]))
    ]
    assert [(one.get("v"), one["t"]) for one in as_json] == numbers
    assert [(one.get(2), one[6]) for one in as_cbor] == numbers
    assert [one.get("vs") for one in as_json if "v" not in one] == ["fault 4"]


def test_pages_together_are_the_whole(api, station, ask):
    count = 700
    for number in range(count):
        time_ms = NOON + number * 1_000
        api.deliver(station.reading(time_ms, number), now_ms=time_ms, publish=False)
    api.clock.ms = NOON + DAY_MS // 4
    seen: list[tuple[int, str, bool]] = []
    pages, after = 0, {}
    while True:
        answer = ask(limit=100, **after)
        seen += found(answer)
        pages += 1
        cursor = answer.json()["next"]
        if cursor is None:
            assert "link" not in answer.headers
            break
        assert f"after={cursor}" in answer.headers["link"]
        after = {"after": cursor}
    assert [one[0] for one in seen] == [NOON + number * 1_000 for number in range(count)]
    assert pages == 8


def test_links_lead_through_the_same_pages(api, station):
    count = 600
    for number in range(count):
        api.deliver(station.reading(NOON + number, 1), now_ms=NOON + number, publish=False)
    api.clock.ms = NOON + DAY_MS // 4
    link: str | None = f"/v1/stations/{device_name(station.device)}/readings?format=senml-cbor"
    seen: list[int] = []
    with api.client() as client:
        while link is not None:
            answer = client.get(link)
            seen += [one[0] for one in found(answer, SENML_CBOR)]
            # Time goes on, but the open ends of the first question are fixed in its links.
            api.clock.ms += DAY_MS // 2
            link = answer.links["next"]["url"] if "next" in answer.links else None
    assert seen == [NOON + number for number in range(count)]


def test_a_page_that_finds_nothing_is_bounded_too(api, station, ask):
    for number in range(300):
        api.deliver(station.reading(NOON + number, 1), now_ms=NOON + number, publish=False)
    api.clock.ms = NOON + DAY_MS // 4
    first = ask(quantity="humidity").json()
    assert first["readings"] == []
    assert first["next"] is not None
    assert ask(quantity="humidity", after=first["next"]).json()["next"] is None
    assert ask(quantity="humidity", format=SENML_JSON).status_code == 204


def test_times_and_quantities_are_chosen_half_open(api, station, ask):
    for number in range(4):
        api.deliver(station.reading(NOON + number, number), now_ms=NOON + number)
    api.clock.ms = NOON + DAY_MS // 4
    chosen = found(ask(**{"from": NOON + 1, "to": NOON + 3}))
    assert [one[0] for one in chosen] == [NOON + 1, NOON + 2]
    assert found(ask(**{"from": NOON + 3, "to": NOON + 1})) == []
    assert len(found(ask(quantity="temperature"))) == 4


def test_a_boot_without_time_is_shown_once_a_clock_message_maps_it(api, station, ask):
    reading = station.message(Kind.READINGS, 5_000, [0, [], [[0, 0, -2, [7]]]], source=0)
    api.deliver(reading, now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 4
    assert found(ask()) == []
    api.deliver(station.message(Kind.CLOCK, NOON, [1, NOON - 60_000, 1, 900]), now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 4
    assert found(ask()) == [(NOON - 55_000, "0.07", False)]
    # A less certain mapping changes nothing, a more certain one does.
    api.deliver(station.message(Kind.CLOCK, NOON, [1, NOON - 90_000, 1, 901]), now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 4
    assert found(ask()) == [(NOON - 55_000, "0.07", False)]
    api.deliver(station.message(Kind.CLOCK, NOON, [1, NOON - 61_000, 1, 10]), now_ms=NOON)
    later = station.message(Kind.READINGS, 6_000, [0, [], [[0, 0, -2, [8]]]], source=0)
    api.deliver(later, now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 4
    assert [one[0] for one in found(ask())] == [NOON - 56_000, NOON - 55_000]


def test_times_that_do_not_count_are_left_out(api, station, ask):
    ahead = station.reading(NOON + 3 * MINUTE_MS, 1)
    edge = station.reading(NOON + 2 * MINUTE_MS, 2)
    # Two samples: one of yesterday, which the protocol ignores, and one of today.
    yesterday = START + 30_000
    split = station.message(Kind.READINGS, yesterday, [0, [60_000], [[0, 0, -2, [3, 1]]]])
    assert api.deliver(ahead, edge, split, now_ms=NOON) == [Verdict.OK] * 3
    api.clock.ms = NOON + DAY_MS // 4
    times = [one[0] for one in found(ask())]
    assert times == [yesterday, NOON + 2 * MINUTE_MS]


def test_without_a_tick_the_past_can_still_be_read(api, station, ask):
    api.deliver(station.reading(NOON, 1), now_ms=NOON)
    api.deliver(station.reading(NOON + DAY_MS // 4, 2), now_ms=NOON + DAY_MS // 4)
    api.clock.ms = None
    assert [one[0] for one in found(ask())] == [NOON]


@pytest.mark.parametrize(
    "accept, kind",
    [
        ("*/*", "application/json"),
        ("application/senml+cbor", "application/senml+cbor"),
        ("application/senml+json;q=0.5, application/json;q=0.1", "application/senml+json"),
        ("text/html, application/senml+json;q=0.2, */*;q=0.1", "application/senml+json"),
        ("application/json;q=x, application/senml+cbor;q=0.1", "application/senml+cbor"),
        ("text/html", None),
        ("application/json;q=0", None),
    ],
)
def test_accept_is_obeyed(api, station, accept, kind):
    api.deliver(station.reading(NOON, 1), now_ms=NOON)
    api.clock.ms = NOON + DAY_MS // 8
    path = f"/v1/stations/{device_name(station.device)}/readings"
    with api.client(headers={"Accept": accept}) as client:
        answer = client.get(path)
        if kind is None:
            problem(answer, 406, "not_acceptable")
            assert client.get(path, params={"format": "json"}).status_code == 200
        else:
            assert answer.headers["content-type"] == kind
            assert answer.headers["vary"] == "Accept"


def test_a_station_that_nobody_registered_is_unknown(api, station, keys):
    stranger = SigningStation(5, keys.network_id)
    with api.client() as client:
        for name in (device_name(stranger.device), "2" * 26):
            answer = client.get(f"/v1/stations/{name}/readings")
            problem(answer, 404, "station_unknown")
