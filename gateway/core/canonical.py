"""Our own documents in the closed CBOR profile: state, manifest, station table, bundle index.

Beside cbor_profile it knows the shapes that such documents are made of: arrays, numbers, byte
strings, and amounts as decimal text. What a document means is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gateway.core.cbor_profile import load
from gateway.core.verdicts import Verdict

AMOUNT_LIMIT = 1 << 256
_DIGITS_MAX = 78


class MalformedError(Exception):
    """Bytes that are no document of the expected shape; says where."""


def decode(data: bytes) -> Any:
    """Return the document in `data`, arrays as lists, or raise MalformedError."""
    value = load(data)
    if isinstance(value, Verdict):
        raise MalformedError(f"not in the CBOR profile ({value.name.lower()})")
    _check_types(value)
    return value


def row(value: Any, length: int, what: str) -> list[Any]:
    """Return `value` if it is an array of `length` entries."""
    if type(value) is not list or len(value) != length:
        raise MalformedError(f"{what} is not an array of {length}")
    return value


def rows(value: Any, what: str) -> list[Any]:
    """Return `value` if it is an array."""
    if type(value) is not list:
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
    if int(value) >= AMOUNT_LIMIT:
        raise MalformedError(f"{what} is more than a claim can carry")
    return int(value)


def ascending(keys: Sequence[Any], what: str) -> None:
    """Refuse keys that are not strictly ascending."""
    if any(a >= b for a, b in pairwise(keys)):
        raise MalformedError(f"{what} are not strictly ascending")


def _check_types(value: Any) -> None:
    # cbor_profile leaves the types to whoever reads: floats, maps and 65-bit integers re-encode.
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend(item)
        elif type(item) is int:
            if not -(1 << 63) <= item < 1 << 64:
                raise MalformedError("an integer does not fit 64 bits")
        elif item is not None and type(item) not in {bytes, str}:
            raise MalformedError(f"a value of type {type(item).__name__}")
