"""The doctor's gateway side against a real gateway: its API, its store, its verdicts."""

import json
import socket
from contextlib import nullcontext
from dataclasses import replace

import httpx
import pytest
from click.testing import CliRunner

from gateway.board import doctor_http
from gateway.board.doctor_http import HttpGateway, patience
from gateway.board.doctor_sides import DeviceLook, NetworkLook, Unreached
from gateway.cli import main
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.registry import Policy
from gateway.core.verdicts import ADVICE, Verdict
from tests.service.api_rig import API_KEY, LiveApi, live_api
from tests.service.children import free_port
from tests.service.gateway_rig import DUE, START, network
from tests.service.signing_station import SigningStation

pytestmark = pytest.mark.slow


@pytest.fixture
def keys(tmp_path):
    return network(tmp_path)


@pytest.fixture
def api(keys):
    with live_api(keys) as running:
        running.clock.ms = START
        yield running


@pytest.fixture
def station(keys) -> SigningStation:
    return SigningStation(1, keys.network_id)


def name(station: SigningStation) -> str:
    return device_name(station.device)


def doctor(api: LiveApi, station: SigningStation) -> tuple[int, dict[str, dict]]:
    """`cairn board doctor` without a cable: exit code, links by name."""
    arguments = ["board", "doctor", "--station", name(station), "--gateway", api.url]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    told = json.loads(done.stdout)
    assert (told["station"], told["gateway"]) == (name(station), api.url)
    people = CliRunner().invoke(main, arguments)
    assert people.exit_code == done.exit_code
    for one in told["links"]:
        assert f"{one['state']} {one['name']} " in " ".join(people.stdout.split()) + " "
        if one["state"] == "FAILED":
            assert one["do"] in people.stdout
            assert one["code"] in people.stdout
    return done.exit_code, {one["name"]: one for one in told["links"]}


def test_the_network_and_an_unknown_device(api, keys, station):
    gateway = HttpGateway(api.url + "/")
    assert gateway.network() == NetworkLook(
        keys.network_id.hex(), "test", simulated=True, admission_policy="open", now_ms=START
    )
    assert gateway.device(name(station)) == DeviceLook(state="unknown", refused=[])
    assert gateway.flag(name(station)) is None


def test_from_unknown_to_accepted(api, station):
    code, links = doctor(api, station)
    assert (code, links["registry"]["code"]) == (1, "device_unknown")
    assert api.deliver(station.hello(START), now_ms=START) == [Verdict.OK]
    code, links = doctor(api, station)
    assert (code, links["reading"]["code"]) == (1, "device_silent")
    assert "no reading yet" in links["reading"]["detail"]
    assert api.deliver(station.reading(START, 2_000), now_ms=START + 5) == [Verdict.OK]
    code, links = doctor(api, station)
    assert code == 0
    look = HttpGateway(api.url).device(name(station))
    assert links["reading"]["facts"] == look.reading.document()
    assert look.reading.recv_ms == START + 5


def test_a_station_that_fell_silent(api, station):
    api.deliver(station.hello(START), now_ms=START)
    api.deliver(station.reading(START, 2_000), now_ms=START)
    api.clock.ms = START + 2 * 300_000
    assert doctor(api, station)[0] == 0
    api.clock.ms = START + 4 * 300_000
    code, links = doctor(api, station)
    assert (code, links["reading"]["code"]) == (1, "device_silent")
    assert "every 300 s" in links["reading"]["why"]


def test_approval_is_waited_for_and_given(keys, station):
    with live_api(keys, Policy.APPROVED) as api:
        api.deliver(station.hello(START), now_ms=START, topic=station.device)
        code, links = doctor(api, station)
        assert (code, links["registry"]["code"]) == (1, "device_waiting")
        assert links["registry"]["do"].startswith(f"`cairn station approve {name(station)}`")
        with api.client() as client:
            body, key = {"station": name(station)}, {"Authorization": f"Bearer {API_KEY}"}
            assert client.post("/v1/operator/approve", json=body, headers=key).is_success
        # Approved, and not back yet.
        assert doctor(api, station)[1]["registry"]["code"] == "device_unknown"
        api.deliver(station.hello(START), now_ms=START, topic=station.device)
        assert doctor(api, station)[1]["registry"]["state"] == "PASSED"


def test_a_message_that_was_refused_is_told_with_its_advice(api, station):
    api.deliver(station.hello(START), now_ms=START)
    damaged = bytearray(station.reading(START, 2_000))
    damaged[-1] ^= 1
    verdicts = api.deliver(bytes(damaged), now_ms=START + 9, topic=station.device)
    assert verdicts == [Verdict.BAD_SIGNATURE]
    code, links = doctor(api, station)
    assert (code, links["reading"]["code"]) == (1, "reading_refused")
    assert links["reading"]["facts"]["verdict"] == "bad_signature"
    assert links["reading"]["do"] == ADVICE[Verdict.BAD_SIGNATURE].do


