"""File systems for boards, made for the page /flash: the firmware with an offer of a
configuration, ready for one board's partition.

Heavy work runs in a thread, one at a time. A program is compiled once for each architecture, and
what was made last is kept by what was asked. The exact place and every secret stay in the browser.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from gateway.core.buckets import Buckets, Rate
from gateway.device.board_image import firmware_version, pack_board
from gateway.device.image import Image, build_image
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.errors import Code, OperatorFault

# One takes a second at most; somebody who sets up a batch asks for one each.
_RATE = Rate(per_minute=30, burst=60)
_ADDRESSES_MAX = 1_024
_KEPT_MAX = 16
# Whoever asked can do something about these.
_REFUSED = {
    Code.IMAGE_TOO_LARGE,
    Code.SENSOR_INVALID,
    Code.STATION_INVALID,
    Code.STATION_TOO_LARGE,
}


class Wanted(NamedTuple):
    """architecture: of gateway/device/image.py; blocks: of the board's partition `vfs`; offer: an
    encoded configuration.
    """

    architecture: str
    blocks: int
    offer: bytes


class BoardImages:
    """What browsers asked for, made or kept."""

    def __init__(self) -> None:
        self._rate: Buckets[str] = Buckets(_RATE, _ADDRESSES_MAX)
        self._one_at_a_time = asyncio.Lock()
        self._programs: dict[str, Image] = {}
        self._made: OrderedDict[Wanted, bytes] = OrderedDict()

    async def image(self, wanted: Wanted, address: str) -> bytes:
        """The file system; a Problem or an OperatorFault if it cannot be had."""
        if wanted not in self._made:
            self._count(address)
            async with self._one_at_a_time:
                # Somebody before us in the row may have asked for the same.
                if wanted not in self._made:
                    self._made[wanted] = await asyncio.to_thread(self._make, wanted)
            while len(self._made) > _KEPT_MAX:
                self._made.popitem(last=False)
        self._made.move_to_end(wanted)
        return self._made[wanted]

    def _count(self, address: str) -> None:
        if not self._rate.take(address, int(time.monotonic() * 1_000)):
            raise Problem(
                ApiCode.RATE_LIMITED,
                f"More than {_RATE.per_minute} images a minute were asked for.",
                headers={"Retry-After": "2"},
            )

    def _make(self, wanted: Wanted) -> bytes:
        program = self._programs.get(wanted.architecture)
        if program is None:
            program = self._programs[wanted.architecture] = build_image(None, wanted.architecture)
        sized = replace(program, blocks=wanted.blocks)
        return pack_board(sized, version=firmware_version(), offer=wanted.offer)


def told(fault: OperatorFault) -> Problem | OperatorFault:
    """A fault as whoever asked for an image should hear it."""
    said = f"{fault.what} {fault.why}"
    if fault.code == Code.TOOLS_MISSING:
        return Problem(Code.TOOLS_MISSING, said)
    if fault.code in _REFUSED:
        return Problem(ApiCode.STATION_REFUSED, f"{said} {fault.do}")
    if fault.code == Code.CA_UNUSABLE:
        return Problem(Code.CA_UNUSABLE, said)
    return fault


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()
