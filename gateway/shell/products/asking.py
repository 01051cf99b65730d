"""Questions to the file of products. Every answer is bounded by a limit that the asker gives.

revision: of each product the newest one not above it; None: the newest.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from gateway.shell.products.periods import Period
from gateway.shell.products.product import Content, Product

REVISION_MAX = 1 << 31
_NAME = "cell, period_ms, quantity, start_ms"
_CONTENT = (
    "mean, spread, error, stations, expected, readings, suspect, failed, missing, late,"
    " coverage, flag"
)
_RESOLUTION_SHIFT = 52


class Known(NamedTuple):
    """That a cell has products of a quantity, the first and the last beginning at these times."""

    cell: int
    quantity: int
    first_ms: int
    last_ms: int


def known(
    database: sqlite3.Connection, period: Period, resolution: int, after: int = 0
) -> Iterator[Known]:
    """What there is at a resolution, by cell and quantity, above the cell `after`."""
    first, last = _of_resolution(resolution)
    rows = database.execute(
        "SELECT cell, quantity, first_ms, last_ms FROM known"
        " WHERE cell > ? AND cell < ? AND period_ms = ? ORDER BY cell, quantity",
        (max(first, after), last, period.length_ms),
    )
    return (Known(*row) for row in rows)


def known_of(database: sqlite3.Connection, period: Period, cell: int) -> list[Known]:
    rows = database.execute(
        "SELECT cell, quantity, first_ms, last_ms FROM known WHERE cell = ? AND period_ms = ?"
        " ORDER BY quantity",
        (cell, period.length_ms),
    )
    return [Known(*row) for row in rows]


def extent_ms(database: sqlite3.Connection, period: Period) -> tuple[int, int] | None:
    """The beginnings of the first and the last period with a product; None without any."""
    first, last = database.execute(
        "SELECT MIN(first_ms), MAX(last_ms) FROM known WHERE period_ms = ?", (period.length_ms,)
    ).fetchone()
    return None if first is None else (first, last)


def reached_ms(database: sqlite3.Connection) -> int:
    """The protocol time up to which everything that was due is made."""
    [reached] = database.execute("SELECT reached_ms FROM progress").fetchone()
    return int(reached)


def series(
    database: sqlite3.Connection,
    name: tuple[int, Period, int],
    span_ms: tuple[int, int],
    revision: int | None,
    limit: int,
) -> list[Product]:
    """Products of (cell, period, quantity) that begin within span_ms, both ends included."""
    cell, period, quantity = name
    rows = database.execute(
        f"SELECT {_NAME}, MAX(revision), made_ms, {_CONTENT} FROM products"  # noqa: S608
        " WHERE cell = ? AND period_ms = ? AND quantity = ? AND start_ms BETWEEN ? AND ?"
        " AND revision <= ? GROUP BY start_ms ORDER BY start_ms LIMIT ?",
        (cell, period.length_ms, quantity, *span_ms, revision or REVISION_MAX, limit),
    )
    return [_product(row) for row in rows]


def at_one_time(
    database: sqlite3.Connection,
    kind: tuple[Period, int, int],
    start_ms: int,
    revision: int | None,
    page: tuple[int, int],
) -> list[Product]:
    """Products of (period, resolution, quantity) of one time, by cell. page: (after, limit)."""
    period, resolution, quantity = kind
    after, limit = page
    first, last = _of_resolution(resolution)
    rows = database.execute(
        f"SELECT p.{_NAME.replace(', ', ', p.')}, MAX(revision), made_ms, {_CONTENT}"  # noqa: S608
        " FROM known k JOIN products p ON p.cell = k.cell AND p.period_ms = k.period_ms"
        " AND p.quantity = k.quantity AND p.start_ms = ? AND p.revision <= ?"
        " WHERE k.cell > ? AND k.cell < ? AND k.period_ms = ? AND k.quantity = ?"
        " GROUP BY k.cell ORDER BY k.cell LIMIT ?",
        (
            start_ms, revision or REVISION_MAX, max(first, after), last, period.length_ms,
            quantity, limit,
        ),
    )  # fmt: skip
    return [_product(row) for row in rows]


def of_day(
    database: sqlite3.Connection,
    period: Period,
    span_ms: tuple[int, int],
    as_of_ms: int,
) -> Iterator[Product]:
    """Every product that begins within the half-open span, as it was at as_of_ms.

    By resolution and cell, quantity and time.
    """
    rows = database.execute(
        f"SELECT p.{_NAME.replace(', ', ', p.')}, MAX(revision), made_ms, {_CONTENT}"  # noqa: S608
        " FROM known k JOIN products p ON p.cell = k.cell AND p.period_ms = k.period_ms"
        " AND p.quantity = k.quantity AND p.start_ms >= ? AND p.start_ms < ? AND made_ms <= ?"
        " WHERE k.period_ms = ? GROUP BY k.cell, k.quantity, p.start_ms"
        " ORDER BY k.cell, k.quantity, p.start_ms",
        (*span_ms, as_of_ms, period.length_ms),
    )
    return (_product(row) for row in rows)


def cells_of(found: Iterable[Known]) -> list[int]:
    """The cells, each once."""
    return list(dict.fromkeys(one.cell for one in found))


def _of_resolution(resolution: int) -> tuple[int, int]:
    """Bounds, both excluded, of all cells of a resolution: it stands in front of the place."""
    mode = 1 << 59
    return (
        (mode | resolution << _RESOLUTION_SHIFT) - 1,
        mode | (resolution + 1) << _RESOLUTION_SHIFT,
    )


def _product(row: Sequence[Any]) -> Product:
    cell, period_ms, quantity, start_ms, revision, made_ms, *content = row
    name = (cell, period_ms, quantity, start_ms, revision, made_ms)
    return Product(*name, Content(*content))
