"""Ingest over a real store with a source in memory, and ways to see what came of a message."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.core.downlink import Downlink
from gateway.core.registry import Policy
from gateway.core.verdicts import Verdict
from gateway.shell.clock import Clock, DrivenClock
from gateway.shell.ingest import Ingest, IngestLimits
from gateway.shell.live import LiveFeed
from gateway.shell.metrics import Metrics
from gateway.shell.network import DATABASE, NetworkKeys
from gateway.shell.service import Gateway
from gateway.shell.source import SourceState, Submission
from gateway.shell.store.base import Batch
from gateway.shell.store.sqlite import SqliteStore
from gateway.shell.worker import Worker
from tests.service.gateway_rig import START

PATIENCE_S = 20


class FixedClock:
    """Protocol time that a test sets."""

    def __init__(self, now_ms: int = START) -> None:
        self.ms: int = now_ms

    def now_ms(self) -> int:
        return self.ms


class WatchedStore:
    """A real store that counts its commits and can be told to fail at the next one.

    committed: called in the worker's thread when a batch is durable.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.batches: list[Batch] = []
        self.fails: BaseException | None = None

    def commit(self, batch: Batch) -> None:
        if self.fails is not None:
            raise self.fails
        self._store.commit(batch)
        self.batches.append(batch)

    def __getattr__(self, name: str):
        return getattr(self._store, name)


class MemorySource:
    """Remembers, in order, what ingest sends and answers."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self.happened: list[tuple[str, object]] = []
        self._changed = asyncio.Event()

    async def start(self) -> None: ...

    async def stop_reading(self) -> None: ...

    async def stop(self) -> None: ...

    def state(self) -> SourceState:
        return SourceState("memory", "", up=True, connections=0)

    def send(self, downlink: Downlink) -> None:
        self.happened.append(("down", downlink))
        self._changed.set()

    def submit(
        self, data: bytes, device: bytes | None, sender: bytes | None = None, *, oversize=False
    ) -> None:
        self._ingest.submit(Submission(device, sender, data, b"", self._done, oversize))

    def _done(self, verdict: Verdict) -> None:
        self.happened.append(("done", verdict))
        self._changed.set()

    @property
    def verdicts(self) -> list[Verdict]:
        return [what for kind, what in self.happened if kind == "done"]

    def downlinks(self, tail: str) -> list[Downlink]:
        return [what for kind, what in self.happened if kind == "down" and what.tail == tail]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the condition holds; it is looked at whenever something happened."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def verdicts_on(self, count: int) -> list[Verdict]:
        await self.until(lambda: len(self.verdicts) >= count)
        return self.verdicts


class Rig:
    """What a test of ingest holds in its hands."""

    def __init__(self, ingest: Ingest, worker: Worker, store: WatchedStore) -> None:
        self.ingest = ingest
        self.worker = worker
        self.store = store
        self.live: LiveFeed
        self.metrics: Metrics
        self.task: asyncio.Task[None]
        self.source = MemorySource(ingest)
        # Another connection to the same database: that of the worker belongs to its thread.
        self.stored: SqliteStore


@asynccontextmanager
async def ingesting(
    keys: NetworkKeys,
    clock: Clock | None = None,
    limits: IngestLimits | None = None,
    policy: Policy = Policy.OPEN,
) -> AsyncIterator[Rig]:
    """A running ingest on the network's database, stopped in order at the end."""
    worker = Worker()
    stores: list[WatchedStore] = []

    def open_gateway() -> Gateway:
        stores.append(WatchedStore(SqliteStore.create(keys.folder / DATABASE, keys.network_id)))
        return Gateway.open(stores[0], keys, policy)

    await worker.start(open_gateway)
    live, metrics = LiveFeed(), Metrics()
    ingest = Ingest(worker, clock or FixedClock(), limits or IngestLimits(), live, metrics)
    rig = Rig(ingest, worker, stores[0])
    rig.live, rig.metrics = live, metrics
    rig.stored = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
    rig.task = asyncio.create_task(ingest.run())
    ingest.attach(rig.source)
    try:
        yield rig
    finally:
        await ingest.stop()
        await asyncio.gather(rig.task, return_exceptions=True)
        await worker.stop()
        rig.stored.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine as a test, bounded in time."""

    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await test()

    asyncio.run(bounded())


def driven() -> DrivenClock:
    return DrivenClock(START)
