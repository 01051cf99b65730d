"""Turns what SQLite says into operator faults."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.shell.errors import Code, OperatorFault

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Raise SQLite's complaints about its surroundings as OperatorFault; let bugs through."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        fault = _fault(path, error)
        if fault is None:
            raise
        raise fault from error


def _fault(path: Path, error: sqlite3.DatabaseError) -> OperatorFault | None:
    # The low byte is the primary result code (sqlite.org/rescode.html).
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return busy(path, str(error))
    if code in _CORRUPT:
        return corrupt(path, f"SQLite says: {error}.")
    if code in _UNWRITABLE:
        return OperatorFault(
            f"The database {path} cannot be opened or written.",
            f"SQLite says: {error}.",
            "Check that the disk has room and that this user may write the file and its folder.",
            Code.STORE_UNWRITABLE,
        )
    return None


def busy(path: Path, reason: str) -> OperatorFault:
    return OperatorFault(
        f"The database {path} is in use by another process.",
        f"Only one process may write it at a time ({reason}).",
        "Stop the other process and try again.",
        Code.STORE_BUSY,
    )


def corrupt(path: Path, why: str) -> OperatorFault:
    return OperatorFault(
        f"The database {path} is damaged.",
        why,
        "Stop the gateway, keep the file for inspection, and restore the last good copy; boards "
        "send again what has no receipt.",
        Code.STORE_CORRUPT,
    )
