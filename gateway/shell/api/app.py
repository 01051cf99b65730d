"""The API as an ASGI application, and its OpenAPI document. `create_app` is the way in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from gateway.shell.api import (
    problems,
    routes_cells,
    routes_edr,
    routes_epochs,
    routes_events,
    routes_flash,
    routes_gateway,
    routes_onboarding,
    routes_operator,
    routes_readings,
    routes_releases,
    routes_stations,
)
from gateway.shell.api.context import Api
from gateway.shell.api.deps import ApiDeps
from gateway.shell.api.edr_context import ProductsFeed
from gateway.shell.api.middleware import Surroundings
from gateway.shell.api.models import EventShape, SenmlRecordShape

VERSION = "1.0"
_TITLE = "Cairn gateway"
_DESCRIPTION = (
    "Signed readings, what became of them, and every payment with its reasons. Times are "
    "milliseconds since 1970 UTC; amounts are decimal text in base units of 10^-18 token. Every "
    "refusal is a problem (RFC 9457) with a `code` that keeps its meaning. docs/api.md explains."
)
# Referred to by text alone.
_SHAPES = (SenmlRecordShape, EventShape)
_MODULES = (
    routes_gateway,
    routes_onboarding,
    routes_flash,
    routes_stations,
    routes_readings,
    routes_releases,
    routes_cells,
    routes_edr,
    routes_epochs,
    routes_events,
    routes_operator,
)


def create_app(deps: ApiDeps) -> FastAPI:
    """The API of one gateway. It opens what it needs itself and closes it with its lifespan."""
    app = _bare()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        api = app.state.api = Api(deps)
        feed = app.state.products = ProductsFeed(api)
        api.begin()
        feed.begin()
        yield
        await feed.end()
        await api.end()
        feed.close()

    app.router.lifespan_context = lifespan
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document, which needs no gateway."""
    return _bare().openapi()


def _bare() -> FastAPI:
    app = FastAPI(
        title=_TITLE,
        version=VERSION,
        # Its pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation,
    )
    for module in _MODULES:
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(Surroundings)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=_TITLE, version=VERSION, description=_DESCRIPTION, routes=app.routes
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = problems.SCHEMA
        for shape in _SHAPES:
            schemas[shape.__name__] = shape.model_json_schema()
        for parameter in _parameters(made):
            parameter["schema"] = _without_null(parameter["schema"])
        app.openapi_schema = made
    return app.openapi_schema


def _parameters(made: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [one for path in made["paths"].values() for one in path.values()]
    return [parameter for one in operations for parameter in one.get("parameters", [])]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not given is absent: there is no null in a URL or a header."""
    match schema:
        case {"anyOf": [some, {"type": "null"}], **rest}:
            return {**some, **rest}
        case _:
            return schema


def _operation(route: APIRoute) -> str:
    return route.name
