"""The gateway's canonical log lines: at most one a second for ingest, one for every epoch."""

import asyncio
from collections import Counter

from gateway.core.manifest import decode_manifest
from gateway.core.verdicts import Verdict
from gateway.shell import log
from gateway.shell.errors import OperatorFault
from gateway.shell.ingest import Ingest
from gateway.shell.metrics import Metrics
from gateway.shell.service import Gateway
from gateway.shell.source import Source
from gateway.shell.store.base import StoredEpoch
from gateway.shell.worker import Worker

_PERIOD_S = 1.0


class LoggedMetrics(Metrics):
    """Metrics that also remember what was counted since the last line."""

    def __init__(self) -> None:
        super().__init__()
        self._verdicts: Counter[str] = Counter()

    def messages(self, verdict: Verdict, count: int = 1) -> None:
        super().messages(verdict, count)
        self._verdicts[verdict.name.lower()] += count

    def take(self) -> dict[str, int]:
        """What was judged since the last call, by verdict."""
        counted, self._verdicts = self._verdicts, Counter()
        return dict(counted)


class IngestLog:
    """Looks every second at what was counted, and at the epochs in the store."""

    def __init__(
        self, metrics: LoggedMetrics, worker: Worker, ingest: Ingest, source: Source
    ) -> None:
        self._metrics = metrics
        self._worker = worker
        self._ingest = ingest
        self._source = source
        self._next_epoch: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Call it before anything can close an epoch."""
        self._next_epoch = await self._worker.call(_next_epoch)
        self._task = asyncio.create_task(self._run(), name="log")

    async def stop(self) -> None:
        """Say what is left to be said."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            await self._say()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD_S)
            await self._say()

    async def _say(self) -> None:
        counted = self._metrics.take()
        if counted:
            connections = self._source.state().connections
            log.event("ingest", **counted, queued=self._ingest.queued, connections=connections)
        seen = self._next_epoch
        if seen is None or self._ingest.failed:
            return
        try:
            upcoming, closed = await self._worker.call(lambda gateway: _closed(gateway, seen))
        except OperatorFault as fault:
            # Ingest will meet it too, and ends the process for it.
            log.trouble("epochs_unreadable", code=str(fault.code), why=fault.why)
            return
        self._next_epoch = upcoming
        for stored in closed:
            _say_epoch(stored)


def _next_epoch(gateway: Gateway) -> int:
    return gateway.next_close()[0]


def _closed(gateway: Gateway, first: int) -> tuple[int, list[StoredEpoch]]:
    """The epoch that closes next, and those that closed from `first` on."""
    upcoming = _next_epoch(gateway)
    closed = [gateway.store.epoch(number) for number in range(first, upcoming)]
    return upcoming, [one for one in closed if one is not None]


def _say_epoch(stored: StoredEpoch) -> None:
    manifest = decode_manifest(stored.manifest)
    log.event(
        "epoch",
        epoch=stored.epoch,
        messages=manifest.messages,
        paid=str(manifest.totals.paid),
        root=manifest.payout_root.hex(),
        manifest=stored.manifest_hash.hex(),
    )
