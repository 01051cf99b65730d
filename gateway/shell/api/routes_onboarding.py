"""What a board needs to join, and what the gateway has seen of one board so far.

For whoever sets a board up: no key is asked for, since all of it is public. Ids, kinds and
verdicts of a device are no secret (`/v1/events` shows them); values are not in here.
"""

import json
from typing import Any

from fastapi import APIRouter, Response

from gateway.core.ids import device_name
from gateway.core.model import Kind
from gateway.core.verdicts import ADVICE, Verdict
from gateway.shell.api.answers import Device, device_of, json_answer
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.models import BoardSeenShape, OnboardingShape
from gateway.shell.api.problems import ApiCode, documented
from gateway.shell.errors import Code
from gateway.shell.station_look import approved_devices
from gateway.shell.store.base import Refused, Store

router = APIRouter(prefix="/v1/onboarding", tags=["boards"])
_KINDS = {int(kind): kind.name.lower().replace("_", "-") for kind in Kind}


@router.get("", response_model=OnboardingShape, responses=documented())
async def onboarding(api: WithApi) -> Response:
    """What a board must be told to join this network, and where it reaches this gateway."""
    told = await api.read(api.onboarding)
    return json_answer(told.document(), cache="no-store")


@router.get(
    "/{device}",
    response_model=BoardSeenShape,
    responses=documented(ApiCode.PARAMETER_INVALID, Code.STATION_UNKNOWN),
)
async def board_seen(api: WithApi, device: Device) -> Response:
    """What has come of one board so far, registered or not: the end of setting one up."""
    wanted = device_of(device)
    return json_answer(
        await api.read_indexed(lambda store: _seen(api, store, wanted)), cache="no-store"
    )


def _seen(api: Api, store: Store, device: bytes) -> dict[str, Any]:
    station = api.index.station(device)
    refused = _refused(store, device)
    return {
        "device": device_name(device),
        "state": _state(api, store, device, refused),
        "registered_ms": None if station is None else station.registered_ms,
        "last_ms": None if station is None else station.last_ms,
        "last_kind": None if station is None else _KINDS.get(station.last_kind),
        "reporting_interval_ms": None if station is None else _interval_ms(station.declared),
        "readings": _readings(api, store, device),
        "refused": [
            {
                "verdict": one.verdict.name.lower(),
                "recv_ms": one.recv_ms,
                **ADVICE[one.verdict]._asdict(),
            }
            for one in refused
        ],
        "position": store.admission_head().length - 1,
    }


def _state(api: Api, store: Store, device: bytes, refused: list[Refused]) -> str:
    if api.index.station(device) is not None:
        return "registered"
    waits = any(one.verdict is Verdict.WAITING_APPROVAL for one in refused)
    if waits and device not in approved_devices(store, api.deps.network):
        return "waiting_approval"
    return "unknown"


def _refused(store: Store, device: bytes) -> list[Refused]:
    """Its newest refusal of every verdict, as far as samples were kept; the newest first."""
    newest = []
    for verdict in store.refused_counts():
        samples = [one for one in store.refused_samples(verdict) if one.device == device]
        newest += samples[:1]
    return sorted(newest, key=lambda one: one.recv_ms, reverse=True)


def _readings(api: Api, store: Store, device: bytes) -> dict[str, Any] | None:
    found = api.index.newest_readings(device)
    if found is None:
        return None
    (entry,) = store.entries(found.position, found.position + 1)
    return {
        "message_id": found.message_id.hex(),
        "position": found.position,
        "recv_ms": found.recv_ms,
        "verdict": entry.verdict.name.lower(),
    }


def _interval_ms(declared: str) -> int | None:
    return min((interval_ms for _, _, interval_ms in json.loads(declared)), default=None)
