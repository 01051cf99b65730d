"""A clock that only a driver's own waiting moves, and what runs one of its coroutines on it."""

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class HandClock:
    def __init__(self) -> None:
        self.now = 0

    def ticks(self) -> int:
        return self.now

    async def sleep(self, duration_ms: int) -> None:
        self.now += duration_ms


def finished(coroutine: "Coroutine[Any, Any, Any]") -> "Any":
    """What it returns; it may wait for nothing but a HandClock."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value
    raise RuntimeError("it waits for something else")
