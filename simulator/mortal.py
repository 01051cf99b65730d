"""A store that may die around one commit, as the gateway's process does when it is killed.

It knows nothing of what is committed.
"""

from __future__ import annotations

from typing import Any, Protocol


class Crashed(BaseException):
    """The gateway's process dies here; nothing of it may run on."""


class Real(Protocol):
    def commit(self, batch: Any) -> None: ...

    def close(self) -> None: ...


class MortalStore:
    """The real store, except that the process may die around one commit."""

    def __init__(self, real: Real) -> None:
        self.real = real
        self._dies: str | None = None

    def arm(self, *, before: bool) -> None:
        self._dies = "before" if before else "after"

    def disarm(self) -> None:
        self._dies = None

    def abandon(self) -> None:
        self.real.close()

    def commit(self, batch: Any) -> None:
        if self._dies == "before":
            raise Crashed
        self.real.commit(batch)
        if self._dies == "after":
            raise Crashed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
