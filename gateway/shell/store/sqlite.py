"""The store in one SQLite file: write-ahead log, synchronous=FULL, one writing process.

A commit that has returned survives `kill -9` and a power cut, as far as the disk tells the truth
about fsync. SQL stays within what PostgreSQL also takes.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Self

from gateway.core.logs import (
    ADMISSION_LABEL,
    OPERATOR_LABEL,
    admission_cbor,
    chain_next,
    chain_start,
    operator_cbor,
)
from gateway.core.model import AdmissionEntry
from gateway.core.verdicts import Verdict
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.store import migrations
from gateway.shell.store.base import (
    Batch,
    Centre,
    Logged,
    LogHead,
    Refused,
    StoredEpoch,
)
from gateway.shell.store.sqlite_entropy import SqliteEntropy
from gateway.shell.store.sqlite_faults import busy, corrupt, faults

_IDS_PER_QUERY = 500
_ENTRY_COLUMNS = "message_id, recv_ms, verdict, rules, net_tag"
_EPOCH_COLUMNS = (
    "epoch, rules, admission_first, admission_last, operator_first, operator_last,"
    " manifest_hash, manifest, closing, outcome, attestation, coverage"
)


class SqliteStore:
    """See `gateway.shell.store.base.Store`. Make one with `create` or `open`."""

    def __init__(self, path: Path, busy_timeout_ms: int, samples_max: int) -> None:
        self._path = path
        self._samples_max = samples_max
        self._database = sqlite3.connect(
            path, isolation_level=None, timeout=busy_timeout_ms / 1000, cached_statements=64
        )
        self._entropy = SqliteEntropy(self._rows, self._transaction)
        self._network_id = b""
        self._admission = LogHead(0, b"")
        self._operator = LogHead(0, b"")

    @classmethod
    def create(
        cls, path: Path, network_id: bytes, *, busy_timeout_ms: int = 5_000, samples_max: int = 16
    ) -> Self:
        """Open the store of a network, making the file if there is none."""
        with faults(path):
            store = cls(path, busy_timeout_ms, samples_max)
            store._prepare()
            store._database.execute(
                "INSERT INTO facts (name, value) VALUES ('network', ?) ON CONFLICT DO NOTHING",
                (network_id,),
            )
            store._load(network_id)
        return store

    @classmethod
    def open(
        cls, path: Path, network_id: bytes, *, busy_timeout_ms: int = 5_000, samples_max: int = 16
    ) -> Self:
        """Open the store of a network; a missing file is a fault."""
        if not path.is_file():
            raise OperatorFault(
                f"There is no database {path}.",
                "No gateway has run with this data directory.",
                "Name the right directory with --data, or run `cairn demo` to make one.",
                Code.STORE_MISSING,
            )
        return cls.create(
            path, network_id, busy_timeout_ms=busy_timeout_ms, samples_max=samples_max
        )

    @classmethod
    def reader(cls, path: Path, network_id: bytes, *, busy_timeout_ms: int = 5_000) -> Self:
        """Open beside the process that writes, to read alone. It takes no lock: `open` takes the
        writer's for a moment, and under load waits for that.
        """
        with faults(path):
            store = cls(path, busy_timeout_ms, samples_max=0)
            store._database.execute("PRAGMA query_only = ON")
            store._load(network_id)
        return store

    @property
    def network_id(self) -> bytes:
        return self._network_id

    @property
    def entropy(self) -> SqliteEntropy:
        return self._entropy

    def close(self) -> None:
        self._database.close()

    # ---- writing

    def commit(self, batch: Batch) -> None:
        with self._transaction():
            head = self._append_entries(batch.entries)
            self._fix_centres(batch)
            self._count_refused(batch.refused)
        self._admission = head

    def append_event(self, event_id: bytes, data: bytes) -> None:
        with self._transaction():
            head = self._operator
            self._check_head("operator_log", head)
            head = LogHead(head.length + 1, chain_next(head.hash, operator_cbor(data)))
            self._database.execute(
                "INSERT INTO operator_log (position, event_id, data, hash) VALUES (?, ?, ?, ?)",
                (head.length - 1, event_id, data, head.hash),
            )
        self._operator = head

    def record_logins(self, logins: Sequence[tuple[bytes, int]]) -> tuple[bool, ...]:
        raised = []
        with self._transaction():
            for device, counter in logins:
                cursor = self._database.execute(
                    "INSERT INTO logins (device, counter) VALUES (?, ?) ON CONFLICT (device)"
                    " DO UPDATE SET counter = excluded.counter"
                    " WHERE excluded.counter > logins.counter",
                    (device, counter),
                )
                raised.append(cursor.rowcount > 0)
        return tuple(raised)

    def store_epoch(self, closed: StoredEpoch) -> None:
        with self._transaction():
            self._database.execute(
                f"INSERT INTO epochs ({_EPOCH_COLUMNS})"  # noqa: S608 - a constant of this module
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                astuple(closed),
            )
        if self.epoch(closed.epoch) != closed:
            raise ValueError(f"epoch {closed.epoch} is settled with another result")

    def _append_entries(self, entries: tuple[Logged, ...]) -> LogHead:
        head = self._admission
        self._check_head("admission_log", head)
        log_rows = []
        for offset, logged in enumerate(entries, head.length):
            entry = logged.entry
            head = LogHead(offset + 1, chain_next(head.hash, admission_cbor(entry)))
            log_rows.append(
                (
                    offset,
                    entry.message_id,
                    entry.recv_ms,
                    int(entry.verdict),
                    entry.rules,
                    entry.net_tag,
                    head.hash,
                )
            )
        self._database.executemany(
            "INSERT INTO admission_log (position, message_id, recv_ms, verdict, rules, net_tag,"
            " hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
            log_rows,
        )
        self._database.executemany(
            "INSERT INTO messages (position, data) VALUES (?, ?)",
            [(row[0], logged.data) for row, logged in zip(log_rows, entries, strict=True)],
        )
        return head

    def _fix_centres(self, batch: Batch) -> None:
        # The last position of the batch: any position inside it puts the cell into its range.
        position = self._admission.length + len(batch.entries) - 1
        self._database.executemany(
            "INSERT INTO centres (cell, lat_e6, lon_e6, position) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(centre.cell, centre.lat_e6, centre.lon_e6, position) for centre in batch.centres],
        )

    def _count_refused(self, refused: tuple[Refused, ...]) -> None:
        for one in refused:
            (ordinal,) = self._database.execute(
                "INSERT INTO refused_counts (verdict, refused) VALUES (?, ?) ON CONFLICT (verdict)"
                " DO UPDATE SET refused = refused_counts.refused + excluded.refused"
                " RETURNING refused",
                (int(one.verdict), one.stands_for),
            ).fetchone()
            place = ordinal % self._samples_max
            self._database.execute(
                "INSERT INTO refused_samples (verdict, place, ordinal, recv_ms, device, data)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (verdict, place) DO UPDATE SET"
                " ordinal = excluded.ordinal, recv_ms = excluded.recv_ms,"
                " device = excluded.device, data = excluded.data",
                (int(one.verdict), place, ordinal, one.recv_ms, one.device, one.data),
            )

    # ---- reading

    def known_id(self, message_id: bytes) -> bool:
        sql = "SELECT 1 FROM admission_log WHERE message_id = ?"
        return bool(self._rows(sql, (message_id,)))

    def admission_head(self) -> LogHead:
        return self._admission

    def operator_head(self) -> LogHead:
        return self._operator

    def admission_hash(self, length: int) -> bytes:
        if length == 0:
            return chain_start(ADMISSION_LABEL, self._network_id)
        return self._hash("SELECT hash FROM admission_log WHERE position = ?", length)

    def operator_hash(self, length: int) -> bytes:
        if length == 0:
            return chain_start(OPERATOR_LABEL, self._network_id)
        return self._hash("SELECT hash FROM operator_log WHERE position = ?", length)

    def entries(self, first: int, last: int) -> tuple[AdmissionEntry, ...]:
        rows = self._rows(
            f"SELECT {_ENTRY_COLUMNS} FROM admission_log"  # noqa: S608 - a constant
            " WHERE position >= ? AND position < ? ORDER BY position",
            (first, last),
        )
        return tuple(_entry(row) for row in rows)

    def iterate(self, first: int = 0) -> Iterator[Logged]:
        end = self._admission.length
        for start in range(first, end, _IDS_PER_QUERY):
            rows = self._rows(
                f"SELECT {_ENTRY_COLUMNS}, data FROM admission_log"  # noqa: S608 - a constant
                " JOIN messages ON messages.position = admission_log.position"
                " WHERE admission_log.position >= ? AND admission_log.position < ?"
                " ORDER BY admission_log.position",
                (start, min(start + _IDS_PER_QUERY, end)),
            )
            for row in rows:
                yield Logged(_entry(row), row[5])

    def messages(self, message_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for start in range(0, len(message_ids), _IDS_PER_QUERY):
            wanted = tuple(message_ids[start : start + _IDS_PER_QUERY])
            marks = ",".join("?" * len(wanted))
            rows = self._rows(
                "SELECT message_id, data FROM admission_log"  # noqa: S608 - question marks only
                " JOIN messages ON messages.position = admission_log.position"
                f" WHERE message_id IN ({marks})",
                wanted,
            )
            found.update((row[0], row[1]) for row in rows)
        return found

    def events(self, first: int, last: int) -> tuple[bytes, ...]:
        rows = self._rows(
            "SELECT data FROM operator_log WHERE position >= ? AND position < ? ORDER BY position",
            (first, last),
        )
        return tuple(row[0] for row in rows)

    def centre(self, cell: int) -> Centre | None:
        rows = self._rows("SELECT cell, lat_e6, lon_e6 FROM centres WHERE cell = ?", (cell,))
        return Centre(*rows[0]) if rows else None

    def centres(self, first: int, last: int) -> tuple[Centre, ...]:
        rows = self._rows(
            "SELECT cell, lat_e6, lon_e6 FROM centres"
            " WHERE position >= ? AND position < ? ORDER BY cell",
            (first, last),
        )
        return tuple(Centre(*row) for row in rows)

    def login_counters(self, devices: Collection[bytes]) -> dict[bytes, int]:
        counters: dict[bytes, int] = {}
        for device in devices:
            rows = self._rows("SELECT counter FROM logins WHERE device = ?", (device,))
            counters.update((device, row[0]) for row in rows)
        return counters

    def refused_counts(self) -> dict[Verdict, int]:
        rows = self._rows("SELECT verdict, refused FROM refused_counts ORDER BY verdict", ())
        return {Verdict(row[0]): row[1] for row in rows}

    def refused_samples(self, verdict: Verdict) -> tuple[Refused, ...]:
        rows = self._rows(
            "SELECT recv_ms, device, data FROM refused_samples WHERE verdict = ?"
            " ORDER BY ordinal DESC",
            (int(verdict),),
        )
        return tuple(Refused(verdict, row[0], row[1], row[2]) for row in rows)

    def epoch(self, number: int) -> StoredEpoch | None:
        rows = self._rows(
            f"SELECT {_EPOCH_COLUMNS} FROM epochs WHERE epoch = ?",  # noqa: S608 - a constant
            (number,),
        )
        if not rows:
            return None
        row = list(rows[0])
        row[-1] = row[-1] or b""
        return StoredEpoch(*row)

    def epoch_numbers(self) -> tuple[int, ...]:
        return tuple(row[0] for row in self._rows("SELECT epoch FROM epochs ORDER BY epoch", ()))

    # ---- the database

    def _prepare(self) -> None:
        run = self._database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        migrations.apply(self._database, self._path)

    def _load(self, network_id: bytes) -> None:
        (self._network_id,) = self._rows("SELECT value FROM facts WHERE name = 'network'", ())[0]
        if self._network_id != network_id:
            self.close()
            raise OperatorFault(
                f"The database {self._path} belongs to another network.",
                f"It is of network {self._network_id.hex()}, the keys are of {network_id.hex()}.",
                "Use the data directory in which this network was made.",
                Code.STORE_OTHER_NETWORK,
            )
        self._admission = self._head("admission_log", chain_start(ADMISSION_LABEL, network_id))
        self._operator = self._head("operator_log", chain_start(OPERATOR_LABEL, network_id))

    def _head(self, log: str, start: bytes) -> LogHead:
        rows = self._rows(
            f"SELECT position, hash FROM {log} ORDER BY position DESC LIMIT 1",  # noqa: S608
            (),
        )
        return LogHead(rows[0][0] + 1, rows[0][1]) if rows else LogHead(0, start)

    def _check_head(self, log: str, believed: LogHead) -> None:
        # A second writer would fork the chain with a state of its own; the loser must stop.
        if self._head(log, believed.hash) != believed:
            raise busy(self._path, f"it has written to {log}")

    def _hash(self, sql: str, length: int) -> bytes:
        rows = self._rows(sql, (length - 1,))
        if not rows:
            raise corrupt(self._path, f"A log has no entry at position {length - 1}.")
        stored: bytes = rows[0][0]
        return stored

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with faults(self._path):
            return self._database.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with faults(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                self._rollback()
                raise ValueError("an id of this batch is stored already") from error
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        # After a full disk or an I/O error SQLite may have rolled back by itself.
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _entry(row: tuple[Any, ...]) -> AdmissionEntry:
    message_id, recv_ms, verdict, rules, net_tag = row[:5]
    return AdmissionEntry(message_id, recv_ms, Verdict(verdict), rules, net_tag)
