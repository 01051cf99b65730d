"""Entropy commits and links in SQLite: `gateway.shell.store.base.EntropyLog`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import astuple
from typing import Any

from gateway.shell.store.base import StoredLink

Rows = Callable[..., list[tuple[Any, ...]]]
Transaction = Callable[[], AbstractContextManager[None]]


class SqliteEntropy:
    """rows runs one statement; transaction makes what is run inside it durable, or undoes it."""

    def __init__(
        self, rows: Rows, transaction: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._rows = rows
        self._transaction = transaction

    def commits(self, first: int, last: int) -> dict[int, bytes]:
        sql = "SELECT day, data FROM entropy_commits WHERE day >= ? AND day < ? ORDER BY day"
        return dict(self._rows(sql, (first, last)))

    def add_commit(self, day: int, data: bytes) -> None:
        with self._transaction():
            if self.commits(day, day + 1):
                raise ValueError(f"day {day} has its entropy commit already")
            self._rows("INSERT INTO entropy_commits (day, data) VALUES (?, ?)", (day, data))

    def newest(self) -> StoredLink | None:
        rows = self._rows(
            "SELECT slot, chain, external FROM entropy_links ORDER BY slot DESC LIMIT 1", ()
        )
        return StoredLink(*rows[0]) if rows else None

    def links(self, first: int, last: int) -> tuple[StoredLink, ...]:
        rows = self._rows(
            "SELECT slot, chain, external FROM entropy_links"
            " WHERE slot >= ? AND slot < ? ORDER BY slot",
            (first, last),
        )
        return tuple(StoredLink(*row) for row in rows)

    def add_link(self, link: StoredLink) -> None:
        with self._transaction():
            newest = self.newest()
            if newest is not None and newest.slot >= link.slot:
                raise ValueError(f"the entropy of slot {newest.slot} is published already")
            self._rows(
                "INSERT INTO entropy_links (slot, chain, external) VALUES (?, ?, ?)", astuple(link)
            )
