"""What has just been judged, for whoever watches: ids, kinds and verdicts, never a value.

A feed in memory, used on the event loop's thread alone. Nothing waits for a watcher: one that
does not keep up loses its place and is told so. What a watcher missed is in the admission log;
this module knows no store.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.verdicts import Verdict

RECENT_EVENTS_MAX = 4_096
WATCHER_EVENTS_MAX = 1_024


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One judged arrival. position: in the admission log, None if it got no entry there."""

    position: int | None
    device: bytes
    message_id: bytes
    kind: int | None
    verdict: Verdict
    recv_ms: int


class Watcher:
    """One reader of the feed. Make one with `LiveFeed.watch`, and `close` it."""

    def __init__(self, feed: "LiveFeed", events_max: int) -> None:
        self._feed = feed
        self._events: deque[LiveEvent] = deque()
        self._events_max = events_max
        self._wake = asyncio.Event()
        self.overflowed = False

    def offer(self, events: Sequence[LiveEvent]) -> None:
        """Take in new events; all are let go if they are more than it may hold."""
        if self.overflowed:
            return
        self._events.extend(events)
        if len(self._events) > self._events_max:
            self._events.clear()
            self.overflowed = True
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    async def next(self, timeout_s: float) -> list[LiveEvent]:
        """The waiting events, or after timeout_s none. At once when the feed has closed."""
        if not self._events and not self.overflowed and not self._feed.closed:
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except TimeoutError:
                return []
        self._wake.clear()
        taken = list(self._events)
        self._events.clear()
        return taken

    def close(self) -> None:
        self._feed.forget(self)


class LiveFeed:
    """The newest events, and the watchers that get each new one."""

    def __init__(
        self, recent_max: int = RECENT_EVENTS_MAX, watcher_events_max: int = WATCHER_EVENTS_MAX
    ) -> None:
        self._recent: deque[LiveEvent] = deque(maxlen=recent_max)
        self._watchers: set[Watcher] = set()
        self._watcher_events_max = watcher_events_max
        self.closed = False

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def publish(self, events: Sequence[LiveEvent]) -> None:
        """Show events to every watcher, in the order in which they were judged; never waits."""
        if not events:
            return
        self._recent.extend(events)
        for watcher in self._watchers:
            watcher.offer(events)

    def watch(self) -> Watcher:
        watcher = Watcher(self, self._watcher_events_max)
        self._watchers.add(watcher)
        return watcher

    def forget(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def since(self, position: int) -> list[LiveEvent] | None:
        """Recent events behind the log's entry `position`; None if some are not held any more."""
        held = list(self._recent)
        for index, event in enumerate(held):
            if event.position == position:
                return held[index + 1 :]
            if event.position == position + 1:
                return held[index:]
        return None

    def close(self) -> None:
        """End every stream: called when the gateway stops, before its HTTP server does."""
        self.closed = True
        for watcher in self._watchers:
            watcher.wake()
