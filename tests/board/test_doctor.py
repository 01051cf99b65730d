"""Each link that is broken gives exactly one finding, and the right one."""

import pytest
from nacl.signing import SigningKey

from gateway.board.answer import Answer
from gateway.board.doctor_report import Link, State
from gateway.shell.errors import OperatorFault
from tests.board.doctor_rig import (
    NAME,
    WHOAMI,
    FakeBoard,
    FakeGateway,
    bad,
    by_link,
    examine,
    login,
    only_broken,
)


def fault(code: str) -> OperatorFault:
    return OperatorFault("It happened.", "Because.", "Do this.", code)


# ---- all is well


def test_all_links_hold():
    board = FakeBoard()
    report = examine(board, FakeGateway())
    assert [one.state for one in report.findings] == [State.PASSED] * len(Link)
    assert (report.exit_code(), report.blocker) == (0, None)
    assert (report.station, report.gateway) == (NAME, "http://gateway.example:8080")
    assert board.asked == ["sensors", "wifi", "dns", "broker", "tls", "clock", "signature"]
    # A fresh reading is there: nobody has to wait for another.
    assert board.restarts == 0
    assert by_link(report)[Link.READING].facts["message_id"] == "ab" * 32


def test_the_gateway_is_found_in_the_board_s_configuration():
    report = examine(FakeBoard(), None, found=FakeGateway())
    assert report.exit_code() == 0
    assert report.gateway == "http://gateway.example:8080"


def test_what_a_sensor_measures_is_shown_to_who_holds_the_cable():
    finding = by_link(examine(FakeBoard(), FakeGateway()))[Link.SENSORS]
    assert finding.what == "temperature 21.53 Cel, humidity 50.1 %RH"


def test_no_password_leaves_the_doctor():
    """A signed login is good for one login: it must not stand in what people paste."""
    report = examine(FakeBoard(), FakeGateway())
    assert login() not in repr(report.document())


# ---- the cable


@pytest.mark.parametrize(
    "code",
    ["port_absent", "port_many", "port_busy", "port_denied", "port_lost", "repl_silent"],
)
def test_a_port_that_cannot_be_used(code):
    report = examine(FakeBoard(entering=fault(code)), FakeGateway())
    finding = only_broken(report, Link.SERIAL, code)
    assert (finding.what, finding.why, finding.do) == ("It happened.", "Because.", "Do this.")
    assert report.exit_code() == 3


def test_a_cable_that_is_pulled_in_between():
    board = FakeBoard({"dns": fault("port_lost")})
    report = examine(board, FakeGateway())
    only_broken(report, Link.DNS, "port_lost")
    assert report.exit_code() == 3


# ---- the program


@pytest.mark.parametrize(
    "code",
    ["board_blank", "board_crashing", "board_without_cairn", "repl_refused", "board_raised"],
)
def test_a_program_that_is_not_ours(code):
    """Something answered, so it is not the cable."""
    report = examine(FakeBoard(entering=fault(code)), FakeGateway())
    only_broken(report, Link.FIRMWARE, code)
    assert report.exit_code() == 1


@pytest.mark.parametrize(
    "facts,code,word",
    [
        ({"config": None}, "board_unprovisioned", "cairn board provision"),
        ({"free_flash": 8_192}, "board_full", "cairn board flash"),
        ({"crashes": 5}, "board_crashing", "cairn board run"),
        (
            {"config": WHOAMI["config"] | {"network": "00" * 8}},
            "board_other_network",
            "cairn board provision",
        ),
    ],
)
def test_a_board_that_cannot_work(facts, code, word):
    finding = only_broken(examine(FakeBoard(facts=facts), FakeGateway()), Link.FIRMWARE, code)
    assert word in finding.do


def test_four_bad_boots_are_no_safe_mode():
    """The doctor itself restarts a board, and each boot counts as bad until it has lasted."""
    assert examine(FakeBoard(facts={"crashes": 4}), FakeGateway()).exit_code() == 0
    assert examine(FakeBoard(facts={"crashes": None}), FakeGateway()).exit_code() == 0


def test_a_configuration_that_is_damaged_is_not_called_absent():
    facts = {"config": None, "config_code": "config.damaged"}
    only_broken(examine(FakeBoard(facts=facts), FakeGateway()), Link.FIRMWARE, "config.damaged")
    facts = {"config": None, "config_code": "config.absent"}
    report = examine(FakeBoard(facts=facts), FakeGateway())
    only_broken(report, Link.FIRMWARE, "board_unprovisioned")


@pytest.mark.parametrize("code", ["identity.damaged", "identity.entropy"])
def test_a_key_or_configuration_that_is_damaged(code):
    board = FakeBoard({"whoami": bad(code)})
    finding = only_broken(examine(board, FakeGateway(), station=NAME), Link.FIRMWARE, code)
    assert "The board said: it broke." in finding.why


def test_another_board_is_on_the_cable():
    other = "a" * 26
    report = examine(FakeBoard(), FakeGateway(), station=other)
    finding = only_broken(report, Link.FIRMWARE, "board_other_station")
    assert NAME in finding.what
    assert other in finding.what


