"""The doctor's JSON is a contract: its schema, its codes, and the manual agree."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest

from gateway.board import doctor_board
from gateway.board.answer import Answer
from gateway.board.doctor_report import NOT_BLOCKING, UNREACHED, Link
from gateway.board.doctor_sides import Unreached
from gateway.board.station_codes import StationCode, explained, station_codes, told
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.spec_files import read_spec
from tests.board.doctor_rig import (
    NAME,
    SILENT,
    UNKNOWN,
    WAITING,
    FakeBoard,
    FakeGateway,
    bad,
    examine,
    refused,
)

SCHEMA = jsonschema_rs.Draft202012Validator(json.loads(read_spec("board-doctor.schema.json")))
ROW = re.compile(r"(?m)^\| (`.*?) \| (.*?) \|(?: (.*?) \|)?$")


def reports():
    """One of each kind."""
    fault = OperatorFault("It happened.", "Because.", "Do this.", Code.PORT_ABSENT)
    yield examine(FakeBoard(), FakeGateway())
    yield examine(FakeBoard(entering=fault), FakeGateway())
    yield examine(FakeBoard(facts={"config": None}), FakeGateway())
    for name, code in (
        *(("sensors", "sensors.fault"), ("wifi", "wifi.unknown"), ("dns", "link.dns")),
        *(("broker", "link.unreachable"), ("tls", "link.tls"), ("clock", "time.validity")),
    ):
        facts = {"host": "gateway.example", "port": 8883} if name == "broker" else {}
        yield examine(FakeBoard({name: bad(code, **facts)}), FakeGateway())
    gone = Unreached("http://127.0.0.1:1", "Connection refused")
    for look in (UNKNOWN, WAITING, SILENT, gone, replace(UNKNOWN, refused=[refused("weak_key")])):
        yield examine(FakeBoard(), FakeGateway(looks=[look]))
    yield examine(None, FakeGateway(looks=[SILENT]), station=NAME)


@pytest.mark.parametrize("report", list(reports()))
def test_every_report_keeps_to_the_schema(report):
    document = json.loads(json.dumps(report.document()))
    SCHEMA.validate(document)
    assert document["ok"] == (report.exit_code() == 0)


def test_the_schema_refuses_what_is_not_the_contract():
    document = examine(FakeBoard(), FakeGateway()).document()
    broken = json.loads(json.dumps(document))
    broken["links"][0]["state"] = "FAILED"
    assert not SCHEMA.is_valid(broken)
    swapped = json.loads(json.dumps(document))
    swapped["links"][3], swapped["links"][4] = swapped["links"][4], swapped["links"][3]
    assert not SCHEMA.is_valid(swapped)
    assert not SCHEMA.is_valid(document | {"more": 1})


def test_only_a_sensor_stops_nothing():
    assert frozenset({Link.SENSORS}) == NOT_BLOCKING


# ---- the manual


@pytest.fixture(scope="module")
def manual(repo_root: Path) -> str:
    return (repo_root / "docs" / "troubleshooting.md").read_text("utf-8")


def own_codes(repo_root: Path) -> set[str]:
    """Codes that the doctor itself gives: second argument of failed(), and its tables."""
    found = set()
    for name in ("doctor", "doctor_board", "doctor_gateway", "follow"):
        text = (repo_root / "gateway" / "board" / f"{name}.py").read_text("utf-8")
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Constant(value=str(code)) if re.fullmatch(
                    r"(board|device|gateway|reading|signature|tls)_[a-z_]+", code
                ):
                    found.add(code)
    return found - {"board_came_through"}


def test_every_code_has_a_heading(repo_root: Path, manual: str):
    """A heading of its own under `A board does not report`, or among the codes of all verbs."""
    section = manual.split("\n## A board does not report\n")[1].split("\n## ", maxsplit=1)[0]
    headings = set(re.findall(r"(?m)^#### `([a-z_.]+)`$", section))
    general = set(re.findall(r"(?m)^### `([a-z_]+)`$", manual))
    own = own_codes(repo_root)
    assert {"board_full", "tls_ca", "device_waiting", "reading_flagged"} <= own
    assert own - headings - general == set()
    assert UNREACHED - headings - general == set()
    links = {Link.SENSORS, Link.WIFI, Link.DNS, Link.BROKER}
    told_apart = {code for code, one in station_codes().items() if one.link in links}
    named = {code for code in told_apart if code.split(".")[0] in {"sensors", "wifi", "link"}}
    assert named - headings == set()
    known = own | UNREACHED | set(station_codes())
    assert headings - known == set()
    for part in section.split("\n#### ")[1:]:
        assert "**Do:**" in part, part.splitlines()[0]


def test_the_table_of_codes_is_that_of_the_manual(manual: str):
    """What a person reads and what the doctor says are the same words."""
    rows = {}
    for cell, what, do in ROW.findall(manual.split("\n## Codes of a station\n")[1]):
        for code in re.findall(r"`([a-z0-9_.]+)`", cell):
            family = code.endswith(".")
            rows[code + "*" if family else code] = (_plain(what), _plain(do))
        if "other words" in cell:
            rows["downlink.*"] = (_plain(what), "")
    found = {code: (one.what, one.do) for code, one in station_codes().items()}
    assert found == rows


def test_a_code_of_a_family_that_is_not_listed_is_explained():
    assert explained("time.new_word") is station_codes()["time.*"]
    assert isinstance(explained("wifi.absent"), StationCode)
    assert explained("wifi.unheard_of") is None


def test_a_line_of_the_console_is_read():
    assert told("cairn: link.tls: TLS: bad: worse\r") == ("link.tls", "TLS: bad: worse")
    assert told("cairn: restart: station.failed") == ("restart", "station.failed")
    assert told("cairn: ") is None
    assert told("Traceback (most recent call last):") is None


def _plain(text: str) -> str:
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text.strip())


def test_readings_that_a_board_made_up_are_left_out():
    rows = [[1, 0, 10**9, 1, 0], [[], 0, 0, 1, 0], [1, 0, 0, "x", 0], [1, 0, 0, 1.5, 0]]
    assert doctor_board.sensors(Answer(ok=True, facts={"sensors": rows})).state == "SKIPPED"
