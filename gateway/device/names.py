"""Short names, those first that a board's interpreter already holds in its ROM.

A new name takes about 7 bytes of the heap and its length; one of the fixed names of the .mpy
format (py/qstr.h of MicroPython: the same in every build that reads version 6) takes none.
"""

import builtins
import itertools
import string
from collections.abc import Iterable, Iterator

FIXED = (
    "append", "args", "bytecode", "clear", "close", "const", "copy", "count", "end", "endswith",
    "extend", "find", "format", "from_bytes", "get", "index", "insert", "isalpha", "isdigit",
    "islower", "isspace", "isupper", "items", "join", "key", "keys", "little", "lower", "lstrip",
    "micropython", "pop", "popitem", "read", "readinto", "remove", "replace", "reverse", "rfind",
    "rindex", "rsplit", "rstrip", "send", "sep", "setdefault", "sort", "split", "start",
    "startswith", "step", "stop", "strip", "throw", "to_bytes", "update", "upper", "value",
    "values", "write",
)  # fmt: skip
# Also fixed, and names of builtins: an attribute may be called so, a variable may not.
FIXED_BUILTINS = (
    "abs", "all", "any", "bool", "bytearray", "bytes", "callable", "chr", "classmethod", "dict",
    "dir", "divmod", "eval", "exec", "getattr", "globals", "hasattr", "hash", "id", "int",
    "isinstance", "issubclass", "iter", "len", "list", "locals", "map", "next", "object", "open",
    "ord", "pow", "print", "range", "repr", "round", "set", "setattr", "sorted", "staticmethod",
    "str", "sum", "super", "tuple", "type", "zip",
)  # fmt: skip

_TYPES = (
    object, int, str, bytes, bytearray, memoryview, list, tuple, dict, set, frozenset, range,
    slice, type, property, BaseException, OSError, StopIteration, UnicodeError,
)  # fmt: skip
# What MicroPython's own objects answer to beyond CPython's: hashes, files, generators, events.
_MORE = {
    "digest", "hexdigest", "update", "read", "readinto", "readline", "readlines", "write",
    "close", "flush", "seek", "tell", "send", "throw", "pend_throw", "set", "clear", "wait",
    "is_set", "cancel", "done",
}  # fmt: skip


def builtin_attributes() -> set[str]:
    """Names that objects of the interpreter answer to."""
    return _MORE.union(*(dir(kind) for kind in _TYPES))


def builtin_names() -> set[str]:
    """Names that need no import."""
    return set(dir(builtins)) | {"const", "micropython"}


def short_names(avoid: Iterable[str], *, attributes: bool) -> Iterator[str]:
    """Names without end, the cheapest first."""
    avoided = set(avoid)
    first = FIXED + FIXED_BUILTINS if attributes else FIXED
    letters = string.ascii_letters
    endless = (
        "".join(parts)
        for length in itertools.count(1)
        for parts in itertools.product(letters, *[letters + string.digits] * (length - 1))
    )
    for name in itertools.chain(first, endless):
        if name not in avoided and name not in _KEYWORDS:
            yield name


_KEYWORDS = {"as", "if", "in", "is", "or", "do", "and", "def", "del", "for", "not", "try"}
