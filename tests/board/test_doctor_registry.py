"""What the doctor makes of a gateway's answers, with a cable to the board and without one."""

from dataclasses import replace

import pytest

from gateway.board.doctor_report import Link, State
from gateway.board.doctor_sides import Flag, Unreached
from gateway.core.genesis import DAY_MS
from tests.board.doctor_rig import (
    KNOWN,
    NAME,
    NOW_MS,
    REGISTERED,
    SILENT,
    STALE,
    UNKNOWN,
    WAITING,
    WHOAMI,
    FakeBoard,
    FakeGateway,
    by_link,
    examine,
    only_broken,
    refused,
)

# ---- the gateway


GONE = Unreached("http://gateway.example:8080", "Connection refused")


@pytest.mark.parametrize("gateway", [FakeGateway(told=GONE), FakeGateway(looks=[GONE])])
def test_a_gateway_that_this_computer_cannot_ask(gateway):
    """What the board reached is told apart: its own links all hold."""
    report = examine(FakeBoard(), gateway)
    finding = only_broken(report, Link.REGISTRY, "gateway_unreached")
    assert finding.facts["board_came_through"] is True
    assert "The board itself reached" in finding.why
    assert report.exit_code() == 3


def test_a_gateway_that_goes_away_while_it_is_waited_for():
    report = examine(FakeBoard(), FakeGateway(looks=[UNKNOWN, GONE]))
    only_broken(report, Link.REGISTRY, "gateway_unreached")
    report = examine(FakeBoard(), FakeGateway(looks=[SILENT, GONE]))
    assert [one.code for one in report.failures] == ["gateway_unreached"]


def test_nobody_names_a_gateway():
    facts = {"config": WHOAMI["config"] | {"time": None}}
    only_broken(examine(FakeBoard(facts=facts), None), Link.REGISTRY, "gateway_unnamed")


def test_a_station_that_waits_for_approval():
    finding = only_broken(
        examine(FakeBoard(), FakeGateway(looks=[WAITING])), Link.REGISTRY, "device_waiting"
    )
    assert f"`cairn station approve {NAME}`" in finding.do


def test_a_station_that_was_never_heard_is_let_run_and_waited_for():
    board = FakeBoard()
    gateway = FakeGateway(looks=[UNKNOWN, UNKNOWN, SILENT, SILENT, REGISTERED])
    assert examine(board, gateway).exit_code() == 0
    assert board.restarts == 1


def test_a_station_that_stays_unknown():
    report = examine(FakeBoard(), FakeGateway(looks=[UNKNOWN]))
    finding = only_broken(report, Link.REGISTRY, "device_unknown")
    assert "`cairn board run`" in finding.do


def test_an_approved_station_that_has_not_come_back_is_not_refused():
    early = replace(UNKNOWN, refused=[refused("waiting_approval"), refused("unregistered")])
    report = examine(FakeBoard(), FakeGateway(looks=[early]))
    only_broken(report, Link.REGISTRY, "device_unknown")


def test_what_the_board_says_meanwhile_is_the_reason():
    board = FakeBoard(told=[("link.refused", "refused: connack 5"), ("config.spare", "mended")])
    report = examine(board, FakeGateway(looks=[UNKNOWN]))
    finding = only_broken(report, Link.REGISTRY, "link.refused")
    assert "connack 5" in finding.why
    board = FakeBoard(told=[("task.failed", "MemoryError")])
    report = examine(board, FakeGateway(looks=[SILENT]))
    only_broken(report, Link.READING, "task.failed")


@pytest.mark.parametrize("verdict", ["bad_signature", "weak_key", "rate_limited"])
def test_a_hello_that_is_refused(verdict):
    look = replace(UNKNOWN, refused=[refused("unregistered"), refused(verdict)])
    finding = only_broken(
        examine(FakeBoard(), FakeGateway(looks=[look])), Link.REGISTRY, "device_refused"
    )
    assert verdict in finding.what
    assert finding.do == "Mend it."


def test_readings_that_are_refused():
    look = replace(SILENT, refused=[refused("bad_body")])
    finding = only_broken(
        examine(FakeBoard(), FakeGateway(looks=[look])), Link.READING, "reading_refused"
    )
    assert finding.facts["verdict"] == "bad_body"


def test_an_old_refusal_is_forgotten_when_a_reading_was_accepted_since():
    look = replace(REGISTERED, refused=[refused("bad_body", ago_ms=60_000)])
    assert examine(FakeBoard(), FakeGateway(looks=[look])).exit_code() == 0


@pytest.mark.parametrize(
    "look,word",
    [
        (SILENT, "no reading yet"),
        (replace(SILENT, last_kind="status"), "status came last"),
        (STALE, "The last reading"),
    ],
)
def test_a_station_that_is_registered_and_silent(look, word):
    board = FakeBoard()
    finding = only_broken(examine(board, FakeGateway(looks=[look])), Link.READING, "device_silent")
    assert word in finding.what
    assert board.restarts == 1


def test_readings_that_are_admitted_and_flagged():
    epoch = NOW_MS // DAY_MS
    flag = Flag(epoch, "low_quality", "The quality is low.", "See why.")
    before = replace(REGISTERED, registered_ms=(epoch - 1) * DAY_MS)
    gateway = FakeGateway(looks=[before], flagged=flag)
    finding = only_broken(examine(FakeBoard(), gateway), Link.READING, "reading_flagged")
    assert f"`cairn explain {NAME} {epoch}`" in finding.do
    # On the day on which it came a station cannot have reported all of it.
    gateway = FakeGateway(looks=[replace(before, registered_ms=NOW_MS)], flagged=flag)
    assert examine(FakeBoard(), gateway).exit_code() == 0


def test_a_simulated_network_without_a_clock_is_never_late():
    told = replace(KNOWN, simulated=True, now_ms=None)
    assert examine(FakeBoard(), FakeGateway(looks=[STALE], told=told)).exit_code() == 0


def test_a_station_without_an_owner_is_told_so():
    facts = {"config": WHOAMI["config"] | {"owner": None}}
    finding = by_link(examine(FakeBoard(facts=facts), FakeGateway()))[Link.REGISTRY]
    assert finding.state is State.PASSED
    assert "--owner" in finding.why


# ---- without a cable


def test_without_a_cable_the_gateway_s_side_alone():
    report = examine(None, FakeGateway(), station=NAME)
    found = by_link(report)
    states = {found[link].state for link in Link if link not in {Link.REGISTRY, Link.READING}}
    assert states == {State.SKIPPED}
    assert {found[Link.REGISTRY].state, found[Link.READING].state} == {State.PASSED}
    assert report.exit_code() == 0


@pytest.mark.parametrize(
    "look,code",
    [
        (UNKNOWN, "device_unknown"),
        (WAITING, "device_waiting"),
        (SILENT, "device_silent"),
        (STALE, "device_silent"),
    ],
)
def test_without_a_cable_nobody_waits(look, code):
    gateway = FakeGateway(looks=[look, REGISTERED])
    report = examine(None, gateway, station=NAME)
    assert [one.code for one in report.failures] == [code]
    assert report.exit_code() == 1


def test_without_a_cable_a_gateway_that_cannot_be_asked():
    report = examine(None, FakeGateway(told=GONE), station=NAME)
    (finding,) = report.failures
    assert finding.facts["board_came_through"] is False
    assert "The board itself" not in finding.why
    assert report.exit_code() == 3
