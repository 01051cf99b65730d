"""Virtual time and flash that loses its power: the ground under bench.py."""

import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from cairn.boards import base
from cairn.boards.host import MemoryFiles


class PowerCut(BaseException):
    """The power went while a file was being changed."""


class FaultyFiles(MemoryFiles):
    """Cuts the power at one changing call: before it, after it, or after n appended bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.cut: tuple[int, str | int] | None = None

    def write(self, name: str, data: bytes) -> None:
        self._change(lambda: super(FaultyFiles, self).write(name, data))

    def remove(self, name: str) -> None:
        self._change(lambda: super(FaultyFiles, self).remove(name))

    def append(self, name: str, data: bytes) -> None:
        if self.cut and self.cut[0] == self.calls and isinstance(self.cut[1], int):
            super().append(name, data[: self.cut[1]])
            raise PowerCut
        self._change(lambda: super(FaultyFiles, self).append(name, data))

    def _change(self, change: Callable[[], None]) -> None:
        call, self.calls = self.calls, self.calls + 1
        if self.cut is None or self.cut[0] != call:
            change()
            return
        if self.cut[1] == "after":
            change()
        raise PowerCut


class Wait:
    """Ends after delay_ms (None: never) or when event is set."""

    def __init__(self, delay_ms: int | None, event: "BenchEvent | None") -> None:
        self.delay_ms = delay_ms
        self.event = event
        self.woken = False

    def __await__(self) -> Generator["Wait", None, bool]:
        yield self
        return self.woken


class BenchEvent(base.Event):
    def __init__(self, world: "World") -> None:
        self.world = world
        self.up = False
        self.waiting: list[Callable[[], None]] = []

    def set(self) -> None:
        self.up = True
        waiting, self.waiting = self.waiting, []
        for wake in waiting:
            wake()

    def clear(self) -> None:
        self.up = False

    async def wait(self, timeout_ms: int | None) -> bool:
        if self.up:
            return True
        return await Wait(timeout_ms, self)


class World:
    """Virtual milliseconds and the tasks of one boot. A task's exception leaves run()."""

    def __init__(self) -> None:
        self.now = 0
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.unborn: dict[int, Coroutine[Any, Any, Any]] = {}

    def clear(self) -> None:
        """The power is gone: no task goes on, and what was only spawned never begins."""
        self.heap.clear()
        for coroutine in self.unborn.values():
            coroutine.close()
        self.unborn.clear()

    def at(self, when: int, call: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.heap, (when, self.order, call))

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.unborn[id(coroutine)] = coroutine
        self.at(self.now, lambda: self._step(coroutine))

    def _step(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.unborn.pop(id(coroutine), None)
        try:
            wait = coroutine.send(None)
        except StopIteration:
            return
        done = False

        def resume(*, woken: bool) -> None:
            nonlocal done
            if not done:
                done = True
                wait.woken = woken
                self._step(coroutine)

        if wait.event is not None:
            wait.event.waiting.append(lambda: self.at(self.now, lambda: resume(woken=True)))
        if wait.delay_ms is not None:
            self.at(self.now + wait.delay_ms, lambda: resume(woken=False))

    def run(self, until: int) -> None:
        while self.heap and self.heap[0][0] <= until:
            self.now, _, call = heapq.heappop(self.heap)
            call()
        self.now = until
