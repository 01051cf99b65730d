"""An index over the admission log, so that the API need not read all of it for one station.

A file beside the database that holds nothing of its own: it follows the log, and when it does not
fit (another network or version, damaged, or ahead of the log) it is made again. Asked by several
threads, one at a time.
"""

import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any, NamedTuple

from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from gateway.shell.api.index_entries import take
from gateway.shell.store.base import Store

VERSION = 2
FILE = "api-index.db"
# A step that others wait for: some tens of milliseconds.
STEP_MESSAGES_MAX = 2_000
_SCHEMA = Path(__file__).with_name("index.sql")
_STATION_COLUMNS = (
    "device, cell, registered_ms, firmware, declared, order_seq, last_ms, last_kind, messages"
)


class IndexedStation(NamedTuple):
    """declared: JSON [[quantity, channel, interval_ms], ...]; cell: of resolution 7."""

    device: bytes
    cell: int
    registered_ms: int
    firmware: str
    declared: str
    hello_seq: int
    last_ms: int
    last_kind: int
    messages: int


class IndexedReadings(NamedTuple):
    """One readings message with a time that counts. utc_ms: when it was made."""

    position: int
    message_id: bytes
    recv_ms: int
    utc_ms: int
    last_ms: int


class NewestReadings(NamedTuple):
    """The readings message of a station that came last."""

    position: int
    message_id: bytes
    recv_ms: int


class MessageIndex:
    """Make one for a file; `follow` it along a store, then ask."""

    def __init__(self, path: Path, network_id: bytes) -> None:
        self._path = path
        self._network_id = network_id
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._position = 0
        self._newest_recv_ms = 0
        self._compared = False

    @property
    def position(self) -> int:
        """How many entries of the log it has taken in."""
        return self._position

    @property
    def newest_recv_ms(self) -> int:
        """The latest arrival in there: protocol time has come so far, whatever the clock says."""
        return self._newest_recv_ms

    def follow(self, store: Store, messages_max: int = STEP_MESSAGES_MAX) -> bool:
        """Take in what is new in the store, bounded. True if there is no more."""
        with self._lock:
            try:
                return self._follow(store, messages_max)
            except sqlite3.DatabaseError:
                # Damaged by a power cut, or its disk is full: it can be made again from nothing.
                self._discard()
                return self._follow(store, messages_max)

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    # ---- questions

    def station(self, device: bytes) -> IndexedStation | None:
        rows = self._rows(
            f"SELECT {_STATION_COLUMNS} FROM stations"  # noqa: S608 - a constant
            " WHERE device = ? AND cell IS NOT NULL",
            (device,),
        )
        return IndexedStation(*rows[0]) if rows else None

    def stations(self, after: bytes, cell: int | None, limit: int) -> list[IndexedStation]:
        """Registered stations with an id above `after`, by id."""
        where = "cell IS NOT NULL" if cell is None else "cell = ?"
        values: tuple[Any, ...] = (after, limit) if cell is None else (after, cell, limit)
        rows = self._rows(
            f"SELECT {_STATION_COLUMNS} FROM stations"  # noqa: S608 - constants
            f" WHERE device > ? AND {where} ORDER BY device LIMIT ?",
            values,
        )
        return [IndexedStation(*row) for row in rows]

    def spans(self, device: bytes, limit: int) -> list[tuple[int, int]]:
        """Delivered seqs from the newest down, at most `limit` ranges."""
        return self._rows(
            "SELECT first, last FROM spans WHERE device = ? ORDER BY first DESC LIMIT ?",
            (device, limit),
        )

    def readings(
        self, device: bytes, after: tuple[int, int], last_ms_before: int, limit: int
    ) -> list[IndexedReadings]:
        """Messages with (time of the newest sample, position) above `after`, in that order."""
        rows = self._rows(
            "SELECT position, message_id, recv_ms, last_ms + newest_age_ms, last_ms FROM readings"
            " WHERE device = ? AND (last_ms, position) > (?, ?) AND last_ms < ?"
            " ORDER BY last_ms, position LIMIT ?",
            (device, *after, last_ms_before, limit),
        )
        return [IndexedReadings(*row) for row in rows]

    def newest_readings(self, device: bytes) -> NewestReadings | None:
        """By arrival, whatever time it names."""
        rows = self._rows(
            "SELECT position, message_id, recv_ms FROM readings"
            " WHERE device = ? ORDER BY position DESC LIMIT 1",
            (device,),
        )
        return NewestReadings(*rows[0]) if rows else None

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            return self._opened().execute(sql, values).fetchall()

    # ---- following

    def _follow(self, store: Store, messages_max: int) -> bool:
        database = self._opened()
        if not self._fits(store):
            self._discard()
            database = self._opened()
        head = store.admission_head().length
        last = min(head, self._position + messages_max)
        if last <= self._position:
            return True
        database.execute("BEGIN")
        try:
            self._take_all(database, store, last)
            database.execute(
                "UPDATE progress SET position = ?, hash = ?, newest_recv_ms = ?",
                (last, store.admission_hash(last), self._newest_recv_ms),
            )
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self._position = last
        return last == head

    def _fits(self, store: Store) -> bool:
        """Compare with the log once: from then on this process alone writes both."""
        if not self._compared and self._position:
            rows = self._opened().execute("SELECT hash FROM progress").fetchall()
            if self._position > store.admission_head().length:
                return False
            if rows[0][0] != store.admission_hash(self._position):
                return False
        self._compared = True
        return True

    def _take_all(self, database: sqlite3.Connection, store: Store, last: int) -> None:
        position = self._position
        for logged in store.iterate(position):
            if position >= last:
                break
            decoded = decode(logged.data, self._network_id)
            if not isinstance(decoded, Verdict):
                take(database, position, logged, decoded.message)
            self._newest_recv_ms = max(self._newest_recv_ms, logged.entry.recv_ms)
            position += 1

    # ---- the file

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = self._open()
        return self._database

    def _open(self) -> sqlite3.Connection:
        self._compared = False
        try:
            database = self._connect()
            rows = database.execute(
                "SELECT version, network, position, newest_recv_ms FROM progress"
            ).fetchall()
        except sqlite3.DatabaseError:
            rows = []
        if len(rows) == 1 and rows[0][:2] == (VERSION, self._network_id):
            self._position, self._newest_recv_ms = rows[0][2:]
            return database
        self._remove_file()
        return self._make()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        # What a power cut takes from it is read from the log again.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        return database

    def _make(self) -> sqlite3.Connection:
        database = self._connect()
        for statement in _SCHEMA.read_text("utf-8").split(";\n"):
            if statement.strip():
                database.execute(statement)
        database.execute(
            "INSERT INTO progress VALUES (?, ?, 0, ?, 0)", (VERSION, self._network_id, b"")
        )
        self._position = self._newest_recv_ms = 0
        return database

    def _discard(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        self._remove_file()
        self._position = self._newest_recv_ms = 0

    def _remove_file(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
