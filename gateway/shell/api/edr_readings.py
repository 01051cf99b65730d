"""The collection `stations`: released readings as they were signed, at their cell's centre.

A station's place is told to H3 resolution 7, as everywhere in the API.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.core.explain import decimal
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name, parse_device
from gateway.core.quantities import Quantity
from gateway.core.senml import Sample
from gateway.shell.api import coverage_json
from gateway.shell.api.answers import unknown_station
from gateway.shell.api.context import Api
from gateway.shell.api.coverage_json import Series
from gateway.shell.api.edr_answers import features
from gateway.shell.api.edr_context import Asked
from gateway.shell.api.edr_parameters import reading_parameter
from gateway.shell.api.edr_query import ROWS_MAX, Format, Span, too_large
from gateway.shell.api.index import IndexedStation
from gateway.shell.api.index_entries import CELL_RESOLUTION
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.api.readings import Wanted, read_page
from gateway.shell.products import cells
from gateway.shell.products.table import iso, to_csv

# Of each page only messages are looked at, and their samples may all be thrown away.
_PAGES_MAX = 64
_STATIONS_PAGE = 1_000
_COLUMNS = (
    "station", "cell", "time", "time_ms", "quantity", "channel", "unit", "value", "fault",
    "post_release", "message_id",
)  # fmt: skip


class ReadingQuestion(NamedTuple):
    """names: parameters, None for all; span: None for the last released day."""

    names: list[str] | None
    span: Span | None
    format: Format
    whole: bool


class StationReadings(NamedTuple):
    station: IndexedStation
    samples: list[Sample]


def station_named(api: Api, location: str) -> IndexedStation:
    device = parse_device(location)
    found = None if device is None else api.index.station(device)
    if found is None:
        raise unknown_station(location)
    return found


def stations_at(api: Api, longitude: float, latitude: float) -> list[IndexedStation]:
    """Those of the cell of resolution 7 that holds a point."""
    return list(_stations(api, cells.cell_at(longitude, latitude, CELL_RESOLUTION)))


def stations_meeting(api: Api, ring: cells.Ring) -> list[IndexedStation]:
    return [one for one in _stations(api) if cells.meets(one.cell, ring)]


def _stations(api: Api, cell: int | None = None) -> Iterable[IndexedStation]:
    after = b""
    while found := api.index.stations(after, cell, _STATIONS_PAGE):
        yield from found
        after = found[-1].device


def find(
    api: Api, asked: Asked, question: ReadingQuestion, stations: Iterable[IndexedStation]
) -> tuple[list[StationReadings], int]:
    """The readings of these stations and up to when they are released; a Problem if too many."""
    released_to_ms = api.releases.released_to(asked.now_ms)
    span = question.span or Span(max(released_to_ms - DAY_MS, 0), released_to_ms - 1)
    names = _checked(question.names, api.quantities())
    found, pages, rows = [], 0, 0
    for station in stations:
        wanted = Wanted(station.device, span.first_ms, span.last_ms + 1, None, ROWS_MAX + 1, None)
        samples: list[Sample] = []
        while True:
            page = read_page(
                asked.store, api.index, api.releases, wanted,
                quantities=api.quantities(), now_ms=asked.now_ms,
            )  # fmt: skip
            own = [one for one in page.samples if names is None or _name(one) in names]
            samples, rows, pages = samples + own, rows + len(own), pages + 1
            if rows > ROWS_MAX or pages > _PAGES_MAX:
                raise too_large(f"{ROWS_MAX} readings, or {_PAGES_MAX * 256} messages")
            if page.cursor is None:
                break
            wanted = wanted._replace(cursor=page.cursor)
        if samples:
            samples.sort(key=lambda one: (one.time_ms, one.quantity, one.channel))
            found.append(StationReadings(station, samples))
    return found, released_to_ms


def _checked(names: list[str] | None, quantities: Mapping[int, Quantity]) -> set[str] | None:
    known = {one.name for one in quantities.values()}
    for name in names or ():
        if name.partition(":")[0] not in known:
            raise Problem(ApiCode.NOT_FOUND, f"The collection has no parameter {name}.")
    return None if names is None else set(names)


def tell(
    found: Sequence[StationReadings], question: ReadingQuestion, quantities: Mapping[int, Quantity]
) -> bytes | None:
    """The answer in the question's format; None if there is nothing to tell."""
    if not found:
        return None
    units = {one.name: one.ucum for one in quantities.values()}
    if question.format == "CSV":
        return to_csv(_COLUMNS, (row for one in found for row in _rows(one, units))).encode()
    if question.format == "GeoJSON":
        told = [
            station_feature(one.station, row, f"{row['message_id']}/{_name(sample)}/{row['time']}")
            for one in found
            for sample, row in zip(one.samples, _rows(one, units), strict=True)
        ]
        return features(told)
    series = [_series(one) for one in found]
    names = sorted({name for one in series for name in one.columns})
    described = {name: reading_parameter(name, quantities) for name in names}
    if question.whole and len(series) == 1:
        return coverage_json.one(series[0], described)
    return coverage_json.several(series, described)


def _rows(one: StationReadings, units: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    station = {"station": device_name(one.station.device), "cell": f"{one.station.cell:x}"}
    for sample in one.samples:
        yield {
            **station,
            "time": iso(sample.time_ms),
            "time_ms": sample.time_ms,
            "quantity": sample.quantity,
            "channel": sample.channel,
            "unit": units.get(sample.quantity, ""),
            "value": _value(sample),
            "fault": None if sample.value is not None else sample.fault,
            "post_release": int(sample.post_release),
            "message_id": sample.message_id.hex(),
        }


def _series(one: StationReadings) -> Series:
    times = sorted({sample.time_ms for sample in one.samples})
    columns: dict[str, dict[int, float | None]] = {}
    for sample in one.samples:
        # Of two readings of one moment the first: an axis names each time once.
        columns.setdefault(_name(sample), {}).setdefault(sample.time_ms, _value(sample))
    return Series(
        device_name(one.station.device),
        cells.centre(one.station.cell),
        [iso(time_ms) for time_ms in times],
        {
            name: [values.get(time_ms) for time_ms in times]
            for name, values in sorted(columns.items())
        },
    )


def _name(sample: Sample) -> str:
    return f"{sample.quantity}:{sample.channel}" if sample.channel else sample.quantity


def _value(sample: Sample) -> float | None:
    """The float nearest to the decimal text that was signed."""
    return None if sample.value is None else float(decimal(sample.value, sample.exponent))


def locations(api: Api, after: bytes, limit: int) -> tuple[bytes, bytes | None]:
    """Stations as features, and the cursor of the next page."""
    found = api.index.stations(after, None, limit)
    told = [
        station_feature(one, {"name": device_name(one.device), "cell": f"{one.cell:x}"})
        for one in found
    ]
    return features(told), found[-1].device if len(found) == limit else None


def station_feature(
    station: IndexedStation, properties: Mapping[str, Any], name: str | None = None
) -> dict[str, Any]:
    """A feature at the centre of a station's cell, named after it unless said otherwise."""
    return {
        "type": "Feature",
        "id": device_name(station.device) if name is None else name,
        "geometry": {"type": "Point", "coordinates": list(cells.centre(station.cell))},
        "properties": dict(properties),
    }
