"""A board's flash in memory, with power cuts that fall before, inside or after a call.

It owns what survives a restart, and nothing else. The contract is `cairn.boards.base.Files`.
"""

from __future__ import annotations

import random

from cairn.boards.base import Files

from simulator.world import Stopped

NO_SPACE = 28


class Disk(Files):
    """Durable files of one board; `capacity_bytes` None means without limit."""

    def __init__(self, generator: random.Random, capacity_bytes: int | None = None) -> None:
        self._files: dict[str, bytearray] = {}
        self._generator = generator
        self._capacity_bytes = capacity_bytes
        self._used_bytes = 0
        self._calls_to_cut: int | None = None
        self._powered = True

    def arm(self, calls: int) -> None:
        """Cut the power in the changing call after the next `calls` ones."""
        self._calls_to_cut = calls

    def disarm(self) -> None:
        """Forget `arm`."""
        self._calls_to_cut = None

    def cut(self) -> None:
        """Power is gone: every call raises Stopped until `power_on`."""
        self._powered = False
        self._calls_to_cut = None

    def power_on(self) -> None:
        self._powered = True

    def read(self, name: str) -> bytes | None:
        self._check_power()
        content = self._files.get(name)
        return None if content is None else bytes(content)

    def write(self, name: str, data: bytes) -> None:
        cut = self._cuts_here()
        if not cut or self._generator.randrange(2):
            self._store(name, bytearray(data))
        if cut:
            self._die()

    def append(self, name: str, data: bytes) -> None:
        cut = self._cuts_here()
        kept = data[: self._generator.randrange(len(data) + 1)] if cut else data
        if kept or not cut:
            self._reserve(len(kept))
            self._files.setdefault(name, bytearray()).extend(kept)
        if cut:
            self._die()

    def remove(self, name: str) -> None:
        cut = self._cuts_here()
        if not cut or self._generator.randrange(2):
            self._used_bytes -= len(self._files.pop(name, b""))
        if cut:
            self._die()

    def names(self, prefix: str) -> list[str]:
        self._check_power()
        return sorted(name for name in self._files if name.startswith(prefix))

    def _store(self, name: str, data: bytearray) -> None:
        self._reserve(len(data) - len(self._files.get(name, b"")))
        self._files[name] = data

    def _reserve(self, size: int) -> None:
        limit = self._capacity_bytes
        if limit is not None and self._used_bytes + size > limit:
            raise OSError(NO_SPACE, "no space left on the simulated flash")
        self._used_bytes += size

    def _check_power(self) -> None:
        if not self._powered:
            raise Stopped("no power")

    def _cuts_here(self) -> bool:
        self._check_power()
        if self._calls_to_cut is None:
            return False
        self._calls_to_cut -= 1
        return self._calls_to_cut < 0

    def _die(self) -> None:
        self.cut()
        raise Stopped("power cut")
