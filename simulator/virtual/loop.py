"""One thread that does everything of a board: what its files say, what is due, what others ask."""

import heapq
import itertools
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

_IDLE_S = 0.05
_ANSWER_S = 30
_Answer = tuple[Any, BaseException | None]


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Loop:
    """tick: called at least every 50 ms."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)  # noqa: FBT003
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain)
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, source: HasFileno, readable: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, readable)

    def unwatch(self, source: HasFileno) -> None:
        self._selector.unregister(source)

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Only from the loop's own thread."""
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._number), call))

    def do(self, call: Callable[[], Any]) -> Any:
        """What call returns, or raises, in the loop's thread."""
        if threading.current_thread() is self._thread:
            return call()
        answer: queue.SimpleQueue[_Answer] = queue.SimpleQueue()

        def answered() -> None:
            try:
                answer.put((call(), None))
            except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
                answer.put((None, error))

        self._asked.put(answered)
        self._wake.send(b"x")
        value, error = self._awaited(answer)
        if error is not None:
            raise error
        return value

    def _awaited(self, answer: "queue.SimpleQueue[_Answer]") -> _Answer:
        for _ in range(_ANSWER_S):
            try:
                return answer.get(timeout=1)
            except queue.Empty:
                if not self._thread.is_alive():
                    break
        raise RuntimeError("the board's thread does not answer")

    def stop(self) -> None:
        self.do(self._end)
        self._thread.join(_ANSWER_S)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _end(self) -> None:
        self._ended = True

    def _drain(self) -> None:
        self._woken.recv(4096)

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(self._pause_s()):
                # A handler may have closed what another one would read.
                if key.fd in self._selector.get_map():
                    key.data()
            while not self._asked.empty():
                self._asked.get()()
            while self._due and self._due[0][0] <= time.monotonic():
                heapq.heappop(self._due)[2]()
            self._tick()

    def _pause_s(self) -> float:
        if not self._due:
            return _IDLE_S
        return max(0.0, min(_IDLE_S, self._due[0][0] - time.monotonic()))
