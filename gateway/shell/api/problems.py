"""Every refusal of the API: a problem (RFC 9457) with a stable code and what to do about it.

The one place that knows codes, statuses and advice; docs/api.md lists them. A fault of the
gateway's own surroundings is not shown to strangers: it names paths. It goes to the log.
"""

import json
import traceback
from collections.abc import Iterable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.core.faults import CoreFault
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.log import trouble

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:cairn:problem:"
_ERRORS_SHOWN_MAX = 8


class ApiCode(StrEnum):
    """What can be wrong with a request, or with this gateway now. Codes keep their meaning."""

    BODY_INVALID = "body_invalid"
    BODY_TOO_LARGE = "body_too_large"
    BUNDLE_UNRELEASED = "bundle_unreleased"
    BUSY = "busy"
    CLOCK_UNSET = "clock_unset"
    COVERAGE_ABSENT = "coverage_absent"
    GATEWAY_FAULT = "gateway_fault"
    KEY_MISSING = "key_missing"
    KEY_WRONG = "key_wrong"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    NOT_FOUND = "not_found"
    NOT_LIVE = "not_live"
    NOT_READY = "not_ready"
    PARAMETER_INVALID = "parameter_invalid"
    RANGE_UNSATISFIABLE = "range_unsatisfiable"
    RELEASE_MISSING = "release_missing"
    RATE_LIMITED = "rate_limited"
    STATION_REFUSED = "station_refused"


class Entry(NamedTuple):
    """One row of the list of problems. title: the same for every occurrence."""

    status: int
    title: str
    do: str


CATALOG: Mapping[str, Entry] = {
    ApiCode.BODY_INVALID: Entry(
        422, "The body does not fit.", "Compare it with /openapi.json; `errors` names the fields."
    ),
    ApiCode.BODY_TOO_LARGE: Entry(
        413, "The body is too large.", "Send at most 65,536 bytes; no request here needs more."
    ),
    ApiCode.BUNDLE_UNRELEASED: Entry(
        404,
        "The bundle is not released yet.",
        "Ask again after the seconds in Retry-After: it still holds readings or radio reports of "
        "the next day that nobody may see yet.",
    ),
    ApiCode.BUSY: Entry(
        503, "Too many requests are being answered.", "Ask again after the seconds in Retry-After."
    ),
    ApiCode.CLOCK_UNSET: Entry(
        503,
        "The gateway has no protocol time.",
        "Its clock is driven and has had no tick since the gateway began: send one, or start the "
        "fleet.",
    ),
    ApiCode.COVERAGE_ABSENT: Entry(
        404,
        "The epoch has no coverage table.",
        "It closed before this gateway kept one; later epochs in /v1/epochs have it.",
    ),
    ApiCode.GATEWAY_FAULT: Entry(
        500,
        "The gateway cannot answer.",
        "Look at the gateway's log, which names the fault, and at /ready.",
    ),
    ApiCode.KEY_MISSING: Entry(
        401,
        "An operator's key is needed.",
        "Send `Authorization: Bearer KEY`; KEY is in keys/api.key of the gateway.",
    ),
    ApiCode.KEY_WRONG: Entry(
        403, "This is not the operator's key.", "Take KEY from keys/api.key of this gateway."
    ),
    ApiCode.METHOD_NOT_ALLOWED: Entry(
        405, "This path does not take this method.", "Use one of those in Allow."
    ),
    ApiCode.NOT_ACCEPTABLE: Entry(
        406,
        "There is no answer of a type in Accept.",
        "Ask for application/json, application/senml+json or application/senml+cbor.",
    ),
    ApiCode.NOT_FOUND: Entry(404, "There is nothing under this path.", "See /openapi.json."),
    ApiCode.NOT_LIVE: Entry(
        503, "The gateway cannot do its work.", "Start it again; `checks` says what failed."
    ),
    ApiCode.NOT_READY: Entry(
        503, "The gateway takes no messages in now.", "See `do` of each check that is not ok."
    ),
    ApiCode.PARAMETER_INVALID: Entry(
        422,
        "A parameter does not fit.",
        "Compare it with /openapi.json; `errors` names the parameters.",
    ),
    ApiCode.RATE_LIMITED: Entry(
        429, "Too much is asked for.", "Ask again after the seconds in Retry-After."
    ),
    ApiCode.STATION_REFUSED: Entry(
        409, "The station cannot be set up like that.", "See `detail`, which says what to do."
    ),
    Code.CA_UNUSABLE: Entry(
        503,
        "Boards cannot check this gateway's broker.",
        "Its operator sets mqtt_ca_file to a PEM file with the one CA certificate.",
    ),
    Code.TOOLS_MISSING: Entry(
        503,
        "This gateway cannot make images for boards.",
        "Its operator installs what is missing: pip install 'cairn-depin[device]'",
    ),
    ApiCode.RANGE_UNSATISFIABLE: Entry(
        416, "The file has no such bytes.", "Content-Range says how many it has; ask for those."
    ),
    ApiCode.RELEASE_MISSING: Entry(
        404,
        "There is no such release for boards here.",
        "/v1/releases lists them; one that was withdrawn is served no more.",
    ),
    Code.STATION_UNKNOWN: Entry(
        404, "The station is not known here.", "/v1/stations lists those that are registered."
    ),
    Code.EPOCH_MISSING: Entry(
        404, "The epoch is not closed here.", "/v1/epochs lists those that are."
    ),
    Code.OWNER_UNKNOWN: Entry(
        404,
        "The owner has earned nothing so far.",
        "/v1/epochs/{epoch} lists the stations with their owners.",
    ),
    Code.EVENT_REFUSED: Entry(
        409, "The operator event is refused.", "See `detail`; nothing was logged."
    ),
    Code.RULES_UNKNOWN: Entry(
        409,
        "The gateway does not have these rules.",
        "Copy the rule file into rules/ of the gateway's data directory; its bytes must be "
        "unchanged.",
    ),
}


