"""Products as rows of a table: the same columns and numbers in every format."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from gateway.core import h3bits
from gateway.core.quantities import Quantity
from gateway.shell.products import cells
from gateway.shell.products.periods import period_of
from gateway.shell.products.product import COVERAGE_UNIT, Product, number

Value = str | int | float | None
COLUMNS: Mapping[str, type] = {
    "cell": str,
    "resolution": int,
    "period": str,
    "start": str,
    "start_ms": int,
    "quantity": str,
    "unit": str,
    "mean": float,
    "spread": float,
    "standard_error": float,
    "stations": int,
    "expected": int,
    "readings": int,
    "suspect": int,
    "failed": int,
    "missing": int,
    "late": int,
    "coverage": float,
    "flag": int,
    "revision": int,
    "made_ms": int,
}


def row(product: Product, quantities: Mapping[int, Quantity]) -> dict[str, Value]:
    """One product by column. unit: UCUM."""
    quantity, content = quantities[product.quantity], product.content
    return {
        "cell": f"{product.cell:x}",
        "resolution": h3bits.resolution(product.cell),
        "period": period_of(product.period_ms).iso,
        "start": iso(product.start_ms),
        "start_ms": product.start_ms,
        "quantity": quantity.name,
        "unit": quantity.ucum,
        "mean": number(quantity, content.mean),
        "spread": number(quantity, content.spread),
        "standard_error": number(quantity, content.error),
        "stations": content.stations,
        "expected": content.expected,
        "readings": content.readings,
        "suspect": content.suspect,
        "failed": content.failed,
        "missing": content.missing,
        "late": content.late,
        "coverage": content.coverage / COVERAGE_UNIT,
        "flag": content.flag,
        "revision": product.revision,
        "made_ms": product.made_ms,
    }


def iso(time_ms: int) -> str:
    """RFC 3339 in UTC, to the second, or to the millisecond where there is one."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def write_csv(handle: TextIO, columns: Iterable[str], rows: Iterable[Mapping[str, Value]]) -> None:
    """RFC 4180 with a heading line, ended by LF; null is an empty field."""
    writer = csv.DictWriter(handle, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def to_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Value]]) -> str:
    text = io.StringIO()
    write_csv(text, columns, rows)
    return text.getvalue()


def feature(cell: int, properties: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
    """A GeoJSON feature (RFC 7946) in the shape of a cell, which gives it its name by default."""
    ring = [list(corner) for corner in cells.outline(cell)]
    return {
        "type": "Feature",
        "id": f"{cell:x}" if name is None else name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": dict(properties),
    }
