"""Routes about stations. Where one stands is told to H3 resolution 7 and never finer here."""

import json
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from gateway.core.coverage.model import StationCoverage
from gateway.core.epoch_inputs import StationRow
from gateway.core.ids import device_name
from gateway.core.model import Kind
from gateway.core.station_json import class_name, slot
from gateway.shell.api.answers import (
    After,
    Device,
    behind,
    device_of,
    json_answer,
    unknown_station,
)
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.index import IndexedStation
from gateway.shell.api.models import StationDetailShape, StationsShape
from gateway.shell.api.problems import ApiCode, documented
from gateway.shell.errors import Code
from gateway.shell.store.base import Store

router = APIRouter(tags=["stations"])
_PAGE = 100
_PAGE_MAX = 1_000
# Of those that a filter throws away, at most so many are looked at for one page.
_LOOKED_AT_MAX = 5_000
_HOLES_SHOWN = 64
_KINDS = {int(kind): kind.name.lower().replace("_", "-") for kind in Kind}
Cell = Annotated[
    str | None,
    Query(
        pattern="^8[0-9a-f]{14}$",
        description="H3 cell of resolution 7: stations in it alone.",
        examples=["871f1d499ffffff"],
    ),
]


class _Newest(NamedTuple):
    """The newest closed epoch; no rows and no number if none is."""

    epoch: int | None
    rows: dict[bytes, StationRow]
    coverage: dict[bytes, StationCoverage]


class _Filter(NamedTuple):
    cell: int | None
    class_: str | None
    after: bytes
    limit: int


@router.get(
    "/v1/stations",
    response_model=StationsShape,
    responses=documented(ApiCode.PARAMETER_INVALID),
)
async def stations(
    request: Request,
    api: WithApi,
    *,
    cell: Cell = None,
    class_: Annotated[
        Literal["anchored", "peer_checked", "unproven"] | None,
        Query(alias="class", description="Class in the newest closed epoch."),
    ] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE,
) -> Response:
    """Registered stations by id, page by page: `next` goes into `after`, null ends the list."""
    wanted = _Filter(
        None if cell is None else int(cell, 16),
        class_,
        behind(after),
        limit,
    )
    document = await api.read_indexed(lambda store: _stations(api, store, wanted))
    return json_answer(document, request)


@router.get(
    "/v1/stations/{device}",
    response_model=StationDetailShape,
    responses=documented(ApiCode.PARAMETER_INVALID, Code.STATION_UNKNOWN),
)
async def station(request: Request, api: WithApi, device: Device) -> Response:
    """One station: what it declared, what came of it last, and its newest closed epoch."""
    wanted = device_of(device)
    document = await api.read_indexed(lambda store: _station(api, store, wanted))
    return json_answer(document, request)


def _stations(api: Api, store: Store, wanted: _Filter) -> dict[str, Any]:
    newest = _newest(api, store)
    shown: list[dict[str, Any]] = []
    after, looked_at, more = wanted.after, 0, True
    while more and len(shown) < wanted.limit and looked_at < _LOOKED_AT_MAX:
        found = api.index.stations(after, wanted.cell, wanted.limit)
        more = len(found) == wanted.limit
        for one in found:
            if len(shown) == wanted.limit:
                more = True
                break
            after = one.device
            looked_at += 1
            row = newest.rows.get(one.device)
            if wanted.class_ is None or (row is not None and class_name(row) == wanted.class_):
                shown.append(_line(one, row))
    return {
        "epoch": newest.epoch,
        "stations": shown,
        "next": device_name(after) if more and looked_at else None,
    }


def _line(one: IndexedStation, row: StationRow | None) -> dict[str, Any]:
    return {
        "station": device_name(one.device),
        "cell": f"{one.cell:x}",
        "class": None if row is None else class_name(row),
        "firmware": one.firmware,
        "registered_ms": one.registered_ms,
        "last_ms": one.last_ms,
    }


def _station(api: Api, store: Store, device: bytes) -> dict[str, Any]:
    one = api.index.station(device)
    if one is None:
        raise unknown_station(device_name(device))
    newest = _newest(api, store)
    row = newest.rows.get(device)
    spans = api.index.spans(device, _HOLES_SHOWN + 1)
    return {
        "station": device_name(device),
        "cell": f"{one.cell:x}",
        "registered_ms": one.registered_ms,
        "firmware": one.firmware,
        "declared": _declared(api, one),
        "messages": one.messages,
        "last_ms": one.last_ms,
        "last_kind": _KINDS.get(one.last_kind, str(one.last_kind)),
        "highest_seq": spans[0][1] if spans else 0,
        "holes": _holes(spans),
        "holes_cut": len(spans) > _HOLES_SHOWN,
        "last_epoch": None if row is None else _epoch_row(newest, row),
    }


def _holes(spans: list[tuple[int, int]]) -> list[list[int]]:
    """What lies between delivered ranges, given from the newest down, and below the oldest."""
    below = [last for _, last in spans[1:]]
    if len(spans) <= _HOLES_SHOWN:
        below.append(0)
    holes = [[under + 1, first - 1] for (first, _), under in zip(spans, below, strict=False)]
    return [[first, last] for first, last in holes if first <= last][::-1]


def _declared(api: Api, one: IndexedStation) -> list[dict[str, Any]]:
    known = api.quantities()
    shown = []
    for code, channel, interval_ms in json.loads(one.declared):
        quantity = known.get(code)
        shown.append(
            {
                "quantity": str(code) if quantity is None else quantity.name,
                "channel": channel,
                "unit": "" if quantity is None else quantity.unit,
                "interval_ms": interval_ms,
            }
        )
    return shown


def _epoch_row(newest: _Newest, row: StationRow) -> dict[str, Any]:
    return {
        "epoch": newest.epoch,
        "class": class_name(row),
        "quality_ppm": row.quality_ppm,
        "usefulness_ppm": row.u_ppm,
        "verifiability_ppm": row.v_ppm,
        "coverage": _coverage(newest.coverage.get(row.device)),
        "slot": slot(row),
        "paid": str(row.paid),
        "held": str(row.held),
        "reason": row.reason.name.lower(),
        "messages": row.messages,
    }


def _coverage(own: StationCoverage | None) -> dict[str, Any] | None:
    """Counts and verdicts alone: the most likely place is finer than what is told here."""
    if own is None:
        return None
    return {
        "expected": own.expected,
        "heard": own.heard,
        "witnesses": own.witnesses,
        "listening_hours": own.listening_hours,
        "hops": own.hops,
        "place": None if own.place is None else own.place.verdict.name.lower(),
        "unrevealed": own.unrevealed,
    }


def _newest(api: Api, store: Store) -> _Newest:
    numbers = store.epoch_numbers()
    stored = store.epoch(numbers[-1]) if numbers else None
    if stored is None:
        return _Newest(None, {}, {})
    coverage = api.coverage(stored)
    return _Newest(
        stored.epoch,
        {row.device: row for row in api.station_rows(stored)},
        {} if coverage is None else {own.device: own for own in coverage.stations},
    )