class Problem(Exception):  # noqa: N818 - an answer, not an error of ours
    """Raised anywhere below a route: the answer is this problem."""

    def __init__(
        self,
        code: ApiCode | Code,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers
        self.extra = extra

    def response(self) -> Response:
        entry = CATALOG[self.code]
        content = {
            "type": _TYPE + self.code,
            "title": entry.title,
            "status": entry.status,
            "detail": self.detail,
            "code": str(self.code),
            "do": entry.do,
            **self.extra,
        }
        headers = {"Cache-Control": "no-store", **(self.headers or {})}
        return Response(json.dumps(content), entry.status, headers, MEDIA_TYPE)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` never changes its meaning; `do` says what to do about it.",
    "required": ["type", "title", "status", "detail", "code", "do"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(CATALOG)},
        "do": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "string"}},
        "checks": {"type": "array", "items": {"type": "object"}},
    },
}


def documented(*codes: ApiCode | Code) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these codes and for those that any route may answer with."""
    by_status: dict[int, list[str]] = {}
    for code in {*codes, ApiCode.BUSY, ApiCode.GATEWAY_FAULT}:
        by_status.setdefault(CATALOG[code].status, []).append(str(code))
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(sorted(found))}",
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status, found in sorted(by_status.items())
    }


def of_fault(fault: OperatorFault | CoreFault) -> Problem:
    """The problem that a fault is for whoever asked."""
    entry = CATALOG.get(fault.code)
    if entry is None or entry.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        trouble("api fault", code=str(fault.code), what=fault.what, why=fault.why)
        return Problem(
            ApiCode.GATEWAY_FAULT, "A fault of its own surroundings keeps it from that."
        )
    return Problem(Code(fault.code), f"{fault.what} {fault.why}")


def install(app: FastAPI) -> None:
    """Let every failure below `app` leave as a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(OperatorFault)
    async def _operator_fault(_: Request, fault: OperatorFault) -> Response:
        return of_fault(fault).response()

    @app.exception_handler(CoreFault)
    async def _core_fault(_: Request, fault: CoreFault) -> Response:
        return of_fault(fault).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        return _of_validation(error).response()

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        return _of_http(error).response()


def of_bug(error: Exception) -> Problem:
    """The problem that a bug of ours is for whoever met it; where it came from goes to the log."""
    where = "".join(traceback.format_exception(error))
    trouble("api bug", error=type(error).__name__, traceback=where)
    return Problem(ApiCode.GATEWAY_FAULT, f"A bug of the gateway: {type(error).__name__}.")


def _of_validation(error: RequestValidationError) -> Problem:
    found = error.errors()[:_ERRORS_SHOWN_MAX]
    in_body = any(one["loc"][:1] == ("body",) for one in found)
    code = ApiCode.BODY_INVALID if in_body else ApiCode.PARAMETER_INVALID
    said = [f"{_place(one['loc'])}: {one['msg']}" for one in found]
    return Problem(code, "; ".join(said), errors=said)


def _place(location: Iterable[Any]) -> str:
    return ".".join(str(part) for part in list(location)[1:]) or "the body"


def _of_http(error: HTTPException) -> Problem:
    """A refusal of the framework: unknown path, wrong method, a body that is no JSON."""
    codes = {
        HTTPStatus.NOT_FOUND: ApiCode.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED: ApiCode.METHOD_NOT_ALLOWED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ApiCode.BODY_TOO_LARGE,
    }
    # What is left is the framework's 400 for a body that is no JSON in UTF-8.
    code = codes.get(HTTPStatus(error.status_code), ApiCode.BODY_INVALID)
    return Problem(code, str(error.detail), headers=error.headers)
