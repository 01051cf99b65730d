"""Many boards, one after the other: a table of what they shall be, a log of what became of them.

The log is what makes a second run skip the boards that are done: one JSON object a line, written
before the next board is begun. A board that fails does not stop the others.
"""

import csv
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.shell.errors import Code, OperatorFault

# No password: a table is copied and mailed around.
COLUMNS = (
    *("name", "port", "place", "coarse", "owner", "owner_key", "antenna", "sensors"),
    "broker_password_file",
)
_NEEDED = ("name",)
_ROWS_MAX = 10_000
_YES = {"yes", "true", "1"}
_NO = {"", "no", "false", "0"}
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One board to be: its name for people, and the fields that were filled in."""

    line: int
    name: str
    fields: Mapping[str, str]

    @property
    def port(self) -> str | None:
        return self.fields.get("port")

    @property
    def sensors(self) -> tuple[str, ...]:
        """They stand in one field, with spaces or semicolons between them."""
        return tuple(self.fields.get("sensors", "").replace(";", " ").split())

    def flag(self, name: str) -> bool:
        return self.fields.get(name, "").lower() in _YES


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file with a header. OperatorFault batch_invalid names the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or ())
            rows = [_row(path, reader.line_num, found) for found in reader]
    except OSError as error:
        raise OperatorFault(
            f"The table {path} cannot be read.",
            f"{error.strerror}.",
            "Name an existing CSV file.",
            Code.FILE_UNREADABLE,
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _invalid(path, f"it is no CSV in UTF-8 ({error})") from error
    if not 1 <= len(rows) <= _ROWS_MAX:
        raise _invalid(path, f"it has {len(rows)} rows")
    seen: set[str] = set()
    for row in rows:
        if row.name in seen:
            raise _invalid(path, f"line {row.line}: the name {row.name} is there twice")
        seen.add(row.name)
    return rows


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    unknown = [column for column in columns if column not in COLUMNS]
    missing = [column for column in _NEEDED if column not in columns]
    if unknown or missing or len(set(columns)) != len(columns):
        what = (
            f"unknown: {', '.join(map(repr, unknown))}" if unknown else "one is twice or missing"
        )
        raise _invalid(path, f"its columns must be among {', '.join(COLUMNS)}, with name; {what}")


def _row(path: Path, line: int, found: Mapping[str | None, Any]) -> Row:
    if None in found or None in found.values():
        raise _invalid(path, f"line {line} has not as many fields as the header")
    fields = {str(key): str(value).strip() for key, value in found.items()}
    if not fields["name"]:
        raise _invalid(path, f"line {line} has no name")
    if fields.get("coarse", "").lower() not in _YES | _NO:
        raise _invalid(path, f"line {line}: coarse is yes or no")
    return Row(line, fields["name"], {key: value for key, value in fields.items() if value})


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a row. result: what `cairn board provision --json` would say, None if it
    failed.
    """

    name: str
    device: str | None
    ok: bool
    port: str
    time_ms: int
    result: dict[str, Any] | None
    fault: dict[str, str] | None

    def document(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Log:
    """The results of earlier runs and of this one, in a file that only grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.done: dict[str, Done] = {}
        """By name; a row that succeeded once stays done."""
        for number, text in enumerate(self._lines(), 1):
            found = self._read(number, text)
            if found.ok or found.name not in self.done:
                self.done[found.name] = found

    def is_done(self, name: str) -> bool:
        found = self.done.get(name)
        return found is not None and found.ok

    def name_of(self, device: str) -> str | None:
        """The name under which a device was set up already."""
        return next(
            (one.name for one in self.done.values() if one.ok and one.device == device), None
        )

    def add(self, done: Done) -> None:
        """Write it down for good."""
        if done.ok or not self.is_done(done.name):
            self.done[done.name] = done
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done.document()) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OperatorFault(
                f"The log {self._path} cannot be written.",
                f"{error.strerror}. The board {done.name} is set up all the same, if it did not "
                "fail.",
                "Make room, or name another file with --results, and run it again.",
                Code.FILE_UNWRITABLE,
            ) from error

    def _lines(self) -> list[str]:
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise _invalid(self._path, f"it cannot be read ({error})") from error
        # A cut in the middle of a line leaves a half one at the end: that board is done again.
        whole, half = text[: text.rfind("\n") + 1], text[text.rfind("\n") + 1 :]
        if half:
            try:
                self._path.write_text(whole, "utf-8")
            except OSError as error:
                raise _invalid(self._path, f"it cannot be mended ({error})") from error
        return whole.splitlines()

    def _read(self, number: int, text: str) -> Done:
        try:
            found = json.loads(text)
            done = Done(**{name: found[name] for name in Done.__slots__})
        except (KeyError, TypeError, ValueError) as error:
            raise _invalid(self._path, f"line {number} is no result of a batch") from error
        return done


Provision = Callable[[Row, str], dict[str, Any]]


class BoardSeenError(Exception):
    """The board on this port is done already; the next one is waited for. device: its name."""

    def __init__(self, device: str, name: str) -> None:
        super().__init__(f"{device} is {name}")
        self.device, self.name = device, name


def run_batch(
    rows: Iterable[Row],
    log: Log,
    provision: Provision,
    next_port: Callable[[Row], str],
    *,
    told: Callable[[Row, str], None],
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> list[Done]:
    """Go through the rows that are not done. next_port waits until the row's board is there."""
    made = []
    for row in rows:
        if log.is_done(row.name):
            told(row, "done earlier")
            continue
        done = _one(row, provision, next_port, told, clock)
        log.add(done)
        made.append(done)
        told(row, "done" if done.fault is None else f"failed: {done.fault['what']}")
    return made


def _one(
    row: Row,
    provision: Provision,
    next_port: Callable[[Row], str],
    told: Callable[[Row, str], None],
    clock: Callable[[], int],
) -> Done:
    port = ""
    try:
        while True:
            port = next_port(row)
            try:
                result = provision(row, port)
            except BoardSeenError as seen:
                if row.port is not None:
                    raise _used(seen) from seen
                told(row, f"the board on {port} is {seen.name} already; plug in another one")
                continue
            return _done(row, port, clock(), result, None)
    except OperatorFault as fault:
        words = {name: str(getattr(fault, name)) for name in ("code", "what", "why", "do")}
        return _done(row, port, clock(), None, words)


def _done(
    row: Row,
    port: str,
    time_ms: int,
    result: dict[str, Any] | None,
    fault: dict[str, str] | None,
) -> Done:
    device = None if result is None else str(result["device"])
    return Done(row.name, device, result is not None, port, time_ms, result, fault)


class Plugged:
    """Ports on which a board appeared since the last one was taken."""

    def __init__(
        self,
        ports: Callable[[], Sequence[str]],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ports, self._sleep = ports, sleep
        self._taken: set[str] = set()

    def next(self) -> str:
        """The next port with a board that was not taken yet; waits for it to be plugged in."""
        while True:
            now = set(self._ports())
            self._taken &= now
            fresh = sorted(now - self._taken)
            if fresh:
                self._taken.add(fresh[0])
                return fresh[0]
            self._sleep(_POLL_S)


def labelled(log: Log) -> Iterator[tuple[str, str, str]]:
    """(name, device, network id) of what is done, in the order in which it was."""
    for done in log.done.values():
        if done.ok and done.result is not None and done.device is not None:
            yield done.name, done.device, str(done.result["network_id"])


def _used(seen: BoardSeenError) -> OperatorFault:
    return OperatorFault(
        f"The board on this port is {seen.name} already.",
        f"It is {seen.device}, which this batch set up under that name.",
        "Plug in the right board, or name another port in the table.",
        Code.BOARD_USED,
    )


def _invalid(path: Path, why: str) -> OperatorFault:
    return OperatorFault(
        f"The file {path} cannot be used.",
        f"{why[:1].upper()}{why[1:]}.",
        "Correct it; docs/cli.md shows the columns of `cairn board provision --batch`.",
        Code.BATCH_INVALID,
    )