def test_readings_that_a_closed_epoch_gave_little(api, station):
    """One reading on a whole day: admitted, and of low quality."""
    api.deliver(station.hello(START), now_ms=START)
    api.advance(DUE)
    later = START + DAY_MS + 60_000
    api.deliver(station.reading(later, 2_000), now_ms=later)
    api.advance(DUE + DAY_MS)
    now = DUE + DAY_MS + 1
    api.deliver(station.reading(now, 2_000), now_ms=now)
    code, links = doctor(api, station)
    assert (code, links["reading"]["code"]) == (1, "reading_flagged")
    assert f"`cairn explain {name(station)} {START // DAY_MS + 1}`" in links["reading"]["do"]


def test_nobody_listens_at_the_gateway_s_address(station):
    url = f"http://127.0.0.1:{free_port()}"
    done = CliRunner().invoke(
        main, ["board", "doctor", "--station", name(station), "--gateway", url, "--json"]
    )
    assert done.exit_code == 3
    (failure,) = [one for one in json.loads(done.stdout)["links"] if one["state"] == "FAILED"]
    assert failure["code"] == "gateway_unreached"
    assert failure["facts"] == {"gateway": url, "board_came_through": False}


def test_what_answers_is_no_gateway(station):
    """A URL that is none, and another web server."""
    assert isinstance(HttpGateway("http://[::1").network(), Unreached)
    assert isinstance(HttpGateway("ftp://127.0.0.1").device(name(station)), Unreached)


_DEVICE = {
    "state": "registered",
    "last_ms": 1,
    "last_kind": "hello",
    "registered_ms": 1,
    "reporting_interval_ms": 60_000,
    "readings": None,
    "refused": [],
    "position": 7,
}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b" " * ((1 << 20) + 1),
        b"[]",
        *(
            json.dumps(_DEVICE | wrong).encode()
            for wrong in (
                {"state": "strange"},
                {"state": []},
                {"last_ms": "soon"},
                {"registered_ms": 10**20},
                {"readings": {"message_id": "x"}},
                {"refused": [7]},
            )
        ),
    ],
)
def test_a_hostile_gateway_is_one_that_is_not_reached(monkeypatch, content):
    monkeypatch.setattr(doctor_http.httpx, "stream", lambda *_a, **_o: answering(content))
    assert isinstance(HttpGateway("http://gateway").device("x" * 26), Unreached)
    monkeypatch.setattr(
        doctor_http.httpx, "stream", lambda *_a, **_o: answering(json.dumps(_DEVICE).encode())
    )
    assert isinstance(HttpGateway("http://gateway").device("x" * 26), DeviceLook)


def answering(content: bytes):
    return nullcontext(httpx.Response(200, content=content))


def test_whether_this_computer_gets_through(api):
    gateway = HttpGateway(api.url)
    assert not gateway.reaches("127.0.0.1", 70_000)
    assert not gateway.reaches("x" * 300, 80)
    assert gateway.reaches("127.0.0.1", api.server.port)
    assert not gateway.reaches("127.0.0.1", free_port())
    assert not gateway.reaches("name.invalid", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert gateway.reaches("127.0.0.1", server.getsockname()[1])


def test_a_name_that_is_none():
    done = CliRunner().invoke(main, ["board", "doctor", "--station", "nobody"])
    assert done.exit_code == 2
    assert "26 characters" in done.stderr


# ---- waiting


class Passing:
    """Time that goes by where the doctor listens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.told = 0.0, []
        monkeypatch.setattr(doctor_http.time, "monotonic", lambda: self.now_s)

    def listen(self, seconds: float) -> None:
        self.now_s += seconds


class Answers:
    def __init__(self, *looks) -> None:
        self.looks = list(looks)

    def device(self, _name: str):
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def test_waiting_ends_when_it_holds_when_time_is_over_and_when_nobody_answers(monkeypatch):
    unknown = DeviceLook(state="unknown")
    known = replace(unknown, state="registered")
    time = Passing(monkeypatch)
    wait = patience(20, time.told.append, time.listen)

    def heard(look: DeviceLook) -> bool:
        return look.state == "registered"

    assert wait(Answers(unknown, unknown, known), "x")(heard) == known
    assert time.told == [0, 1]
    assert wait(Answers(unknown), "x")(heard) == unknown
    assert time.now_s == 22
    gone = Unreached("http://127.0.0.1:1", "refused")
    assert wait(Answers(unknown, gone), "x")(heard) == gone
    # Without patience it is asked once.
    assert (
        patience(0, time.told.append, time.listen)(Answers(unknown, known), "x")(heard) == unknown
    )
