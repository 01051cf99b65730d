"""What one admitted message changes in the index. The tables are index.sql's."""

import json
import sqlite3

from gateway.core import h3bits
from gateway.core.admission import ADMITTED
from gateway.core.clockmap import BootClock
from gateway.core.model import ClockMap, DeviceMessage, Gap, Hello, Readings, TimeSource
from gateway.core.verdicts import Verdict
from gateway.shell.store.base import Logged

CELL_RESOLUTION = 7


def take(
    database: sqlite3.Connection, position: int, logged: Logged, message: DeviceMessage
) -> None:
    """Take in the message at `position` of the admission log."""
    entry, body = logged.entry, message.body
    _seen(database, message, entry.recv_ms)
    _cover(database, message.device, message.seq, message.seq)
    if entry.verdict not in ADMITTED:
        return
    match body:
        case Hello() if entry.verdict is Verdict.OK:
            _hello(database, message, body, entry.recv_ms)
        case Gap():
            _cover(database, message.device, body.first, body.last)
        case Readings():
            _readings(database, position, entry.recv_ms, message, body)
        case ClockMap():
            _clock(database, message, body)
        case _:
            pass


def _seen(database: sqlite3.Connection, message: DeviceMessage, recv_ms: int) -> None:
    database.execute(
        "INSERT INTO stations"
        " (device, declared, order_seq, order_id, last_ms, last_kind, messages)"
        " VALUES (?, '[]', 0, x'', ?, ?, 1) ON CONFLICT (device) DO UPDATE SET"
        " last_ms = excluded.last_ms, last_kind = excluded.last_kind, messages = messages + 1",
        (message.device, recv_ms, message.kind),
    )


def _hello(
    database: sqlite3.Connection, message: DeviceMessage, hello: Hello, recv_ms: int
) -> None:
    # The same choice as the register's: of several the one with the highest (seq, id) counts.
    database.execute(
        "UPDATE stations SET registered_ms = COALESCE(registered_ms, ?) WHERE device = ?",
        (recv_ms, message.device),
    )
    declared = [[one.quantity, one.channel, one.interval_ms] for one in hello.declared]
    cell = h3bits.parent(hello.scoring_cell, CELL_RESOLUTION)
    database.execute(
        "UPDATE stations SET cell = ?, firmware = ?, declared = ?, order_seq = ?, order_id = ?"
        " WHERE device = ? AND (order_seq, order_id) < (?, ?)",
        (
            cell,
            hello.firmware,
            json.dumps(declared),
            message.seq,
            message.message_id,
            message.device,
            message.seq,
            message.message_id,
        ),
    )


def _cover(database: sqlite3.Connection, device: bytes, first: int, last: int) -> None:
    """Merge a range with all that it overlaps or touches."""
    # Merged ranges neither overlap nor touch: below `last` only the newest can reach further up.
    touching = database.execute(
        "SELECT first, last FROM spans WHERE device = ? AND first <= ? AND first >= COALESCE("
        " (SELECT MAX(first) FROM spans WHERE device = ? AND first <= ?), ?) AND last >= ?"
        " ORDER BY first",
        (device, last + 1, device, first, first, first - 1),
    ).fetchall()
    if touching:
        first = min(first, touching[0][0])
        last = max(last, touching[-1][1])
        database.executemany(
            "DELETE FROM spans WHERE device = ? AND first = ?",
            [(device, span[0]) for span in touching],
        )
    database.execute("INSERT INTO spans VALUES (?, ?, ?)", (device, first, last))


def _readings(
    database: sqlite3.Connection,
    position: int,
    recv_ms: int,
    message: DeviceMessage,
    body: Readings,
) -> None:
    newest_age_ms, oldest_age_ms = body.sample_ages_ms[-1], body.sample_ages_ms[0]
    boot, utc_ms = None, message.time_ms
    last_ms: int | None = utc_ms - newest_age_ms
    if message.time_source is TimeSource.NONE:
        boot = message.boot
        clock = _clock_of(database, message.device, boot)
        last_ms = None if clock is None else clock.utc_at_boot_ms + utc_ms - newest_age_ms
    database.execute(
        "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            position,
            message.device,
            message.message_id,
            recv_ms,
            boot,
            message.time_ms,
            newest_age_ms,
            oldest_age_ms,
            last_ms,
        ),
    )


def _clock_of(database: sqlite3.Connection, device: bytes, boot: int) -> BootClock | None:
    row = database.execute(
        "SELECT uncertainty_ms, message_id, utc_at_boot_ms FROM clocks"
        " WHERE device = ? AND boot = ?",
        (device, boot),
    ).fetchone()
    return None if row is None else BootClock(*row)


def _clock(database: sqlite3.Connection, message: DeviceMessage, body: ClockMap) -> None:
    """Keep the better mapping, as the close of an epoch does, and move what it maps."""
    known = _clock_of(database, message.device, body.boot)
    clock = BootClock(body.uncertainty_ms, message.message_id, body.utc_at_boot_ms)
    if known is not None and known <= clock:
        return
    database.execute(
        "INSERT OR REPLACE INTO clocks VALUES (?, ?, ?, ?, ?)",
        (message.device, body.boot, *clock),
    )
    database.execute(
        "UPDATE readings SET last_ms = ? + time_ms - newest_age_ms WHERE device = ? AND boot = ?",
        (clock.utc_at_boot_ms, message.device, body.boot),
    )
