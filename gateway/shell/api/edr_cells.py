"""The cell collections: which products a question means, and how each format tells them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.core import h3bits
from gateway.core.quantities import Quantity
from gateway.shell.api import coverage_json
from gateway.shell.api.coverage_json import Series
from gateway.shell.api.edr_answers import features
from gateway.shell.api.edr_context import Asked
from gateway.shell.api.edr_parameters import Chosen
from gateway.shell.api.edr_query import ROWS_MAX, Format, Span, too_large
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.products import asking, cells
from gateway.shell.products.periods import DAY, HOUR, TEN_MINUTES, Period
from gateway.shell.products.product import Product
from gateway.shell.products.table import COLUMNS, Value, feature, iso, row, to_csv

# Without a datetime: so far back from the newest.
_USUAL_MS = {TEN_MINUTES: DAY.length_ms, HOUR: 7 * DAY.length_ms, DAY: 31 * DAY.length_ms}


class CellQuestion(NamedTuple):
    """parameters: by name; span: None for the newest ones; whole: one coverage, not several."""

    period: Period
    parameters: Mapping[str, Chosen]
    span: Span | None
    revision: int | None
    format: Format
    whole: bool


class Found(NamedTuple):
    """Products of some cells, by cell, quantity and time."""

    products: list[Product]
    released_to_ms: int


def known_cell(asked: Asked, period: Period, location: str) -> int:
    """The cell that a location names; a Problem if there never was a product of it."""
    cell = cells.parse_cell(location) if location.startswith("8") else None
    if cell is None or not asking.known_of(asked.database, period, cell):
        raise Problem(ApiCode.NOT_FOUND, f"There is no product of a cell {location}.")
    return cell


def cells_meeting(asked: Asked, period: Period, resolution: int, ring: cells.Ring) -> list[int]:
    """The cells with products that meet a ring."""
    found = asking.cells_of(asking.known(asked.database, period, resolution))
    return [cell for cell in found if cells.meets(cell, ring)]


def find(asked: Asked, question: CellQuestion, wanted: Iterable[int]) -> Found:
    """The products of these cells; a Problem if they are too many."""
    period = question.period
    span_ms = _span_ms(asked, question)
    quantities = sorted({one.quantity for one in question.parameters.values()})
    found: list[Product] = []
    for cell in wanted:
        for code in quantities:
            found += asking.series(
                asked.database,
                (cell, period, code),
                span_ms,
                question.revision,
                ROWS_MAX + 1 - len(found),
            )
            if len(found) > ROWS_MAX:
                raise too_large(f"{ROWS_MAX} products")
    return Found(found, asked.released_to_ms)


def tell(
    found: Sequence[Product], question: CellQuestion, quantities: Mapping[int, Quantity]
) -> bytes | None:
    """The answer in the question's format; None if there is nothing to tell."""
    if not found:
        return None
    if question.format == "CSV":
        return to_csv(COLUMNS, (row(one, quantities) for one in found)).encode()
    if question.format == "GeoJSON":
        return features([_feature(one, quantities) for one in found])
    described = {name: one.described for name, one in question.parameters.items()}
    told = _series(found, question.parameters, quantities)
    present = {name for series in told for name in series.columns}
    described = {name: one for name, one in described.items() if name in present}
    if question.whole and len(told) == 1:
        return coverage_json.one(told[0], described)
    return coverage_json.several(told, described)


def _feature(product: Product, quantities: Mapping[int, Quantity]) -> dict[str, object]:
    told = row(product, quantities)
    return feature(product.cell, told, f"{told['cell']}/{told['quantity']}/{told['start']}")


def _span_ms(asked: Asked, question: CellQuestion) -> tuple[int, int]:
    """Between which times products begin that meet the span, both included."""
    period, span = question.period, question.span
    if span is not None:
        return period.start(span.first_ms), span.last_ms
    extent_ms = asking.extent_ms(asked.database, period)
    newest_ms = 0 if extent_ms is None else extent_ms[1]
    return newest_ms - _USUAL_MS[period] + period.length_ms, newest_ms


def _series(
    found: Sequence[Product], parameters: Mapping[str, Chosen], quantities: Mapping[int, Quantity]
) -> list[Series]:
    by_cell: dict[int, list[Product]] = {}
    for product in found:
        by_cell.setdefault(product.cell, []).append(product)
    return [
        _one_series(cell, own, parameters, quantities) for cell, own in sorted(by_cell.items())
    ]


def _one_series(
    cell: int,
    products: Sequence[Product],
    parameters: Mapping[str, Chosen],
    quantities: Mapping[int, Quantity],
) -> Series:
    rows: dict[int, dict[int, dict[str, Value]]] = {}
    for product in products:
        rows.setdefault(product.quantity, {})[product.start_ms] = row(product, quantities)
    times = sorted({product.start_ms for product in products})
    columns = {}
    for name, one in parameters.items():
        own = rows.get(one.quantity)
        if own is not None:
            columns[name] = [_number(own.get(time_ms, {}).get(one.column)) for time_ms in times]
    return Series(f"{cell:x}", cells.centre(cell), [iso(time_ms) for time_ms in times], columns)


def _number(value: Value) -> float | int | None:
    assert not isinstance(value, str)
    return value


def locations(
    asked: Asked, kind: tuple[Period, int], page: tuple[int, int], names: Mapping[int, str]
) -> tuple[bytes, int | None]:
    """Cells with products as features, and the cursor of the next page. kind: period, resolution.

    page: cells above this one, at most so many.
    """
    period, resolution = kind
    after, limit = page
    by_cell: dict[int, list[asking.Known]] = {}
    for one in asking.known(asked.database, period, resolution, after):
        if one.cell not in by_cell and len(by_cell) == limit:
            following = next(reversed(by_cell))
            break
        by_cell.setdefault(one.cell, []).append(one)
    else:
        following = None
    told = [_location(cell, own, period, names) for cell, own in by_cell.items()]
    return features(told), following


def _location(
    cell: int, known: Sequence[asking.Known], period: Period, names: Mapping[int, str]
) -> dict[str, object]:
    first_ms = min(one.first_ms for one in known)
    last_ms = max(one.last_ms for one in known)
    properties = {
        "name": f"{cell:x}",
        "resolution": h3bits.resolution(cell),
        "period": period.iso,
        "datetime": f"{iso(first_ms)}/{iso(last_ms)}",
        "parameter-name": [names[one.quantity] for one in known],
    }
    return feature(cell, properties)
