"""The page /flash and what it asks for: official images, and a board's file system.

The page is files from gateway/web. No key is asked for: what it is given is public, and what it
sends (a cell, a commitment, an owner) is what the board will sign in public.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.device.flash import BLOCK_BYTES
from gateway.device.image import ARCHITECTURES
from gateway.device.station_choice import (
    DAY_S,
    MESSAGE_S,
    SAMPLE_S,
    Choice,
    Outfit,
    config_bytes,
    station_config,
)
from gateway.device.station_sensors import SENSORS_MAX, entries
from gateway.shell.api.answers import holds, json_answer
from gateway.shell.api.board_images import Wanted, digest, told
from gateway.shell.api.context import WithApi
from gateway.shell.api.models import FlashImagesShape
from gateway.shell.api.problems import ApiCode, Problem, documented
from gateway.shell.api.web_files import WebFile, web_files
from gateway.shell.errors import Code, OperatorFault

router = APIRouter()
PAGE = "flash.html"
_BYTES_TYPE = "application/octet-stream"
_BLOCKS_MIN, _BLOCKS_MAX = 16, 8_192
_GAIN_CDBI_MAX = 10_000
_HEIGHT_DM_MAX = 100_000
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Bytes; their SHA-256 in hex is in the header `Cairn-Sha256`.",
        "content": {_BYTES_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _whole(value: Any) -> Any:
    # In JSON 5.0 is the integer 5; a strict model would not have it.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AntennaBody(_Strict):
    gain_cdbi: Annotated[
        int, Field(ge=-_GAIN_CDBI_MAX, le=_GAIN_CDBI_MAX), BeforeValidator(_whole)
    ]
    height_dm: Annotated[
        int, Field(ge=-_HEIGHT_DM_MAX, le=_HEIGHT_DM_MAX), BeforeValidator(_whole)
    ]


class BoardImageBody(_Strict):
    """What an owner chose. The exact place is not in it."""

    architecture: str = Field(
        pattern=f"^({'|'.join(ARCHITECTURES)})$",
        description="xtensawin: ESP32, S3; rv32imc: C3; bytecode: without machine code.",
        examples=["xtensawin"],
    )
    partition_bytes: Annotated[
        int,
        Field(
            ge=_BLOCKS_MIN * BLOCK_BYTES,
            le=_BLOCKS_MAX * BLOCK_BYTES,
            multiple_of=BLOCK_BYTES,
            description="Size of the board's partition `vfs`.",
            examples=[2_097_152],
        ),
        BeforeValidator(_whole),
    ]
    scoring_cell: str = Field(
        pattern="^8[79][0-9a-f]{13}$",
        description="H3 cell of resolution 9, or 7 without coverage pay. Public.",
        examples=["891f1d4d297ffff"],
    )
    place_commitment: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the salt and the exact place, in hex.",
        examples=["00" * 32],
    )
    sensors: list[Annotated[str, Field(min_length=1, max_length=120)]] = Field(
        min_length=1,
        max_length=SENSORS_MAX,
        description="As `cairn board provision --sensor` takes them.",
        examples=[["bme280:sda=21,scl=22"]],
    )
    owner: str | None = Field(default=None, pattern="^(0x)?[0-9a-fA-F]{40}$")
    antenna: AntennaBody | None = None
    sample_s: Annotated[int, BeforeValidator(_whole)] = Field(
        default=SAMPLE_S, ge=1, le=DAY_S, description="Seconds between two samples."
    )
    message_s: Annotated[int, BeforeValidator(_whole)] = Field(
        default=MESSAGE_S, ge=1, le=DAY_S, description="The same between messages; a multiple."
    )


@router.get("/flash", include_in_schema=False)
async def page(request: Request) -> Response:
    """The page that sets up a board from a browser."""
    return _served(web_files()[PAGE], request)


@router.get("/flash/{name:path}", include_in_schema=False)
async def page_file(request: Request, name: str) -> Response:
    """What belongs to it."""
    found = web_files().get(name)
    if found is None:
        raise Problem(ApiCode.NOT_FOUND, f"The page has no file {name[:64]!r}.")
    return _served(found, request)


def _served(file: WebFile, request: Request) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if holds(request, file.etag):
        return Response(None, 304, headers)
    return Response(file.data, 200, {**headers, "Content-Type": file.media_type})


@router.get(
    "/v1/flash/images",
    tags=["boards"],
    response_model=FlashImagesShape,
    responses=documented(),
)
async def images(api: WithApi) -> Response:
    """Official MicroPython images that this gateway offers to the page /flash."""
    found = await api.in_thread(api.official_images.offered)
    rows = [
        {"bytes" if name == "size" else name: value for name, value in one._asdict().items()}
        for one in found
    ]
    return json_answer({"images": rows}, cache="no-store")


@router.get(
    "/v1/flash/images/{name}",
    tags=["boards"],
    response_class=Response,
    responses=_BYTES | documented(ApiCode.NOT_FOUND, ApiCode.PARAMETER_INVALID),
)
async def image(
    api: WithApi,
    name: Annotated[str, Path(description="`name` of one that is offered.", max_length=255)],
) -> Response:
    """One of them, unchanged."""
    data = await api.in_thread(lambda: api.official_images.read(name))
    if data is None:
        raise Problem(ApiCode.NOT_FOUND, "No image of that name is offered.")
    return _bytes(data)


@router.post(
    "/v1/flash/image",
    tags=["boards"],
    response_class=Response,
    responses=_BYTES
    | documented(
        ApiCode.BODY_INVALID,
        ApiCode.BODY_TOO_LARGE,
        ApiCode.RATE_LIMITED,
        ApiCode.STATION_REFUSED,
        Code.CA_UNUSABLE,
        Code.TOOLS_MISSING,
    ),
)
async def board_image(api: WithApi, request: Request, body: BoardImageBody) -> Response:
    """The file system of a board: the firmware, and the offer of a configuration for a board that
    has none. It goes to where the board's partition `vfs` begins.
    """
    onboarding = await api.read(api.onboarding)
    try:
        offer = config_bytes(station_config(onboarding, _choice(body)))
        wanted = Wanted(body.architecture, body.partition_bytes // BLOCK_BYTES, offer)
        data = await api.board_images.image(wanted, request.client.host if request.client else "")
    except OperatorFault as fault:
        raise told(fault) from fault
    return _bytes(data)


def _choice(body: BoardImageBody) -> Choice:
    mast = body.antenna
    outfit = Outfit(
        sensors=entries(body.sensors),
        antenna=None if mast is None else (mast.gain_cdbi, mast.height_dm),
        sample_s=body.sample_s,
        message_s=body.message_s,
    )
    return Choice(
        outfit=outfit,
        scoring_cell=int(body.scoring_cell, 16),
        place_commitment=bytes.fromhex(body.place_commitment),
        owner=None if body.owner is None else bytes.fromhex(body.owner.removeprefix("0x")),
    )


def _bytes(data: bytes) -> Response:
    headers = {"Cache-Control": "no-store", "Cairn-Sha256": digest(data)}
    return Response(data, 200, headers, _BYTES_TYPE)
