"""Cairn's closed CBOR profile (spec/protocol.md section 1): strict loading, and what is wrong.

`load` is the fast way: cbor2, then the demand that the value re-encodes to the same bytes.
`violation` reads bytes itself and names the first thing that breaks the profile; it runs only
after something was refused, and where nobody looks at the types of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import cbor2

from gateway.core.verdicts import Verdict

DEPTH_MAX = 8
_NINT_ARGUMENTS = 1 << 63
_BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = 2, 3, 4, 5, 6, 7
_NULL = 22


class _NoTags(Mapping[int, Callable[..., NoReturn]]):
    """Answers for every tag: cbor2 would otherwise build dates, patterns or huge numbers."""

    def __getitem__(self, tag: int) -> Callable[..., NoReturn]:
        return _refuse_tag

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("the profile has no tags")


_NO_TAGS = _NoTags()


def encode(value: object) -> bytes:
    """Deterministic bytes of a value; the caller keeps to the profile.

    cbor2's canonical form orders keys by length first, which is RFC 8949's order for the
    one map that we write.
    """
    return cbor2.dumps(value, canonical=True)


def load(data: bytes) -> Any | Verdict:
    """The value in `data`, arrays as lists, or the verdict on its first violation.

    A value may still hold floats, booleans, undefined, simple values, integers of 65 bits, maps
    and an empty array one level too deep: all re-encode. Whoever reads it checks each type, or
    asks `violation`.
    """
    try:
        value = cbor2.loads(
            data,
            semantic_decoders=_NO_TAGS,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        if cbor2.dumps(value, canonical=True) == data:
            return value
    except (cbor2.CBORError, TypeError, ValueError, OverflowError):
        pass
    return violation(data) or Verdict.BAD_PAYLOAD


def violation(data: bytes, *, maps: bool = False) -> Verdict | None:
    """The first thing in `data` that breaks the profile, or None. With `maps`, maps are allowed,
    their keys unique but in any order.
    """
    try:
        end = _skip(data, 0, DEPTH_MAX, maps=maps)
    except _ViolationError as found:
        return found.verdict
    return None if end == len(data) else Verdict.TRAILING_BYTES


class _ViolationError(Exception):
    """Leaves the recursion of `violation`; never leaves this module."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def _skip(data: bytes, pos: int, depth: int, *, maps: bool) -> int:
    """Position behind the item at `pos`; `depth` containers may still be opened."""
    if pos >= len(data):
        raise _ViolationError(Verdict.TRUNCATED)
    major = data[pos] >> 5
    if major >= _TAG:
        return _skip_simple(data[pos], pos)
    argument, pos = _argument(data, pos)
    if major < _BYTES:
        if major and argument >= _NINT_ARGUMENTS:
            raise _ViolationError(Verdict.UNSUPPORTED_TYPE)
        return pos
    # Every item takes a byte at least, so a false length ends here and not in a long loop.
    if argument > len(data) - pos:
        raise _ViolationError(Verdict.TRUNCATED)
    if major < _ARRAY:
        return _skip_string(data, pos, argument, text=major == _TEXT)
    if depth == 0:
        raise _ViolationError(Verdict.TOO_DEEP)
    if major == _MAP:
        return _skip_map(data, pos, argument, depth - 1, maps=maps)
    for _ in range(argument):
        pos = _skip(data, pos, depth - 1, maps=maps)
    return pos


def _argument(data: bytes, pos: int) -> tuple[int, int]:
    info = data[pos] & 31
    if info < 24:
        return info, pos + 1
    if info == 31:
        raise _ViolationError(Verdict.INDEFINITE_LENGTH)
    if info > 27:
        raise _ViolationError(Verdict.UNSUPPORTED_TYPE)
    size = 1 << info - 24
    end = pos + 1 + size
    if end > len(data):
        raise _ViolationError(Verdict.TRUNCATED)
    argument = int.from_bytes(data[pos + 1 : end], "big")
    if argument < 24 or (size > 1 and argument < 1 << 4 * size):
        raise _ViolationError(Verdict.NON_MINIMAL_INTEGER)
    return argument, end


def _skip_simple(initial: int, pos: int) -> int:
    info = initial & 31
    if initial >> 5 == _SIMPLE:
        if info == _NULL:
            return pos + 1
        if 25 <= info <= 27:
            raise _ViolationError(Verdict.FLOAT)
        if info == 31:
            raise _ViolationError(Verdict.INDEFINITE_LENGTH)
    raise _ViolationError(Verdict.UNSUPPORTED_TYPE)


def _skip_string(data: bytes, pos: int, size: int, *, text: bool) -> int:
    end = pos + size
    if text:
        try:
            data[pos:end].decode()
        except UnicodeDecodeError:
            raise _ViolationError(Verdict.BAD_TEXT) from None
    return end


def _skip_map(data: bytes, pos: int, count: int, depth: int, *, maps: bool) -> int:
    keys: set[bytes] = set()
    for _ in range(count):
        value = _skip(data, pos, depth, maps=maps)
        key = data[pos:value]
        if key in keys:
            raise _ViolationError(Verdict.DUPLICATE_KEY)
        keys.add(key)
        pos = _skip(data, value, depth, maps=maps)
    if not maps:
        raise _ViolationError(Verdict.UNSUPPORTED_TYPE)
    return pos
