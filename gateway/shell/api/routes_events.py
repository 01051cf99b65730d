"""The event stream: ids, kinds and verdicts as they are judged, never a value.

Admitted messages come without a gap, in the order of the admission log: whatever the feed in
memory does not hold is read from the store. Refused ones are shown while they happen and are not
kept. A stream costs a bounded amount of memory: a client that does not keep up is cut off, and
asks again with the id of the last event that it saw.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from gateway.core.ids import DEVICE_ID_BYTES, device_name
from gateway.core.model import Kind
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.problems import ApiCode, Problem, documented
from gateway.shell.live import LiveEvent
from gateway.shell.store.base import Store

router = APIRouter(tags=["events"])
STREAMS_MAX = 256
HEARTBEAT_S = 15.0
EVENTS_MAX = 1_000_000
WAIT_MAX_S = 86_400
_PAGE = 500
_TYPE = "text/event-stream"
_KINDS = {int(kind): kind.name.lower().replace("_", "-") for kind in Kind}
_POSITION = r"^(-1|[0-9]{1,15})$"
_SENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"const": "message"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/EventShape"},
        },
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events. `data` is an EventShape in JSON.",
        "content": {_TYPE: {"schema": _SENT}},
    }
}


class _Bounds(NamedTuple):
    """limit: events, None for no end; wait_s: how long nothing may happen, None for ever."""

    limit: int | None
    wait_s: float | None


@router.get(
    "/v1/events",
    response_class=StreamingResponse,
    responses=_STREAM | documented(ApiCode.PARAMETER_INVALID),
)
async def events(
    api: WithApi,
    *,
    last_event_id: Annotated[
        str | None, Header(pattern=_POSITION, description="Go on behind this event.")
    ] = None,
    after: Annotated[
        str | None,
        Query(
            pattern=_POSITION,
            description="The same without a header. -1: from the first message on.",
        ),
    ] = None,
    limit: Annotated[int | None, Query(ge=1, le=EVENTS_MAX, description="End after.")] = None,
    wait: Annotated[
        int | None,
        Query(ge=0, le=WAIT_MAX_S, description="End when nothing has come for so many seconds."),
    ] = None,
) -> Response:
    """Messages as they are judged: `{position, device, message_id, kind, verdict, recv_ms}`.

    The id of an event is its position in the admission log. A client that comes back with
    `Last-Event-ID` misses no admitted message; refused ones have no id and are shown live only.
    """
    if api.streams >= STREAMS_MAX:
        raise Problem(
            ApiCode.BUSY, f"{STREAMS_MAX} streams are open.", headers={"Retry-After": "10"}
        )
    known = last_event_id or after
    position = None if known is None else int(known)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(api, position, _Bounds(limit, wait))
    return StreamingResponse(stream, 200, headers, _TYPE)


async def _stream(api: Api, position: int | None, bounds: _Bounds) -> AsyncIterator[bytes]:
    api.streams += 1
    try:
        yield b"retry: 2000\n\n"
        left = bounds.limit
        async with aclosing(_events(api, position, bounds.wait_s)) as batches:
            async for batch in batches:
                shown = batch if left is None else batch[:left]
                yield b"".join(map(_event, shown)) if shown else b": still here\n\n"
                if left is not None:
                    left -= len(shown)
                    if left <= 0:
                        return
    finally:
        api.streams -= 1


async def _events(
    api: Api, position: int | None, wait_s: float | None
) -> AsyncGenerator[list[LiveEvent], None]:
    """Batches of events behind `position`, admitted ones without a gap; an empty batch is a sign
    of life.
    """
    if position is None:
        position = await api.read(lambda store: store.admission_head().length - 1)
    elif api.deps.live.since(position) is None:
        # Not watching yet: a long way back must not overflow what is held for this stream.
        async for batch in _backlog(api, position, None):
            position = _newest(batch, position)
            yield batch
    fresh = api.deps.live.since(position) or []
    watcher = api.deps.live.watch()
    try:
        while not watcher.overflowed:
            async for batch in _filled(api, fresh, position):
                position = _newest(batch, position)
                yield batch
            idle_s = 0.0
            while True:
                step_s = HEARTBEAT_S if wait_s is None else min(HEARTBEAT_S, wait_s - idle_s)
                fresh = await watcher.next(step_s)
                idle_s += step_s
                if fresh:
                    break
                silent = wait_s is not None and idle_s >= wait_s
                if silent or watcher.overflowed or api.deps.live.closed:
                    return
                yield []
    finally:
        watcher.close()


async def _filled(
    api: Api, fresh: list[LiveEvent], position: int
) -> AsyncIterator[list[LiveEvent]]:
    """Those of `fresh` behind `position`; admitted ones that are absent come from the store."""
    run: list[LiveEvent] = []
    for event in fresh:
        if event.position is not None:
            if event.position <= position:
                continue
            if event.position > position + 1:
                if run:
                    yield run
                    run = []
                async for page in _backlog(api, position, event.position):
                    yield page
            position = event.position
        run.append(event)
    if run:
        yield run


def _newest(batch: list[LiveEvent], position: int) -> int:
    return max([position, *(e.position for e in batch if e.position is not None)])


async def _backlog(api: Api, position: int, before: int | None) -> AsyncIterator[list[LiveEvent]]:
    """Admitted messages behind `position` up to `before`, or to the end of the log."""
    while (before is None or position + 1 < before) and not api.deps.live.closed:
        first = position + 1
        page = await api.read(partial(_page, first=first, before=before))
        if page:
            position = _newest(page, position)
            yield page
        if len(page) < _PAGE:
            return


def _page(store: Store, first: int, before: int | None) -> list[LiveEvent]:
    last = store.admission_head().length if before is None else before
    last = min(last, first + _PAGE)
    events = []
    for position, logged in enumerate(store.iterate(first), first):
        if position >= last:
            break
        entry = logged.entry
        decoded = decode(logged.data, store.network_id)
        assert not isinstance(decoded, Verdict), "an admitted message does not decode"
        message = decoded.message
        events.append(
            LiveEvent(
                position,
                message.device,
                entry.message_id,
                message.kind,
                entry.verdict,
                entry.recv_ms,
            )
        )
    return events


def _event(one: LiveEvent) -> bytes:
    kind = None if one.kind is None else _KINDS.get(one.kind, str(one.kind))
    data = {
        "position": one.position,
        "device": device_name(one.device) if len(one.device) == DEVICE_ID_BYTES else None,
        "message_id": one.message_id.hex() or None,
        "kind": kind,
        "verdict": one.verdict.name.lower(),
        "recv_ms": one.recv_ms,
    }
    lead = "" if one.position is None else f"id: {one.position}\n"
    return f"{lead}event: message\ndata: {json.dumps(data)}\n\n".encode()
