"""An answer of the board's console program (firmware/console.py), as it is passed on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """ok, or why not: a code of the table "Codes of a station" with its detail. facts: the whole
    answer.
    """

    ok: bool
    code: str = ""
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
