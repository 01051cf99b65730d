"""OGC API - Environmental Data Retrieval 1.1, a subset: cells' products and stations' readings."""

from collections.abc import Callable, Iterable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response

from gateway.core.ids import device_name
from gateway.shell.api import edr_cells, edr_documents, edr_readings
from gateway.shell.api.answers import behind, json_answer
from gateway.shell.api.edr_answers import DATA, FEATURES, GEOJSON_TYPE, TYPES, body_answer
from gateway.shell.api.edr_context import Asked, ProductsFeed, WithProducts
from gateway.shell.api.edr_models import (
    CollectionShape,
    CollectionsShape,
    ConformanceShape,
    LandingShape,
)
from gateway.shell.api.edr_parameters import CELLS, STATIONS, cell_parameters, chosen
from gateway.shell.api.edr_query import (
    Collection,
    Datetime,
    Format,
    FormatChoice,
    Location,
    ParameterNames,
    PointText,
    PolygonText,
    Resolution,
    Revision,
    names,
    point,
    ring,
    span,
)
from gateway.shell.api.index import IndexedStation
from gateway.shell.api.problems import ApiCode, documented
from gateway.shell.errors import Code
from gateway.shell.products import asking, cells
from gateway.shell.products.periods import Period

router = APIRouter(tags=["edr"])
_LOCATIONS = 1_000
_LOCATIONS_MAX = 10_000
_RESOLUTION = 7
_PLAIN = documented()
_NAMED = documented(ApiCode.NOT_FOUND, ApiCode.PARAMETER_INVALID)
_PLACED = documented(ApiCode.NOT_FOUND, ApiCode.PARAMETER_INVALID, Code.STATION_UNKNOWN)


class _Query(NamedTuple):
    """What every data query may say besides its place."""

    datetime: str | None
    names: str | None
    revision: int | None
    format: Format


def _query(
    *,
    datetime: Datetime = None,
    parameter_name: ParameterNames = None,
    revision: Revision = None,
    f: FormatChoice = "CoverageJSON",
) -> _Query:
    return _Query(datetime, parameter_name, revision, f)


WithQuery = Annotated[_Query, Depends(_query)]


class _Place(NamedTuple):
    """Where a query looks: in cell collections, and among stations. whole: it is one place."""

    cells: Callable[[Asked], Iterable[int]]
    stations: Callable[[], Iterable[IndexedStation]]
    whole: bool


# ---- what there is


@router.get("/edr", response_model=LandingShape, responses=_PLAIN)
async def edr(request: Request) -> Response:
    """The landing page of the EDR API."""
    return json_answer(edr_documents.landing(_base(request)), request)


@router.get("/edr/conformance", response_model=ConformanceShape, responses=_PLAIN)
async def edr_conformance(request: Request) -> Response:
    """Classes of OGC API - EDR 1.1; what of them is left out, docs/products.md says."""
    return json_answer(edr_documents.conformance(), request)


@router.get("/edr/collections", response_model=CollectionsShape, responses=_PLAIN)
async def edr_collections(request: Request, feed: WithProducts) -> Response:
    """All collections: products by period, and readings."""
    found = await feed.read(lambda asked: {name: _extent(feed, asked, name) for name in _NAMES})
    document = edr_documents.collections(_base(request), feed.products.quantities, found)
    return json_answer(document, request)


@router.get("/edr/collections/{collection}", response_model=CollectionShape, responses=_NAMED)
async def edr_collection(request: Request, feed: WithProducts, collection: Collection) -> Response:
    """One collection: its extent, its parameters, and how it can be asked."""
    edr_documents.check_name(collection)
    extent_ms = await feed.read(lambda asked: _extent(feed, asked, collection))
    document = edr_documents.collection(
        _base(request), collection, feed.products.quantities, extent_ms
    )
    return json_answer(document, request)


# ---- data


@router.get(
    "/edr/collections/{collection}/position",
    response_class=Response,
    responses=DATA | _NAMED,
)
async def edr_position(
    request: Request,
    feed: WithProducts,
    collection: Collection,
    *,
    coords: PointText,
    query: WithQuery,
    resolution: Resolution = _RESOLUTION,
) -> Response:
    """The cell that holds a point, or the stations of the point's cell of resolution 7."""
    longitude, latitude = point(coords)
    place = _Place(
        lambda _: [cells.cell_at(longitude, latitude, resolution)],
        lambda: edr_readings.stations_at(feed.api, longitude, latitude),
        whole=collection != STATIONS,
    )
    return await _answer(request, feed, collection, query, place)


