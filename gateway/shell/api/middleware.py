"""Around every route: how much of a body is taken in, the headers that every answer has, and what
becomes of a bug.

Plain ASGI: Starlette's own base class would put a buffer between an event stream and its client.
"""

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.shell.api.problems import ApiCode, Problem, of_bug

BODY_BYTES_MAX = 65_536
_TOO_LARGE = f"More than {BODY_BYTES_MAX} bytes."
OPERATOR_PATHS = "/v1/operator/"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Nothing here is a page: were it shown as one, it could load and run nothing.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# The pages: their own files and this gateway, nothing inline, no code made from text.
_PAGE = {
    **_HEADERS,
    "Content-Security-Policy": "default-src 'self'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "serial=(self), geolocation=(self), camera=(), microphone=(), usb=()",
}
_PAGES = ("/flash",)
# What a script of another site may read besides the body.
_EXPOSED = "ETag, Link, Cairn-Released-To, Cairn-Sha256, Retry-After"


class Surroundings:
    """Bounds bodies and adds headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outward = _with_headers(scope, send)
        if _stated_length(scope) > BODY_BYTES_MAX:
            await Problem(ApiCode.BODY_TOO_LARGE, _TOO_LARGE).response()(scope, receive, outward)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await outward(message)

        try:
            await self._app(scope, _bounded(receive), noted)
        except Exception as error:
            # Raised further it would cost the client its connection, and others behind a proxy.
            if started:
                raise
            await of_bug(error).response()(scope, receive, outward)


def _with_headers(scope: Scope, send: Send) -> Send:
    page = _is_page(scope["path"])
    public = not page and not scope["path"].startswith(OPERATOR_PATHS)
    added = _PAGE if page else _HEADERS

    async def outward(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in added.items():
                headers[name] = value
            # Anybody's page may read what anybody may read. No credentials are involved: the
            # operator's key is never sent by a browser on its own.
            if public and scope["method"] == "GET":
                headers["Access-Control-Allow-Origin"] = "*"
                headers["Access-Control-Expose-Headers"] = _EXPOSED
        await send(message)

    return outward


def _is_page(path: str) -> bool:
    return any(path == one or path.startswith(one + "/") for one in _PAGES)


def _bounded(receive: Receive) -> Receive:
    taken = 0

    async def inward() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES_MAX:
                # FastAPI lets through nothing else from a body; problems.py knows the status.
                raise HTTPException(413, _TOO_LARGE)
        return message

    return inward


def _stated_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
