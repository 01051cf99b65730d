"""A board and a gateway that answer what a test wants, for the doctor's pure part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nacl.signing import SigningKey

from gateway.board.answer import Answer
from gateway.board.doctor import Patient, Visit
from gateway.board.doctor_report import Finding, Link, Report, State
from gateway.board.doctor_sides import (
    Accepted,
    DeviceLook,
    Flag,
    NetworkLook,
    Refusal,
    Unreached,
)
from gateway.core.cbor_profile import encode
from gateway.core.cose import Role, sign1
from gateway.core.ids import device_id, device_name
from gateway.shell.errors import OperatorFault

NETWORK = bytes.fromhex("2b3f52bf5000c238")
KEY = SigningKey(bytes(31) + b"\x07")
PUBLIC = bytes(KEY.verify_key)
NAME = device_name(device_id(PUBLIC))
NOW_MS = 1_795_000_000_000
INTERVAL_MS = 60_000
HOST = "gateway.example"


def login(network: bytes = NETWORK, key: SigningKey = KEY) -> str:
    """What a board signs to log in, as hex."""
    public = bytes(key.verify_key)
    payload = encode([network, 65, bytes(8), public])

    def sign(data: bytes) -> bytes:
        return bytes(key.sign(data).signature)

    return sign1(sign, device_id(public), network, Role.LOGIN, payload)[0].hex()


WHOAMI: dict[str, Any] = {
    "device": NAME,
    "public_key": PUBLIC.hex(),
    "firmware": "cairn 0.1",
    "chip": "ESP32",
    "slot": "a",
    "counter": 0,
    "free_flash": 1_500_000,
    "free_heap": 90_000,
    "crashes": 1,
    "wifi": True,
    "provisioned": True,
    "config": {
        "network": NETWORK.hex(),
        "owner": "11" * 20,
        "broker": {"host": HOST, "port": 8883, "tls": True},
        "time": {"host": HOST, "port": 8080},
    },
}
GOOD: dict[str, Answer] = {
    "sensors": Answer(ok=True, facts={"sensors": [[0, 0, -2, 2153, 0], [1, 0, -1, 501, 0]]}),
    "wifi": Answer(ok=True, facts={"ssid": "home", "rssi_dbm": -61, "address": "192.0.2.7"}),
    "dns": Answer(ok=True, facts={"host": HOST, "address": "192.0.2.9"}),
    "broker": Answer(ok=True, facts={"host": HOST, "port": 8883, "address": "192.0.2.9"}),
    "tls": Answer(ok=True, facts={"tls": True, "host": HOST}),
    "clock": Answer(ok=True, facts={"time_ms": NOW_MS + 2_000, "uncertainty_ms": 30}),
    "signature": Answer(ok=True, facts={"login": login()}),
}


def bad(code: str, detail: str = "it broke", **facts: Any) -> Answer:
    return Answer(ok=False, code=code, detail=detail, facts=facts)


@dataclass
class FakeBoard:
    """whoami or an answer may be a fault, which is raised."""

    answers: dict[str, Answer | OperatorFault] = field(default_factory=dict)
    entering: OperatorFault | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    told: Sequence[tuple[str, str]] = ()
    asked: list[str] = field(default_factory=list)
    restarts: int = 0

    def enter(self) -> None:
        if self.entering is not None:
            raise self.entering

    def whoami(self) -> Answer:
        given = self.answers.get("whoami", Answer(ok=True, facts=WHOAMI | self.facts))
        return self._given(given)

    def check(self, name: str) -> Answer:
        self.asked.append(name)
        return self._given(self.answers.get(name, GOOD[name]))

    def restart(self) -> None:
        self.restarts += 1

    def said(self) -> Sequence[tuple[str, str]]:
        return self.told

    def _given(self, given: Answer | OperatorFault) -> Answer:
        if isinstance(given, OperatorFault):
            raise given
        return given


def accepted(ago_ms: int = 10_000) -> Accepted:
    return Accepted("ab" * 32, NOW_MS - ago_ms, "ok", 7)


REGISTERED = DeviceLook(
    state="registered",
    last_ms=NOW_MS - 10_000,
    last_kind="readings",
    registered_ms=NOW_MS - 90_000_000,
    interval_ms=INTERVAL_MS,
    reading=accepted(),
    position=9,
)
SILENT = replace(REGISTERED, reading=None, last_kind="hello")
STALE = replace(REGISTERED, reading=accepted(3_600_000))
UNKNOWN = DeviceLook(state="unknown", position=9)
WAITING = replace(UNKNOWN, state="waiting_approval")


KNOWN = NetworkLook(NETWORK.hex(), "test", simulated=False, admission_policy="open", now_ms=NOW_MS)


def refused(verdict: str, ago_ms: int = 5_000) -> Refusal:
    return Refusal(verdict, NOW_MS - ago_ms, "It was wrong.", "Mend it.")


@dataclass
class FakeGateway:
    """looks: what it knows of the device, one after the other as time goes by; the last stays."""

    looks: Sequence[DeviceLook | Unreached] = (REGISTERED,)
    told: NetworkLook | Unreached = KNOWN
    flagged: Flag | None = None
    reachable: bool = True
    url: str = "http://gateway.example:8080"
    asked: int = 0

    def network(self) -> NetworkLook | Unreached:
        return self.told

    def device(self, name: str) -> DeviceLook | Unreached:
        assert name == NAME
        look = self.looks[min(self.asked, len(self.looks) - 1)]
        self.asked += 1
        return look

    def flag(self, name: str) -> Flag | None:
        assert name == NAME
        return self.flagged

    def reaches(self, host: str, port: int) -> bool:
        assert (host, port) == (HOST, 8883)
        return self.reachable


def at_once(gateway: FakeGateway, name: str) -> Callable[..., DeviceLook | Unreached]:
    """A patience that needs no time: it asks until something holds or nothing changes."""

    def wait(enough: Callable[[DeviceLook], bool]) -> DeviceLook | Unreached:
        for _ in range(10):
            look = gateway.device(name)
            if isinstance(look, Unreached) or enough(look):
                break
        return look

    return wait


def examine(
    board: FakeBoard | None = None,
    gateway: FakeGateway | None = None,
    *,
    station: str | None = None,
    found: FakeGateway | None = None,
) -> Report:
    """A whole visit. gateway: one that was named; found: that of the board's configuration."""

    def find(url: str | None) -> FakeGateway | None:
        assert url in {None, f"http://{HOST}:8080"}
        return url and (found or FakeGateway())

    visit = Visit(Patient(station, board, gateway, find, at_once, lambda: NOW_MS))
    findings = list(visit.walk())
    assert [one.link for one in findings] == list(Link)
    return Report(findings, visit.station, visit.gateway.url if visit.gateway else None)


def by_link(report: Report) -> dict[Link, Finding]:
    return {one.link: one for one in report.findings}


def only_broken(report: Report, link: Link, code: str) -> Finding:
    """That exactly this link is broken, all before it hold, and none behind was looked at."""
    found = by_link(report)
    assert [one.link for one in report.failures] == [link], report.failures
    finding = found[link]
    assert finding.code == code
    assert finding.what
    assert finding.do
    after = list(Link)[list(Link).index(link) + 1 :]
    if link is not Link.SENSORS:
        assert report.blocker is finding
        assert all(found[one].state is State.SKIPPED for one in after)
        assert all(found[one].why == f"first mend: {link}" for one in after)
    before = list(Link)[: list(Link).index(link)]
    assert all(found[one].state is State.PASSED for one in before)
    return finding
