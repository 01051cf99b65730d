"""The route for readings: JSON, SenML JSON and SenML CBOR of the same page."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response

from gateway.core import senml
from gateway.core.explain import decimal
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.senml import Sample
from gateway.shell.api.answers import (
    FRESH,
    JSON_TYPE,
    TIME_MS_MAX,
    Device,
    device_of,
    json_answer,
    unknown_station,
)
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.models import ReadingsShape
from gateway.shell.api.problems import ApiCode, Problem, documented
from gateway.shell.api.readings import Page, Wanted, read_page
from gateway.shell.errors import Code
from gateway.shell.store.base import Store

router = APIRouter(tags=["readings"])
SAMPLES_MAX = 10_000
_SAMPLES = 1_000
RELEASED_TO = "Cairn-Released-To"
Format = Literal["json", "senml-json", "senml-cbor"]
_TYPES: dict[str, Format] = {
    JSON_TYPE: "json",
    senml.JSON_TYPE: "senml-json",
    senml.CBOR_TYPE: "senml-cbor",
}
_ANY = {"*/*", "application/*"}
Time = Annotated[int | None, Query(ge=0, le=TIME_MS_MAX, description="Ms since 1970 UTC.")]
_HEADERS = {
    RELEASED_TO: {
        "description": "Complete up to here, in ms since 1970, but for what comes late.",
        "schema": {"type": "string"},
    },
    "Link": {"description": 'The next page, rel="next".', "schema": {"type": "string"}},
}
_RECORDS = {"type": "array", "items": {"$ref": "#/components/schemas/SenmlRecordShape"}}
_OK: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ReadingsShape,
        "headers": _HEADERS,
        "content": {
            senml.JSON_TYPE: {"schema": _RECORDS},
            senml.CBOR_TYPE: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    204: {"description": "SenML has no empty pack: no reading in this page.", "headers": _HEADERS},
}


@router.get(
    "/v1/stations/{device}/readings",
    response_class=Response,
    responses=_OK
    | documented(ApiCode.PARAMETER_INVALID, ApiCode.NOT_ACCEPTABLE, Code.STATION_UNKNOWN),
)
async def readings(
    request: Request,
    api: WithApi,
    device: Device,
    *,
    from_: Annotated[Time, Query(alias="from", description="Default: a day before `to`.")] = None,
    to: Annotated[Time, Query(description="Default: up to what is released.")] = None,
    quantity: Annotated[
        str | None, Query(max_length=64, description="Its name, as in /v1/stations/{device}.")
    ] = None,
    format_: Annotated[
        Format | None, Query(alias="format", description="Default: what Accept says, or json.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=SAMPLES_MAX)] = _SAMPLES,
    after: Annotated[
        str | None,
        Query(pattern=r"^-?[0-9]{1,16}\.[0-9]{1,16}$", description="Cursor: `next`, or in Link."),
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Released readings by time, page by page.

    A value is released when its ten-minute window has ended and the grace of the rules is over;
    until then it is simply absent, whoever asks. `released_to_ms` says up to when the answer is
    complete. A page ends between two messages, so it may hold some samples more than `limit`.
    """
    chosen = format_ or _negotiated(accept)
    wanted = Wanted(
        device_of(device),
        -1 if from_ is None else from_,
        -1 if to is None else to,
        quantity,
        limit,
        None if after is None else _cursor(after),
    )
    wanted, page = await api.read_indexed(lambda store: _read(api, store, wanted))
    headers = {RELEASED_TO: str(page.released_to_ms), "Vary": "Accept"}
    following = None if page.cursor is None else f"{page.cursor[0]}.{page.cursor[1]}"
    if following is not None:
        headers["Link"] = f'<{_next_url(request, wanted, following)}>; rel="next"'
    if chosen == "json":
        return json_answer(_document(wanted, page, following), request, headers=headers)
    return _pack(chosen, wanted, page, headers)


def _read(api: Api, store: Store, wanted: Wanted) -> tuple[Wanted, Page]:
    if api.index.station(wanted.device) is None:
        raise unknown_station(device_name(wanted.device))
    now_ms = api.now_ms(store)
    to_ms = api.releases.released_to(now_ms) if wanted.to_ms < 0 else wanted.to_ms
    from_ms = max(to_ms - DAY_MS, 0) if wanted.from_ms < 0 else wanted.from_ms
    wanted = wanted._replace(from_ms=from_ms, to_ms=to_ms)
    page = read_page(
        store, api.index, api.releases, wanted, quantities=api.quantities(), now_ms=now_ms
    )
    return wanted, page


def _document(wanted: Wanted, page: Page, following: str | None) -> dict[str, Any]:
    return {
        "station": device_name(wanted.device),
        "from_ms": wanted.from_ms,
        "to_ms": wanted.to_ms,
        "released_to_ms": page.released_to_ms,
        "readings": [_reading(sample) for sample in page.samples],
        "next": following,
    }


def _reading(sample: Sample) -> dict[str, Any]:
    absent = sample.value is None
    return {
        "time_ms": sample.time_ms,
        "quantity": sample.quantity,
        "channel": sample.channel,
        "unit": sample.unit,
        "value": None if sample.value is None else decimal(sample.value, sample.exponent),
        "fault": sample.fault if absent else None,
        "message_id": sample.message_id.hex(),
        "recv_ms": sample.recv_ms,
        "post_release": sample.post_release,
    }


def _pack(chosen: Format, wanted: Wanted, page: Page, headers: dict[str, str]) -> Response:
    headers["Cache-Control"] = FRESH
    if not page.samples:
        return Response(None, 204, headers)
    if chosen == "senml-json":
        return Response(senml.to_json(wanted.device, page.samples), 200, headers, senml.JSON_TYPE)
    return Response(senml.to_cbor(wanted.device, page.samples), 200, headers, senml.CBOR_TYPE)


def _negotiated(accept: str | None) -> Format:
    """The best of what Accept names (RFC 9110 section 12.5.1); JSON where it leaves it open."""
    ranges = [_weighed(part) for part in (accept or "*/*").split(",") if part.strip()]
    for weight, media in sorted(ranges, key=lambda one: -one[0]):
        if weight > 0 and media in _TYPES:
            return _TYPES[media]
        if weight > 0 and media in _ANY:
            return "json"
    raise Problem(ApiCode.NOT_ACCEPTABLE, f"Accept names none: {(accept or '')[:100]!r}.")


def _weighed(part: str) -> tuple[float, str]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value), media
            except ValueError:
                return 0.0, media
    return 1.0, media


def _cursor(text: str) -> tuple[int, int]:
    time_ms, position = text.split(".")
    return int(time_ms), int(position)


def _next_url(request: Request, wanted: Wanted, following: str) -> str:
    """The same question, its open ends fixed, behind the cursor."""
    asked = dict(request.query_params)
    asked |= {"from": str(wanted.from_ms), "to": str(wanted.to_ms), "after": following}
    return f"{request.url.path}?{urlencode(asked)}"
