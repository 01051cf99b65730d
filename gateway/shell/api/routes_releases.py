"""What boards fetch when a new program is announced (protocol section 13), in plain HTTP.

Nothing here needs trust: a board believes signatures and hashes alone. What is withdrawn is gone.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response

from gateway.core.releases import INDEX
from gateway.shell.api.answers import FRESH, holds, json_answer
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.models import ReleasesShape
from gateway.shell.api.problems import ApiCode, Problem, documented

router = APIRouter(prefix="/v1/releases", tags=["boards"])
_CBOR = "application/cbor"
_BYTES = "application/octet-stream"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
# RFC 9110 section 14.2: a Range that is understood is one; any other is as if it were absent.
_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))", re.ASCII)
_HELD: dict[int | str, dict[str, Any]] = {304: {"description": "What you hold is still so."}}
_GONE = (ApiCode.PARAMETER_INVALID, ApiCode.RELEASE_MISSING)
Counter = Annotated[int, Path(ge=1, lt=2**53, description="The release's number.", examples=[7])]


def _bytes_of(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: _BINARY}}}


@router.get("", response_model=ReleasesShape, responses=_HELD | documented())
async def releases(request: Request, api: WithApi) -> Response:
    """Every release that was ever published here, and which one boards are told to run."""
    known = await api.in_thread(api.shelf.releases)
    live = [one.counter for one in known if one.withdrawn_ms is None]
    document = {
        "announced": live[-1] if live else None,
        "releases": [asdict(one) for one in reversed(known)],
    }
    return json_answer(document, request)


@router.get(
    "/files/{sha256}",
    response_class=Response,
    responses={
        **_bytes_of(_BYTES),
        206: {"description": "The bytes that Range asks for.", "content": {_BYTES: _BINARY}},
        **_HELD,
        **documented(*_GONE, ApiCode.RANGE_UNSATISFIABLE),
    },
)
async def release_file(
    request: Request,
    api: WithApi,
    sha256: Annotated[
        str,
        Path(
            pattern="^[0-9a-f]{64}$",
            description="Hash of the file, from a manifest.",
            examples=["0" * 64],
        ),
    ],
    *,
    range_: Annotated[
        str | None, Header(alias="Range", description="`bytes=FIRST-` goes on behind a break.")
    ] = None,
) -> Response:
    """One file of a release, or the part of it that is still missing."""
    data = await _found(api, lambda: api.shelf.file(sha256), f"file {sha256}")
    tag = f'"{sha256}"'
    headers = {"ETag": tag, "Cache-Control": FRESH, "Accept-Ranges": "bytes"}
    if holds(request, tag):
        return Response(None, 304, headers)
    # A file is named by its hash: what If-Range asks is answered by its path.
    span = None if range_ is None else _span(range_, len(data))
    if span is None:
        return Response(data, 200, headers, _BYTES)
    first, last = span
    if first > last:
        raise Problem(
            ApiCode.RANGE_UNSATISFIABLE,
            f"The file has {len(data)} bytes.",
            headers={"Content-Range": f"bytes */{len(data)}"},
        )
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, headers, _BYTES)


@router.get(
    "/{counter}/index",
    response_class=Response,
    responses=_bytes_of(_CBOR) | _HELD | documented(*_GONE),
)
async def release_index(request: Request, api: WithApi, counter: Counter) -> Response:
    """The index of a release: CBOR `[[architecture, bundle size, SHA-256 of the bundle], ...]`."""
    return await _document(api, request, counter, INDEX)


@router.get(
    "/{counter}/{architecture}",
    response_class=Response,
    responses=_bytes_of(_CBOR) | _HELD | documented(*_GONE),
)
async def release_bundle(
    request: Request,
    api: WithApi,
    counter: Counter,
    architecture: Annotated[
        str,
        Path(
            pattern="^[a-z0-9]{1,16}$",
            description="As boards name theirs.",
            examples=["xtensawin"],
        ),
    ],
) -> Response:
    """A release's bundle for one architecture: CBOR `[trust, manifest, signatures]`."""
    return await _document(api, request, counter, architecture)


async def _document(api: Api, request: Request, counter: int, name: str) -> Response:
    what = f"release {counter}" if name == INDEX else f"release {counter} for {name}"
    data = await _found(api, lambda: api.shelf.document(counter, name), what)
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": FRESH}
    if holds(request, tag):
        return Response(None, 304, headers)
    return Response(data, 200, headers, _CBOR)


async def _found(api: Api, read: Callable[[], bytes | None], what: str) -> bytes:
    data = await api.in_thread(read)
    if data is None:
        raise Problem(ApiCode.RELEASE_MISSING, f"No {what} is served here.")
    return data


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range means, the first behind the last if there are none; None
    if it is no Range that we know: then all of it is meant.
    """
    match = _RANGE.fullmatch(asked.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return max(size - int(suffix), 0), size - 1 if int(suffix) else -1
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last else size - 1
