"""CoverageJSON of series at one place each: cells' products, or stations' readings.

The shapes are covjson-pydantic's, which refuses what the specification does not allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from covjson_pydantic.coverage import Coverage, CoverageCollection
from covjson_pydantic.domain import Axes, Domain, DomainType, ValuesAxis
from covjson_pydantic.ndarray import NdArrayFloat, NdArrayInt
from covjson_pydantic.observed_property import ObservedProperty
from covjson_pydantic.parameter import Parameter, Parameters
from covjson_pydantic.reference_system import (
    ReferenceSystem,
    ReferenceSystemConnectionObject,
)
from covjson_pydantic.unit import Symbol, Unit
from pydantic import AwareDatetime

MEDIA_TYPE = "application/vnd.cov+json"
UCUM = "http://www.opengis.net/def/uom/UCUM/"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CF = "http://vocab.nerc.ac.uk/standard_name/"


class Described(NamedTuple):
    """One parameter. unit: UCUM; cf: a CF standard name, "" if there is none."""

    label: str
    description: str
    unit: str
    cf: str
    whole: bool


class Series(NamedTuple):
    """Values over time at one place; columns: by parameter, each as long as times."""

    name: str
    place: tuple[float, float]
    times: Sequence[str]
    columns: Mapping[str, Sequence[float | int | None]]


def one(series: Series, parameters: Mapping[str, Described]) -> bytes:
    """A Coverage."""
    coverage = _coverage(series, parameters)
    coverage.parameters = _parameters(parameters)
    coverage.domain.referencing = _referencing()
    return coverage.model_dump_json(exclude_none=True).encode()


def several(found: Iterable[Series], parameters: Mapping[str, Described]) -> bytes:
    """A CoverageCollection."""
    collection = CoverageCollection(
        domainType=DomainType.point_series,
        coverages=[_coverage(series, parameters) for series in found],
        parameters=_parameters(parameters),
        referencing=_referencing(),
    )
    return collection.model_dump_json(exclude_none=True).encode()


def _coverage(series: Series, parameters: Mapping[str, Described]) -> Coverage:
    times = [datetime.fromisoformat(time) for time in series.times]
    axes = Axes(
        x=ValuesAxis[float](values=[series.place[0]]),
        y=ValuesAxis[float](values=[series.place[1]]),
        t=ValuesAxis[AwareDatetime](values=times),
    )
    return Coverage(
        id=series.name,
        domain=Domain(domainType=DomainType.point_series, axes=axes),
        ranges={
            name: _array(values, whole=parameters[name].whole)
            for name, values in series.columns.items()
        },
    )


def _array(values: Sequence[float | int | None], *, whole: bool) -> NdArrayFloat | NdArrayInt:
    shape = {"axisNames": ["t"], "shape": [len(values)]}
    if whole:
        return NdArrayInt.model_validate({**shape, "values": list(values)})
    kept = [None if value is None else float(value) for value in values]
    return NdArrayFloat.model_validate({**shape, "values": kept})


def _parameters(parameters: Mapping[str, Described]) -> Parameters:
    return Parameters(
        {
            name: Parameter(
                description={"en": one.description},
                unit=Unit(symbol=Symbol(value=one.unit, type=UCUM)) if one.unit else None,
                observedProperty=ObservedProperty(
                    id=f"{CF}{one.cf}/" if one.cf else None, label={"en": one.label}
                ),
            )
            for name, one in parameters.items()
        }
    )


def _referencing() -> list[ReferenceSystemConnectionObject]:
    return [
        ReferenceSystemConnectionObject(
            coordinates=["x", "y"], system=ReferenceSystem(type="GeographicCRS", id=CRS84)
        ),
        ReferenceSystemConnectionObject(
            coordinates=["t"],
            system=ReferenceSystem(type="TemporalRS", calendar="Gregorian"),
        ),
    ]
