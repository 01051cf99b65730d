"""Strict parsers of what the gateway and the root sign (spec/protocol.md sections 3.3 and 7).

Bytes in, tuples out. A payload that breaks a rule raises DownlinkError and nothing else. Whether
a signature is good is asked elsewhere (keyring.py).
"""

from . import cbor, limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

TIME = 16
RECEIPT = 17
KEYS = 18
ENTROPY_COMMIT = 19
TICK = 21
RELEASE = 22
NOTICE = 23
# Topic tails under which a station takes downlinks.
DOWN_NAMES = ("down/receipt", "down/notice", "down/config-request")
ENTROPY_TAIL = "all/entropy"
ALL_NAMES = (
    "all/tick",
    "all/keys",
    ENTROPY_TAIL,
    # Days with an even and with an odd number: today's and tomorrow's are both retained.
    "all/entropy-commit/0",
    "all/entropy-commit/1",
    "all/release",
)
_LONG_KINDS = ("keys", "config-request")
# The end of the slot has to be a number of ms too.
_SLOT_MAX = limits.INT_MAX // limits.SLOT_MS - 1


class DownlinkError(ValueError):
    """A refused downlink; `code` names the field or is a code of cbor.CborError."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def size_max(tail: str) -> int:
    """Longest message that may come under a topic tail, such as "all/entropy-commit/0"."""
    if tail.split("/")[1] in _LONG_KINDS:
        return limits.DOWNLINK_LONG_BYTES_MAX
    return limits.DOWNLINK_BYTES_MAX


def parse(payload: bytes) -> "tuple[int, bytes, int, int, Any]":
    """(kind, to, key serial, time_ms, body). Body by kind: time `(nonce,)`; receipt
    `(up_to, id16, ranges, refused, gateway_ms)` with tuples of pairs; keys `(statement bytes,
    ...)`; entropy-commit `(chain end, first slot, slots)`; tick `(slot,)`; release `(SHA-256
    of the index, counter)`; notice `(code, text, detail)`; every other kind None.
    """
    fields = _decode(payload)
    if len(fields) != 6:
        raise DownlinkError("fields")
    version, kind, to, serial, time_ms, body = fields
    if not 16 <= _uint(version, 0xFFFF, "version") <= 31:
        raise DownlinkError("version")
    if _uint(kind, 0xFFFF, "kind") < TIME:
        raise DownlinkError("kind")
    if not isinstance(to, bytes) or len(to) not in (0, 16):
        raise DownlinkError("to")
    _uint(serial, limits.INT_MAX, "serial")
    _uint(time_ms, limits.INT_MAX, "time_ms")
    if not isinstance(body, list):
        raise DownlinkError("body")
    return kind, to, serial, time_ms, _body(kind, body)


def parse_statement(payload: bytes) -> "tuple[str, bytes, int, int, int]":
    """(role, public key, serial, not before ms, not after ms) of a key statement."""
    fields = _decode(payload)
    if len(fields) != 6:
        raise DownlinkError("fields")
    version, role, public_key, serial, not_before, not_after = fields
    if not 16 <= _uint(version, 0xFFFF, "version") <= 31:
        raise DownlinkError("version")
    if role not in ("gateway", "operator", "release", "auditor"):
        raise DownlinkError("role")
    _bytes(public_key, 32, "public_key")
    _uint(serial, limits.INT_MAX, "serial")
    _uint(not_before, limits.INT_MAX, "not_before")
    _uint(not_after, limits.INT_MAX, "not_after")
    return role, public_key, serial, not_before, not_after


def parse_time_answer(data: bytes) -> "tuple[bytes, bytes]":
    """(key statement, time message) of the answer to GET /v1/time, each a COSE_Sign1."""
    fields = _decode(data)
    if len(fields) != 2 or not isinstance(fields[0], bytes) or not isinstance(fields[1], bytes):
        raise DownlinkError("fields")
    return fields[0], fields[1]


def parse_entropy(data: bytes) -> "tuple[int, bytes, bytes]":
    """(slot, chain value, external entropy) of a link, which is not signed."""
    fields = _decode(data)
    if len(fields) != 3:
        raise DownlinkError("fields")
    slot, chain, external = fields
    _uint(slot, _SLOT_MAX, "slot")
    _bytes(chain, 32, "chain")
    if not isinstance(external, bytes) or len(external) > limits.EXTERNAL_BYTES_MAX:
        raise DownlinkError("external")
    return slot, chain, external


def _body(kind: int, body: "list[Any]") -> "Any":
    if kind == TIME:
        _length(body, 1)
        return (_bytes(body[0], 16, "nonce"),)
    if kind == RECEIPT:
        return _receipt(body)
    if kind == KEYS:
        for statement in body:
            if not isinstance(statement, bytes):
                raise DownlinkError("statement")
        return tuple(body)
    if kind == TICK:
        _length(body, 1)
        return (_uint(body[0], _SLOT_MAX, "slot"),)
    if kind == ENTROPY_COMMIT:
        _length(body, 3)
        first, slots = _uint(body[1], _SLOT_MAX, "slot"), _uint(body[2], _SLOT_MAX, "slots")
        return _bytes(body[0], 32, "chain"), first, slots
    if kind == RELEASE:
        _length(body, 2)
        return _bytes(body[0], 32, "index"), _uint(body[1], limits.INT_MAX, "counter")
    if kind == NOTICE:
        return _notice(body)
    return None


def _receipt(body: "list[Any]") -> "tuple[Any, ...]":
    _length(body, 5)
    up_to, id16, ranges, refused, gateway_ms = body
    _uint(up_to, limits.SEQ_MAX, "up_to")
    _bytes(id16, 16, "id16")
    _uint(gateway_ms, limits.INT_MAX, "gateway_ms")
    delivered = _pairs(ranges, limits.RANGES_MAX, limits.SEQ_MAX, "ranges")
    # up_to is the end of the first range: the next may not touch it either.
    end = up_to
    for first, last in delivered:
        if first <= end + 1 or last < first:
            raise DownlinkError("ranges")
        end = last
    refusals = _pairs(refused, limits.REFUSALS_MAX, limits.SEQ_MAX, "refused")
    for seq, verdict in refusals:
        if seq == 0 or verdict > 255:
            raise DownlinkError("refused")
    return up_to, id16, delivered, refusals, gateway_ms


def _notice(body: "list[Any]") -> "tuple[int, str, bytes]":
    _length(body, 3)
    code, text, detail = body
    _uint(code, limits.UINT32_MAX, "code")
    if not isinstance(text, str) or len(text.encode()) > limits.TEXT_BYTES_MAX:
        raise DownlinkError("text")
    if not isinstance(detail, bytes):
        raise DownlinkError("detail")
    return code, text, detail


def _pairs(value: "Any", count_max: int, high: int, name: str) -> "tuple[tuple[int, int], ...]":
    if not isinstance(value, list) or len(value) > count_max:
        raise DownlinkError(name)
    pairs = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise DownlinkError(name)
        pairs.append((_uint(pair[0], high, name), _uint(pair[1], high, name)))
    return tuple(pairs)


def _decode(data: bytes) -> "list[Any]":
    try:
        value = cbor.decode(data)
    except cbor.CborError as error:
        raise DownlinkError(error.code)
    if not isinstance(value, list):
        raise DownlinkError("fields")
    return value


def _length(body: "list[Any]", length: int) -> None:
    if len(body) != length:
        raise DownlinkError("body")


def _uint(value: "Any", high: int, name: str) -> int:
    if not isinstance(value, int) or not 0 <= value <= high:
        raise DownlinkError(name)
    return value


def _bytes(value: "Any", size: int, name: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise DownlinkError(name)
    return value
