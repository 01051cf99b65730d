"""Samples that wait in memory which deep sleep leaves alone (Board.retain) until a wake delivers
them. They are not signed yet.

Two bytes of name, the version, CBOR [notes, thinned, group ...], and the start of SHA-256 over all
before it. A group is [[quantity, channel, exponent, ...], time, a value for each quantity, time
since the last, values ...]: samples of one shape; a value is an integer, null, or a fault code as
one byte. Whatever else the memory holds is discarded, and said.
"""

from hashlib import sha256

from . import cbor, limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    # quantity, channel, exponent, value or None, fault code
    Reading = tuple[int, int, int, int | None, int]
    # time by a clock that goes on over sleep, readings
    Sample = tuple[int, list[Reading]]

_HEAD = b"CR\x01"
_NAME_BYTES = 2
_CHECK_BYTES = 4
_NOTES_MAX = 16


def pack(notes: "Sequence[int]", samples: "list[Sample]", thinned: int) -> "tuple[bytes, int]":
    """(at most limits.RETAINED_BYTES, thinned and what had to go besides).

    notes: up to 16 integers of the caller's own; samples: oldest first, one that is no later than
    the one before it is left out. Where room is short every second sample of the older half goes,
    again and again, so that the newest stand closest.
    """
    kept: "list[Sample]" = []
    for sample in samples:
        if not kept or kept[-1][0] < sample[0]:
            kept.append(sample)
    while True:
        lost = thinned + len(samples) - len(kept)
        body = _HEAD + cbor.encode([list(notes), lost] + _groups(kept))
        if len(body) + _CHECK_BYTES <= limits.RETAINED_BYTES:
            return body + sha256(body).digest()[:_CHECK_BYTES], lost
        half = len(kept) // 2
        older = [kept[index] for index in range(0, half, 2)]
        kept = older + kept[half:] if half > 1 else kept[1:]


def unpack(data: "bytes | None") -> "tuple[list[int], list[Sample], int, str]":
    """(notes, samples, thinned, fault): what pack() got. The fault is "" or why everything else
    is empty: "retained.damaged", or "retained.foreign" for what this version did not write.
    """
    if not data:
        return [], [], 0, ""
    body = data[:-_CHECK_BYTES]
    named = data[:_NAME_BYTES] == _HEAD[:_NAME_BYTES]
    if data[-_CHECK_BYTES:] != sha256(body).digest()[:_CHECK_BYTES]:
        return [], [], 0, "retained.damaged" if named else "retained.foreign"
    if body[: len(_HEAD)] != _HEAD:
        return [], [], 0, "retained.foreign"
    try:
        notes, thinned, samples = _parse(cbor.decode(body[len(_HEAD) :]))
    except ValueError:
        return [], [], 0, "retained.damaged"
    return notes, samples, thinned, ""


def _groups(samples: "list[Sample]") -> "list[Any]":
    groups: "list[Any]" = []
    shape: "list[int] | None" = None
    last = 0
    for at, readings in samples:
        found: "list[int]" = []
        for reading in readings:
            found += reading[:3]
        if found != shape:
            shape, last = found, 0
            groups.append([shape])
        group = groups[-1]
        group.append(at - last)
        for reading in readings:
            value: "int | bytes | None" = reading[3]
            if value is None and reading[4]:
                value = bytes([reading[4]])
            group.append(value)
        last = at
    return groups


def _parse(content: "Any") -> "tuple[list[int], int, list[Sample]]":
    if not isinstance(content, list) or len(content) < 2 or not isinstance(content[0], list):
        raise ValueError("content")
    notes, thinned = content[0], content[1]
    if len(notes) > _NOTES_MAX:
        raise ValueError("notes")
    for note in notes:
        _within(note, -limits.INT_MAX, limits.INT_MAX)
    _within(thinned, 0, limits.INT_MAX)
    samples: "list[Sample]" = []
    for group in content[2:]:
        _parse_group(group, samples)
    return notes, thinned, samples


def _parse_group(group: "Any", samples: "list[Sample]") -> None:
    if not isinstance(group, list) or not group or not isinstance(group[0], list):
        raise ValueError("group")
    shape = group[0]
    columns = len(shape) // 3
    if len(shape) % 3 or columns > limits.COLUMNS_MAX or (len(group) - 1) % (columns + 1):
        raise ValueError("shape")
    for place, number in enumerate(shape):
        low, high = 0, limits.UINT32_MAX
        if place % 3 == 2:
            low, high = limits.EXPONENT_MIN, limits.EXPONENT_MAX
        _within(number, low, high)
    at = 0
    for start in range(1, len(group), columns + 1):
        _within(group[start], -limits.INT_MAX, limits.INT_MAX)
        at += group[start]
        if samples and at <= samples[-1][0]:
            raise ValueError("time")
        readings = []
        for column in range(columns):
            value, fault = _value(group[start + 1 + column])
            quantity, channel, exponent = shape[3 * column : 3 * column + 3]
            readings.append((quantity, channel, exponent, value, fault))
        samples.append((at, readings))


def _value(value: "Any") -> "tuple[int | None, int]":
    if value is None:
        return None, 0
    if isinstance(value, bytes):
        if len(value) != 1:
            raise ValueError("fault")
        _within(value[0], 1, limits.FAULT_MAX)
        return None, value[0]
    _within(value, -limits.VALUE_MAX, limits.VALUE_MAX)
    return value, 0


def _within(value: "Any", low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError("number")
