"""The one pipeline behind every way in (docs/decisions/0008-ingest.md).

Size, topic and rate are judged on the event loop; decoding, registry, signatures and the commit in
the worker's thread, up to 64 messages in one transaction. While one commits, the next ones queue:
that is the whole of group commit. Receipts leave before acknowledgements, and both after the
commit. It knows no MQTT.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from gateway.core.buckets import Buckets, Rate
from gateway.core.cbor_profile import load
from gateway.core.cose import MESSAGE_BYTES_MAX
from gateway.core.downlink import Downlink
from gateway.core.genesis import SLOT_MS
from gateway.core.login import GRANTED, LoginRefusal, LoginRequest, LoginResult, refused
from gateway.core.verdicts import Verdict
from gateway.shell.clock import Clock, DrivenClock
from gateway.shell.entropy import EntropyCounts
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.ingest_batch import Outcome, judge
from gateway.shell.live import LiveEvent, LiveFeed
from gateway.shell.metrics import Metrics
from gateway.shell.service import BATCH_MESSAGES_MAX, Gateway
from gateway.shell.source import Source, Submission
from gateway.shell.worker import Worker

# How often, in wall time, epochs are looked at and refusals written when nothing else asks.
HOUSEKEEPING_SECONDS = 1.0
_SLOT_LIMIT = (1 << 53) // SLOT_MS

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """What settings of the same names say (docs/configuration.md)."""

    queue_messages_max: int = 4_096
    device_messages_per_minute: int = 120
    device_messages_burst: int = 1_200
    address_logins_per_minute: int = 60
    address_logins_burst: int = 600
    devices_tracked_max: int = 100_000


@dataclass(slots=True)
class _Knock:
    """A login that waits. stranger: its address may have one more unregistered login."""

    request: LoginRequest
    stranger: bool
    answer: asyncio.Future[LoginResult]


class Ingest:
    """Takes submissions until `stop`; everything but the worker's part runs on the loop."""

    def __init__(
        self, worker: Worker, clock: Clock, limits: IngestLimits, live: LiveFeed, metrics: Metrics
    ) -> None:
        self.failed: OperatorFault | None = None
        self.last_commit_wall_s: float | None = None
        self.entropy = EntropyCounts(0, 0, None)
        self._worker = worker
        self._clock = clock
        self._live = live
        self._metrics = metrics
        self._queue_max = limits.queue_messages_max
        tracked_max = limits.devices_tracked_max
        self._devices: Buckets[bytes] = Buckets(
            Rate(limits.device_messages_per_minute, limits.device_messages_burst), tracked_max
        )
        self._addresses: Buckets[str] = Buckets(
            Rate(limits.address_logins_per_minute, limits.address_logins_burst), tracked_max
        )
        self._queue: deque[Submission] = deque()
        self._knocks: deque[_Knock] = deque()
        self._sources: list[Source] = []
        self._pressure_listeners: list[Callable[[bool], None]] = []
        self._pressed = False
        self._stopping = False
        self._running = False
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._tick_lock = asyncio.Lock()
        # The newest slot that was ticked, and what was said at its start.
        self._ticked: tuple[int, list[Downlink]] = (-1, [])
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering = False
        self._housekeeping_at = 0.0

    @property
    def queued(self) -> int:
        return len(self._queue)

    def now_ms(self) -> int | None:
        """Protocol time, None while a driven clock waits for its first tick."""
        return self._clock.now_ms()

    # ---- what sources call

    def submit(self, submission: Submission) -> None:
        """Queue one message. Never blocks; past the limit the sources are told to stop reading."""
        if self._stopping or self.failed:
            return
        self._queue.append(submission)
        self._wake.set()
        if len(self._queue) >= self._queue_max:
            self._press(pressed=True)

    def on_pressure(self, listener: Callable[[bool], None]) -> None:
        """listener(True): stop reading; listener(False): go on. Called at each change."""
        self._pressure_listeners.append(listener)

    def attach(self, source: Source) -> None:
        """Send downlinks there from now on, beginning with what everybody must know."""
        self._sources.append(source)
        self._spawn(self._greet(source))

    async def login(self, request: LoginRequest) -> LoginResult:
        """Judge a login together with all others that wait; its counter is durable afterwards."""
        if self._stopping or self.failed:
            return refused(LoginRefusal.UNAVAILABLE)
        loop = asyncio.get_running_loop()
        stranger = self._addresses.take(request.address, int(loop.time() * 1_000))
        knock = _Knock(request, stranger, loop.create_future())
        self._knocks.append(knock)
        if not self._answering:
            self._answering = True
            self._spawn(self._answer_knocks())
        return await knock.answer

    async def control_tick(self, data: bytes) -> bool:
        """Drive the clock to the slot that `data` names and tell everybody.

        The same slot again is told again: a tick that was lost is simply repeated. False if this
        is no tick, would turn time back, or the clock is not driven.
        """
        slot = _slot(data)
        clock = self._clock
        if slot is None or not isinstance(clock, DrivenClock) or self.failed:
            return False
        async with self._tick_lock:
            if not clock.tick(slot):
                return False
            self._wake.set()
            try:
                said, closed, counts = await self._call(lambda gateway: _begin_slot(gateway, slot))
            except OperatorFault:
                return False
            if self._ticked[0] == slot:
                # Whoever missed the tick missed the entropy behind it; only the tick is new.
                said += self._ticked[1]
            self._ticked = (slot, said[1:])
            self._send(said)
            self._count_entropy(counts)
            self._metrics.epochs_closed(closed)
            self._metrics.protocol_time(slot * SLOT_MS)
        return True

    async def tell_entropy(self, external: bytes) -> None:
        """Say what is to be said of entropy now. OperatorFault once ingest has failed."""

        def tell(gateway: Gateway) -> tuple[list[Downlink], EntropyCounts]:
            # The time is taken here: the worker may have been busy for longer than is allowed.
            now_ms = self._clock.now_ms()
            said = [] if now_ms is None else gateway.entropy_downlinks(now_ms, external)
            return said, gateway.entropy_counts

        said, counts = await self._call(tell)
        self._send(said)
        self._count_entropy(counts)

    async def tell_release(self) -> None:
        """Say again which release boards should run. OperatorFault once ingest has failed."""
        now_ms = self._clock.now_ms()
        self._send(await self._call(lambda gateway: gateway.release_downlinks(now_ms)))

    # ---- the life of it

    async def run(self) -> None:
        """Work until `stop`; raises the OperatorFault that is also in `failed`."""
        self._running = True
        try:
            while not self._drained():
                await self._work()
            await self._call(Gateway.write_refusals)
        finally:
            self._running = False
            self._ended.set()

    async def stop(self) -> None:
        """Take nothing more in; return when all that was submitted is answered.

        A driven clock that never ticked answers nothing: then nothing is acknowledged either.
        """
        self._stopping = True
        self._wake.set()
        await asyncio.sleep(0)  # a task of `run` that was made just now has not begun
        if self._running:
            await self._ended.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _drained(self) -> bool:
        if self.failed:
            raise self.failed
        return self._stopping and (not self._queue or self._clock.now_ms() is None)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._housekeeping_at:
            await self._keep_house()
            self._housekeeping_at = loop.time() + HOUSEKEEPING_SECONDS
        now_ms = self._clock.now_ms()
        if self._queue and now_ms is not None:
            await self._take_batch(now_ms)
            return
        self._wake.clear()
        try:
            async with asyncio.timeout_at(self._housekeeping_at):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _keep_house(self) -> None:
        now_ms = self._clock.now_ms()
        await self._call(Gateway.write_refusals)
        if now_ms is not None:
            closed = await self._call(lambda gateway: len(gateway.advance(now_ms)))
            self._metrics.epochs_closed(closed)
            self._metrics.protocol_time(now_ms)
        self._metrics.queue(len(self._queue))

    # ---- messages

    async def _take_batch(self, now_ms: int) -> None:
        size = min(len(self._queue), BATCH_MESSAGES_MAX)
        batch = [self._queue.popleft() for _ in range(size)]
        if len(self._queue) <= self._queue_max // 2:
            self._press(pressed=False)
        early = [self._judge_early(one, now_ms) for one in batch]
        started = time.perf_counter()
        outcome = await self._call(lambda gateway: judge(gateway, batch, early, now_ms))
        self._metrics.batch(size, time.perf_counter() - started)
        # Receipts first: on one connection they must not be behind the acknowledgement.
        self._send(outcome.downlinks)
        for one, judged in zip(batch, outcome.judged, strict=True):
            one.done(judged.verdict)
        self._show(batch, outcome, now_ms)

    def _judge_early(self, one: Submission, now_ms: int) -> Verdict | None:
        """What can be said without looking into the bytes, cheapest first; None: look."""
        if one.oversize or len(one.data) > MESSAGE_BYTES_MAX:
            return Verdict.OVERSIZE
        if one.device is None or one.sender not in {None, one.device}:
            return Verdict.TOPIC_MISMATCH
        if not self._devices.take(one.device, now_ms):
            return Verdict.RATE_LIMITED
        return None

    def _show(self, batch: list[Submission], outcome: Outcome, now_ms: int) -> None:
        if any(judged.position is not None for judged in outcome.judged):
            self.last_commit_wall_s = time.time()
        for verdict, count in Counter(judged.verdict for judged in outcome.judged).items():
            self._metrics.messages(verdict, count)
        self._metrics.epochs_closed(outcome.epochs_closed)
        self._metrics.queue(len(self._queue))
        self._live.publish(
            [
                LiveEvent(
                    judged.position,
                    one.sender or one.device or b"",
                    judged.message_id,
                    judged.kind,
                    judged.verdict,
                    now_ms,
                )
                for one, judged in zip(batch, outcome.judged, strict=True)
            ]
        )

    # ---- logins

    async def _answer_knocks(self) -> None:
        try:
            while self._knocks:
                size = min(len(self._knocks), BATCH_MESSAGES_MAX)
                knocks = [self._knocks.popleft() for _ in range(size)]
                for knock, result in zip(knocks, await self._judge_knocks(knocks), strict=True):
                    self._metrics.login(result.reason)
                    if knock.stranger and result.reason == GRANTED and result.registered:
                        self._addresses.give_back(knock.request.address)
                    if not knock.answer.done():
                        knock.answer.set_result(result)
        finally:
            self._answering = False

    async def _judge_knocks(self, knocks: list[_Knock]) -> list[LoginResult]:
        now_ms = self._clock.now_ms()
        requests = [knock.request for knock in knocks]
        strangers = [knock.stranger for knock in knocks]
        try:
            return await self._call(lambda gateway: gateway.login(requests, now_ms, strangers))
        except OperatorFault:
            return [refused(LoginRefusal.UNAVAILABLE)] * len(knocks)

    # ---- downlinks

    async def _greet(self, source: Source) -> None:
        now_ms = self._clock.now_ms()
        try:
            source.send(await self._call(lambda gateway: gateway.keys_downlink(now_ms)))
            for downlink in await self._call(lambda gateway: gateway.release_downlinks(now_ms)):
                source.send(downlink)
            if isinstance(self._clock, DrivenClock) and now_ms is not None:
                slot = now_ms // SLOT_MS
                source.send(await self._call(lambda gateway: gateway.tick_downlink(slot, now_ms)))
        except OperatorFault:
            return  # it is in `failed`, and ends `run`

    def _count_entropy(self, counts: EntropyCounts) -> None:
        before, self.entropy = self.entropy, counts
        self._metrics.entropy(counts.published - before.published, counts.void - before.void)

    def _send(self, downlinks: list[Downlink]) -> None:
        for source in self._sources:
            for downlink in downlinks:
                source.send(downlink)
        self._metrics.downlinks(len(downlinks))

    # ---- plumbing

    async def _call(self, fn: Callable[[Gateway], T]) -> T:
        """Call the worker; whatever it raises ends ingest, as an OperatorFault."""
        if self.failed:
            raise self.failed
        try:
            return await self._worker.call(fn)
        except Exception as error:
            fault = error if isinstance(error, OperatorFault) else _stopped(error)
            self.failed = self.failed or fault
            # Nothing of it is acknowledged: whoever sent it sends it again.
            self._queue.clear()
            self._wake.set()
            raise fault from error

    def _press(self, *, pressed: bool) -> None:
        if pressed is not self._pressed:
            self._pressed = pressed
            for listener in self._pressure_listeners:
                listener(pressed)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _begin_slot(gateway: Gateway, slot: int) -> tuple[list[Downlink], int, EntropyCounts]:
    """In the worker: the day's end comes before anybody acts in the new slot. The tick first: to
    whoever has not heard it, the entropy is of a slot that has not begun.
    """
    now_ms = slot * SLOT_MS
    closed = len(gateway.advance(now_ms))
    said = [gateway.tick_downlink(slot, now_ms), *gateway.entropy_downlinks(now_ms)]
    return said, closed, gateway.entropy_counts


def _slot(data: bytes) -> int | None:
    """The slot in a control tick, CBOR [slot]."""
    match load(data):
        case [int(slot)] if type(slot) is int and 0 <= slot < _SLOT_LIMIT:
            return slot
        case _:
            return None


def _stopped(error: Exception) -> OperatorFault:
    return OperatorFault(
        "Ingest stopped on an unexpected error.",
        f"{type(error).__name__}: {error}.",
        "Start the gateway again: nothing that was acknowledged is lost. If it happens again, "
        "report it with the log.",
        Code.INGEST_STOPPED,
    )
