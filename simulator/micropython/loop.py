"""Runs inside MicroPython: an event loop on virtual time. It owns the order of tasks.

Pure Python without a clock: whoever drives it says how far time may go, and runs one coroutine
step a call, because this interpreter's collector works only between calls. simulator/world.py is
the same thing on CPython. Times are ms since the boot.
"""

from heapq import heappop, heappush

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any

    Failed = Callable[[BaseException], None]


class Task:
    """A coroutine and the turn it waits for; a wake-up for an earlier turn is stale."""

    def __init__(self, coroutine: "Coroutine[Any, Any, Any]") -> None:
        self.coroutine = coroutine
        self.turn = 0


class Pause:
    """Await it: True when the event was set, False when duration_ms passed first."""

    def __init__(self, event: "Event | None", duration_ms: "int | None") -> None:
        self.event = event
        self.duration_ms = duration_ms

    def __iter__(self) -> "Generator[Pause, bool, bool]":
        return (yield self)

    __await__ = __iter__


class Event:
    """A flag that one task sets and another awaits (cairn/boards/base.py)."""

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop
        self._up = False
        self._waiters: list[tuple[Task, int]] = []

    def set(self) -> None:
        self._up = True
        waiters, self._waiters = self._waiters, []
        for task, turn in waiters:
            if task.turn == turn:
                self._loop.wake(task, self._loop.now, True)  # noqa: FBT003 - what await gives

    def clear(self) -> None:
        self._up = False

    async def wait(self, timeout_ms: "int | None") -> bool:
        if self._up:
            return True
        return await Pause(self, timeout_ms) or self._up

    def enlist(self, task: Task) -> None:
        """Have the task woken by `set`."""
        if len(self._waiters) > 16:  # waiters that timed out are only dropped here
            self._waiters = [one for one in self._waiters if one[0].turn == one[1]]
        self._waiters.append((task, task.turn))


class Loop:
    """The tasks of one boot. failed: called with what left a task; it must not return normally
    if the board is to stop.
    """

    def __init__(self, failed: "Failed") -> None:
        self.now = 0
        self.steps = 0
        self._failed = failed
        self._heap: list[tuple[int, int, Task, int, bool | None]] = []
        self._order = 0

    def spawn(self, coroutine: "Coroutine[Any, Any, Any]") -> None:
        """Start a task now, behind what is already due."""
        self.wake(Task(coroutine), self.now, None)

    def wake(self, task: Task, due: int, value: "bool | None") -> None:
        """Resume the task at due unless something else has resumed it by then."""
        self._order += 1
        heappush(self._heap, (due, self._order, task, task.turn, value))

    async def sleep(self, duration_ms: int) -> None:
        await Pause(None, max(duration_ms, 0))

    def event(self) -> Event:
        return Event(self)

    def next(self) -> "int | None":
        """When the next task is due; None: only an event can go on."""
        heap = self._heap
        while heap and heap[0][2].turn != heap[0][3]:
            heappop(heap)
        return heap[0][0] if heap else None

    def step(self, limit: int) -> bool:
        """Run one step of the first task that is due by limit; False if there is none."""
        due = self.next()
        if due is None or due > limit:
            return False
        _, _, task, _, value = heappop(self._heap)
        self.now = max(self.now, due)
        self.steps += 1
        task.turn += 1
        try:
            pause = task.coroutine.send(value)
        except StopIteration:
            return True
        except BaseException as error:  # noqa: BLE001 - whatever it is, only a restart mends it
            self._failed(error)
            return True
        if pause.event is not None:
            pause.event.enlist(task)
        if pause.duration_ms is not None:
            self.wake(task, self.now + max(pause.duration_ms, 0), False)  # noqa: FBT003
        return True

    def stand(self, at: int) -> None:
        """It is at; everything that was due by then has run."""
        self.now = max(self.now, at)
