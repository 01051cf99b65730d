"""The file of products: it follows the admission log, and answers questions.

Like the API's index it holds nothing of its own, and is made again when it does not fit the log.
Made again, it is the same, revisions included: what is made when follows from the log and the
closes alone. A late reading joins the next full ten minutes of protocol time. Several processes
may follow with one file: each step is one transaction that begins with what the others left.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.core.genesis import DAY_MS
from gateway.core.quantities import Quantity, parse_quantities
from gateway.shell.api.release import Releases
from gateway.shell.epochs import due_ms
from gateway.shell.network import Network, read_pinned
from gateway.shell.products.intake import REVISABLE_MS, Intake
from gateway.shell.products.making import Making
from gateway.shell.store.base import Store

VERSION = 1
FILE = "products.db"
# A step that others wait for: about a tenth of a second.
STEP_MESSAGES_MAX = 500
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BUSY_S = 10.0
_SCHEMA = Path(__file__).with_name("products.sql")


class _Progress(NamedTuple):
    """reached_ms: how far protocol time had come here; epoch: the newest close that is behind."""

    position: int
    hash: bytes
    reached_ms: int
    epoch: int


class _Bounds(NamedTuple):
    settled_ms: int
    messages_max: int


class Products:
    """Make one for a network; `follow` it along a store, then read from `reading`."""

    def __init__(self, network: Network, path: Path | None = None) -> None:
        self._path = network.folder / FILE if path is None else path
        self._network = network
        self._lock = threading.Lock()
        self._quantities: dict[int, Quantity] = {}
        self._compared = False
        self._database: sqlite3.Connection | None = None

    @property
    def quantities(self) -> Mapping[int, Quantity]:
        """What can be measured, by the network's own file."""
        if not self._quantities:
            text = read_pinned(self._network.folder, "quantities.toml")
            self._quantities = dict(parse_quantities(text))
        return self._quantities

    def follow(
        self,
        store: Store,
        releases: Releases,
        settled_ms: int = 0,
        messages_max: int = STEP_MESSAGES_MAX,
    ) -> bool:
        """Take in what is new in the store, bounded, and make what is due. True if that is all.

        settled_ms: a protocol time before which nothing can come into the log any more, if that
        is known. Without it, time has come as far as the newest arrival and the newest close.
        """
        bounds = _Bounds(settled_ms, messages_max)
        with self._lock:
            try:
                return self._step(store, releases, bounds)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                    return False
                # Damaged by a power cut, or of another version: made again from nothing.
                self._discard()
                return self._step(store, releases, bounds)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the products as they are at one moment."""
        database = sqlite3.connect(self._path, isolation_level=None, timeout=_BUSY_S)
        try:
            database.execute("BEGIN")
            yield database
        finally:
            database.close()

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    # ---- following

    def _step(self, store: Store, releases: Releases, bounds: _Bounds) -> bool:
        database = self._opened()
        database.execute("BEGIN IMMEDIATE")
        try:
            before = self._progress(database)
            if before is None or not self._fits(store, before):
                raise sqlite3.DatabaseError("of another network, version or log")
            after = self._advance(database, store, releases, before, bounds)
            database.execute(
                "UPDATE progress SET position = ?, hash = ?, reached_ms = ?, epoch = ?", after
            )
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return after.position == store.admission_head().length

    def _advance(
        self,
        database: sqlite3.Connection,
        store: Store,
        releases: Releases,
        before: _Progress,
        bounds: _Bounds,
    ) -> _Progress:
        intake = Intake(database, store, releases, self.quantities)
        time = _Time(Making(database, releases, self.quantities), before.reached_ms)
        closes = _Closes(store, releases, before.epoch)
        head = store.admission_head().length
        position, last = before.position, min(head, before.position + bounds.messages_max)
        for logged in store.iterate(position) if position < last else ():
            if position >= last:
                break
            time.reach(closes.reached_ms(position))
            # Everything that is due when this one arrives is made without it.
            time.reach(logged.entry.recv_ms)
            intake.take(position, logged, time.reached_ms)
            position += 1
        time.reach(closes.reached_ms(position))
        if position == head:
            time.reach(bounds.settled_ms)
        return _Progress(position, store.admission_hash(position), time.reached_ms, closes.epoch)

    def _fits(self, store: Store, progress: _Progress) -> bool:
        """Compare with the log once: from then on both only grow."""
        if not self._compared and progress.position:
            if progress.position > store.admission_head().length:
                return False
            if progress.hash != store.admission_hash(progress.position):
                return False
        self._compared = True
        return True

    # ---- the file

    def _progress(self, database: sqlite3.Connection) -> _Progress | None:
        rows = database.execute(
            "SELECT version, network, position, hash, reached_ms, epoch FROM progress"
        ).fetchall()
        if len(rows) != 1 or rows[0][:2] != (VERSION, self._network.network_id):
            return None
        return _Progress(*rows[0][2:])

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = self._open()
        return self._database

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S
        )
        try:
            # What a power cut takes from it is read from the log again.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")
            self._make(database)
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _make(self, database: sqlite3.Connection) -> None:
        """Make the tables of an empty file; another process may be doing the same."""
        database.execute("BEGIN IMMEDIATE")
        made = database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if made is None:
            for statement in _SCHEMA.read_text("utf-8").split(";\n"):
                if statement.strip():
                    database.execute(statement)
            database.execute(
                "INSERT INTO progress VALUES (?, ?, 0, ?, 0, -1)",
                (VERSION, self._network.network_id, b""),
            )
        database.execute("COMMIT")

    def _discard(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        self._compared = False
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class _Time:
    """Protocol time as it goes on along the log, making products as they fall due."""

    def __init__(self, making: Making, reached_ms: int) -> None:
        self._making = making
        self.reached_ms = reached_ms

    def reach(self, time_ms: int) -> None:
        """Go on to a time, unless it has been reached before."""
        if time_ms <= self.reached_ms:
            return
        while (due_ms := self._making.next_due_ms()) is not None and due_ms <= time_ms:
            self._making.make(due_ms)
        if time_ms // DAY_MS > self.reached_ms // DAY_MS:
            self._making.forget(time_ms - REVISABLE_MS - 2 * DAY_MS)
        self.reached_ms = time_ms


class _Closes:
    """Closes of epochs in the order of the log: each says that protocol time had come so far."""

    def __init__(self, store: Store, releases: Releases, epoch: int) -> None:
        self._store = store
        self._releases = releases
        self._later = [number for number in store.epoch_numbers() if number > epoch]
        self._next: tuple[int, int] | None = None
        self.epoch = epoch

    def reached_ms(self, position: int) -> int:
        """The time of the newest close when the log was so long; 0 if none is new."""
        time_ms = 0
        while self._later:
            closed_at, close_ms = self._next or self._look()
            if closed_at > position:
                break
            time_ms = close_ms
            self.epoch = self._later.pop(0)
            self._next = None
        return time_ms

    def _look(self) -> tuple[int, int]:
        stored = self._store.epoch(self._later[0])
        assert stored is not None, "a listed epoch is not stored"
        close_ms = due_ms(stored.epoch, self._releases.rules(stored.epoch))
        self._next = (stored.admission_last, close_ms)
        return self._next
