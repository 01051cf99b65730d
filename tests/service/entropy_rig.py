"""What tests of entropy share: reading downlinks as a board does, and a store that dies."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import cbor2

from gateway.core.downlink import Downlink
from gateway.core.genesis import SLOT_MS
from gateway.core.operator import VoidSlots, open_operator_event
from gateway.core.registry import Policy
from gateway.shell.network import DATABASE, NetworkKeys
from gateway.shell.opening import open_statements
from gateway.shell.service import Gateway
from gateway.shell.store.sqlite import SqliteStore
from tests.service.gateway_rig import START, body_of

SLOT = START // SLOT_MS
DAY = 1_440
LATE_MS = 30_000


class Died(BaseException):
    """The process is gone; nothing catches it."""


class MortalEntropy:
    """The entropy log of a store that may die at each write."""

    def __init__(self, real: Any, write: Callable[[Callable[[], None]], None]) -> None:
        self._real = real
        self._write = write

    def add_commit(self, day: int, data: bytes) -> None:
        self._write(lambda: self._real.add_commit(day, data))

    def add_link(self, link: Any) -> None:
        self._write(lambda: self._real.add_link(link))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class DyingStore:
    """A real store that dies before or after its nth durable write."""

    def __init__(self, store: SqliteStore, writes: int, *, before: bool) -> None:
        self._store = store
        self._left = writes
        self._before = before
        self.entropy = MortalEntropy(store.entropy, self._write)

    def append_event(self, event_id: bytes, data: bytes) -> None:
        self._write(lambda: self._store.append_event(event_id, data))

    def _write(self, act: Callable[[], None]) -> None:
        self._left -= 1
        if self._left == 0 and self._before:
            raise Died
        act()
        if self._left == 0:
            raise Died

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def store_of(keys: NetworkKeys) -> SqliteStore:
    return SqliteStore.create(keys.folder / DATABASE, keys.network_id)


def dying_gateway(keys: NetworkKeys, writes: int, *, before: bool) -> Gateway:
    store = DyingStore(store_of(keys), writes, before=before)
    return Gateway.open(store, keys, Policy.OPEN)  # type: ignore[arg-type]


def tails(downlinks: Iterable[Downlink]) -> list[str]:
    return [one.tail for one in downlinks]


def link_of(downlinks: Iterable[Downlink]) -> tuple[int, bytes, bytes] | None:
    """Slot, chain value and external of the one link that is told; None without."""
    links = [cbor2.loads(one.data) for one in downlinks if one.tail == "entropy"]
    assert len(links) <= 1
    return tuple(links[0]) if links else None


def end_of(keys: NetworkKeys, downlink: Downlink) -> tuple[bytes, int, int]:
    """What a commit says, after checking who signed it."""
    end, first, slots = body_of(keys, downlink)
    return end, first, slots


def hashed(value: bytes, times: int) -> bytes:
    for _ in range(times):
        value = hashlib.sha256(value).digest()
    return value


def voids(keys: NetworkKeys) -> list[tuple[tuple[int, int], ...]]:
    """The ranges of every void-slot event, in order."""
    store = store_of(keys)
    statements = open_statements(keys)
    found = []
    for data in store.events(0, store.operator_head().length):
        event = open_operator_event(data, keys.network_id, statements)
        if isinstance(event.body, VoidSlots):
            found.append(event.body.ranges)
    store.close()
    return found