@router.get(
    "/edr/collections/{collection}/area",
    response_class=Response,
    responses=DATA | _NAMED,
)
async def edr_area(
    request: Request,
    feed: WithProducts,
    collection: Collection,
    *,
    coords: PolygonText,
    query: WithQuery,
    resolution: Resolution = _RESOLUTION,
) -> Response:
    """The cells that meet a polygon, or the stations whose cells of resolution 7 do."""
    outline = ring(coords)
    place = _Place(
        lambda asked: edr_cells.cells_meeting(asked, CELLS[collection], resolution, outline),
        lambda: edr_readings.stations_meeting(feed.api, outline),
        whole=False,
    )
    return await _answer(request, feed, collection, query, place)


@router.get(
    "/edr/collections/{collection}/locations",
    response_class=Response,
    responses=FEATURES | _NAMED,
)
async def edr_locations(
    request: Request,
    feed: WithProducts,
    collection: Collection,
    *,
    resolution: Resolution = _RESOLUTION,
    after: Annotated[
        str | None,
        Query(
            pattern="^(?:8[0-9a-f]{14}|[a-z2-7]{26})$",
            description="Cursor: in the Link of the page before.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_LOCATIONS_MAX)] = _LOCATIONS,
) -> Response:
    """Cells with products of a resolution, or stations, as GeoJSON, page by page."""
    edr_documents.check_name(collection)

    def told(asked: Asked) -> tuple[bytes, str | None, int]:
        released_to_ms = asked.released_to_ms
        if collection == STATIONS:
            behind_this = behind(after) if after and len(after) == _STATION_NAME else b""
            body, device = edr_readings.locations(feed.api, behind_this, limit)
            return body, None if device is None else device_name(device), released_to_ms
        names = {code: one.name for code, one in feed.products.quantities.items()}
        kind = (CELLS[collection], resolution)
        above = int(after, 16) if after and len(after) == _CELL_NAME else 0
        body, cell = edr_cells.locations(asked, kind, (above, limit), names)
        return body, None if cell is None else f"{cell:x}", released_to_ms

    body, following, released_to_ms = await feed.read(told)
    headers = {}
    if following is not None:
        url = request.url.include_query_params(after=following)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return body_answer(request, body, GEOJSON_TYPE, released_to_ms, headers)


@router.get(
    "/edr/collections/{collection}/locations/{location}",
    response_class=Response,
    responses=DATA | _PLACED,
)
async def edr_location(
    request: Request,
    feed: WithProducts,
    collection: Collection,
    location: Location,
    query: WithQuery,
) -> Response:
    """One cell, of whatever resolution it is, or one station."""
    place = _Place(
        lambda asked: [edr_cells.known_cell(asked, CELLS[collection], location)],
        lambda: [edr_readings.station_named(feed.api, location)],
        whole=True,
    )
    return await _answer(request, feed, collection, query, place)


_NAMES = (*CELLS, STATIONS)
_STATION_NAME = 26
_CELL_NAME = 15


async def _answer(
    request: Request, feed: ProductsFeed, collection: str, query: _Query, place: _Place
) -> Response:
    edr_documents.check_name(collection)

    def told(asked: Asked) -> tuple[bytes | None, int]:
        if collection == STATIONS:
            return _readings(feed, asked, query, place)
        return _products(feed, asked, CELLS[collection], query, place)

    body, released_to_ms = await feed.read(told)
    return body_answer(request, body, TYPES[query.format], released_to_ms)


def _products(
    feed: ProductsFeed, asked: Asked, period: Period, query: _Query, place: _Place
) -> tuple[bytes | None, int]:
    quantities = feed.products.quantities
    question = edr_cells.CellQuestion(
        period,
        chosen(names(query.names), cell_parameters(quantities)),
        span(query.datetime),
        query.revision,
        query.format,
        place.whole,
    )
    found = edr_cells.find(asked, question, place.cells(asked))
    return edr_cells.tell(found.products, question, quantities), found.released_to_ms


def _readings(
    feed: ProductsFeed, asked: Asked, query: _Query, place: _Place
) -> tuple[bytes | None, int]:
    question = edr_readings.ReadingQuestion(
        names(query.names), span(query.datetime), query.format, place.whole
    )
    found, released_to_ms = edr_readings.find(feed.api, asked, question, place.stations())
    return edr_readings.tell(found, question, feed.products.quantities), released_to_ms


def _extent(feed: ProductsFeed, asked: Asked, name: str) -> tuple[int, int] | None:
    """When a collection begins and ends; of readings, from the network's first day on."""
    if name in CELLS:
        return asking.extent_ms(asked.database, CELLS[name])
    first_ms = feed.api.deps.network.genesis.epoch_zero_ms
    last_ms = feed.api.releases.released_to(asked.now_ms)
    return (first_ms, last_ms) if last_ms > first_ms else None


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
