"""What a question to the EDR API may hold, and what it means: places, times, parameters.

Patterns are as narrow as the meaning allows, so that whatever fits them has an answer.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from fastapi import Path, Query

from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.products.cells import Ring

POINTS_MAX = 100
ROWS_MAX = 20_000
OPEN_MS = (0, 1 << 53)
_LONGITUDE = r"[+-]?(?:180(?:\.0{1,9})?|(?:1[0-7][0-9]|[0-9]{1,2})(?:\.[0-9]{1,9})?)"
_LATITUDE = r"[+-]?(?:90(?:\.0{1,9})?|[1-8]?[0-9](?:\.[0-9]{1,9})?)"
_POINT = f"{_LONGITUDE} {_LATITUDE}"
_POLYGON = rf"\({_POINT}(?:, ?{_POINT}){{2,{POINTS_MAX - 1}}}\)"
_DAY = (
    r"(?:19|20)[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?Z"
# 1900 had none.
_LEAP_DAY = r"(?:19(?:0[48]|[2468][048]|[13579][26])|20(?:[02468][048]|[13579][26]))-02-29"
_MOMENT = f"(?:{_DAY}|{_LEAP_DAY})(?:{_CLOCK})?"
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")

Format = Literal["CoverageJSON", "GeoJSON", "CSV"]
Collection = Annotated[
    str,
    Path(
        description="A collection of /edr/collections.",
        json_schema_extra={"enum": ["cells-10min", "cells-1h", "cells-1d", "stations"]},
    ),
]
Location = Annotated[
    str,
    Path(
        pattern="^(?:8[0-9a-f]{14}|[a-z2-7]{26})$",
        description="An H3 cell of resolution 5 to 8, or of the collection `stations` a station.",
        examples=["871f1d489ffffff"],
    ),
]
PointText = Annotated[
    str,
    Query(
        alias="coords",
        pattern=rf"^POINT ?\({_POINT}\)$",
        description="WKT, longitude first, in degrees.",
        examples=["POINT(13.4 52.5)"],
    ),
]
PolygonText = Annotated[
    str,
    Query(
        alias="coords",
        pattern=rf"^POLYGON ?\({_POLYGON}\)$",
        description=f"WKT, longitude first, one ring of at most {POINTS_MAX} points.",
        examples=["POLYGON((13 52, 14 52, 14 53, 13 53, 13 52))"],
    ),
]
Datetime = Annotated[
    str | None,
    Query(
        alias="datetime",
        pattern=rf"^(?:{_MOMENT}|(?:{_MOMENT}|\.\.)/(?:{_MOMENT}|\.\.))$",
        description="RFC 3339 in UTC: a moment, or an interval with both ends, `..` for open.",
        examples=["2026-03-01T00:00:00Z/.."],
    ),
]
ParameterNames = Annotated[
    str | None,
    Query(
        alias="parameter-name",
        pattern="^[a-z0-9_:]{1,64}(?:,[a-z0-9_:]{1,64}){0,63}$",
        description="Names of the collection, separated by commas. Default: all.",
        examples=["temperature"],
    ),
]
Resolution = Annotated[
    int,
    Query(alias="h3-resolution", ge=5, le=8, description="H3 resolution of the cells."),
]
Revision = Annotated[
    int | None,
    Query(ge=1, le=1 << 31, description="Of each product the newest one not above this."),
]
FormatChoice = Annotated[Format, Query(description="Format of the answer.")]


class Span(NamedTuple):
    """first_ms <= time <= last_ms; moment: both are the same on purpose."""

    first_ms: int
    last_ms: int


def point(text: str) -> tuple[float, float]:
    """Longitude and latitude of a text that fits the pattern."""
    longitude, latitude = (float(part) for part in _NUMBER.findall(text))
    return longitude, latitude


def ring(text: str) -> Ring:
    """The closed ring of a text that fits the pattern."""
    numbers = [float(part) for part in _NUMBER.findall(text)]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return points if points[0] == points[-1] else [*points, points[0]]


def span(text: str | None) -> Span | None:
    """The time of a text that fits the pattern; None if it leaves it to us."""
    if text is None:
        return None
    first, slash, last = text.partition("/")
    if not slash:
        return Span(_first_ms(first), _last_ms(first))
    return Span(
        OPEN_MS[0] if first == ".." else _first_ms(first),
        OPEN_MS[1] if last == ".." else _last_ms(last),
    )


def names(text: str | None) -> list[str] | None:
    return None if text is None else list(dict.fromkeys(text.split(",")))


def too_large(found: str) -> Problem:
    return Problem(
        ApiCode.PARAMETER_INVALID,
        f"The answer would hold more than {found}: ask for a shorter datetime, a smaller place, "
        "fewer parameter-name or a coarser h3-resolution.",
    )


def _first_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _last_ms(text: str) -> int:
    """A day without a clock time ends with its last millisecond."""
    day_ms = 0 if "T" in text else 86_400_000 - 1
    return _first_ms(text) + day_ms
