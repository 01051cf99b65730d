"""EDR answers in each format, with an ETag; 204 where there is nothing at that place and time."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from gateway.shell.api.answers import FRESH, holds
from gateway.shell.api.coverage_json import MEDIA_TYPE as COVERAGE_TYPE
from gateway.shell.api.edr_query import Format

RELEASED_TO = "Cairn-Released-To"
GEOJSON_TYPE = "application/geo+json"
CSV_TYPE = "text/csv; charset=utf-8"
TYPES: Mapping[Format, str] = {
    "CoverageJSON": COVERAGE_TYPE,
    "GeoJSON": GEOJSON_TYPE,
    "CSV": CSV_TYPE,
}
_ETAG_DIGITS = 32
_HEADERS = {
    RELEASED_TO: {
        "description": "Complete up to here, in ms since 1970, but for what comes late.",
        "schema": {"type": "string"},
    }
}
_POSITION = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_GEOMETRY = {
    "oneOf": [
        {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {"const": "Polygon"},
                "coordinates": {
                    "type": "array",
                    "items": {"type": "array", "items": _POSITION, "minItems": 4},
                },
            },
        },
        {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {"type": {"const": "Point"}, "coordinates": _POSITION},
        },
    ]
}
GEOJSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "id", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "id": {"type": "string"},
                    "geometry": _GEOMETRY,
                    "properties": {"type": "object"},
                },
            },
        },
    },
}
_COVERAGE_SCHEMA = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": ["Coverage", "CoverageCollection"]}},
}
DATA: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Data in the format asked for.",
        "headers": _HEADERS,
        "content": {
            COVERAGE_TYPE: {"schema": _COVERAGE_SCHEMA},
            GEOJSON_TYPE: {"schema": GEOJSON_SCHEMA},
            CSV_TYPE: {"schema": {"type": "string"}},
        },
    },
    204: {"description": "No data at that place and time.", "headers": _HEADERS},
}
FEATURES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A FeatureCollection.",
        "headers": _HEADERS
        | {"Link": {"description": 'The next page, rel="next".', "schema": {"type": "string"}}},
        "content": {GEOJSON_TYPE: {"schema": GEOJSON_SCHEMA}},
    },
}


def body_answer(
    request: Request,
    body: bytes | None,
    media: str,
    released_to_ms: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that can be asked for again by ETag; 204 without a body."""
    sent = {"Cache-Control": FRESH, RELEASED_TO: str(released_to_ms), **(headers or {})}
    if body is None:
        return Response(None, 204, sent)
    sent["ETag"] = tag = f'"{hashlib.sha256(body).hexdigest()[:_ETAG_DIGITS]}"'
    if holds(request, tag):
        return Response(None, 304, sent)
    return Response(body, 200, sent, media)


def features(found: list[dict[str, Any]], **members: Any) -> bytes:
    """A GeoJSON FeatureCollection with further members."""
    document = {"type": "FeatureCollection", "features": found, **members}
    return json.dumps(document, ensure_ascii=False).encode()