# ---- sensors: the one link that blocks nothing


def test_a_sensor_that_is_unplugged_blocks_nothing():
    board = FakeBoard(
        {"sensors": bad("sensors.fault", sensors=[[0, 0, -2, 2153, 0], [1, 0, -1, None, 9]])}
    )
    report = examine(board, FakeGateway())
    finding = only_broken(report, Link.SENSORS, "sensors.fault")
    assert "humidity: sensor absent" in finding.what
    assert report.blocker is None
    assert by_link(report)[Link.READING].state is State.PASSED
    assert report.exit_code() == 1


def test_a_sensor_that_warms_up_is_no_fault():
    rows = [[0, 0, -2, 2153, 0], [4, 0, -1, None, 6]]
    report = examine(FakeBoard({"sensors": Answer(ok=True, facts={"sensors": rows})}), None)
    assert "warming up" in by_link(report)[Link.SENSORS].what
    assert report.exit_code() == 0


@pytest.mark.parametrize(
    "answer", [bad("sensors.none"), Answer(ok=True, facts={"sensors": []}), Answer(ok=True)]
)
def test_a_station_without_sensors_is_no_fault(answer):
    report = examine(FakeBoard({"sensors": answer}), FakeGateway())
    assert by_link(report)[Link.SENSORS].state is State.SKIPPED
    assert report.exit_code() == 0


def test_a_sensor_configuration_that_names_what_there_is_not():
    report = examine(FakeBoard({"sensors": bad("config.sensors")}), FakeGateway())
    only_broken(report, Link.SENSORS, "config.sensors")


# ---- Wi-Fi, name, broker


@pytest.mark.parametrize(
    "code",
    ["wifi.absent", "wifi.unknown", "wifi.password", "wifi.not_connected", "wifi.refused"],
)
def test_wifi_that_does_not_connect(code):
    finding = only_broken(
        examine(FakeBoard({"wifi": bad(code, "status 201")}), FakeGateway()), Link.WIFI, code
    )
    assert "status 201" in finding.why


def test_a_name_that_does_not_resolve():
    report = examine(FakeBoard({"dns": bad("link.dns", host="nowhere")}), FakeGateway())
    assert only_broken(report, Link.DNS, "link.dns").facts["host"] == "nowhere"


@pytest.mark.parametrize(
    "reachable,word", [(True, "and this computer does"), (False, "Neither the board nor")]
)
def test_a_broker_that_is_not_reached(reachable, word):
    answer = bad("link.unreachable")
    gateway = FakeGateway(reachable=reachable)
    finding = only_broken(
        examine(FakeBoard({"broker": answer}), gateway), Link.BROKER, "link.unreachable"
    )
    assert word in finding.what
    assert finding.facts["computer_reaches"] is reachable


# ---- TLS, clock, signature


@pytest.mark.parametrize(
    "reason,code",
    [
        ("ca", "tls_ca"),
        ("name", "tls_name"),
        ("expired", "tls_time"),
        ("early", "tls_time"),
        ("silent", "link.tls"),
        ("other", "link.tls"),
    ],
)
def test_a_certificate_that_does_not_hold(reason, code):
    board = FakeBoard({"tls": bad("link.tls", "TLS: it is bad", reason=reason)})
    finding = only_broken(examine(board, FakeGateway()), Link.TLS, code)
    assert finding.facts["said"] == "TLS: it is bad"


def test_a_certificate_that_cannot_be_judged_for_want_of_the_time():
    """The fault is the time service's, not the certificate's."""
    said = "TLS: validity starts in the future (the board does not know the time: time.validity)"
    board = FakeBoard({"tls": bad("link.tls", said, reason="early")})
    finding = only_broken(examine(board, FakeGateway()), Link.TLS, "tls_no_time")
    assert finding.facts["time"] == "time.validity"
    assert "Check the gateway's clock" in finding.do


def test_a_broker_without_tls_is_no_fault():
    report = examine(FakeBoard({"tls": Answer(ok=True, facts={"tls": False})}), FakeGateway())
    assert by_link(report)[Link.TLS].state is State.SKIPPED
    assert report.exit_code() == 0


@pytest.mark.parametrize(
    "code", ["time.unreachable", "time.validity", "time.root_kid", "time.some_new_word"]
)
def test_a_time_that_does_not_hold(code):
    only_broken(examine(FakeBoard({"clock": bad(code)}), FakeGateway()), Link.CLOCK, code)


@pytest.mark.parametrize(
    "signed",
    [
        login(b"\x01" * 8),
        login(key=SigningKey(bytes(31) + b"\x08")),
        login()[:-2] + "00",
        "no hex",
        None,
    ],
)
def test_a_signature_that_does_not_hold(signed):
    board = FakeBoard({"signature": Answer(ok=True, facts={"login": signed})})
    only_broken(examine(board, FakeGateway()), Link.SIGNATURE, "signature_wrong")


def test_a_signature_by_another_key_than_the_board_named():
    facts = {"public_key": "22" * 32}
    report = examine(FakeBoard(facts=facts), FakeGateway())
    only_broken(report, Link.SIGNATURE, "signature_wrong")
