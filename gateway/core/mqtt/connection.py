"""One client's side of the endpoint: the protocol machine of a connection.

Bytes go in through `feed`; `run` gives what is to be done. Unlike the core's other machines it
changes in place: it lives as long as its socket and is stepped for every packet. It knows no
socket, no clock (wall ms are an argument) and no registry: who may log in it asks by an effect,
and until the answer it owns a few kilobytes and nothing under the client's name.

Whatever comes as PUBLISH becomes a Submit, also under a topic that is not the client's own or
longer than a packet may be, for silence would hide it; what breaks the protocol ends the
connection. PUBACKs go out in the order of arrival, when the shell has marked their tickets done.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import NamedTuple

from gateway.core.ids import parse_device
from gateway.core.mqtt import packets
from gateway.core.mqtt.packets import Connect, ReturnCode, Type
from gateway.core.mqtt.session import Message, Session, Sessions
from gateway.core.mqtt.topics import Topics

# A CONNECT has two ids of 26 characters and a password of at most 512.
LOGIN_BYTES_MAX = 1024
# Beyond this a PUBLISH is not worth the wait for its end.
SKIP_BYTES_MAX = 1 << 20
# What may wait unparsed behind a login, a full window or a client that does not read. One read of
# the shell; it stops reading then, so only a shell that does not can reach this.
HELD_BYTES_MAX = 1 << 14
# PUBLISHes of one connection without verdict: half an ingest batch, more than a board's window.
INBOUND_MAX = 32


class Limits(NamedTuple):
    """What an operator may set; the rest are constants of the protocol machine."""

    packet_bytes_max: int = 8192
    connect_timeout_ms: int = 10_000
    slow_reader_ms: int = 60_000


class Ticket:
    """A PUBLISH without verdict. The shell sets `done`, then runs the connection."""

    __slots__ = ("done", "packet_id")

    def __init__(self, packet_id: int) -> None:
        self.packet_id = packet_id
        self.done = False


class Authenticate(NamedTuple):
    """Answer with `grant` or `refuse`."""

    connect: Connect
    device: bytes


class Submit(NamedTuple):
    """device: the id in the topic, or None. oversize: data is only the beginning."""

    device: bytes | None
    data: bytes
    oversize: bool
    ticket: Ticket


class ControlTick(NamedTuple):
    data: bytes
    ticket: Ticket


class Write(NamedTuple):
    data: bytes


class Close(NamedTuple):
    """The last effect. reason: a stable word for logs and counters."""

    reason: str


Effect = Authenticate | Submit | ControlTick | Write | Close


class _Stage(Enum):
    NEW = 0
    LOGIN = 1
    LIVE = 2
    CLOSED = 3


class _Skip:
    """A PUBLISH that is too long: its beginning, and how much is still to come."""

    __slots__ = ("first", "kept", "left", "size")

    def __init__(self, first: int, size: int) -> None:
        self.first = first
        self.size = size
        self.left = size
        self.kept = bytearray()


class Connection:
    """The protocol state of one client."""

    def __init__(self, topics: Topics, sessions: Sessions, limits: Limits, now_ms: int) -> None:
        self.session: Session | None = None
        # Set by the shell while the client does not read what was written to it.
        self.clogged_ms: int | None = None
        self.operator = False
        self._topics = topics
        self._sessions = sessions
        self._limits = limits
        self._stage = _Stage.NEW
        self._data = b""
        self._at = 0
        self._out: list[bytes] = []
        self._tickets: deque[Ticket] = deque()
        self._skip: _Skip | None = None
        self._close_reason = ""
        self._opened_ms = self._heard_ms = now_ms
        self._keepalive_ms = 0
        self._device = b""
        # How a PUBLISH to one's own `up` begins: compared, not parsed, for nearly all are that.
        self._own_up = b""

    @property
    def live(self) -> bool:
        return self._stage is _Stage.LIVE

    @property
    def closed(self) -> bool:
        return self._stage is _Stage.CLOSED

    @property
    def blocked(self) -> bool:
        """Nothing more is parsed for now, so reading on would only fill memory."""
        return (
            self._stage is _Stage.LOGIN
            or len(self._tickets) >= INBOUND_MAX
            or self.clogged_ms is not None
        )

    def feed(self, data: bytes, now_ms: int) -> None:
        if self.closed:
            return
        self._heard_ms = now_ms
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0
        if self.blocked and len(self._data) > HELD_BYTES_MAX:
            self._end("flood")

    def run(self, *, parse: bool = True) -> list[Effect]:
        """Everything that can be done now. parse False: only answer, take nothing in."""
        effects: list[Effect] = []
        if self.closed:
            return effects
        tickets = self._tickets
        while True:
            while tickets and tickets[0].done:
                packet_id = tickets.popleft().packet_id
                if packet_id:
                    self._out.append(packets.puback(packet_id))
            if not parse or self.blocked or not self._step(effects):
                break
        if self.session is not None and self.clogged_ms is None:
            self.session.pump(self._out)
        if self._out:
            effects.append(Write(b"".join(self._out)))
            self._out.clear()
        if self._close_reason:
            effects.append(Close(self._close_reason))
            self.close()
        return effects

    def grant(self, session: Session, *, operator: bool, present: bool) -> None:
        self.session = session
        self._device = session.device
        self._own_up = packets.field(self._topics.up(session.device))
        self.operator = operator
        self._stage = _Stage.LIVE
        self._out.append(packets.connack(ReturnCode.ACCEPTED, present=present))
        session.resume(self._out)

    def refuse(self, code: ReturnCode, reason: str) -> None:
        self._out.append(packets.connack(code))
        self._end(reason)

    def close(self) -> None:
        """The socket is gone, or about to go."""
        self._stage = _Stage.CLOSED
        self.session = None
        self._data = b""
        self._skip = None

    def fan_out(self, message: Message) -> bytes | None:
        """The shared packet of a QoS 0 message to all, to be written now; None: not now."""
        session = self.session
        if session is None or session.granted(message.topic) is None:
            return None
        if self.clogged_ms is not None:
            session.offer(message)
            return None
        return message.packet

    def expired(self, now_ms: int, *, reading: bool) -> str | None:
        """Why the connection has to end, if time is up. reading: the shell reads the socket."""
        if self._stage is _Stage.NEW:
            late = now_ms - self._opened_ms >= self._limits.connect_timeout_ms
            return "connect_timeout" if late else None
        if self.clogged_ms is not None and now_ms - self.clogged_ms >= self._limits.slow_reader_ms:
            return "slow_reader"
        if not reading or self.blocked:
            # Its packets may lie in the socket; the silence is ours.
            self._heard_ms = now_ms
        elif self._keepalive_ms and now_ms - self._heard_ms > self._keepalive_ms * 3 // 2:
            return "keepalive"
        return None

    def _end(self, reason: str) -> bool:
        """Take in nothing more; `run` writes what is due, and closes."""
        self._close_reason = reason
        return False

    # ---- parsing: each returns whether there may be more to do

    def _step(self, effects: list[Effect]) -> bool:
        """Take one packet, or a piece of one that is too long."""
        if self._close_reason or self._at >= len(self._data):
            return False
        if self._skip is not None:
            return self._skip_on(self._skip, effects)
        first = self._data[self._at]
        if not self._expected(first):
            return self._end("protocol")
        found = packets.remaining_length(self._data, self._at + 1)
        if found is None:
            return False
        size, start = found
        end = start + size
        if size < 0:
            return self._end("protocol")
        if end - self._at > self._packet_bytes_max():
            self._at = start
            return self._too_long(first, size)
        if end > len(self._data):
            return False
        self._at = end
        return self._take(first, self._data[start:end], effects)

    def _packet_bytes_max(self) -> int:
        return LOGIN_BYTES_MAX if self._stage is _Stage.NEW else self._limits.packet_bytes_max

    def _expected(self, first: int) -> bool:
        kind, flags = first >> 4, first & 0x0F
        if (kind == Type.CONNECT) != (self._stage is _Stage.NEW):
            return False
        if kind == Type.PUBLISH:
            return packets.publish_flags_valid(flags)
        return _FLAGS.get(kind) == flags

    def _too_long(self, first: int, size: int) -> bool:
        if first >> 4 != Type.PUBLISH:
            return self._end("too_long")
        self._skip = _Skip(first, size)
        return True

    def _skip_on(self, skip: _Skip, effects: list[Effect]) -> bool:
        piece = self._data[self._at : self._at + skip.left]
        self._at += len(piece)
        skip.left -= len(piece)
        skip.kept += piece[: self._limits.packet_bytes_max - len(skip.kept)]
        endless = skip.size > SKIP_BYTES_MAX
        if skip.left and not (endless and len(skip.kept) >= self._limits.packet_bytes_max):
            return False
        self._skip = None
        if not self._publish(skip.first, bytes(skip.kept), effects, oversize=True):
            return False
        return not endless or self._end("too_long")

    def _take(self, first: int, body: bytes, effects: list[Effect]) -> bool:
        match first >> 4:
            case Type.PUBLISH:
                return self._publish(first, body, effects, oversize=False)
            case Type.PUBACK:
                return self._puback(body)
            case Type.PINGREQ:
                if body:
                    return self._end("protocol")
                self._out.append(packets.PINGRESP)
                return True
            case Type.SUBSCRIBE:
                return self._subscribe(body)
            case Type.UNSUBSCRIBE:
                return self._unsubscribe(body)
            case Type.DISCONNECT:
                return self._end("protocol" if body else "disconnect")
            case _:
                return self._connect(body, effects)

    def _connect(self, body: bytes, effects: list[Effect]) -> bool:
        opened = packets.open_connect(body)
        if opened is None:
            return self._end("protocol")
        if isinstance(opened, ReturnCode):
            self.refuse(opened, "version")
            return False
        device = parse_device(opened.client_id)
        if device is None:
            self.refuse(ReturnCode.IDENTIFIER, "bad_client_id")
        elif opened.user_name is None or opened.password is None:
            self.refuse(ReturnCode.CREDENTIALS, "no_password")
        elif opened.user_name != opened.client_id:
            self.refuse(ReturnCode.NOT_AUTHORIZED, "wrong_user_name")
        else:
            self._stage = _Stage.LOGIN
            self._keepalive_ms = opened.keepalive_s * 1000
            effects.append(Authenticate(opened, device))
            return True
        return False

    def _publish(self, first: int, body: bytes, effects: list[Effect], *, oversize: bool) -> bool:
        own = self._own_up
        if first & 0x02 and body.startswith(own) and len(body) >= len(own) + 2:
            at = len(own) + 2
            packet_id = int.from_bytes(body[at - 2 : at], "big")
            device: bytes | None = self._device
            tick = False
            if not packet_id:
                return self._end("protocol")
        else:
            opened = packets.open_publish(first & 0x0F, body)
            if opened is None:
                return self._end("protocol")
            topic, packet_id, at = opened
            device = self._topics.sender(topic)
            tick = self.operator and topic == self._topics.control_tick and not oversize
        ticket = Ticket(packet_id)
        self._tickets.append(ticket)
        if tick:
            effects.append(ControlTick(body[at:], ticket))
        else:
            effects.append(Submit(device, body[at:], oversize, ticket))
        return True

    def _puback(self, body: bytes) -> bool:
        packet_id = packets.open_puback(body)
        if packet_id is None or self.session is None:
            return self._end("protocol")
        self.session.acknowledged(packet_id)
        return True

    def _subscribe(self, body: bytes) -> bool:
        opened = packets.open_subscribe(body)
        if opened is None or self.session is None:
            return self._end("protocol")
        packet_id, wanted = opened
        codes = []
        for name, qos in wanted:
            granted = min(qos, 1)
            if self._topics.readable(name, self._device) and self.session.subscribe(name, granted):
                self._sessions.subscribed(self.session, name)
                codes.append(granted)
            else:
                codes.append(packets.SUBSCRIBE_REFUSED)
        self._out.append(packets.suback(packet_id, codes))
        return True

    def _unsubscribe(self, body: bytes) -> bool:
        opened = packets.open_unsubscribe(body)
        if opened is None or self.session is None:
            return self._end("protocol")
        packet_id, filters = opened
        for name in filters:
            self.session.unsubscribe(name)
        self._out.append(packets.unsuback(packet_id))
        return True


_FLAGS = {kind.value: flags for kind, flags in packets.FLAGS.items()}
