"""What one admitted message changes: who stands where, and which readings wait or came late.

The order of the log decides: a reading belongs to the cell that its station named before it came.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.admission import ADMITTED
from gateway.core.genesis import DAY_MS
from gateway.core.model import ClockMap, DeviceMessage, Hello, Readings, TimeSource
from gateway.core.quantities import Quantity
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from gateway.shell.api.release import Releases
from gateway.shell.products import cells
from gateway.shell.products.periods import HOUR, PERIODS, TEN_MINUTES, WINDOW_MS
from gateway.shell.products.windows import (
    NOT_OF_A_PLACE,
    Sampled,
    Window,
    pack,
    unpack_windows,
)
from gateway.shell.store.base import Logged, Store

# A reading that comes later than this changes no product: what it would change is not kept.
REVISABLE_MS = 30 * DAY_MS


class _Station(NamedTuple):
    """promised: channel by quantity; last_ms: when it was heard, to the hour."""

    device: bytes
    cell: int
    last_ms: int
    promised: dict[int, int]


class _Arrival(NamedTuple):
    """arrived_ms: protocol time, never before that of an earlier entry; recv_ms: as logged."""

    position: int
    recv_ms: int
    arrived_ms: int


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes messages in, within the caller's transaction."""

    database: sqlite3.Connection
    store: Store
    releases: Releases
    quantities: Mapping[int, Quantity]
    _released: dict[int, int] = field(default_factory=dict)

    def take(self, position: int, logged: Logged, arrived_ms: int) -> None:
        """Take in the entry at `position` of the admission log."""
        entry = logged.entry
        decoded = decode(logged.data, self.store.network_id)
        if isinstance(decoded, Verdict) or entry.verdict not in ADMITTED:
            return
        message = decoded.message
        match message.body:
            case Hello() if entry.verdict is Verdict.OK:
                self._hello(message, message.body, arrived_ms)
            case Readings():
                self._readings(message, _Arrival(position, entry.recv_ms, arrived_ms))
            case ClockMap():
                self._clock(message, message.body, arrived_ms)
            case _:
                pass

    # ---- stations

    def _hello(self, message: DeviceMessage, hello: Hello, arrived_ms: int) -> None:
        known = self.database.execute(
            "SELECT order_seq, order_id, cell, declared FROM stations WHERE device = ?",
            (message.device,),
        ).fetchone()
        # The same choice as the register's: of several the one with the highest (seq, id) counts.
        if known is not None and known[:2] > (message.seq, message.message_id):
            return
        cell, declared = cells.base_cell(hello.scoring_cell), self._declared(hello)
        self.database.execute(
            "INSERT INTO stations VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET"
            " cell = excluded.cell, declared = excluded.declared,"
            " order_seq = excluded.order_seq, order_id = excluded.order_id",
            (
                message.device, cell, declared, message.seq, message.message_id, arrived_ms,
                pack([]),
            ),
        )  # fmt: skip
        if known is None or known[2:] != (cell, declared):
            self._join(message.device, cells.path(cell), declared, arrived_ms)

    def _join(self, device: bytes, path: int, declared: str, arrived_ms: int) -> None:
        self.database.execute(
            "UPDATE members SET to_ms = ? WHERE device = ? AND to_ms IS NULL",
            (arrived_ms, device),
        )
        self.database.execute(
            "INSERT OR REPLACE INTO members VALUES (?, ?, NULL, ?, ?)",
            (device, arrived_ms, path, declared),
        )

    def _declared(self, hello: Hello) -> str:
        """[[quantity, channel, interval_ms], ...]: of each quantity the lowest channel."""
        first: dict[int, tuple[int, int]] = {}
        for one in sorted(hello.declared, key=lambda one: (one.quantity, one.channel)):
            known = self.quantities.get(one.quantity)
            if known is not None and known.name not in NOT_OF_A_PLACE:
                first.setdefault(one.quantity, (one.channel, one.interval_ms))
        return json.dumps([[code, *rest] for code, rest in first.items()])

    def _station(self, device: bytes) -> _Station | None:
        row = self.database.execute(
            "SELECT cell, last_ms, declared FROM stations WHERE device = ?", (device,)
        ).fetchone()
        if row is None:
            return None
        promised = {code: channel for code, channel, _ in json.loads(row[2])}
        cell, last_ms, _ = row
        return _Station(device, cell, last_ms, promised)

    # ---- time

    def _readings(self, message: DeviceMessage, arrival: _Arrival) -> None:
        utc_ms = message.time_ms
        if message.time_source is TimeSource.NONE:
            known = self.database.execute(
                "SELECT utc_at_boot_ms FROM boots WHERE device = ? AND boot = ?",
                (message.device, message.boot),
            ).fetchone()
            if known is None:
                self.database.execute(
                    "INSERT INTO unmapped VALUES (?, ?, ?, ?, ?)",
                    (
                        arrival.position, message.device, message.boot, message.message_id,
                        arrival.recv_ms,
                    ),
                )  # fmt: skip
                return
            utc_ms += known[0]
        self._place(message, utc_ms, arrival)

    def _clock(self, message: DeviceMessage, body: ClockMap, arrived_ms: int) -> None:
        """The first mapping of a boot counts: who may choose later has seen what others sent."""
        key = (message.device, body.boot)
        self.database.execute(
            "INSERT OR IGNORE INTO boots VALUES (?, ?, ?)", (*key, body.utc_at_boot_ms)
        )
        waiting = self.database.execute(
            "SELECT position, message_id, recv_ms FROM unmapped WHERE device = ? AND boot = ?"
            " ORDER BY position",
            key,
        ).fetchall()
        if not waiting:
            return
        stored = self.store.messages([message_id for _, message_id, _ in waiting])
        for position, message_id, recv_ms in waiting:
            decoded = decode(stored[message_id], self.store.network_id)
            assert not isinstance(decoded, Verdict), "an admitted message does not decode"
            utc_ms = decoded.message.time_ms + body.utc_at_boot_ms
            self._place(decoded.message, utc_ms, _Arrival(position, recv_ms, arrived_ms))
        self.database.execute("DELETE FROM unmapped WHERE device = ? AND boot = ?", key)

    # ---- readings

    def _place(self, message: DeviceMessage, utc_ms: int, arrival: _Arrival) -> None:
        station = self._station(message.device)
        if station is None or not isinstance(message.body, Readings):
            return
        if arrival.arrived_ms >= station.last_ms + HOUR.length_ms:
            self.database.execute(
                "UPDATE stations SET last_ms = ? WHERE device = ?",
                (arrival.arrived_ms, message.device),
            )
        slots = self.releases.rules(arrival.recv_ms // DAY_MS).slot_clock
        ahead_ms = slots.future_slots_max * slots.slot_ms
        oldest_ms = max(arrival.arrived_ms - REVISABLE_MS, 0)
        if utc_ms < 0 or utc_ms > arrival.recv_ms + ahead_ms:
            return
        waiting: dict[int, list[Sampled]] = {}
        late: dict[int, list[Sampled]] = {}
        for one in _samples(message.body, station.promised, utc_ms, arrival):
            if one.time_ms // DAY_MS == utc_ms // DAY_MS and one.time_ms >= oldest_ms:
                in_time = arrival.arrived_ms < self._release_ms(one.time_ms)
                kept = waiting if in_time else late
                kept.setdefault(TEN_MINUTES.start(one.time_ms), []).append(one)
        path = cells.path(station.cell)
        for start_ms, samples in waiting.items():
            self._wait(station.device, start_ms, arrival.position, path, samples)
        for start_ms, samples in late.items():
            self._count_late(station.device, start_ms, path, samples)
        for start_ms in waiting.keys() | late.keys():
            self._touch(start_ms, station.cell, arrival.arrived_ms)

    def _wait(
        self, device: bytes, start_ms: int, position: int, path: int, samples: list[Sampled]
    ) -> None:
        due_ms = self._release_ms(start_ms + WINDOW_MS - 1)
        self.database.execute(
            "INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?)",
            (due_ms, device, start_ms, position, path, pack(samples)),
        )

    def _count_late(self, device: bytes, start_ms: int, path: int, samples: list[Sampled]) -> None:
        row = self.database.execute(
            "SELECT content FROM windows WHERE device = ? AND start_ms = ?", (device, start_ms)
        ).fetchone()
        windows = {} if row is None else {one.quantity: one for one in unpack_windows(row[0])}
        for sample in samples:
            code = sample.quantity
            known = windows.get(code, Window(code, None, 0, 0, 0, 0, 0))
            windows[code] = known._replace(late=known.late + 1)
        content = pack(window for _, window in sorted(windows.items()))
        self.database.execute(
            "INSERT INTO windows VALUES (?, ?, ?, ?) ON CONFLICT (device, start_ms) DO UPDATE"
            " SET content = excluded.content",
            (device, start_ms, path, content),
        )

    def _touch(self, time_ms: int, cell: int, arrived_ms: int) -> None:
        """Have the products of this time made at their release, or at the next ten minutes."""
        rows = []
        for period in PERIODS:
            start_ms = period.start(time_ms)
            due_ms = self._release_ms(start_ms + period.length_ms - 1)
            if due_ms <= arrived_ms:
                due_ms = TEN_MINUTES.start(arrived_ms) + WINDOW_MS
            rows.append((due_ms, period.length_ms, start_ms, cell))
        self.database.executemany("INSERT OR IGNORE INTO touched VALUES (?, ?, ?, ?)", rows)

    def _release_ms(self, time_ms: int) -> int:
        known = self._released.get(time_ms)
        if known is None:
            known = self._released[time_ms] = self.releases.release_ms(time_ms)
        return known


def _samples(
    body: Readings, promised: Mapping[int, int], utc_ms: int, arrival: _Arrival
) -> Iterator[Sampled]:
    for column in body.columns:
        if promised.get(column.quantity) != column.channel:
            continue
        faults = dict(column.faults)
        for place, value in enumerate(column.values):
            fault = faults.get(place, 0)
            if value is not None or fault:
                yield Sampled(
                    column.quantity,
                    utc_ms - body.sample_ages_ms[place],
                    arrival.position,
                    place,
                    value,
                    column.exponent,
                    fault,
                    arrival.recv_ms,
                )
