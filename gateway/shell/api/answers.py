"""Answers that several routes give: JSON that can be asked for again by ETag, and its parameters.

What a parameter may be is said once, here; FastAPI checks it and the OpenAPI document shows it.
"""

import hashlib
import json
from base64 import b32decode
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request, Response

from gateway.core.ids import parse_device
from gateway.shell.api.problems import Problem
from gateway.shell.errors import Code

TIME_MS_MAX = 2**53
JSON_TYPE = "application/json"
_ETAG_DIGITS = 32
# What is settled stays; what this version of the software makes of it may not.
SETTLED = "public, max-age=3600"
FRESH = "no-cache"

Device = Annotated[
    str,
    Path(
        pattern="^[a-z2-7]{26}$",
        description="A station's id.",
        examples=["h5x2exbg4yonsgxg7ipvz7nuwm"],
    ),
]
Epoch = Annotated[int, Path(ge=0, le=2**31, description="A UTC day number.", examples=[20514])]
Owner = Annotated[
    str,
    Path(
        pattern="^(0x)?[0-9a-fA-F]{40}$",
        description="An owner's id.",
        examples=["0xb8cbbc633f43d61eb9f8c3e86bc0eece6e31d144"],
    ),
]
After = Annotated[
    str | None,
    Query(pattern="^[a-z2-7]{26}$", description="Cursor: `next` of the page before."),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="ETag of the answer that you hold.")
]


def device_of(name: str) -> bytes:
    """The id that a name of the right form stands for; a Problem if it stands for none."""
    device = parse_device(name)
    if device is None:
        raise unknown_station(name)
    return device


def behind(cursor: str | None) -> bytes:
    """The ids that a page shows are above this one. Any cursor of the right form will do."""
    return b"" if cursor is None else b32decode(cursor.upper() + "======")


def unknown_station(name: str) -> Problem:
    return Problem(Code.STATION_UNKNOWN, f"No station {name} is registered with this gateway.")


def json_answer(
    document: Any,
    request: Request | None = None,
    *,
    cache: str = FRESH,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A JSON answer. With a request it has an ETag, and is 304 if the asker holds it already."""
    body = json.dumps(document, ensure_ascii=False).encode()
    sent = {"Cache-Control": cache, **(headers or {})}
    if request is not None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:_ETAG_DIGITS]}"'
        sent["ETag"] = tag
        if holds(request, tag):
            return Response(None, 304, sent)
    return Response(body, 200, sent, JSON_TYPE)


def holds(request: Request, tag: str) -> bool:
    """Whether If-None-Match names this ETag (RFC 9110 section 13.1.2: compared weakly)."""
    said = request.headers.get("If-None-Match", "")
    given = [part.strip().removeprefix("W/") for part in said.split(",")]
    return "*" in given or tag in given
