"""The links from a sensor to the gateway, each tried alone: what `console.check` does.
Only the second program has this (firmware/console.py).
"""

import asyncio
import os
from binascii import a2b_base64, hexlify

from ..identity import device_id  # noqa: TID252 - inside cairn imports are relative
from ..keyring import Keyring  # noqa: TID252
from ..login import NONCE_BYTES, Login  # noqa: TID252
from ..sensors.part import WARMING  # noqa: TID252
from ..sensors.rack import Rack  # noqa: TID252
from ..timesync import fetch_time  # noqa: TID252
from .asyncio_base import within

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from ..config import Config  # noqa: TID252
    from ..sensors import Buses  # noqa: TID252
    from .asyncio_base import AsyncioBoard

    Facts = dict[str, object]

NETWORKED = ("dns", "broker", "tls", "clock")
_TLS_MS = 12_000
_WARMING_MS = 25_000
# The first byte of MQTT's CONNECT: a broker waits for more of it.
_CONNECT = b"\x10"
# What Mbed TLS says of a certificate, the cause that hides the others first.
_TLS_TEXTS = (
    ("trusted CA", "ca"),
    ("Common Name", "name"),
    ("expired", "expired"),
    ("future", "early"),
)


class LinkError(Exception):
    """A link that does not hold: a stable code, what was seen, and facts for a program."""

    def __init__(self, code: str, detail: str, facts: "Facts | None" = None) -> None:
        super().__init__(code + ": " + detail)
        self.code = code
        self.detail = detail
        self.facts = facts or {}


async def check(board: "AsyncioBoard", settings: "Config", name: str) -> "Facts":
    """Facts of one of NETWORKED. LinkError: it does not hold. There has to be a network."""
    if name == "clock":
        return await check_clock(board, settings)
    host, port = settings.broker_host, settings.broker_port
    if host is None:
        raise LinkError("link.absent", "the configuration names no broker")
    facts: "Facts" = {"host": host, "port": port, "address": _resolved(host, port)}
    if name == "broker":
        await _check_broker(board, host, port)
    elif name == "tls":
        facts["tls"] = settings.broker_ca is not None
        if settings.broker_ca is not None:
            await _check_tls(board, settings, host, port)
    return facts


async def check_sensors(board: "AsyncioBoard", settings: "Config", buses: "Buses") -> "Facts":
    """One reading of every sensor; LinkError names those that gave none."""
    if not settings.sensors:
        raise LinkError("sensors.none", "the configuration names no sensor")
    rack = Rack(settings.sensors, buses)
    end = board.ticks() + _WARMING_MS
    rows: "list[list[Any]]" = []
    wrong: "list[str]" = []
    for part in rack.parts:
        readings = await part.read(board.sleep)
        while readings[0][4] == WARMING and board.ticks() < end:
            await board.sleep(1_000)
            readings = await part.read(board.sleep)
        rows += [list(reading) for reading in readings]
        faults = [reading[4] for reading in readings if reading[4] not in (0, WARMING)]
        if faults:
            wrong.append("sensor %s: fault %d" % (list(part.entry), faults[0]))
    facts: "Facts" = {"sensors": rows}
    if wrong:
        raise LinkError("sensors.fault", "; ".join(wrong), facts)
    return facts


def check_signature(board: "AsyncioBoard", settings: "Config") -> "Facts":
    """A login as the broker would get it, for the host to verify. Its counter is used up."""
    login = Login(board.vault, board.sign, board.public_key(), settings.network_id)
    text = login.password(os.urandom(NONCE_BYTES)).replace("-", "+").replace("_", "/")
    message = a2b_base64(text + "=" * (-len(text) % 4))
    return {"login": hexlify(message).decode()}


async def check_clock(board: "AsyncioBoard", settings: "Config") -> "Facts":
    """The time as the gateway signs it, which the board's clock is set to."""
    host, port = settings.time_host, settings.time_port
    if host is None:
        raise LinkError("time.absent", "the configuration names no time service")
    keyring = Keyring(board, settings.network_id, settings.root_key)
    told = await fetch_time(board, keyring, device_id(board.public_key()), host, port)
    facts: "Facts" = {"host": host, "port": port}
    if isinstance(told, str):
        raise LinkError("time." + told, "%s port %d" % (host, port), facts)
    utc_ms, at_ticks, uncertainty_ms = told
    now = utc_ms + board.ticks() - at_ticks
    before = board.now_ms()
    facts.update({"time_ms": now, "uncertainty_ms": uncertainty_ms})
    facts["offset_ms"] = None if before is None else before - now
    board.set_clock(now)
    return facts


def _resolved(host: str, port: int) -> str:
    import socket  # the build for web pages has none

    try:
        found: "Any" = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
    except OSError as error:
        raise LinkError("link.dns", "%s: %s" % (host, error), {"host": host})
    # The system's own bytes where it is no chip.
    return found[0] if isinstance(found, tuple) else ".".join([str(one) for one in found[4:8]])


async def _check_broker(board: "AsyncioBoard", host: str, port: int) -> None:
    try:
        stream = await board.stream(host, port, None)
    except OSError as error:
        raise LinkError("link.unreachable", "%s port %d: %s" % (host, port, error))
    stream.close()


async def _check_tls(board: "AsyncioBoard", settings: "Config", host: str, port: int) -> None:
    await _check_broker(board, host, port)
    # A certificate has dates, and a board that was just switched on knows none.
    unknown = ""
    if board.now_ms() is None:
        try:
            await check_clock(board, settings)
        except LinkError as error:
            unknown = " (the board does not know the time: " + error.code + ")"
    try:
        stream = await board.stream(host, port, settings.broker_ca)
        try:
            # It is the first write that shakes hands.
            await within(stream.write(_CONNECT), _TLS_MS)
        finally:
            stream.close()
    except asyncio.TimeoutError:
        raise LinkError("link.tls", "no handshake in time", {"reason": "silent"})
    except OSError as error:
        text = str(error)
        reasons = [reason for part, reason in _TLS_TEXTS if part in text] + ["other"]
        raise LinkError("link.tls", text.strip() + unknown, {"reason": reasons[0]})
