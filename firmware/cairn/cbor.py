"""Cairn's closed CBOR profile (spec/protocol.md section 1): what the board writes and reads.

Core deterministic encoding (RFC 8949 section 4.2.1) of integers of 64 bits, byte strings, text,
arrays, null, and a map whose keys are 0..23 (the COSE header). It knows nothing of what the
values mean. Decoding accepts only bytes that encode() would have made.
"""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

UINT_MAX = 0xFFFFFFFFFFFFFFFF
NINT_MIN = -0x8000000000000000
DEPTH_MAX = 8
KEY_MAX = 23

_MAJOR_NEGATIVE = 1
_MAJOR_BYTES = 2
_MAJOR_TEXT = 3
_MAJOR_ARRAY = 4
_MAJOR_MAP = 5
_MAJOR_TAG = 6
_NULL = 0xF6
# Smallest argument that may use 1, 2, 4 and 8 bytes; anything below is not minimal.
_ARGUMENT_MIN = (24, 0x100, 0x10000, 0x100000000)


class CborError(ValueError):
    """Refused bytes. `code` is one of: truncated, trailing_bytes, non_minimal_integer, float,
    indefinite_length, duplicate_key, unsorted_key, tag, too_deep, bad_text, simple_value, map
    (a key that is not 0..23), integer_range (below -2^63), reserved (additional information
    28..30, RFC 8949 section 3).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def encode(value: object) -> bytes:
    """Deterministic bytes of a value; TypeError or ValueError if the profile cannot hold it."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def decode(data: bytes, depth_max: int = DEPTH_MAX) -> "Any":
    """The one value in data; arrays become lists. Raises CborError, nothing else, on bad bytes.

    At most depth_max arrays or maps stand inside each other, the outermost counted.
    """
    value, end = _read(data, 0, depth_max)
    if end != len(data):
        raise CborError("trailing_bytes")
    return value


def _write(out: bytearray, value: object) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        raise TypeError("CBOR profile has no booleans")
    elif isinstance(value, int):
        _write_int(out, value)
    elif isinstance(value, bytes):
        _write_head(out, _MAJOR_BYTES, len(value))
        out.extend(value)
    elif isinstance(value, str):
        text = value.encode()
        _check_text(text)  # a str on MicroPython may hold surrogates, which no decoder takes
        _write_head(out, _MAJOR_TEXT, len(text))
        out.extend(text)
    elif isinstance(value, (list, tuple)):
        _write_head(out, _MAJOR_ARRAY, len(value))
        for item in value:
            _write(out, item)
    elif isinstance(value, dict):
        _write_map(out, value)
    else:
        raise TypeError("CBOR profile has no %s" % type(value).__name__)


def _write_int(out: bytearray, value: int) -> None:
    if not NINT_MIN <= value <= UINT_MAX:
        raise ValueError("integer outside -2^63..2^64-1")
    if value < 0:
        _write_head(out, _MAJOR_NEGATIVE, -1 - value)
    else:
        _write_head(out, 0, value)


def _write_map(out: bytearray, value: "dict[int, object]") -> None:
    _write_head(out, _MAJOR_MAP, len(value))
    # Dicts keep no order on MicroPython. Keys 0..23 are one byte each, so numeric order is the
    # bytewise order that RFC 8949 asks for.
    for key in sorted(value):
        if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key <= KEY_MAX:
            raise ValueError("map key is not an integer 0..23")
        out.append(key)
        _write(out, value[key])


def _write_head(out: bytearray, major: int, argument: int) -> None:
    initial = major << 5
    if argument < 24:
        out.append(initial | argument)
        return
    size = 1
    info = 24
    while argument >> (8 * size):
        size *= 2
        info += 1
    out.append(initial | info)
    out.extend(argument.to_bytes(size, "big"))


def _read(data: bytes, start: int, depth: int) -> "tuple[Any, int]":
    if start >= len(data):
        raise CborError("truncated")
    initial = data[start]
    major = initial >> 5
    if major >= _MAJOR_TAG:
        _check_null(initial)
        return None, start + 1
    argument, pos = _read_argument(data, start)
    if major == 0:
        return argument, pos
    if major == _MAJOR_NEGATIVE:
        if argument >> 63:
            raise CborError("integer_range")
        return -1 - argument, pos
    # Every item takes at least a byte: a false length is refused before anything is allocated.
    if argument > len(data) - pos:
        raise CborError("truncated")
    if major == _MAJOR_BYTES:
        return bytes(data[pos : pos + argument]), pos + argument
    if major == _MAJOR_TEXT:
        text = bytes(data[pos : pos + argument])
        _check_text(text)
        return text.decode(), pos + argument
    if depth == 0:
        raise CborError("too_deep")
    if major == _MAJOR_ARRAY:
        return _read_array(data, pos, argument, depth - 1)
    return _read_map(data, pos, argument, depth - 1)


def _read_argument(data: bytes, start: int) -> "tuple[int, int]":
    info = data[start] & 31
    if info < 24:
        return info, start + 1
    if info == 31:
        raise CborError("indefinite_length")
    if info > 27:
        raise CborError("reserved")
    end = start + 1 + (1 << (info - 24))
    if end > len(data):
        raise CborError("truncated")
    argument = int.from_bytes(data[start + 1 : end], "big")
    if argument < _ARGUMENT_MIN[info - 24]:
        raise CborError("non_minimal_integer")
    return argument, end


def _check_null(initial: int) -> None:
    if initial == _NULL:
        return
    if initial >> 5 == _MAJOR_TAG:
        raise CborError("tag")
    info = initial & 31
    if info <= 24:
        raise CborError("simple_value")
    if info <= 27:
        raise CborError("float")
    raise CborError("indefinite_length" if info == 31 else "reserved")


def _read_array(data: bytes, pos: int, count: int, depth: int) -> "tuple[list[Any], int]":
    items = []
    for _ in range(count):
        item, pos = _read(data, pos, depth)
        items.append(item)
    return items, pos


def _read_map(data: bytes, pos: int, count: int, depth: int) -> "tuple[dict[int, Any], int]":
    entries: "dict[int, Any]" = {}
    last = -1
    for _ in range(count):
        if pos >= len(data):
            raise CborError("truncated")
        if data[pos] > KEY_MAX:
            raise CborError("map")
        key = data[pos]
        if key <= last:
            raise CborError("duplicate_key" if key in entries else "unsorted_key")
        last = key
        entries[key], pos = _read(data, pos + 1, depth)
    return entries, pos


def _check_text(data: bytes) -> None:
    # MicroPython's own check lets surrogates and overlong forms pass, CPython's does not; both
    # must refuse the same bytes, so neither is asked (table 3-7 of the Unicode standard).
    pos = 0
    size = len(data)
    while pos < size:
        lead = data[pos]
        pos += 1
        if lead < 0x80:
            continue
        if not 0xC2 <= lead <= 0xF4:
            raise CborError("bad_text")
        more = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
        if pos + more > size or not _second_byte_fits(lead, data[pos]):
            raise CborError("bad_text")
        for byte in data[pos + 1 : pos + more]:
            if byte >> 6 != 2:
                raise CborError("bad_text")
        pos += more


def _second_byte_fits(lead: int, byte: int) -> bool:
    low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    high = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    return low <= byte <= high
