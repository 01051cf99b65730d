"""What the gateway says of itself: checks with what to do, and the two answers drawn from them.

live: the process can still do its work, or must be started again. ready: a message that is sent
now is taken in. This module holds the form; `runtime_health.py` looks at the parts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold. do: what a person can do about it; empty while it holds."""

    name: str
    ok: bool
    detail: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """For `/health` (live), `/ready` (ready) and the doctor."""

    live: bool
    ready: bool
    checks: tuple[Check, ...]
