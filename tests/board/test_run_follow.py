"""Following a station: what is told, when, and that the first accepted reading ends it."""

from dataclasses import replace

from gateway.board.doctor_report import Link, State
from gateway.board.doctor_sides import Unreached
from gateway.board.follow import Follower
from gateway.board.run import follow
from tests.board.doctor_rig import (
    NAME,
    NOW_MS,
    REGISTERED,
    SILENT,
    UNKNOWN,
    WAITING,
    FakeGateway,
    accepted,
    refused,
)


def told(changes) -> list[tuple[Link, State | None, str]]:
    return [(one.link, one.state, one.code) for one in changes]


def test_a_line_of_the_console_becomes_the_state_of_its_link():
    follower = Follower(NAME, UNKNOWN)
    (change,) = follower.line("cairn: wifi.password: status 202\r")
    assert told([change]) == [(Link.WIFI, State.FAILED, "wifi.password")]
    assert change.do == "Give the right password."
    assert "status 202" in change.what


def test_what_is_no_report_is_passed_over():
    follower = Follower(NAME, UNKNOWN)
    assert not follower.line("MPY: soft reboot")
    assert not follower.line("cairn: unheard_of.code: x")
    assert not follower.line("")


def test_a_code_is_told_once_until_its_link_was_passed():
    follower = Follower(NAME, replace(REGISTERED, last_ms=NOW_MS - 500))
    line = "cairn: link.unreachable: unreachable: no connection"
    assert told(follower.line(line)) == [(Link.BROKER, State.FAILED, "link.unreachable")]
    assert not follower.line(line)
    follower.look(replace(SILENT, last_ms=NOW_MS))
    assert told(follower.line(line)) == [(Link.BROKER, State.FAILED, "link.unreachable")]


def test_one_message_passes_a_link_once():
    follower = Follower(NAME, UNKNOWN)
    follower.look(SILENT)
    (change,) = follower.line("cairn: wifi.password: status 202")
    assert change.state is State.FAILED
    assert not follower.look(SILENT)
    assert follower.look(replace(SILENT, last_ms=NOW_MS + 1))[0].link is Link.WIFI


def test_what_nobody_has_to_mend_fails_no_link():
    follower = Follower(NAME, UNKNOWN)
    for line in (
        "cairn: restart: station.failed",
        "cairn: config.spare: mended",
        "cairn: downlink.lower_up_to: down/receipt",
        "cairn: link.broken: broken",
    ):
        (change,) = follower.line(line)
        assert change.state is None
        assert change.do == ""


def test_a_message_that_came_has_passed_the_whole_way():
    follower = Follower(NAME, UNKNOWN)
    assert not follower.look(UNKNOWN)
    changes = follower.look(SILENT)
    assert {one.link for one in changes} == {
        *(Link.WIFI, Link.DNS, Link.BROKER, Link.TLS, Link.SIGNATURE, Link.REGISTRY)
    }
    assert {one.state for one in changes} == {State.PASSED}
    assert not follower.look(SILENT)
    assert follower.accepted is None


def test_what_came_before_the_run_passes_nothing():
    follower = Follower(NAME, REGISTERED)
    assert not follower.look(REGISTERED)
    assert follower.accepted is None
    newer = replace(REGISTERED, reading=accepted(0), last_ms=NOW_MS)
    changes = follower.look(newer)
    assert changes[-1].link is Link.READING
    assert follower.accepted == accepted(0)


def test_approval_is_asked_for_once_and_then_passes():
    follower = Follower(NAME, UNKNOWN)
    (change,) = follower.look(WAITING)
    assert told([change]) == [(Link.REGISTRY, State.FAILED, "device_waiting")]
    assert f"cairn station approve {NAME}" in change.do
    assert not follower.look(WAITING)
    assert follower.look(SILENT)[-1].state is State.PASSED


def test_a_refusal_is_told_with_its_verdict():
    old = replace(UNKNOWN, refused=[refused("weak_key", 90_000)])
    follower = Follower(NAME, old)
    assert not follower.look(old)
    again = replace(UNKNOWN, refused=[refused("weak_key", 1_000), refused("unregistered")])
    assert told(follower.look(again)) == [(Link.REGISTRY, State.FAILED, "device_refused")]
    assert not follower.look(again)
    fresh = replace(SILENT, last_ms=None, refused=[refused("bad_body", 0)])
    assert told(follower.look(fresh)) == [(Link.READING, State.FAILED, "reading_refused")]


def test_a_gateway_that_does_not_answer_is_told_once():
    follower = Follower(NAME, UNKNOWN)
    gone = Unreached("http://127.0.0.1:1", "refused")
    assert told(follower.look(gone)) == [(Link.REGISTRY, None, "gateway_unreached")]
    assert not follower.look(gone)


class Ticking:
    """A console without a word, and a clock that goes on by what is listened for."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def listen(self, seconds: float) -> None:
        self.now_s += seconds

    def follow(self, gateway: FakeGateway, timeout_s: float) -> object:
        return follow(
            self,
            gateway,
            NAME,
            Follower(NAME, UNKNOWN),
            timeout_s=timeout_s,
            tell=lambda _changes: None,
            waited=lambda _seconds: None,
            clock=lambda: self.now_s,
        )


def test_the_first_accepted_reading_ends_it():
    board = Ticking()
    assert board.follow(FakeGateway([UNKNOWN, SILENT, REGISTERED]), 60) == accepted()
    assert board.now_s == 3


def test_it_ends_when_the_time_is_over():
    board = Ticking()
    assert board.follow(FakeGateway([UNKNOWN, WAITING]), 20) is None
    assert board.now_s == 20
