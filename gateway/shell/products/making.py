"""Products that are due: windows judged first, then the cells that these and late readings touch.

Only touched cells are computed. A product that comes out as it was keeps its revision.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from gateway.core.genesis import DAY_MS
from gateway.core.quantities import Quantity
from gateway.shell.api.release import Releases
from gateway.shell.products import cells
from gateway.shell.products.periods import WINDOW_MS, Period, period_of
from gateway.shell.products.product import Content, Product, Promise, combine
from gateway.shell.products.windows import (
    Window,
    judge_window,
    pack,
    pack_standings,
    unpack_samples,
    unpack_standings,
    unpack_windows,
)

# A station that was silent for longer before a period is not expected in it.
LAPSE_MS = 7 * DAY_MS


class _Place(NamedTuple):
    """What the stations of one base cell measured and promised."""

    windows: list[tuple[bytes, Window]]
    promises: list[Promise]


@dataclass(frozen=True, slots=True)
class Making:
    """Makes products, within the caller's transaction."""

    database: sqlite3.Connection
    releases: Releases
    quantities: Mapping[int, Quantity]

    def next_due_ms(self) -> int | None:
        """The earliest time at which something is to be made."""
        found = self.database.execute(
            "SELECT MIN(due) FROM (SELECT MIN(due_ms) AS due FROM pending"
            " UNION ALL SELECT MIN(due_ms) FROM touched)"
        ).fetchone()
        due_ms: int | None = found[0]
        return due_ms

    def make(self, due_ms: int) -> None:
        """Make what is due at exactly this time."""
        rows = self.database.execute(
            "SELECT device, start_ms, path, samples FROM pending WHERE due_ms = ?"
            " ORDER BY device, start_ms, position",
            (due_ms,),
        ).fetchall()
        for (device, start_ms), group in groupby(rows, key=lambda row: (row[0], row[1])):
            self._judge(device, start_ms, list(group))
        self.database.execute("DELETE FROM pending WHERE due_ms = ?", (due_ms,))
        touched = self.database.execute(
            "SELECT period_ms, start_ms, cell FROM touched WHERE due_ms = ?"
            " ORDER BY period_ms, start_ms, cell",
            (due_ms,),
        ).fetchall()
        for (period_ms, start_ms), group in groupby(touched, key=lambda row: (row[0], row[1])):
            period = period_of(period_ms)
            for coarse, base in _by_coarsest(row[2] for row in group).items():
                self._make_cells(period, start_ms, coarse, base, due_ms)
        self.database.execute("DELETE FROM touched WHERE due_ms = ?", (due_ms,))

    def forget(self, before_ms: int) -> None:
        """Throw away windows that no reading can change any more."""
        self.database.execute("DELETE FROM windows WHERE start_ms < ?", (before_ms,))

    # ---- windows

    def _judge(self, device: bytes, start_ms: int, rows: Sequence[Any]) -> None:
        [standings] = self.database.execute(
            "SELECT standings FROM stations WHERE device = ?", (device,)
        ).fetchone()
        known = self.database.execute(
            "SELECT content FROM windows WHERE device = ? AND start_ms = ?", (device, start_ms)
        ).fetchone()
        counted = [] if known is None else unpack_windows(known[0])
        windows, after = judge_window(
            [sample for row in rows for sample in unpack_samples(row[3])],
            {one.quantity: one.late for one in counted},
            unpack_standings(standings),
            self.quantities,
            self.releases.rules(start_ms // DAY_MS),
        )
        self.database.execute(
            "INSERT INTO windows VALUES (?, ?, ?, ?) ON CONFLICT (device, start_ms) DO UPDATE"
            " SET content = excluded.content",
            (device, start_ms, rows[0][2], pack(windows)),
        )
        self.database.execute(
            "UPDATE stations SET standings = ? WHERE device = ?",
            (pack_standings(after), device),
        )

    # ---- products

    def _make_cells(
        self, period: Period, start_ms: int, coarse: int, base: list[int], made_ms: int
    ) -> None:
        places = self._places(period, start_ms, coarse)
        told: dict[tuple[int, ...], dict[int, Content]] = {}
        for cell in sorted({one for own in base for one in cells.parents(own)}):
            first, last = cells.paths(cell)
            within = tuple(path for path in places if first <= path <= last)
            # Where stations are few, a cell often holds no more than its child does.
            if within not in told:
                told[within] = self._contents(period, [places[path] for path in within])
            for code, content in told[within].items():
                self._keep(Product(cell, period.length_ms, code, start_ms, 0, made_ms, content))

    def _contents(self, period: Period, places: Sequence[_Place]) -> dict[int, Content]:
        """What these places say together, by quantity."""
        windows: dict[int, list[tuple[bytes, Window]]] = {}
        promises: dict[int, list[Promise]] = {}
        for place in places:
            for device, window in place.windows:
                windows.setdefault(window.quantity, []).append((device, window))
            for promise in place.promises:
                promises.setdefault(promise.quantity, []).append(promise)
        return {
            code: combine(self.quantities[code], period, own, promises.get(code, ()))
            for code, own in sorted(windows.items())
        }

    def _places(self, period: Period, start_ms: int, coarse: int) -> dict[int, _Place]:
        """What is known of a period within a coarse cell, by path of the base cell."""
        places: dict[int, _Place] = {}
        span, end_ms = cells.paths(coarse), start_ms + period.length_ms
        starts = ",".join(str(one) for one in range(start_ms, end_ms, WINDOW_MS))
        rows = self.database.execute(
            "SELECT device, path, content FROM windows"  # noqa: S608 - integers
            f" WHERE start_ms IN ({starts}) AND path BETWEEN ? AND ?",
            span,
        )
        for device, path, content in rows:
            place = places.setdefault(path, _Place([], []))
            place.windows.extend((device, window) for window in unpack_windows(content))
        members = self.database.execute(
            "SELECT m.device, m.path, m.declared FROM members m JOIN stations USING (device)"
            " WHERE m.path BETWEEN ? AND ? AND m.from_ms < ? AND last_ms >= ?"
            " AND (m.to_ms IS NULL OR m.to_ms > ?)",
            (*span, end_ms, start_ms - LAPSE_MS, start_ms),
        )
        for device, path, declared in members:
            place = places.setdefault(path, _Place([], []))
            place.promises.extend(
                Promise(device, code, interval_ms) for code, _, interval_ms in json.loads(declared)
            )
        return places

    def _keep(self, made: Product) -> None:
        """Keep it as the next revision, unless it says what the last one said."""
        name = (made.cell, made.period_ms, made.quantity, made.start_ms)
        last = self.database.execute(
            "SELECT revision, mean, spread, error, stations, expected, readings, suspect, failed,"
            " missing, late, coverage, flag FROM products WHERE cell = ? AND period_ms = ?"
            " AND quantity = ? AND start_ms = ? ORDER BY revision DESC LIMIT 1",
            name,
        ).fetchone()
        if last is not None and Content(*last[1:]) == made.content:
            return
        revision = 1 if last is None else last[0] + 1
        values = (*name, revision, made.made_ms, *made.content)
        self.database.execute(
            f"INSERT INTO products VALUES ({','.join('?' * len(values))})",  # noqa: S608
            values,
        )
        if last is None:
            self.database.execute(
                "INSERT INTO known VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " first_ms = MIN(first_ms, excluded.first_ms),"
                " last_ms = MAX(last_ms, excluded.last_ms)",
                (*name[:3], made.start_ms, made.start_ms),
            )


def _by_coarsest(base: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for cell in base:
        found.setdefault(cells.parents(cell)[-1], []).append(cell)
    return found
