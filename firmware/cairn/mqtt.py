"""MQTT 3.1.1 packets (OASIS standard, 29 October 2014) as a client writes and reads them.

Owns the bytes of a packet and how they arrive in pieces; it knows no connection, no topic and no
time. QoS 0 and 1, user name and password, no wills.
"""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

CONNACK = 2
PUBLISH = 3
PUBACK = 4
SUBACK = 9
PINGRESP = 13

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

PACKET_ID_MAX = 0xFFFF
# What four bytes of seven bits can say (section 2.2.3).
REMAINING_MAX = 268_435_455
REFUSED = 0x80

_PROTOCOL = b"\x00\x04MQTT\x04"
_CLEAN = 0x02
_USER_AND_PASSWORD = 0xC0
_DUP = 0x08
_RETURN_CODE_MAX = 5


class MqttError(ValueError):
    """Bytes that no server sends to this client. `code` is one of: kind, flags, qos, length,
    topic, packet_id, connack, suback.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def connect(
    client_id: bytes,
    user_name: bytes,
    password: bytes,
    keepalive_s: int,
    *,
    clean: bool = False,
) -> bytes:
    """CONNECT with user name and password; clean: the server forgets what it kept."""
    flags = _USER_AND_PASSWORD | (_CLEAN if clean else 0)
    head = _PROTOCOL + bytes([flags]) + _uint16(keepalive_s)
    return _packet(0x10, head + _field(client_id) + _field(user_name) + _field(password))


def publish(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    """PUBLISH with QoS 1, or with QoS 0 if packet_id is 0."""
    if not packet_id:
        return _packet(0x30, _field(topic) + payload)
    return _packet(0x32, _field(topic) + _uint16(packet_id) + payload)


def again(packet: bytes) -> bytes:
    """A PUBLISH of QoS 1 as it is sent once more: marked DUP."""
    return bytes([packet[0] | _DUP]) + packet[1:]


def puback(packet_id: int) -> bytes:
    return b"\x40\x02" + _uint16(packet_id)


def subscribe(packet_id: int, filters: "Sequence[tuple[bytes, int]]") -> bytes:
    """SUBSCRIBE to (topic filter, highest QoS)."""
    wanted = [_field(topic) + bytes([qos]) for topic, qos in filters]
    return _packet(0x82, _uint16(packet_id) + b"".join(wanted))


class Parser:
    """Feed it bytes as they come, then call next() until it gives None.

    It holds what was fed last and, before that, less than one packet of at most body_bytes_max
    behind its fixed header. Of a longer PUBLISH the payload is thrown away as it comes: a message
    that somebody retained must not keep the board off the network for ever.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._data = b""
        self._at = 0
        self._skip = 0

    def feed(self, data: bytes) -> None:
        rest = self._data[self._at :]
        self._data = rest + data if rest else data
        self._at = 0

    def next(self) -> "tuple[Any, ...] | None":
        """The next packet, None if it is not complete; MqttError, and then nothing more.

        (PUBLISH, topic, payload or None if it was too long, packet id or 0), (PUBACK, packet id),
        (CONNACK, return code, session present), (SUBACK, packet id, codes), (PINGRESP,).
        """
        if self._skip and not self._skipped():
            return None
        data, at = self._data, self._at
        if at + 2 > len(data):
            return None
        length, start = data[at + 1], at + 2
        if length > 127:
            length, start = _remaining(data, at + 1)
            if not start:
                return None
        if length > self._body_bytes_max:
            return self._overlong(data[at], start, length)
        end = start + length
        if end > len(data):
            return None
        self._at = end
        if data[at] >> 4 == PUBLISH:
            topic, payload_at, packet_id = _publish_head(data[at], data, start, end)
            return PUBLISH, topic, data[payload_at:end], packet_id
        return _short_packet(data[at], data[start:end])

    def _overlong(self, first: int, start: int, length: int) -> "tuple[Any, ...] | None":
        data = self._data
        if first >> 4 != PUBLISH:
            raise MqttError("length")
        if start + 2 > len(data):
            return None
        head_end = start + 2 + (data[start] << 8 | data[start + 1]) + 2
        if head_end - start > self._body_bytes_max:
            raise MqttError("topic")
        if head_end > len(data):
            return None
        topic, payload_at, packet_id = _publish_head(first, data, start, head_end)
        self._at = payload_at
        self._skip = length - (payload_at - start)
        return PUBLISH, topic, None, packet_id

    def _skipped(self) -> bool:
        step = min(self._skip, len(self._data) - self._at)
        self._at += step
        self._skip -= step
        return not self._skip


def _publish_head(first: int, data: bytes, start: int, end: int) -> "tuple[bytes, int, int]":
    """(topic, where the payload starts, packet id or 0)."""
    qos = first & 6
    if qos > 2:
        raise MqttError("qos")
    if start + 2 > end:
        raise MqttError("topic")
    topic_at = start + 2
    payload_at = topic_at + (data[start] << 8 | data[start + 1])
    if payload_at > end:
        raise MqttError("topic")
    topic = data[topic_at:payload_at]
    if not qos:
        if first & _DUP:
            raise MqttError("flags")
        return topic, payload_at, 0
    if payload_at + 2 > end:
        raise MqttError("packet_id")
    return topic, payload_at + 2, _packet_id(data[payload_at : payload_at + 2])


def _short_packet(first: int, body: bytes) -> "tuple[Any, ...]":
    kind = first >> 4
    if kind not in (PUBACK, PINGRESP, SUBACK, CONNACK):
        raise MqttError("kind")
    if first & 15:
        raise MqttError("flags")
    if kind == PINGRESP:
        _has_length(body, 0)
        return (PINGRESP,)
    if kind == SUBACK:
        codes = body[2:]
        if not codes:
            raise MqttError("length")
        for code in codes:
            if code > 2 and code != REFUSED:
                raise MqttError("suback")
        return SUBACK, _packet_id(body[:2]), codes
    _has_length(body, 2)
    if kind == PUBACK:
        return PUBACK, _packet_id(body)
    if body[0] > 1 or body[1] > _RETURN_CODE_MAX:
        raise MqttError("connack")
    return CONNACK, body[1], body[0] == 1


def _remaining(data: bytes, at: int) -> "tuple[int, int]":
    """(remaining length, where the body starts, 0 if that is not known yet)."""
    length = 0
    for index in range(4):
        if at + index >= len(data):
            return 0, 0
        byte = data[at + index]
        length |= (byte & 127) << (7 * index)
        if byte < 128:
            return length, at + index + 1
    raise MqttError("length")


def _packet_id(data: bytes) -> int:
    packet_id = data[0] << 8 | data[1]
    if not packet_id:
        raise MqttError("packet_id")
    return packet_id


def _has_length(body: bytes, length: int) -> None:
    if len(body) != length:
        raise MqttError("length")


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    if length > REMAINING_MAX:
        raise ValueError("an MQTT packet cannot be so long")
    head = bytearray([first])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _field(value: bytes) -> bytes:
    return _uint16(len(value)) + value


def _uint16(value: int) -> bytes:
    if not 0 <= value <= 0xFFFF:
        raise ValueError("%d does not fit into two bytes" % value)
    return bytes([value >> 8, value & 255])
