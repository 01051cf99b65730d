"""Routes about closed epochs. What is settled never changes: every answer has an ETag.

The documents are those of the command line (`gateway.shell.published`). Scoring cells are in
them, as they are in the bundles: whoever recomputes a payout needs them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from gateway.core.coverage.model import StationCoverage
from gateway.core.epoch_inputs import StationRow
from gateway.core.ids import device_name
from gateway.shell.api.answers import (
    SETTLED,
    After,
    Device,
    Epoch,
    Owner,
    behind,
    device_of,
    holds,
    json_answer,
)
from gateway.shell.api.bundles import BundleFile
from gateway.shell.api.context import WithApi
from gateway.shell.api.models import (
    ClaimShape,
    EpochCoverageShape,
    EpochShape,
    EpochsShape,
    ExplanationShape,
)
from gateway.shell.api.problems import ApiCode, Problem, documented
from gateway.shell.errors import Code
from gateway.shell.published import (
    claim_document,
    coverage_document,
    epoch_document,
    explanation,
    parse_owner,
    stored_epoch,
    summary,
)
from gateway.shell.store.base import Store

router = APIRouter(tags=["epochs"])
_EPOCHS = 30
_EPOCHS_MAX = 100
_STATIONS = 1_000
_STATIONS_MAX = 10_000
_BUNDLE_TYPE = "application/octet-stream"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BUNDLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {_BUNDLE_TYPE: _BINARY}},
    206: {"description": "The bytes that Range asks for.", "content": {_BUNDLE_TYPE: _BINARY}},
}
_HELD: dict[int | str, dict[str, Any]] = {304: {"description": "What you hold is still so."}}
_Row = TypeVar("_Row", StationRow, StationCoverage)
_GONE = (ApiCode.PARAMETER_INVALID, Code.EPOCH_MISSING)


@router.get("/v1/epochs", response_model=EpochsShape, responses=documented(_GONE[0]))
async def epochs(
    request: Request,
    api: WithApi,
    *,
    before: Annotated[
        int | None, Query(ge=0, le=2**31, description="Cursor: `next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_EPOCHS_MAX)] = _EPOCHS,
) -> Response:
    """The closed epochs, newest first."""
    return json_answer(await api.read(lambda store: _epochs(store, before, limit)), request)


@router.get("/v1/epochs/{epoch}", response_model=EpochShape, responses=_HELD | documented(*_GONE))
async def epoch(
    request: Request,
    api: WithApi,
    epoch: Epoch,
    *,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=_STATIONS_MAX)] = _STATIONS,
) -> Response:
    """One closed epoch: its manifest, who attests it, and its stations by id, page by page."""
    first = behind(after)

    def read(store: Store) -> dict[str, Any]:
        stored = stored_epoch(store, epoch)
        rows, following = _page(api.station_rows(stored), first, limit)
        return {**epoch_document(stored, rows), "next": following}

    return json_answer(await api.read(read), request, cache=SETTLED)


@router.get(
    "/v1/epochs/{epoch}/coverage",
    response_model=EpochCoverageShape,
    responses=_HELD | documented(*_GONE, ApiCode.COVERAGE_ABSENT),
)
async def coverage(
    request: Request,
    api: WithApi,
    epoch: Epoch,
    *,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=_STATIONS_MAX)] = _STATIONS,
) -> Response:
    """What the radio said of each station: who heard whom how often, and whether places fit."""
    first = behind(after)

    def read(store: Store) -> dict[str, Any]:
        stored = stored_epoch(store, epoch)
        found = api.coverage(stored)
        if found is None:
            raise Problem(ApiCode.COVERAGE_ABSENT, f"Epoch {epoch} was closed without one.")
        shown, following = _page(found.stations, first, limit)
        document = coverage_document(api.deps.network, stored, found, shown)
        return {**document, "next": following}

    return json_answer(await api.read(read), request, cache=SETTLED)


@router.get(
    "/v1/epochs/{epoch}/stations/{device}/explanation",
    response_model=ExplanationShape,
    responses=_HELD | documented(*_GONE, Code.STATION_UNKNOWN),
)
async def explain(request: Request, api: WithApi, epoch: Epoch, device: Device) -> Response:
    """Why a station was paid what it was paid: each rule, value and limit, and what to do."""
    wanted = device_of(device)

    def read(store: Store) -> dict[str, Any]:
        stored = stored_epoch(store, epoch)
        return explanation(api.deps.network, stored, api.station_rows(stored), wanted)[0]

    return json_answer(await api.read(read), request, cache=SETTLED)


@router.get(
    "/v1/epochs/{epoch}/claims/{owner}",
    response_model=ClaimShape,
    responses=_HELD | documented(*_GONE, Code.OWNER_UNKNOWN),
)
async def claim(request: Request, api: WithApi, epoch: Epoch, owner: Owner) -> Response:
    """The proof of all that an owner has earned up to and including an epoch."""
    owner_id = parse_owner(owner)
    assert owner_id is not None, "the pattern of the path"
    document = await api.read(lambda store: claim_document(stored_epoch(store, epoch), owner_id))
    return json_answer(document, request, cache=SETTLED)


@router.get(
    "/v1/epochs/{epoch}/bundle",
    response_class=FileResponse,
    responses=_BUNDLE | _HELD | documented(*_GONE, ApiCode.BUNDLE_UNRELEASED),
)
async def bundle(request: Request, api: WithApi, epoch: Epoch) -> Response:
    """All that an auditor needs, as one file: `cairn audit` computes the epoch again from it.

    ETag is the file's SHA-256. The first request for an epoch makes the file, which takes as long
    as closing the epoch did.
    """

    def read(store: Store) -> BundleFile:
        return api.bundles.get(store, stored_epoch(store, epoch), api.releases, api.now_ms(store))

    async with api.exporting:
        file = await api.read_indexed(read)
    tag = f'"{file.digest}"'
    headers = {"ETag": tag, "Cache-Control": SETTLED}
    if holds(request, tag):
        return Response(None, 304, headers)
    return FileResponse(
        file.path, headers=headers, media_type=_BUNDLE_TYPE, filename=file.path.name
    )


def _epochs(store: Store, before: int | None, limit: int) -> dict[str, Any]:
    numbers = [n for n in store.epoch_numbers() if before is None or n < before]
    shown = numbers[-limit:][::-1]
    more = len(numbers) > len(shown)
    return {
        "epochs": [summary(stored_epoch(store, number)) for number in shown],
        "next": shown[-1] if more else None,
    }


def _page(rows: Sequence[_Row], after: bytes, limit: int) -> tuple[Sequence[_Row], str | None]:
    """The rows behind a device (they are in ascending order), and where the next page begins."""
    first = next((n for n, row in enumerate(rows) if row.device > after), len(rows))
    page = rows[first : first + limit]
    more = first + limit < len(rows)
    return page, device_name(page[-1].device) if more else None
