"""Looks at the parts of a running gateway and says how it is: `/health` and `/ready`."""

import asyncio
import shutil
import time

from gateway.core.genesis import SLOT_MS
from gateway.shell.clock import Clock
from gateway.shell.health import Check, Health
from gateway.shell.ingest import Ingest
from gateway.shell.settings_fields import Settings
from gateway.shell.source import Source
from gateway.shell.worker import Worker

_PING_S = 1.0
# How long after a slot's start its entropy may be under way, and after ours none be there.
_ENTROPY_GRACE_MS = 35_000
_ENTROPY_START_S = 100.0
# A worker that is busy for so long is no longer just closing an epoch.
WORKER_STALL_S = 120.0


class Watch:
    """Asks the worker every second whether it is there; the rest is looked at when asked for."""

    def __init__(
        self, settings: Settings, worker: Worker, clock: Clock, ingest: Ingest, source: Source
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._clock = clock
        self._ingest = ingest
        self._source = source
        self._ingesting: asyncio.Task[None] | None = None
        self._answered_s = self._started_s = time.monotonic()

    async def run(self, ingesting: asyncio.Task[None]) -> None:
        """All parts run; `ingesting` must not end."""
        self._ingesting = ingesting
        while True:
            await self._worker.call(lambda _: None)
            self._answered_s = time.monotonic()
            await asyncio.sleep(_PING_S)

    def health(self) -> Health:
        """The truth of this moment. Each check stands for itself."""
        ingest, worker = self._ingest_check(), self._worker_check()
        others = (self._store(), self._source_check(), self._clock_check(), self._queue())
        live = ingest.ok and worker.ok
        ready = live and all(one.ok for one in others)
        # Without entropy messages are taken in as ever; only coverage proves nothing.
        return Health(live, ready, (worker, ingest, *others, self._entropy()))

    def _worker_check(self) -> Check:
        silent_s = time.monotonic() - self._answered_s
        return Check(
            "worker",
            silent_s < WORKER_STALL_S,
            f"answered {silent_s:.0f} s ago",
            "" if silent_s < WORKER_STALL_S else "Look whether the disk hangs; then restart.",
        )

    def _ingest_check(self) -> Check:
        fault = self._ingest.failed
        if fault is not None:
            return _bad("ingest", f"{fault.what} {fault.why}", fault.do)
        task = self._ingesting
        if task is not None and not task.done():
            return _good("ingest", "takes messages in")
        return _bad("ingest", "is starting or stopping", "Wait a moment.")

    def _store(self) -> Check:
        folder, least = self._settings.data_dir, self._settings.disk_free_bytes_min
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return _bad("store", f"{folder}: {error.strerror}", "Mount it again.")
        detail = f"{free} bytes free on {folder}"
        last_s = self._ingest.last_commit_wall_s
        if last_s is not None:
            detail += f", last commit {max(time.time() - last_s, 0):.0f} s ago"
        full = free < least
        return Check("store", not full, detail, f"Make room: at least {least} bytes." * full)

    def _source_check(self) -> Check:
        state = self._source.state()
        words = f"{state.name} {state.address}, {state.connections} connections"
        detail = f"{words}, {state.detail}" if state.detail else words
        return Check("source", state.up, detail, "" if state.up else "Look at the broker.")

    def _clock_check(self) -> Check:
        if self._clock.now_ms() is not None:
            return _good("clock", f"{self._settings.clock}")
        return _bad("clock", "driven, and no tick yet", "Start whatever drives the clock.")

    def _entropy(self) -> Check:
        now_ms, newest = self._clock.now_ms(), self._ingest.entropy.newest_slot
        if now_ms is None:
            return _good("entropy", "no slot has begun")
        slot = now_ms // SLOT_MS
        # A driven slot begins with its entropy; a real one may wait for what is mixed in, and the
        # first slot of a gateway is the one behind its first commit.
        grace_ms = 0 if self._settings.clock == "driven" else _ENTROPY_GRACE_MS
        wanted = (max(now_ms, 0) - grace_ms) // SLOT_MS
        if newest is not None and newest >= wanted:
            return _good("entropy", f"slot {newest} is published")
        if time.monotonic() - self._started_s < _ENTROPY_START_S:
            return _good("entropy", "begins with the next slot")
        said = "no slot is published" if newest is None else f"slot {newest} was the newest"
        return _bad("entropy", f"{said}, now is slot {slot}", "Look at the log for entropy.")

    def _queue(self) -> Check:
        queued, most = self._ingest.queued, self._settings.queue_messages_max
        detail = f"{queued} of {most} messages wait"
        return Check("queue", queued < most, detail, "" if queued < most else "Wait.")


def _good(name: str, detail: str) -> Check:
    return Check(name, ok=True, detail=detail)


def _bad(name: str, detail: str, do: str) -> Check:
    return Check(name, ok=False, detail=detail, do=do)
