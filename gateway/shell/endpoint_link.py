"""One connection of the device endpoint: performs on a socket what its protocol machine says.

Owns the transport and nothing else. It knows its endpoint only as an `Owner`.
"""

import asyncio
import socket
from typing import Any, Protocol, cast

from gateway.core.mqtt.connection import (
    Authenticate,
    Close,
    Connection,
    ControlTick,
    Effect,
    Submit,
    Ticket,
    Write,
)
from gateway.core.mqtt.packets import Connect

# Above this many unsent bytes a client counts as one that does not read. asyncio's own default.
UNSENT_BYTES_MAX = 1 << 16
# Before a login is granted one read takes no more than this.
LOGIN_READ_BYTES = 1024
# A closed socket may flush what was written for this long.
FLUSH_MS_MAX = 5_000


class Owner(Protocol):
    """What a link asks of its endpoint. All of it is immediate."""

    read_buffer: memoryview

    def takes_in(self, link: "Link") -> bool:
        """May the link parse what it reads? False under pressure and when stopping."""

    def now_ms(self) -> int: ...

    def connected(self, link: "Link") -> None: ...

    def authenticate(self, link: "Link", connect: Connect, device: bytes) -> None: ...

    def submit(self, link: "Link", submit: Submit) -> None: ...

    def control_tick(self, link: "Link", data: bytes, ticket: Ticket) -> None: ...

    def halted(self, link: "Link") -> None:
        """The link may have something to take in once it may again."""

    def ended(self, link: "Link", reason: str) -> None:
        """Nothing more is written or taken in; the socket may still be flushing."""

    def disconnected(self, link: "Link") -> None:
        """The socket is closed."""


class Link(asyncio.BufferedProtocol):
    """A client's socket, its protocol machine, and who it is."""

    def __init__(self, owner: Owner, connection: Connection) -> None:
        self.connection = connection
        self.address = ""
        self.device = b""
        self.net_tag = b""
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._ended_ms: int | None = None
        self._paused = False

    # ---- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        connected: socket.socket = transport.get_extra_info("socket")
        # asyncio does the first by itself; without it an acknowledgement waits for the next.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Finds out about peers that vanished although they asked for no keepalive.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._owner.connected(self)

    def get_buffer(self, sizehint: int) -> Any:  # noqa: ARG002
        buffer = self._owner.read_buffer
        return buffer if self.connection.live else buffer[:LOGIN_READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        self.connection.feed(bytes(self._owner.read_buffer[:nbytes]), self._owner.now_ms())
        self.advance()

    def pause_writing(self) -> None:
        self.connection.clogged_ms = self._owner.now_ms()
        self._settle()

    def resume_writing(self) -> None:
        self.connection.clogged_ms = None
        self.advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.end("lost")
        self._transport = None
        self._owner.disconnected(self)

    # ---- what the endpoint calls

    def advance(self) -> None:
        """Do whatever can be done now."""
        if self._ended_ms is not None:
            return
        parse = self._owner.takes_in(self)
        for effect in self.connection.run(parse=parse):
            self._perform(effect)
        if not parse:
            self._owner.halted(self)
        self._settle()

    def write(self, data: bytes) -> None:
        """At once; for packets that the protocol machine has let through."""
        if self._transport is not None:
            self._transport.write(data)

    def end(self, reason: str) -> None:
        """Close after what is already written; at once if the client does not read."""
        if self._ended_ms is not None:
            return
        self._ended_ms = self._owner.now_ms()
        unread = self.connection.clogged_ms is not None
        self.connection.close()
        if self._transport is not None:
            if unread:
                self._transport.abort()
            else:
                self._transport.close()
        self._owner.ended(self, reason)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def expire(self, now_ms: int) -> None:
        if self._ended_ms is not None:
            if now_ms - self._ended_ms > FLUSH_MS_MAX:
                self.abort()
            return
        reason = self.connection.expired(now_ms, reading=not self._paused)
        if reason is not None:
            self.end(reason)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Submit():
                self._owner.submit(self, effect)
            case Write(data):
                self.write(data)
            case Close(reason):
                self.end(reason)
            case Authenticate(connect, device):
                self._owner.authenticate(self, connect, device)
            case ControlTick(data, ticket):
                self._owner.control_tick(self, data, ticket)

    def _settle(self) -> None:
        """Read the socket exactly when there is a use for what comes."""
        if self._transport is None or self._ended_ms is not None:
            return
        pause = self.connection.blocked or not self._owner.takes_in(self)
        if pause == self._paused:
            return
        self._paused = pause
        if pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
