"""Radio physics in integers: logarithms, path loss and the normal tail. spec/place.md section 2.

Levels and gains are centi-dB (cdB), distances metres, log-likelihoods milli-nats. Everything that
comes out may decide money, so it comes from the committed table spec/tables/radio.csv and from
integer arithmetic alone. Arrays are int64; every function states the range that keeps it so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.core.tables import TableError

Ints = npt.NDArray[np.int64]

EXP_SCALE = 10**9
COS_SCALE = 10**6
LOG_ARGUMENT_MAX = 2**62 - 1
_HEADER = b"table,index,value"
# Name, first index, number of rows, and the range of the values.
_TABLES = (
    (b"log", 1024, 1025, 0, 301_030),
    (b"tail", -900, 1401, -50_000, 0),
    (b"exp", 0, 2101, 0, EXP_SCALE),
    (b"cos", 0, 901, 0, COS_SCALE),
)
_TAIL_FIRST, _TAIL_LAST = -900, 500
# 20 * log10(4 pi / c) with f in kHz and d in metres: -87.5522 dB.
_FREE_SPACE_CDB = -8_755


@dataclass(frozen=True, slots=True, eq=False)
class RadioTables:
    """The rows of radio.csv as read-only int64 arrays."""

    log: Ints  # (1025,): 10**6 * log10(m / 1024) for m = 1024..2048
    tail: Ints  # (1401,): 1000 * ln Phi(z / 100) for z = -900..500
    exp: Ints  # (2101,): 10**9 * exp(-k / 100)
    cos: Ints  # (901,): 10**6 * cos of tenths of a degree


def parse_radio_tables(text: bytes) -> RadioTables:
    """Return the tables in `text`, the bytes of spec/tables/radio.csv, or raise TableError.

    Rows must be exactly those that the generator writes, in its order, each value in its range.
    """
    lines = [line for line in text.split(b"\n") if line and not line.startswith(b"#")]
    if lines[:1] != [_HEADER] or len(lines) != 1 + sum(rows for _, _, rows, _, _ in _TABLES):
        raise _bad("the header or the number of rows is wrong")
    at, columns = 1, []
    for name, first, rows, low, high in _TABLES:
        values = [
            _value(line, name, first + i, low, high)
            for i, line in enumerate(lines[at : at + rows])
        ]
        column = np.array(values, dtype=np.int64)
        column.flags.writeable = False
        columns.append(column)
        at += rows
    return RadioTables(*columns)


def _value(line: bytes, name: bytes, index: int, low: int, high: int) -> int:
    prefix = b"%s,%d," % (name, index)
    digits = line.removeprefix(prefix)
    if digits == line or not digits.removeprefix(b"-").isdigit() or len(digits) > 12:
        raise _bad(f"row {line[:80]!r} stands where {prefix.decode()} belongs")
    value = int(digits)
    if not low <= value <= high or b"%d" % value != digits:
        raise _bad(f"row {line[:80]!r} has a value outside {low}..{high}")
    return value


def _bad(why: str) -> TableError:
    do = "Take spec/tables/radio.csv of the release again, or run spec/tables/make_radio.py"
    return TableError("The radio table cannot be used", why, do, "bad_table")


def ten_log10_cdb(values: Ints, tables: RadioTables) -> Ints:
    """Return 10 * log10(values) in cdB, of any shape; values below 1 count as 1, above 2**62 - 1
    as that.

    Never falling, and 0 to 1.5 cdB below the exact value: its 11 leading bits decide.
    """
    clipped = np.clip(values, 1, LOG_ARGUMENT_MAX)
    bits, rest = np.zeros_like(clipped), clipped
    for step in (32, 16, 8, 4, 2, 1):
        large = (rest >> step) > 0
        bits += step * large
        rest = np.where(large, rest >> step, rest)
    mantissa = (clipped >> np.maximum(bits - 10, 0)) << np.maximum(10 - bits, 0)
    milli: Ints = bits * tables.log[1024] + tables.log[mantissa - 1024]
    return milli // 1000


def log_distance_cdb(distance_m: int, tables: RadioTables) -> int:
    """Return 10 * log10(distance_m) in cdB; below 1 m counts as 1 m."""
    return int(ten_log10_cdb(np.array([distance_m], dtype=np.int64), tables)[0])


def free_space_loss_cdb(distance_m: int, frequency_khz: int, tables: RadioTables) -> int:
    """Return Friis' free-space loss between isotropic antennas in cdB, within 2 cdB.

    No honest link loses less, but for antenna gains: the margin over it is a rule.
    """
    distance = 2 * log_distance_cdb(distance_m, tables)
    return distance + 2 * log_distance_cdb(frequency_khz, tables) + _FREE_SPACE_CDB


def log_tail(z_centi: Ints, tables: RadioTables) -> Ints:
    """Return ln Phi(z_centi / 100) in milli-nats; z below -9 counts as -9, above 5 as 5."""
    index = np.clip(z_centi, _TAIL_FIRST, _TAIL_LAST) - _TAIL_FIRST
    values: Ints = tables.tail[index]
    return values


def exp_negative(milli: Ints, tables: RadioTables) -> Ints:
    """Return 10**9 * exp(-milli / 1000) for milli >= 0 (floored to hundredths); 0 beyond 21."""
    index = milli // 10
    last = len(tables.exp) - 1
    values: Ints = np.where(index > last, 0, tables.exp[np.clip(index, 0, last)])
    return values


def cosine(angle_e6: int, tables: RadioTables) -> int:
    """Return 10**6 * cos(angle) of an angle in millionths of a degree, any sign, linear between
    tenths of a degree (error below 3e-6).
    """
    angle = abs(angle_e6) % 360_000_000
    angle = min(angle, 360_000_000 - angle)
    if angle > 90_000_000:
        return -cosine(180_000_000 - angle, tables)
    index, rest = divmod(angle, 100_000)
    low = int(tables.cos[index])
    high = int(tables.cos[min(index + 1, 900)])
    return low + (high - low) * rest // 100_000
