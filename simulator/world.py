"""Virtual time: an event heap that drives plain coroutines with `coroutine.send`.

It owns the clock and the order of events, and knows nothing of boards, gateways or weather. Times
are integers in ms; events at one time run in the order in which they were asked for, so a run is
a function of its inputs. asyncio with a virtual clock does a tenth of the events per second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from cairn.boards import base

Item = TypeVar("Item")


class Stopped(BaseException):
    """Power is gone or the board restarts: unwinds the task in which it happens.

    A BaseException, because no firmware code can catch the loss of its supply.
    """


class TaskFailed(RuntimeError):  # noqa: N818 - names what happened
    """An exception left a task: a bug in the code under test or in the simulator."""


class Group:
    """The tasks of one boot of one board; they die together."""

    __slots__ = ("alive", "name", "on_stop", "tasks")

    def __init__(self, name: str, on_stop: Callable[[str], None] | None = None) -> None:
        self.name = name
        self.alive = True
        self.on_stop = on_stop
        self.tasks: dict[Task, None] = {}

    def kill(self) -> None:
        """End every task where it stands; idempotent."""
        self.alive = False
        doomed = list(self.tasks)
        self.tasks.clear()
        for task in doomed:
            task.turn += 1
            try:
                task.coroutine.close()
            except Stopped:
                continue  # a `finally` touched hardware that has no power


class Task:
    """A coroutine and the turn it waits for; a wake-up for an earlier turn is stale."""

    __slots__ = ("coroutine", "group", "turn")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], group: Group) -> None:
        self.coroutine = coroutine
        self.group = group
        self.turn = 0


class Sleep:
    """Await it to let duration_ms of virtual time pass."""

    __slots__ = ("duration_ms",)

    def __init__(self, duration_ms: int) -> None:
        self.duration_ms = duration_ms

    def __await__(self) -> Generator[int, bool, None]:
        yield self.duration_ms


class Event(base.Event):
    """A flag of the world; every waiter is woken at the time at which it is set."""

    __slots__ = ("_up", "_waiters", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._up = False
        self._waiters: list[tuple[Task, int]] = []

    def set(self) -> None:
        self._up = True
        waiters, self._waiters = self._waiters, []
        for task, turn in waiters:
            if task.turn == turn:
                self._world.wake(task, self._world.now_ms, value=True)

    def clear(self) -> None:
        self._up = False

    async def wait(self, timeout_ms: int | None) -> bool:
        if self._up:
            return True
        return await _Wait(self, timeout_ms) or self._up

    def enlist(self, task: Task, timeout_ms: int | None) -> None:
        """Have the task woken by `set`, or with False after timeout_ms."""
        if timeout_ms is not None:
            self._world.wake(task, self._world.now_ms + max(timeout_ms, 0), value=False)
        waiters = self._waiters
        waiters.append((task, task.turn))
        if len(waiters) > 16:  # waiters that timed out are only dropped here
            self._waiters = [(other, turn) for other, turn in waiters if other.turn == turn]


class _Wait:
    __slots__ = ("event", "timeout_ms")

    def __init__(self, event: Event, timeout_ms: int | None) -> None:
        self.event = event
        self.timeout_ms = timeout_ms

    def __await__(self) -> Generator[_Wait, bool, bool]:
        return (yield self)


class Queue(Generic[Item]):
    """An unbounded queue for one reader."""

    __slots__ = ("_filled", "_items")

    def __init__(self, world: World) -> None:
        self._items: deque[Item] = deque()
        self._filled = Event(world)

    def put(self, item: Item) -> None:
        self._items.append(item)
        self._filled.set()

    async def get(self) -> Item:
        while not self._items:
            self._filled.clear()
            await self._filled.wait(None)
        return self._items.popleft()


class World:
    """The clock and the heap. `seed` only names the run in messages about failures."""

    def __init__(self, start_ms: int, seed: int) -> None:
        self.now_ms = start_ms
        self.seed = seed
        self.events = 0
        # Time, order, task (None for a callback), its turn, its value (or the callback).
        self._heap: list[tuple[int, int, Task | None, int, Any]] = []
        self._order = 0

    def call_at(self, at_ms: int, callback: Callable[[], None]) -> None:
        """Run callback at a time that is not in the past."""
        self._order += 1
        heappush(self._heap, (max(at_ms, self.now_ms), self._order, None, 0, callback))

    def wake(self, task: Task, at_ms: int, *, value: bool) -> None:
        """Resume the task at at_ms unless something else has resumed it by then."""
        self._order += 1
        heappush(self._heap, (at_ms, self._order, task, task.turn, value))

    def spawn(self, coroutine: Coroutine[Any, Any, Any], group: Group) -> None:
        """Start a task now, behind what is already due. A dead group starts nothing."""
        if not group.alive:
            coroutine.close()
            return
        task = Task(coroutine, group)
        group.tasks[task] = None
        self._order += 1
        heappush(self._heap, (self.now_ms, self._order, task, 0, None))

    def sleep(self, duration_ms: int) -> Awaitable[None]:
        return Sleep(max(duration_ms, 0))

    def next_ms(self) -> int | None:
        """No event comes before this time; None: none at all."""
        heap = self._heap
        while heap and heap[0][2] is not None and heap[0][2].turn != heap[0][3]:
            heappop(heap)
        return heap[0][0] if heap else None

    def run(self, until_ms: int) -> None:
        """Run every event up to and including until_ms, which is then the time."""
        heap = self._heap
        while heap and heap[0][0] <= until_ms:
            at_ms, _, task, turn, value = heappop(heap)
            if task is None:
                self.now_ms = at_ms
                self.events += 1
                self._call(value)
            elif task.turn == turn:
                self.now_ms = at_ms
                self.events += 1
                self._resume(task, value)
        self.now_ms = max(self.now_ms, until_ms)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            # Raised as it is: the gateway's fault with its disk is for the operator to read.
            error.add_note(f"raised at {self.now_ms} ms with seed {self.seed}")
            raise

    def _resume(self, task: Task, value: Any) -> None:
        task.turn += 1
        try:
            request = task.coroutine.send(value)
        except StopIteration:
            task.group.tasks.pop(task, None)
            return
        except Stopped as stop:
            self._stop(task, str(stop))
            return
        except Exception as error:
            raise TaskFailed(
                f"{task.group.name} failed at {self.now_ms} ms with seed {self.seed}: {error!r}"
            ) from error
        if type(request) is int:
            self._order += 1
            entry = (self.now_ms + request, self._order, task, task.turn, None)
            heappush(self._heap, entry)
        else:
            request.event.enlist(task, request.timeout_ms)

    def _stop(self, task: Task, reason: str) -> None:
        group = task.group
        group.tasks.pop(task, None)
        group.kill()
        if group.on_stop is not None:
            group.on_stop(reason)
