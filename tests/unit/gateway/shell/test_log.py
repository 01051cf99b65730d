"""Log lines: one line an event, words for people and JSON for programs."""

import io
import json
import logging

import pytest

from gateway.shell import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before():
    root, ours = logging.getLogger(), logging.getLogger("cairn")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_json_where_no_person_reads():
    stream = io.StringIO()
    log.start_logging(stream)
    log.event("ingest", ok=3, queued=0)
    log.trouble("few_files", allowed=10, hint="two\nlines")
    logging.getLogger("uvicorn.error").info("not worth a line")
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    first, second, third = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("time")
    assert first == {"level": "info", "event": "ingest", "ok": 3, "queued": 0}
    assert (second["level"], second["hint"]) == ("warning", "two\nlines")
    assert (third["event"], third["logger"]) == ("odd thing", "uvicorn.error")


def test_words_on_a_terminal_never_steer_it():
    stream = Terminal()
    log.start_logging(stream)
    log.event("ingest", ok=3, reason="a b", hostile="\x1b[2J\nx", empty="")
    (line,) = stream.getvalue().splitlines()
    assert line[12:] == ' info ingest ok=3 reason="a b" hostile="\\u001b[2J\\nx" empty=""'[0:]
    assert "\x1b" not in line


def test_a_traceback_stays_in_one_line():
    stream = io.StringIO()
    log.start_logging(stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: broken" in json.loads(line)["traceback"]
