"""What the gateway says while it runs: few lines, each an event with its facts, on stderr.

On a terminal `time event key=value ...`, elsewhere one JSON object a line. No line holds a key, a
password or a precise place. Libraries' warnings come out in the same form.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_FACTS = "facts"
_logger = logging.getLogger("cairn")


def event(name: str, /, **facts: Any) -> None:
    """Say that something happened."""
    _logger.info(name, extra={_FACTS: facts})


def trouble(name: str, /, **facts: Any) -> None:
    """Say that something went wrong that the gateway outlives."""
    _logger.warning(name, extra={_FACTS: facts})


def start_logging(stream: TextIO = sys.stderr) -> None:
    """Send this process's log to `stream`; what libraries say below a warning is dropped."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(plain=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)


class LineFormatter(logging.Formatter):
    """One line a record. plain: for people."""

    def __init__(self, *, plain: bool) -> None:
        super().__init__()
        self._plain = plain

    def format(self, record: logging.LogRecord) -> str:
        facts = dict(getattr(record, _FACTS, {}))
        if record.name != _logger.name:
            facts["logger"] = record.name
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = record.getMessage()
        if self._plain:
            words = [when[11:23], record.levelname.lower(), message]
            return " ".join([*words, *(f"{k}={_word(v)}" for k, v in facts.items())])
        line = {"time": when, "level": record.levelname.lower(), "event": message, **facts}
        return json.dumps(line, default=str, ensure_ascii=False)


def _word(value: Any) -> str:
    text = str(value)
    # Quoted as JSON, so that no stranger's text makes a second line or steers a terminal.
    return text if text.isprintable() and " " not in text and text else json.dumps(text)
