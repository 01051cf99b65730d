"""MQTT 3.1.1 packets (OASIS standard, sections 2 and 3): what a server reads and writes.

Owns the bytes. It knows no connection, no session and no rule of ours. Whatever a client sends
that the standard forbids is None.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

REMAINING_BYTES_MAX = 4
PINGRESP = b"\xd0\x00"
SUBSCRIBE_REFUSED = 0x80
DUP, RETAIN = 0x08, 0x01
_LEVEL = 4
_MAXIMUM_QOS = 2


class Type(IntEnum):
    """Packets that a client of ours may send; anything else ends the connection."""

    CONNECT = 1
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    UNSUBSCRIBE = 10
    PINGREQ = 12
    DISCONNECT = 14


# The low four bits of the first byte, fixed for every type but PUBLISH (section 2.2.2).
FLAGS = {
    Type.CONNECT: 0,
    Type.PUBACK: 0,
    Type.SUBSCRIBE: 2,
    Type.UNSUBSCRIBE: 2,
    Type.PINGREQ: 0,
    Type.DISCONNECT: 0,
}


class ReturnCode(IntEnum):
    """Of a CONNACK."""

    ACCEPTED = 0
    PROTOCOL = 1
    IDENTIFIER = 2
    UNAVAILABLE = 3
    CREDENTIALS = 4
    NOT_AUTHORIZED = 5


class Connect(NamedTuple):
    client_id: str
    user_name: str | None
    password: bytes | None
    clean: bool
    keepalive_s: int


class Publish(NamedTuple):
    """packet_id: 0 at QoS 0. payload_at: where the payload begins in the body."""

    topic: str
    packet_id: int
    payload_at: int


class _Fields:
    """Reads field after field; once something is missing or wrong, `ok` stays False."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.ok = True

    @property
    def ended(self) -> bool:
        return self.at == len(self.body)

    def take(self, size: int) -> bytes:
        taken = self.body[self.at : self.at + size]
        self.at += size
        self.ok = self.ok and len(taken) == size
        return taken

    def number(self, size: int = 2) -> int:
        return int.from_bytes(self.take(size), "big")

    def binary(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        try:
            # Strict decoding refuses surrogates, as section 1.5.3 wants; NUL is left to us.
            text = self.binary().decode()
        except UnicodeDecodeError:
            self.ok = False
            return ""
        self.ok = self.ok and "\0" not in text
        return text


def remaining_length(data: bytes, at: int) -> tuple[int, int] | None:
    """(length, where the body begins) from the bytes behind the first; None: not all there.

    The length is negative if a fifth byte would be needed.
    """
    value = 0
    for index in range(REMAINING_BYTES_MAX):
        if at + index >= len(data):
            return None
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    return -1, at


def open_connect(body: bytes) -> Connect | ReturnCode | None:
    """ReturnCode.PROTOCOL is for a client of another version, which may know what it means."""
    fields = _Fields(body)
    protocol, level = fields.text(), fields.number(1)
    if not fields.ok or protocol not in ("MQTT", "MQIsdp"):
        return None
    if (protocol, level) != ("MQTT", _LEVEL):
        return ReturnCode.PROTOCOL
    flags, keepalive_s = fields.number(1), fields.number()
    will, will_rest = flags & 0x04, flags & 0x38
    named, secret = flags & 0x80, flags & 0x40
    if flags & 0x01 or will_rest & 0x18 == 0x18 or (will_rest and not will):
        return None
    if secret and not named:
        return None
    client_id = fields.text()
    if will:
        # Read, so that what follows is found, and never published: a board that has gone shows
        # by its silence, and nobody else may speak for it.
        will_topic, _ = fields.text(), fields.binary()
        fields.ok = fields.ok and publishable(will_topic)
    user_name = fields.text() if named else None
    password = fields.binary() if secret else None
    if not fields.ok or not fields.ended:
        return None
    return Connect(client_id, user_name, password, bool(flags & 0x02), keepalive_s)


def publish_flags_valid(flags: int) -> bool:
    """QoS 0 without DUP, or QoS 1: QoS 2 and the reserved 3 have no use here."""
    return flags & 0x06 == 0x02 or flags & 0x0E == 0


def open_publish(flags: int, body: bytes) -> Publish | None:
    """The head of a PUBLISH; the body may be cut off anywhere behind it."""
    fields = _Fields(body)
    topic = fields.text()
    packet_id = fields.number() if flags & 0x02 else 0
    if not fields.ok or not publishable(topic) or (flags & 0x02 and not packet_id):
        return None
    return Publish(topic, packet_id, fields.at)


def open_puback(body: bytes) -> int | None:
    return int.from_bytes(body, "big") or None if len(body) == 2 else None


def open_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]] | None:
    """Packet id and pairs of filter and wanted QoS."""
    fields = _Fields(body)
    packet_id, wanted = fields.number(), []
    while fields.ok and not fields.ended:
        wanted.append((fields.text(), fields.number(1)))
    if not fields.ok or not packet_id or not wanted:
        return None
    if not all(filter_valid(name) and qos <= _MAXIMUM_QOS for name, qos in wanted):
        return None
    return packet_id, wanted


def open_unsubscribe(body: bytes) -> tuple[int, list[str]] | None:
    fields = _Fields(body)
    packet_id, filters = fields.number(), []
    while fields.ok and not fields.ended:
        filters.append(fields.text())
    if not fields.ok or not packet_id or not filters or not all(map(filter_valid, filters)):
        return None
    return packet_id, filters


def publishable(topic: str) -> bool:
    return bool(topic) and "+" not in topic and "#" not in topic


def filter_valid(name: str) -> bool:
    """`+` fills a level, `#` the last one, and neither stands beside anything (section 4.7.1)."""
    levels = name.split("/")
    return bool(name) and all(
        level == "+"
        or (level == "#" and position == len(levels))
        or not ("+" in level or "#" in level)
        for position, level in enumerate(levels, 1)
    )


def filter_matches(name: str, topic: str) -> bool:
    wanted, levels = name.split("/"), topic.split("/")
    if wanted[-1] == "#":
        # "a/#" takes in "a" itself.
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(
        want in ("+", level) for want, level in zip(wanted, levels, strict=True)
    )


def connack(code: ReturnCode, *, present: bool = False) -> bytes:
    return bytes((0x20, 2, present, code))


def puback(packet_id: int) -> bytes:
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def suback(packet_id: int, codes: list[int]) -> bytes:
    return packet(0x90, packet_id.to_bytes(2, "big"), bytes(codes))


def unsuback(packet_id: int) -> bytes:
    return b"\xb0\x02" + packet_id.to_bytes(2, "big")


def field(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def packet(first: int, *parts: bytes) -> bytes:
    size = sum(map(len, parts))
    head = bytearray((first,))
    while True:
        size, low = size >> 7, size & 0x7F
        head.append(low | 0x80 if size else low)
        if not size:
            return b"".join((head, *parts))
