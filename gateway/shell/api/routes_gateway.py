"""Routes about the gateway itself: time, health, what network this is, what it refuses."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.core.ids import device_name
from gateway.core.statements import open_statement
from gateway.core.verdicts import ADVICE, Verdict
from gateway.shell.api.answers import json_answer
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.models import HealthShape, NetworkShape, VerdictsShape
from gateway.shell.api.problems import ApiCode, Problem, documented
from gateway.shell.epochs import next_epoch
from gateway.shell.health import Health
from gateway.shell.metrics import CONTENT_TYPE
from gateway.shell.network import Network
from gateway.shell.store.base import Store

router = APIRouter()
# 16 bytes in base64url: 22 characters, of which the last holds two bits alone.
_NONCE = "^[A-Za-z0-9_-]{21}[AQgw]$"
_Responses = dict[int | str, dict[str, Any]]
_CBOR: _Responses = {200: {"content": {"application/cbor": {"schema": {"type": "string"}}}}}
_TEXT: _Responses = {200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}}


@router.get(
    "/v1/time",
    tags=["boards"],
    response_class=Response,
    responses=_CBOR | documented(ApiCode.PARAMETER_INVALID, ApiCode.CLOCK_UNSET),
)
async def signed_time(
    api: WithApi,
    nonce: Annotated[
        str,
        Query(
            pattern=_NONCE,
            description="16 random bytes in base64url, without padding.",
            examples=["AAAAAAAAAAAAAAAAAAAAAA"],
        ),
    ],
) -> Response:
    """Protocol time, signed for this nonce: CBOR `[key statement, time message]` (protocol 7)."""
    try:
        raw = base64.b64decode(nonce + "==", altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise Problem(ApiCode.PARAMETER_INVALID, f"nonce: {error}") from error
    body = await api.call(lambda gateway, now_ms: gateway.answer_time(raw, now_ms))
    return Response(body, 200, {"Cache-Control": "no-store"}, "application/cbor")


@router.get(
    "/health",
    tags=["gateway"],
    response_model=HealthShape,
    responses=documented(ApiCode.NOT_LIVE),
)
async def health(api: WithApi) -> Response:
    """Whether the process can do its work, or must be started again."""
    now = api.deps.health()
    if now.live:
        return json_answer(_health(now), cache="no-store")
    raise Problem(ApiCode.NOT_LIVE, _failed(now), checks=_health(now)["checks"])


@router.get(
    "/ready",
    tags=["gateway"],
    response_model=HealthShape,
    responses=documented(ApiCode.NOT_READY),
)
async def ready(api: WithApi) -> Response:
    """Whether a message that is sent now is taken in, and each thing that this needs."""
    now = api.deps.health()
    if now.ready:
        return json_answer(_health(now), cache="no-store")
    raise Problem(ApiCode.NOT_READY, _failed(now), checks=_health(now)["checks"])


@router.get("/metrics", tags=["gateway"], response_class=Response, responses=_TEXT | documented())
async def metrics(api: WithApi) -> Response:
    """Counters and gauges, as Prometheus reads them."""
    now_ms = api.deps.clock.now_ms()
    if now_ms is not None:
        api.deps.metrics.protocol_time(now_ms)
    # Not as media_type: Starlette would add a second charset to it.
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
    return Response(api.deps.metrics.render(), 200, headers)


@router.get(
    "/v1/network",
    tags=["network"],
    response_model=NetworkShape,
    responses=documented(),
)
async def network(api: WithApi) -> Response:
    """Which network this is, and the keys that speak for it: all that an auditor starts from."""
    epoch = await api.read(lambda store: next_epoch(store, api.deps.network))
    return json_answer(_network(api, epoch))


@router.get(
    "/v1/verdicts",
    tags=["network"],
    response_model=VerdictsShape,
    responses=documented(),
)
async def verdicts(api: WithApi) -> Response:
    """How many messages were refused with each verdict, and what each tells their sender."""
    return json_answer({"verdicts": await api.read(_refused)})


def _refused(store: Store) -> list[dict[str, Any]]:
    return [
        {
            "verdict": verdict.name.lower(),
            "code": int(verdict),
            "refused": count,
            **ADVICE[verdict]._asdict(),
        }
        for verdict, count in sorted(store.refused_counts().items())
    ]


def _health(now: Health) -> dict[str, Any]:
    checks = [
        {"name": one.name, "ok": one.ok, "detail": one.detail, "do": one.do} for one in now.checks
    ]
    return {"live": now.live, "ready": now.ready, "checks": checks}


def _failed(now: Health) -> str:
    failed = [f"{one.name}: {one.detail}" for one in now.checks if not one.ok]
    return "; ".join(failed) or "No check says why."


def _network(api: Api, epoch: int) -> dict[str, Any]:
    known = api.deps.network
    return {
        "name": known.genesis.name,
        "network_id": known.network_id.hex(),
        "root_key": known.genesis.root_key.hex(),
        "genesis": known.genesis_bytes.hex(),
        "simulated": known.genesis.simulated,
        "epoch_zero_ms": known.genesis.epoch_zero_ms,
        "statements": [_statement(known, data) for data in known.statements],
        "protocol_time_ms": api.deps.clock.now_ms(),
        "next_epoch": epoch,
    }


def _statement(known: Network, data: bytes) -> dict[str, Any]:
    opened = open_statement(data, known.network_id, known.genesis.root_key)
    assert not isinstance(opened, Verdict), "the gateway opened it before"
    return {
        "role": opened.role.value,
        "kid": device_name(opened.kid),
        "public_key": opened.public_key.hex(),
        "serial": opened.serial,
        "not_before_ms": opened.not_before_ms,
        "not_after_ms": opened.not_after_ms,
        "bytes": data.hex(),
    }
