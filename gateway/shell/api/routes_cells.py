"""The map of cells: one quantity, one period, as GeoJSON polygons."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from gateway.shell.api.answers import TIME_MS_MAX
from gateway.shell.api.edr_answers import (
    FEATURES,
    GEOJSON_TYPE,
    body_answer,
    features,
)
from gateway.shell.api.edr_context import Asked, ProductsFeed, WithProducts
from gateway.shell.api.edr_query import Revision
from gateway.shell.api.problems import ApiCode, Problem, documented
from gateway.shell.products import asking
from gateway.shell.products.periods import PERIODS, Period
from gateway.shell.products.table import feature, row

router = APIRouter(tags=["cells"])
_PAGE = 1_000
_PAGE_MAX = 5_000
_PERIODS = {period.name: period for period in PERIODS}


@router.get(
    "/v1/cells",
    response_class=Response,
    responses=FEATURES | documented(ApiCode.NOT_FOUND, ApiCode.PARAMETER_INVALID),
)
async def cells(
    request: Request,
    feed: WithProducts,
    *,
    quantity: Annotated[
        str, Query(max_length=64, description="Its name, as in /edr/collections.")
    ] = "temperature",
    period: Annotated[
        Literal["10min", "1h", "1d"], Query(description="How long a product stands for.")
    ] = "1h",
    resolution: Annotated[int, Query(ge=5, le=8, description="H3 resolution.")] = 7,
    at: Annotated[
        int | None,
        Query(ge=0, le=TIME_MS_MAX, description="A moment, ms since 1970. Default: the newest."),
    ] = None,
    revision: Revision = None,
    after: Annotated[
        str | None,
        Query(pattern="^8[0-9a-f]{14}$", description="Cursor: `next` of the page before."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE,
) -> Response:
    """Products of one moment as a GeoJSON FeatureCollection of cells, page by page.

    `next` goes into `after`, null ends the list; `start_ms` says which period it is.
    """
    page = (0 if after is None else int(after, 16), limit)
    asked_for = (_PERIODS[period], resolution, _code(feed, quantity))
    body, following, released_to_ms = await feed.read(
        lambda asked: _map(feed, asked, asked_for, (at, revision), page)
    )
    headers = {}
    if following is not None:
        url = request.url.include_query_params(after=following)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return body_answer(request, body, GEOJSON_TYPE, released_to_ms, headers)


def _code(feed: ProductsFeed, name: str) -> int:
    for code, quantity in feed.products.quantities.items():
        if quantity.name == name:
            return code
    raise Problem(ApiCode.NOT_FOUND, f"There is no quantity {name[:64]!r}.")


def _map(
    feed: ProductsFeed,
    asked: Asked,
    kind: tuple[Period, int, int],
    when: tuple[int | None, int | None],
    page: tuple[int, int],
) -> tuple[bytes, str | None, int]:
    period, at, revision = kind[0], *when
    released_to_ms = asked.released_to_ms
    if at is None:
        extent_ms = asking.extent_ms(asked.database, period)
        at = 0 if extent_ms is None else extent_ms[1]
    start_ms = period.start(at)
    after, limit = page
    found = asking.at_one_time(asked.database, kind, start_ms, revision, (after, limit + 1))
    shown = found[:limit]
    following = f"{shown[-1].cell:x}" if len(found) > limit else None
    told = [feature(one.cell, row(one, feed.products.quantities)) for one in shown]
    body = features(told, start_ms=start_ms, period=period.iso, next=following)
    return body, following, released_to_ms
