"""What outlives a connection: subscriptions, QoS 1 in flight, the newest downlink of each topic.

Owns sessions and retained messages. It knows no socket, and a session is made only for a login
that was granted. Everything is bounded: a topic holds one message that waits, the newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from gateway.core.mqtt.packets import DUP, RETAIN, field, filter_matches, packet

# Of messages in flight to one client: more than the kinds of downlink, so that a board that
# acknowledges at all never waits; few enough to hold for ten thousand sleeping boards.
IN_FLIGHT_MAX = 16
# The protocol has nine kinds of downlink; a topic beyond these replaces the oldest that waits.
TOPICS_MAX = 32
# A board needs two. Longer than any topic of the protocol.
SUBSCRIPTIONS_MAX = 16
FILTER_CHARACTERS_MAX = 128
_PACKET_ID_MAX = 65_535


class Message:
    """One downlink, encoded once for everybody who gets it at QoS 0."""

    __slots__ = ("_field", "_payload", "packet", "qos", "retained", "serial", "topic")

    def __init__(
        self, topic: str, payload: bytes, *, qos: int, retained: bool, serial: int
    ) -> None:
        self.topic = topic
        self.qos = qos
        self.retained = retained
        self.serial = serial
        self._field = field(topic)
        self._payload = payload
        self.packet = packet(0x30, self._field, payload)

    def encode(self, packet_id: int, flags: int) -> bytes:
        """packet_id 0: QoS 0. flags: DUP, RETAIN."""
        if packet_id:
            return packet(0x32 | flags, self._field, packet_id.to_bytes(2, "big"), self._payload)
        return self.packet if not flags else bytes((0x30 | flags,)) + self.packet[1:]


class Session:
    """State of one client id. in_flight and waiting hold a message and its RETAIN flag."""

    def __init__(self, device: bytes, *, keep: bool) -> None:
        self.device = device
        # Whether it stays when its connection ends.
        self.keep = keep
        self.seen = 0
        self._filters: dict[str, int] = {}
        self._granted: dict[str, int | None] = {}
        self._in_flight: dict[int, tuple[Message, int]] = {}
        self._waiting: dict[str, tuple[Message, int]] = {}
        self._retained: dict[str, Message] = {}
        self._last_id = 0

    def granted(self, topic: str) -> int | None:
        """The highest QoS granted by a filter that matches; None if none does."""
        if topic not in self._granted:
            if len(self._granted) >= 2 * TOPICS_MAX:
                self._granted.clear()
            matching = [q for name, q in self._filters.items() if filter_matches(name, topic)]
            self._granted[topic] = max(matching, default=None)
        return self._granted[topic]

    def subscribe(self, name: str, qos: int) -> bool:
        if len(name) > FILTER_CHARACTERS_MAX or (
            name not in self._filters and len(self._filters) >= SUBSCRIPTIONS_MAX
        ):
            return False
        self._filters[name] = qos
        self._granted.clear()
        return True

    def unsubscribe(self, name: str) -> None:
        self._filters.pop(name, None)
        self._granted.clear()

    def hold(self, message: Message) -> None:
        """Keep a message for whoever subscribes later, if it is of that kind."""
        if message.retained:
            _put(self._retained, message.topic, message)

    def restore(self, messages: Iterable[Message], since: int) -> None:
        """Hold what a login brought, unless something newer than serial `since` is here."""
        for message in messages:
            held = self._retained.get(message.topic)
            if held is None or held.serial <= since:
                self.hold(message)

    def retained(self) -> Iterable[Message]:
        return self._retained.values()

    def offer(self, message: Message, *, flags: int = 0) -> bool:
        """Let a message wait in place of an older one of its topic, if it is subscribed."""
        if self.granted(message.topic) is None:
            return False
        _put(self._waiting, message.topic, (message, flags))
        return True

    def pump(self, out: list[bytes]) -> None:
        """Write what waits, as far as the window allows."""
        for topic, (message, flags) in list(self._waiting.items()):
            granted = self.granted(topic)
            packet_id = 0
            if granted and message.qos:
                if len(self._in_flight) >= IN_FLIGHT_MAX:
                    continue
                packet_id = self._next_id()
                self._in_flight[packet_id] = message, flags
            if granted is not None:
                out.append(message.encode(packet_id, flags))
            del self._waiting[topic]

    def resume(self, out: list[bytes]) -> None:
        """Write again what was not acknowledged, in its order (section 4.4)."""
        for packet_id, (message, flags) in self._in_flight.items():
            out.append(message.encode(packet_id, flags | DUP))

    def acknowledged(self, packet_id: int) -> None:
        self._in_flight.pop(packet_id, None)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % _PACKET_ID_MAX + 1
            if self._last_id not in self._in_flight:
                return self._last_id


class Sessions:
    """Every session by device id, and the newest message of each topic that all may read."""

    def __init__(self, offline_max: int) -> None:
        self._offline_max = offline_max
        self._sessions: dict[bytes, Session] = {}
        # In the order in which they were left.
        self._offline: dict[bytes, None] = {}
        self._retained: dict[str, Message] = {}
        self.serial = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, device: bytes) -> Session | None:
        return self._sessions.get(device)

    def message(self, topic: str, payload: bytes, *, qos: int, retained: bool) -> Message:
        self.serial += 1
        return Message(topic, payload, qos=qos, retained=retained, serial=self.serial)

    def hold(self, message: Message) -> None:
        if message.retained:
            _put(self._retained, message.topic, message)

    def open(self, device: bytes, *, clean: bool, keep: bool) -> tuple[Session, bool]:
        """The session of a granted login, and whether there was one to go on with."""
        found = self._sessions.get(device)
        self._offline.pop(device, None)
        if found is not None and found.keep and not clean:
            self._catch_up(found)
            found.keep = keep
            return found, True
        session = self._sessions[device] = Session(device, keep=keep and not clean)
        return session, False

    def leave(self, session: Session) -> None:
        """Its connection has ended."""
        if self._sessions.get(session.device) is not session:
            return
        if not session.keep:
            del self._sessions[session.device]
            return
        session.seen = self.serial
        self._offline[session.device] = None
        for device in list(islice(self._offline, max(0, len(self._offline) - self._offline_max))):
            del self._offline[device], self._sessions[device]

    def subscribed(self, session: Session, name: str) -> None:
        """Let everything retained that a new subscription matches wait, marked as such."""
        for message in (*self._retained.values(), *session.retained()):
            if filter_matches(name, message.topic):
                session.offer(message, flags=RETAIN)

    def _catch_up(self, session: Session) -> None:
        # Messages to all are not queued for every sleeping client; the newest of each topic is
        # here anyway, and a client that returns to its session does not subscribe again.
        for message in self._retained.values():
            if message.serial > session.seen:
                session.offer(message)


def _put(held: dict[str, Any], topic: str, value: Message | tuple[Message, int]) -> None:
    """The newest last, and at most TOPICS_MAX."""
    held.pop(topic, None)
    held[topic] = value
    if len(held) > TOPICS_MAX:
        del held[next(iter(held))]
