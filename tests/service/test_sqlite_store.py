"""The SQLite store: the conformance suite, and what goes wrong with files."""

import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gateway.shell.errors import Code, OperatorFault
from gateway.shell.store import migrations
from gateway.shell.store.base import Batch
from gateway.shell.store.sqlite import SqliteStore
from tests.service.store_conformance import (
    CLOSED,
    NETWORK,
    SAMPLES_MAX,
    StoreConformance,
    logged,
)


class TestSqliteConformance(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path):
        opened = []

        def make() -> SqliteStore:
            store = SqliteStore.create(
                tmp_path / "cairn.sqlite", NETWORK, busy_timeout_ms=50, samples_max=SAMPLES_MAX
            )
            opened.append(store)
            return store

        yield make
        for store in opened:
            store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two entries, closed."""
    path = tmp_path / "cairn.sqlite"
    store = SqliteStore.create(path, NETWORK)
    store.commit(Batch((logged(1), logged(2))))
    store.close()
    return path


def fault_of(path: Path, network: bytes = NETWORK) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        SqliteStore.open(path, network, busy_timeout_ms=20)
    fault = caught.value
    assert str(path) in fault.what
    assert fault.why
    assert fault.do
    return fault


def test_full_durability_is_on(path: Path):
    store = SqliteStore.open(path, NETWORK)
    assert store._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_a_missing_database_is_named_and_not_made(tmp_path: Path):
    assert fault_of(tmp_path / "none.sqlite").code == Code.STORE_MISSING
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path):
    path = tmp_path / "cairn.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 40)
    assert fault_of(path).code == Code.STORE_CORRUPT


def test_a_damaged_page(path: Path):
    raw = bytearray(path.read_bytes())
    raw[100:4096] = bytes(len(raw[100:4096]))
    path.write_bytes(raw)
    assert fault_of(path).code == Code.STORE_CORRUPT


def test_another_network(path: Path):
    fault = fault_of(path, bytes(8))
    assert fault.code == Code.STORE_OTHER_NETWORK
    assert NETWORK.hex() in fault.why


def test_a_newer_schema(path: Path):
    database = sqlite3.connect(path)
    newest = migrations.scripts()[-1][0]
    database.execute("INSERT INTO schema_version (version) VALUES (?)", (newest + 1,))
    database.commit()
    database.close()
    fault = fault_of(path)
    assert fault.code == Code.STORE_NEWER
    assert str(newest + 1) in fault.why


def test_a_locked_database(path: Path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert fault_of(path).code == Code.STORE_BUSY
    other.close()


def test_a_database_that_locks_later(path: Path):
    store = SqliteStore.open(path, NETWORK, busy_timeout_ms=20)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperatorFault) as caught:
        store.commit(Batch((logged(3),)))
    assert caught.value.code == Code.STORE_BUSY
    other.execute("ROLLBACK")
    other.close()
    store.commit(Batch((logged(3),)))
    assert store.admission_head().length == 3
    store.close()


def test_a_folder_in_place_of_the_file(tmp_path: Path):
    path = tmp_path / "cairn.sqlite"
    path.mkdir()
    with pytest.raises(OperatorFault) as caught:
        SqliteStore.create(path, NETWORK)
    assert caught.value.code == Code.STORE_UNWRITABLE


def test_a_full_disk_leaves_nothing_of_the_batch(path: Path):
    store = SqliteStore.open(path, NETWORK)
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OperatorFault) as caught:
        store.commit(Batch(tuple(logged(n) for n in range(10, 600))))
    assert caught.value.code == Code.STORE_UNWRITABLE
    assert list(store.iterate()) == [logged(1), logged(2)]
    store._database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.commit(Batch((logged(3),)))
    assert store.admission_head().length == 3
    store.close()


def test_migrations_are_numbered_without_holes():
    assert [version for version, _ in migrations.scripts()] == list(
        range(1, len(migrations.scripts()) + 1)
    )


def test_an_epoch_from_before_there_was_coverage_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "old.sqlite"
    old = [one for one in migrations.scripts() if one[0] <= 2]
    database = sqlite3.connect(path, isolation_level=None)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "scripts", lambda: old)
        migrations.apply(database, path)
    database.execute("INSERT INTO facts (name, value) VALUES ('network', ?)", (NETWORK,))
    settled = [value for name, value in asdict(CLOSED).items() if name != "coverage"]
    marks = ", ".join("?" * len(settled))
    database.execute(f"INSERT INTO epochs VALUES ({marks})", settled)  # noqa: S608
    database.close()
    store = SqliteStore.open(path, NETWORK)
    assert store.epoch(CLOSED.epoch) == replace(CLOSED, coverage=b"")
    store.store_epoch(replace(CLOSED, coverage=b""))
    assert store.entropy.newest() is None
    store.close()


def test_a_failed_migration_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    database = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    broken = [(1, "CREATE TABLE a (b BIGINT);\nCREATE TABLE a (b BIGINT);\n")]
    monkeypatch.setattr(migrations, "scripts", lambda: broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrations.apply(database, tmp_path / "x.sqlite")
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
    assert "a" not in tables
    database.close()
