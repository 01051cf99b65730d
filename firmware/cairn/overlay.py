"""Modules that are needed for a moment, loaded and forgotten again: the one place where that is
done. A microcontroller's heap holds the code of every module that stays imported.
"""

import sys

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

_PACKAGE = "cairn"


def borrow(name: str) -> "Any":
    """The module cairn.<name>. On MicroPython nothing but the caller holds it afterwards, unless
    it was loaded before: keep it in a local name only. CPython keeps it, and so its tests.
    """
    full = _PACKAGE + "." + name
    known = full in sys.modules
    module = __import__(full, None, None, (name,))
    if not known and sys.implementation.name == "micropython":
        del sys.modules[full]
        sys.modules[_PACKAGE].__dict__.pop(name, None)
    return module
