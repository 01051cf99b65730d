"""Deterministic CBOR of our own documents: state, manifest, station table, bundle index.

Arrays, integers of 64 bits, byte strings, text and null; amounts are decimal text. Messages of
devices are not decoded here (wire.py), and what a document means is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cbor2

DEPTH_MAX = 16
_DIGITS_MAX = 78  # of 2**256
_SHARING_TAGS = (25, 28, 29, 256)


class MalformedError(Exception):
    """Bytes that are no document of the expected shape; says where."""


def encode(value: object) -> bytes:
    """Return the one encoding of `value`, which is made of arrays and the types above."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """Return the document, arrays as tuples; MalformedError unless it encodes to `data` again."""
    try:
        value = cbor2.loads(
            data,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            immutable=True,
            semantic_decoders=_REFUSE_SHARING,
        )
    except (cbor2.CBORError, ValueError, OverflowError) as error:
        raise MalformedError(f"not CBOR ({error})") from error
    _check_types(value)
    if encode(value) != data:
        raise MalformedError("not in its deterministic encoding")
    return value


def row(value: Any, length: int, what: str) -> tuple[Any, ...]:
    """Return `value` if it is an array of `length` entries."""
    if type(value) is not tuple or len(value) != length:
        raise MalformedError(f"{what} is not an array of {length}")
    return value


def rows(value: Any, what: str) -> tuple[Any, ...]:
    """Return `value` if it is an array."""
    if type(value) is not tuple:
        raise MalformedError(f"{what} is not an array")
    return value


def uint(value: Any, what: str) -> int:
    """Return `value` if it is an unsigned integer."""
    if type(value) is not int or value < 0:
        raise MalformedError(f"{what} is not an unsigned integer")
    return value


def sint(value: Any, what: str) -> int:
    """Return `value` if it is an integer."""
    if type(value) is not int:
        raise MalformedError(f"{what} is not an integer")
    return value


def octets(value: Any, lengths: Sequence[int], what: str) -> bytes:
    """Return `value` if it is a byte string of one of `lengths`."""
    if type(value) is not bytes or len(value) not in lengths:
        raise MalformedError(f"{what} is not a byte string of {' or '.join(map(str, lengths))}")
    return value


def blob(value: Any, what: str) -> bytes:
    """Return `value` if it is a byte string of any length."""
    if type(value) is not bytes:
        raise MalformedError(f"{what} is not a byte string")
    return value


def amount(value: Any, what: str) -> int:
    """Return the integer that a decimal text stands for; no sign, no leading zeros."""
    if type(value) is not str or not (value.isascii() and value.isdigit()):
        raise MalformedError(f"{what} is not decimal text")
    if len(value) > _DIGITS_MAX or (value[0] == "0" and value != "0"):
        raise MalformedError(f"{what} is too long or begins with 0")
    return int(value)


def ascending(keys: Sequence[Any], what: str) -> None:
    """Refuse keys that are not strictly ascending."""
    if any(a >= b for a, b in pairwise(keys)):
        raise MalformedError(f"{what} are not strictly ascending")


def _check_types(value: Any) -> None:
    # Tags that cbor2 knows become dates, sets, fractions: none of these four types.
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is tuple:
            stack.extend(item)
        elif type(item) is int:
            if not -(1 << 63) <= item < 1 << 64:
                raise MalformedError("an integer does not fit 64 bits")
        elif item is not None and type(item) not in {bytes, str}:
            raise MalformedError(f"a value of type {type(item).__name__}")


def _refuse_sharing(_decoder: object, *_rest: object) -> Any:
    raise MalformedError("a tag that repeats other values")


# A few bytes of shared references could stand for gigabytes.
_REFUSE_SHARING = dict.fromkeys(_SHARING_TAGS, _refuse_sharing)
