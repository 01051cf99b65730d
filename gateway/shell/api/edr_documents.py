"""The EDR API's description of itself: landing page, conformance, collections."""

from collections.abc import Mapping
from typing import Any

from gateway.core.quantities import Quantity
from gateway.shell.api.coverage_json import CRS84
from gateway.shell.api.edr_parameters import (
    CELLS,
    STATIONS,
    cell_parameters,
    documents,
    reading_parameter,
)
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.products.table import iso

FORMATS = ["CoverageJSON", "GeoJSON", "CSV"]
NAMES = (*CELLS, STATIONS)
_CONFORMS_TO = [
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/core",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/queries",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/json",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/covjson",
]
_TITLES = {
    "cells-10min": "Cells, ten minutes",
    "cells-1h": "Cells, one hour",
    "cells-1d": "Cells, one day",
    STATIONS: "Stations' readings",
}
_JSON = "application/json"
Document = dict[str, Any]


def landing(base: str) -> Document:
    """base: URL of the gateway, without a slash at its end."""
    return {
        "title": "Cairn gateway",
        "description": "Products of H3 cells, and stations' readings. docs/products.md explains.",
        "links": [
            _link(f"{base}/edr", "self", "This page"),
            _link(
                f"{base}/openapi.json",
                "service-desc",
                "The API",
                "application/vnd.oai.openapi+json;version=3.1",
            ),
            _link(f"{base}/edr/conformance", "conformance", "What it conforms to"),
            _link(f"{base}/edr/collections", "data", "Collections"),
        ],
    }


def conformance() -> Document:
    return {"conformsTo": _CONFORMS_TO}


def collections(
    base: str,
    quantities: Mapping[int, Quantity],
    extents_ms: Mapping[str, tuple[int, int] | None],
) -> Document:
    return {
        "links": [_link(f"{base}/edr/collections", "self", "Collections")],
        "collections": [
            collection(base, name, quantities, extents_ms.get(name)) for name in NAMES
        ],
    }


def check_name(name: str) -> None:
    if name not in NAMES:
        raise Problem(
            ApiCode.NOT_FOUND, f"There is no collection {name[:64]!r}, but {', '.join(NAMES)}."
        )


def collection(
    base: str,
    name: str,
    quantities: Mapping[int, Quantity],
    extent_ms: tuple[int, int] | None,
) -> Document:
    """extent_ms: the first and the last time with data, None if there is none."""
    url = f"{base}/edr/collections/{name}"
    if name == STATIONS:
        described = {
            one.name: reading_parameter(one.name, quantities) for one in quantities.values()
        }
        duration = None
    else:
        described = {key: one.described for key, one in cell_parameters(quantities).items()}
        duration = CELLS[name].iso
    extent: Document = {"spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]], "crs": "OGC:CRS84"}}
    if extent_ms is not None:
        first, last = map(iso, extent_ms)
        extent["temporal"] = {
            "interval": [[first, last]],
            "values": [f"{first}/{last}"],
            "trs": "Gregorian",
        }
    return {
        "id": name,
        "title": _TITLES[name],
        "links": [_link(url, "self", _TITLES[name])],
        "extent": extent,
        "data_queries": {
            kind: {"link": _query(url, kind)} for kind in ("position", "area", "locations")
        },
        "crs": [CRS84],
        "output_formats": FORMATS,
        "parameter_names": documents(described, duration),
    }


def _query(url: str, kind: str) -> Document:
    return {
        "href": f"{url}/{kind}",
        "rel": "data",
        "type": _JSON,
        "variables": {
            "query_type": kind,
            "output_formats": ["GeoJSON"] if kind == "locations" else FORMATS,
            "default_output_format": "GeoJSON" if kind == "locations" else FORMATS[0],
        },
    }


def _link(href: str, rel: str, title: str, media: str = _JSON) -> Document:
    return {"href": href, "rel": rel, "type": media, "title": title}
