"""Shapes of the EDR API's own documents and of the map of cells, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel


class LinkShape(BaseModel):
    href: str
    rel: str
    type: str
    title: str


class LandingShape(BaseModel):
    title: str
    description: str
    links: list[LinkShape]


class ConformanceShape(BaseModel):
    conformsTo: list[str]  # noqa: N815 - the standard's name


class CollectionShape(BaseModel):
    """parameter_names: by name, with unit (UCUM) and CF standard name."""

    id: Literal["cells-10min", "cells-1h", "cells-1d", "stations"]
    title: str
    links: list[LinkShape]
    extent: dict[str, Any]
    data_queries: dict[str, Any]
    crs: list[str]
    output_formats: list[str]
    parameter_names: dict[str, Any]


class CollectionsShape(BaseModel):
    links: list[LinkShape]
    collections: list[CollectionShape]
