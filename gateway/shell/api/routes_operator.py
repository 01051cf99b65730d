"""The operator's verbs, behind the API key: each becomes a signed event in the operator log."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.core.ids import DEVICE_ID_BYTES, device_name
from gateway.core.operator import TEXT_BYTES_MAX, OperatorKind
from gateway.core.verdicts import Verdict
from gateway.shell.api.answers import device_of, json_answer
from gateway.shell.api.context import Api, WithApi
from gateway.shell.api.models import AnnouncedShape, LoggedShape, SamplesShape
from gateway.shell.api.problems import ApiCode, documented
from gateway.shell.api.withheld import sample_visible_ms
from gateway.shell.errors import Code
from gateway.shell.published import parse_owner
from gateway.shell.service import Gateway
from gateway.shell.store.base import Refused, Store

_SEQ_MAX = 2**53 - 1
_EPOCH_MAX = 2**31
# For the OpenAPI document; the check itself is ours, so that it is a problem like any other.
_bearer = HTTPBearer(auto_error=False, description="The key in keys/api.key of the gateway.")
_KEYS = (ApiCode.KEY_MISSING, ApiCode.KEY_WRONG)
VERDICT_NAMES = tuple(verdict.name.lower() for verdict in Verdict)


async def _authorized(api: WithApi, request: Request) -> None:
    api.check_key(request.headers.get("Authorization"))


router = APIRouter(
    prefix="/v1/operator",
    tags=["operator"],
    dependencies=[Depends(_authorized), Depends(_bearer)],
)
_LOGGED: dict[str, Any] = {
    "response_model": LoggedShape,
    "responses": documented(
        *_KEYS,
        ApiCode.BODY_INVALID,
        ApiCode.BODY_TOO_LARGE,
        ApiCode.CLOCK_UNSET,
        Code.EVENT_REFUSED,
        Code.STATION_UNKNOWN,
    ),
}

Station = Annotated[str, Field(pattern="^[a-z2-7]{26}$", examples=["h5x2exbg4yonsgxg7ipvz7nuwm"])]


def _whole(value: Any) -> Any:
    # In JSON 5.0 is the integer 5; a strict model would not have it.
    return int(value) if isinstance(value, float) and value.is_integer() else value


Seq = Annotated[int, Field(ge=1, le=_SEQ_MAX), BeforeValidator(_whole)]


class Body(BaseModel):
    # Strict: "1" is no number and 1 no boolean; what is signed should be what was meant.
    model_config = ConfigDict(extra="forbid", strict=True)


class ApproveBody(Body):
    station: Station


class AnchorBody(Body):
    """anchored: audited by hand; false takes it back."""

    station: Station
    anchored: bool = True


class OwnerBody(Body):
    station: Station
    owner: str = Field(pattern="^(0x)?[0-9a-fA-F]{40}$")


class QuarantineBody(Body):
    """reason: at most 64 bytes, for the station's owner to read."""

    station: Station
    first: Seq
    last: Seq
    reason: str = Field(max_length=TEXT_BYTES_MAX)


class AppealBody(Body):
    """lifted: the quarantine of exactly this range ends; false puts it back."""

    station: Station
    first: Seq
    last: Seq
    lifted: bool = True


class RulesBody(Body):
    """rules_hash: SHA-256 of a file in rules/ of the data directory."""

    first_epoch: Annotated[int, Field(ge=0, le=_EPOCH_MAX), BeforeValidator(_whole)]
    rules_hash: str = Field(pattern="^[0-9a-f]{64}$")


@router.post("/approve", **_LOGGED)
async def approve(api: WithApi, body: ApproveBody) -> Response:
    """Let a device register, where the policy asks for approval."""
    return await _log(api, OperatorKind.APPROVE, [device_of(body.station)])


@router.post("/anchor", **_LOGGED)
async def anchor(api: WithApi, body: AnchorBody) -> Response:
    """Say that a station's place was audited by hand, or take that back."""
    event = [device_of(body.station), int(body.anchored)]
    return await _log(api, OperatorKind.ANCHOR, event)


@router.post("/owner", **_LOGGED)
async def owner(api: WithApi, body: OwnerBody) -> Response:
    """Set the owner whom a station's pay goes to."""
    owner_id = parse_owner(body.owner)
    assert owner_id is not None, "the pattern of the body"
    return await _log(api, OperatorKind.OWNER, [device_of(body.station), owner_id])


@router.post("/quarantine", **_LOGGED)
async def quarantine(api: WithApi, body: QuarantineBody) -> Response:
    """Leave the readings of a range of seqs unpaid."""
    event = [device_of(body.station), body.first, body.last, body.reason]
    return await _log(api, OperatorKind.QUARANTINE, event)


@router.post("/appeal", **_LOGGED)
async def appeal(api: WithApi, body: AppealBody) -> Response:
    """Lift the quarantine of exactly this range, or put it back."""
    event = [device_of(body.station), body.first, body.last, int(body.lifted)]
    return await _log(api, OperatorKind.APPEAL, event)


@router.post(
    "/rules", **(_LOGGED | {"responses": _LOGGED["responses"] | documented(Code.RULES_UNKNOWN)})
)
async def rules(api: WithApi, body: RulesBody) -> Response:
    """Announce the rules that count from an epoch on."""
    event = [body.first_epoch, bytes.fromhex(body.rules_hash)]
    return await _log(api, OperatorKind.RULES, event)


@router.post("/announce-release", response_model=AnnouncedShape, responses=documented(*_KEYS))
async def announce_release(api: WithApi) -> Response:
    """Tell boards again which release to run: after one was published or withdrawn."""
    await api.deps.tell_release()
    known = await api.in_thread(api.shelf.releases)
    live = [one.counter for one in known if one.withdrawn_ms is None]
    return json_answer({"counter": live[-1] if live else None}, cache="no-store")


@router.get(
    "/refused",
    response_model=SamplesShape,
    responses=documented(*_KEYS, ApiCode.PARAMETER_INVALID),
)
async def refused(
    api: WithApi,
    verdict: Annotated[Literal[VERDICT_NAMES], Query(description="Of spec/verdicts.md.")],  # type: ignore[valid-type]
) -> Response:
    """The newest refused messages of one verdict, as they came.

    `data` is null until an hour after its day if it is, or may be, a report of radio contacts.
    """
    found = Verdict[str(verdict).upper()]
    samples = await api.read_indexed(lambda store: _samples(api, store, found))
    return json_answer({"verdict": verdict, "samples": samples}, cache="no-store")


def _samples(api: Api, store: Store, verdict: Verdict) -> list[dict[str, Any]]:
    now_ms = api.now_ms(store)
    return [
        {
            "recv_ms": one.recv_ms,
            "device": device_name(one.device) if len(one.device) == DEVICE_ID_BYTES else None,
            "data": one.data.hex() if _visible_ms(api, store, one) <= now_ms else None,
        }
        for one in store.refused_samples(verdict)
    ]


def _visible_ms(api: Api, store: Store, one: Refused) -> int:
    return sample_visible_ms(one.recv_ms, one.data, store.network_id, api.releases)


async def _log(api: Api, kind: OperatorKind, event: list[Any]) -> Response:
    def operate(gateway: Gateway, now_ms: int) -> dict[str, int]:
        gateway.operate(kind, event, now_ms)
        # The log's serials rise by one from 1.
        return {"serial": gateway.store.operator_head().length, "time_ms": now_ms}

    return json_answer(await api.call(operate), cache="no-store")
