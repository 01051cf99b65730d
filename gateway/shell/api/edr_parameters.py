"""The parameters of the EDR collections: their names, units and descriptions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.core.quantities import Quantity
from gateway.shell.api.coverage_json import CF, UCUM, Described
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.products.periods import PERIODS, Period
from gateway.shell.products.windows import NOT_OF_A_PLACE

STATIONS = "stations"
CELLS: Mapping[str, Period] = {f"cells-{period.name}": period for period in PERIODS}
_COUNT = "1"


class _Statistic(NamedTuple):
    """suffix: after the quantity's name; column: of the table; unit: None for the quantity's."""

    suffix: str
    column: str
    unit: str | None
    text: str
    whole: bool = True


STATISTICS = (
    _Statistic("", "mean", None, "robust mean of the stations", whole=False),
    _Statistic("_spread", "spread", None, "robust deviation between stations", whole=False),
    _Statistic(
        "_standard_error", "standard_error", None, "standard error of the mean", whole=False
    ),
    _Statistic("_stations", "stations", _COUNT, "stations in the mean"),
    _Statistic("_readings", "readings", _COUNT, "readings in the mean"),
    _Statistic("_late", "late", _COUNT, "readings that came after the release"),
    _Statistic("_coverage", "coverage", _COUNT, "share of what was to be measured", whole=False),
    _Statistic("_flag", "flag", _COUNT, "QARTOD flag of the whole"),
    _Statistic("_revision", "revision", _COUNT, "revision of the product"),
)


class Chosen(NamedTuple):
    """A parameter of a cell collection: a statistic of a quantity."""

    quantity: int
    column: str
    described: Described


def cell_parameters(quantities: Mapping[int, Quantity]) -> dict[str, Chosen]:
    """All parameters of the cell collections, by name."""
    return {
        f"{quantity.name}{one.suffix}": Chosen(
            code,
            one.column,
            Described(
                f"{quantity.name}{one.suffix}",
                f"{quantity.name.replace('_', ' ')}: {one.text}",
                quantity.ucum if one.unit is None else one.unit,
                "" if one.suffix else quantity.cf,
                one.whole,
            ),
        )
        for code, quantity in sorted(quantities.items())
        if quantity.name not in NOT_OF_A_PLACE
        for one in STATISTICS
    }


def reading_parameter(name: str, quantities: Mapping[int, Quantity]) -> Described:
    """The parameter of readings called `quantity`, or `quantity:channel` of a further channel."""
    base = name.partition(":")[0]
    known = next((one for one in quantities.values() if one.name == base), None)
    if known is None:
        return Described(name, f"quantity {base}, unknown here", "", "", whole=False)
    text = f"{base.replace('_', ' ')} as it was signed"
    return Described(name, text, known.ucum, known.cf, whole=False)


def chosen(asked: list[str] | None, available: Mapping[str, Chosen]) -> dict[str, Chosen]:
    """Those asked for, all if nothing is asked; a Problem names the first that there is not."""
    if asked is None:
        return dict(available)
    for name in asked:
        if name not in available:
            raise Problem(ApiCode.NOT_FOUND, f"The collection has no parameter {name}.")
    return {name: available[name] for name in asked}


def documents(described: Mapping[str, Described], duration: str | None) -> dict[str, Any]:
    """EDR's parameter_names. duration: what each value is a mean of, None for moments."""
    return {name: _document(name, one, duration) for name, one in described.items()}


def _document(name: str, one: Described, duration: str | None) -> dict[str, Any]:
    observed: dict[str, Any] = {"label": one.label}
    if one.cf:
        observed["id"] = f"{CF}{one.cf}/"
    document: dict[str, Any] = {
        "type": "Parameter",
        "id": name,
        "description": one.description,
        "data-type": "integer" if one.whole else "float",
        "observedProperty": observed,
    }
    if one.unit:
        document["unit"] = {"symbol": {"value": one.unit, "type": UCUM}}
    if duration is not None:
        document["measurementType"] = {"method": "mean", "duration": duration}
    return document
