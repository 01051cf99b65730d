"""The schema, as numbered SQL files applied in order, each in a transaction of its own."""

import sqlite3
from pathlib import Path

from gateway.shell.errors import Code, OperatorFault

_HERE = Path(__file__).parent


def scripts() -> list[tuple[int, str]]:
    """Version numbers, from 1 without holes, with the SQL of each."""
    return [(int(path.stem), path.read_text("utf-8")) for path in sorted(_HERE.glob("*.sql"))]


def apply(database: sqlite3.Connection, path: Path) -> None:
    """Bring a database to the newest version. A database from the future is a fault."""
    database.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)")
    known = scripts()
    database.execute("BEGIN IMMEDIATE")
    try:
        (present,) = database.execute(
            "SELECT COALESCE(MAX(version), 0) FROM schema_version"
        ).fetchone()
        if present > known[-1][0]:
            raise _newer(path, present, known[-1][0])
        for version, script in known:
            if version > present:
                _run(database, version, script)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _run(database: sqlite3.Connection, version: int, script: str) -> None:
    # executescript() would commit first, and half a migration would survive a crash.
    for statement in script.split(";\n"):
        if statement.strip():
            database.execute(statement)
    database.execute("INSERT INTO schema_version (version) VALUES (?)", (version,))


def _newer(path: Path, present: int, known: int) -> OperatorFault:
    return OperatorFault(
        f"The database {path} was written by a newer version of Cairn.",
        f"It has schema {present}; this version knows schemas up to {known}.",
        "Install the version that wrote it, or restore a copy from before the upgrade.",
        Code.STORE_NEWER,
    )
