"""Somebody else's real readings, read from CSV without changing a digit.

Columns: `station, unix_time, lat, lon`, then one per quantity as `name[unit]`. Names and units are
checked against a table that is passed in. Values are decimal integers times a power of ten from
the first character to the last; a float never holds one. The file is read once, row by row.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from simulator.sensors import Quantity, Sample

FIXED_COLUMNS = ("station", "unix_time", "lat", "lon")
EXPONENT_MIN, EXPONENT_MAX = -9, 6
VALUE_MAX = 2**53
INTERVAL_MS_MIN, INTERVAL_MS_MAX = 1_000, 86_400_000
TIME_S_MAX = 4_102_444_800  # 2100: beyond it somebody wrote milliseconds
STATION_CHARACTERS_MAX = 64

# (unit of the quantity, unit in the file): (power of ten, then offset to add). Only conversions
# that are exact in decimals are here; km/h or degF would have to be rounded.
CONVERSIONS: dict[tuple[str, str], tuple[int, Decimal]] = {
    ("Cel", "K"): (0, Decimal("-273.15")),
    ("%RH", "%"): (0, Decimal(0)),
    ("hPa", "mbar"): (0, Decimal(0)),
    ("hPa", "Pa"): (-2, Decimal(0)),
    ("hPa", "kPa"): (1, Decimal(0)),
    ("ug/m3", "mg/m3"): (3, Decimal(0)),
    ("lx", "klx"): (3, Decimal(0)),
    ("m/s", "cm/s"): (-2, Decimal(0)),
    ("mm", "cm"): (1, Decimal(0)),
    ("mm", "m"): (3, Decimal(0)),
    ("m", "cm"): (-2, Decimal(0)),
    ("m", "mm"): (-3, Decimal(0)),
    ("V", "mV"): (-3, Decimal(0)),
}


class CsvInvalid(ValueError):  # noqa: N818 - says what is wrong
    """A CSV that cannot be replayed; the message names line and column."""


@dataclass(frozen=True, slots=True)
class RecordedStation:
    """One station's rows in time order. Each sample is a row of `Board.sample`."""

    name: str
    lat_deg: float
    lon_deg: float
    interval_ms: int
    times_ms: tuple[int, ...]
    samples: tuple[tuple[Sample, ...], ...]


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    quantity: Quantity
    power: int
    offset: Decimal


@dataclass(slots=True)
class _Rows:
    lat: str
    lon: str
    times_ms: list[int]
    values: list[list[Decimal | None]]


def read_csv(lines: Iterable[str], quantities: Mapping[str, Quantity]) -> list[RecordedStation]:
    """All stations in the order of their first rows. CsvInvalid names the first mistake."""
    reader = csv.reader(lines, strict=True)
    try:
        columns = _read_heading(next(reader, []), quantities)
        by_station: dict[str, _Rows] = {}
        for cells in reader:
            if cells:
                _read_row(cells, reader.line_num, columns, by_station)
    except csv.Error as error:
        raise CsvInvalid(f"line {reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise CsvInvalid(f"after line {reader.line_num}: not UTF-8 text") from error
    if not by_station:
        raise CsvInvalid("line 2: there are no rows")
    exponents = _exponents(columns, by_station)
    return [_station(name, rows, columns, exponents) for name, rows in by_station.items()]


def accepted_units(unit: str) -> list[str]:
    """What may stand in a heading for a quantity of this unit, its own unit first."""
    return [unit, *(given for own, given in CONVERSIONS if own == unit)]


def _read_heading(cells: list[str], quantities: Mapping[str, Quantity]) -> list[_Column]:
    cells = [cell.strip().removeprefix("\ufeff") for cell in cells]
    if tuple(cells[:4]) != FIXED_COLUMNS or len(cells) < 5:
        raise CsvInvalid(
            f"line 1: the columns must be {', '.join(FIXED_COLUMNS)} and then quantities such as "
            f"temperature[Cel]; found {', '.join(cells) or 'nothing'}"
        )
    columns = [_read_column(cell, number, quantities) for number, cell in enumerate(cells[4:], 5)]
    codes = [column.quantity.code for column in columns]
    if len(set(codes)) < len(codes):
        raise CsvInvalid("line 1: a quantity has two columns")
    return columns


def _read_column(cell: str, number: int, quantities: Mapping[str, Quantity]) -> _Column:
    name, bracket, rest = cell.partition("[")
    if not bracket or not rest.endswith("]"):
        raise CsvInvalid(
            f"line 1, column {number}: {cell!r} has no unit; write for example temperature[Cel]"
        )
    quantity = quantities.get(name)
    if quantity is None:
        raise CsvInvalid(
            f"line 1, column {number}: unknown quantity {name!r}; known are "
            f"{', '.join(quantities)}"
        )
    unit = rest.removesuffix("]")
    if unit == quantity.unit:
        return _Column(cell, quantity, 0, Decimal(0))
    conversion = CONVERSIONS.get((quantity.unit, unit))
    if conversion is None:
        raise CsvInvalid(
            f"line 1, column {number}: {name} cannot be taken in {unit!r} without rounding; "
            f"accepted are {', '.join(accepted_units(quantity.unit))}"
        )
    return _Column(cell, quantity, *conversion)


def _read_row(
    cells: list[str], line: int, columns: list[_Column], by_station: dict[str, _Rows]
) -> None:
    if len(cells) != len(columns) + 4:
        raise CsvInvalid(f"line {line}: {len(cells)} cells, {len(columns) + 4} wanted")
    name, time, lat, lon = (cell.strip() for cell in cells[:4])
    if not name or len(name) > STATION_CHARACTERS_MAX:
        raise CsvInvalid(
            f"line {line}, column station: a name of 1 to {STATION_CHARACTERS_MAX} characters is "
            "wanted"
        )
    time_ms = _read_time(time, line)
    rows = by_station.get(name)
    if rows is None:
        _check_degrees(lat, 90, line, "lat")
        _check_degrees(lon, 180, line, "lon")
        rows = by_station[name] = _Rows(lat, lon, [], [])
    elif (lat, lon) != (rows.lat, rows.lon):
        raise CsvInvalid(f"line {line}, columns lat and lon: station {name!r} has moved")
    elif time_ms <= rows.times_ms[-1]:
        raise CsvInvalid(
            f"line {line}, column unix_time: not later than station {name!r}'s row before it"
        )
    rows.times_ms.append(time_ms)
    rows.values.append(
        [_read_value(cell.strip(), line, column) for cell, column in _pairs(cells, columns)]
    )


def _pairs(cells: list[str], columns: list[_Column]) -> Iterator[tuple[str, _Column]]:
    return zip(cells[4:], columns, strict=True)


def _read_time(text: str, line: int) -> int:
    seconds = _decimal(text)
    if seconds is None or not 0 <= seconds < TIME_S_MAX:
        raise CsvInvalid(
            f"line {line}, column unix_time: {text!r} is not in seconds since 1970 (before 2100)"
        )
    milliseconds = seconds.scaleb(3)
    if milliseconds != int(milliseconds):
        raise CsvInvalid(f"line {line}, column unix_time: {text!r} is finer than a millisecond")
    return int(milliseconds)


def _check_degrees(text: str, limit: int, line: int, column: str) -> None:
    degrees = _decimal(text)
    if degrees is None or abs(degrees) > limit:
        raise CsvInvalid(
            f"line {line}, column {column}: {text!r} is not within -{limit}..{limit} degrees"
        )


def _read_value(text: str, line: int, column: _Column) -> Decimal | None:
    if not text:
        return None
    value = _decimal(text)
    if value is None:
        raise CsvInvalid(f"line {line}, column {column.heading}: {text!r} is not a number")
    return value.scaleb(column.power) + column.offset


def _decimal(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    # Decimal reads more than plain numbers: NaN, and digits of other scripts.
    plain = value.is_finite() and text.isascii() and "_" not in text and len(text) <= 24
    return value if plain and -30 <= value.adjusted() <= 30 else None


def _exponents(columns: list[_Column], by_station: Mapping[str, _Rows]) -> list[int]:
    """The finest exponent that each column needs anywhere, so that a station keeps one."""
    exponents = []
    for number, column in enumerate(columns):
        values = (row[number] for rows in by_station.values() for row in rows.values)
        tuples = (value.as_tuple().exponent for value in values if value is not None)
        finest = min((e for e in tuples if isinstance(e, int)), default=column.quantity.exponent)
        if finest < EXPONENT_MIN:
            raise CsvInvalid(
                f"column {column.heading}: a value has {-finest} decimals, at most "
                f"{-EXPONENT_MIN} can be sent"
            )
        exponents.append(min(finest, EXPONENT_MAX))
    return exponents


def _station(
    name: str, rows: _Rows, columns: list[_Column], exponents: list[int]
) -> RecordedStation:
    samples = tuple(
        tuple(
            sorted(
                (c.quantity.code, 0, exponent, _integer(value, exponent, name, c), 0)
                for value, c, exponent in zip(row, columns, exponents, strict=True)
            )
        )
        for row in rows.values
    )
    steps = [b - a for a, b in zip(rows.times_ms, rows.times_ms[1:], strict=False)]
    interval_ms = int(statistics.median(steps)) if steps else 3_600_000
    return RecordedStation(
        name=name,
        lat_deg=float(rows.lat),
        lon_deg=float(rows.lon),
        interval_ms=min(max(interval_ms, INTERVAL_MS_MIN), INTERVAL_MS_MAX),
        times_ms=tuple(rows.times_ms),
        samples=samples,
    )


def _integer(value: Decimal | None, exponent: int, name: str, column: _Column) -> int | None:
    if value is None:
        return None
    scaled = int(value.scaleb(-exponent))
    if abs(scaled) > VALUE_MAX:
        raise CsvInvalid(
            f"station {name!r}, column {column.heading}: {value} does not fit into 2^53 units of "
            f"10^{exponent}"
        )
    return scaled
