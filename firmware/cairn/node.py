"""The station's application: samples, signs, stores, publishes and listens.

It touches the world only through Board and Link (boards/base.py). Its tasks share one chain and
one outbox; both work without awaiting, so no task sees them half done.
"""

from . import cose, downlinks, limits, wire
from .batch import Batch
from .chain import Chain
from .clock import Clock
from .coverage import Coverage
from .faults import Faults
from .grid import Grid
from .journal import Journal
from .keyring import Keyring
from .outbox import Outbox
from .overlay import borrow
from .receipts import Receipt, Receipts
from .sender import Sender
from .timekeeper import Timekeeper
from .updates import Updates

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from .batch import Reading
    from .boards.base import Board, Link
    from .config import Config

_ANNOUNCE_WAIT_MS = 60_000
_MOVE_MS_NOTICED = 1_000
_LOG_MAX = 8


class Node:
    """One boot of a station. refused: the newest (seq, verdict) that the gateway refused for
    good; downlinks_refused and last_refusal: what the board itself did not accept; notices: the
    newest (code, text, detail) that came, unverified, for a human to read. sampled and receipted:
    ticks of the last sample that was dealt with, and of the last receipt (vigil.py). earlier:
    (boot, ms before this one, uncertainty) of boots whose times nobody knows yet (lives.py).
    sampling: whether it takes samples of its own; coverage: whether it uses its radios.
    """

    def __init__(
        self,
        board: "Board",
        link: "Link",
        config: "Config",
        *,
        faults: "Faults | None" = None,
        sampling: bool = True,
        coverage: bool = True,
    ) -> None:
        self._board = board
        self._link = link
        self._config = config
        self.sampling = sampling
        self._device = cose.kid_of(board.public_key())
        batched = config.store_every_ms > 0
        self.outbox = Outbox(board.fs, config.outbox_bytes_max, batched=batched)
        self._chain = Chain(board.fs, self.outbox, board.sign, self._device, config.network_id)
        self._receipts = Receipts(board.fs)
        self._keyring = Keyring(board, config.network_id, config.root_key)
        self.clock = Clock(board.ticks, config.simulated)
        interval_ms = config.reporting_interval_ms
        self._sender = Sender(board, link, self.outbox, self._receipts, interval_ms)
        self._journal = Journal(
            self.outbox,
            self._chain,
            self._receipts,
            self._sender,
            config.outbox_bytes_max,
            board=board,
            store_every_ms=config.store_every_ms,
        )
        self._batch = Batch(config.quantities)
        self._ready = board.event()
        self._synced = board.event()
        self._retimed = board.event()
        self._said = board.event()
        self._settling = self._introduced = False
        self._timekeeper = Timekeeper(board, config, self.clock, self._keyring, self)
        self._announced: "tuple[bytes, bytes]" = (b"", b"")
        self._reported_ticks = -limits.DAY_MS
        self.coverage = Coverage(
            board=board,
            clock=self.clock,
            config=config,
            device=self._device,
            keyring=self._keyring,
            write=self.write,
            say_status=self.say_status,
            want_keys=self._timekeeper.wanted.set,
            newest=self.outbox.newest,
            takes_part=coverage,
        )
        self.faults = faults or Faults(board)
        self.updates = Updates(board, config, self._keyring, self, self._timekeeper.wanted)
        self.refused: "list[tuple[int, int]]" = []
        self.notices: "list[tuple[int, str, bytes]]" = []
        self.last_refusal = ""
        self.sampled = self.receipted = self.downlinks_refused = 0
        self.earlier: "list[tuple[int, int, int]]" = []
        if self.outbox.lost or self.outbox.tail_lost:
            self.faults.note("outbox.damaged", "seqs " + str(self.outbox.lost))

    async def run(self) -> None:
        """Work until the board restarts."""
        spawn = self._board.spawn
        self._announced, self._sender.registered = borrow("announce").load(self._board.fs)
        self._hold_time()
        spawn(self._announce())
        if self.sampling:
            spawn(self._sample())
        spawn(self._report_status())
        spawn(self._sender.run())
        if self._config.store_every_ms:
            spawn(self._journal.run())
        spawn(self.coverage.run(self._said))
        if self._config.time_host is not None or self._config.sntp_host is not None:
            spawn(self._timekeeper.run())
        if self._chain.lost:
            self.faults.note("chain.lost", "waits for a receipt")
            spawn(self._give_up_chain())
        else:
            self._ready.set()
        while True:
            tail, data = await self._link.receive()
            code = await self._take(tail, data)
            if code:
                self.downlinks_refused += 1
                self.last_refusal = code
                self.faults.note("downlink." + code, tail)

    def write(self, kind: int, body: "list[object]", now: "tuple[int, int, int]") -> bool:
        """Sign, store and offer a message made at now; False if there is no room (journal.py)."""
        return self._journal.write(kind, body, now)

    @property
    def delivered(self) -> bool:
        """Whether receipts cover everything that was signed."""
        if self._chain.lost or self._settling or not self._introduced:
            return False
        return self._receipts.covers(1, self._chain.highest)

    @property
    def unmapped(self) -> "tuple[int, int]":
        """(boot, ticks) while the gateway cannot know when some boot was, else (0, 0)."""
        if self._chain.lost or (self.clock.synced and not self.earlier):
            return 0, 0
        return self._chain.boot, self._board.ticks()

    @property
    def lost(self) -> bool:
        """Whether nothing can be signed until a receipt says where the chain was."""
        return self._chain.lost

    def shut(self) -> bool:
        """Sign and store what is still in RAM, for a restart or deep sleep. False: that failed."""
        try:
            if not self._chain.lost:
                self._close_batch()
            self._journal.flush()
            self._chain.close()
        except OSError as error:
            self.faults.note("outbox.write", str(error))
            return False
        return True

    @property
    def dropped(self) -> int:
        """Messages that were signed and dropped because the outbox was full."""
        return self._journal.dropped

    def hold(self, held_ms: int, known_ms: int, uncertainty_ms: int) -> None:
        """UTC as it was carried over deep sleep; known_ms: when it was that uncertain."""
        if self.clock.set_held(held_ms, known_ms, uncertainty_ms):
            self._synced.set()

    def take(self, samples: "list[tuple[int, list[Reading]]]", uncertainty_ms: int) -> None:
        """Sign samples (ticks, readings), oldest first, whose times may be wrong by that more."""
        # A wake is too short to wait until what earlier ones stored is due again.
        self._sender.flush()
        for ticks, readings in samples:
            self._batch.add(ticks, readings)
            if len(self._batch) >= self._config.samples_per_message:
                self._close_batch(uncertainty_ms)
                self._board.feed()  # some hundred signatures outlast the watchdog
        self._close_batch(uncertainty_ms)

    # What the station says of itself.

    async def _announce(self) -> None:
        await self._ready.wait(None)
        # A hello with a time needs no clock message; without a time service there still is one.
        await self._synced.wait(_ANNOUNCE_WAIT_MS)
        say = borrow("announce").say
        marks = await say(self._board, self._config, self.write, self.clock.now, self._announced)
        if self._announced != marks:
            self._remember(marks)
        self._introduced = True
        self._said.set()

    def _remember(self, marks: "tuple[bytes, bytes]") -> None:
        self._announced = marks
        borrow("announce").store(self._board.fs, marks, self._sender.registered)

    # Sampling.

    async def _sample(self) -> None:
        await self._ready.wait(None)
        interval_ms = self._config.sample_interval_ms
        grid = Grid(self.clock, self._retimed, self._device, interval_ms)
        while True:
            due = await grid.next()
            if due is None:
                continue
            ticks = self._board.ticks()
            readings = await self._board.sample()
            if readings:
                self._batch.add(ticks, readings, self._stride())
            over = self.clock.synced and (due + interval_ms) % limits.DAY_MS < interval_ms
            if over or len(self._batch) >= self._config.samples_per_message:
                if self.outbox.crowded():
                    # Known receipts first: what is delivered must not be counted as dropped.
                    await self._settle(must=True)
                self._close_batch()
            self.sampled = self._board.ticks()

    def _stride(self) -> int:
        # Thinned before signing: a longer outage fits, evenly coarser, and keeps its start.
        if not self._config.store_every_ms or self._link.state() == "up":
            return 1
        return self.outbox.stride()

    def _close_batch(self, uncertainty_ms: int = 0) -> None:
        for body, when in self._batch.close(self.clock.now(), self._board.ticks()):
            self.write(wire.READINGS, body, (when[0], when[1], when[2] + uncertainty_ms))

    async def _report_status(self) -> None:
        await self._ready.wait(None)
        grid = Grid(self.clock, self._retimed, self._device, self._config.status_interval_ms)
        while True:
            if await grid.next() is not None:
                self.say_status()

    def say_status(self) -> None:
        ticks = self._board.ticks()
        if self.outbox.crowded() and ticks - self._reported_ticks < limits.DAY_MS:
            # Thinned, for it would outlast the readings and part them: see journal.py.
            return
        self._reported_ticks = ticks
        info, stored = self._board.info(), self.outbox.count
        heard = self.coverage.listening()
        body = wire.status_body(ticks // 1000, info, stored, self.dropped, heard)
        self.write(wire.STATUS, body, self.clock.now())

    # Time.

    def _hold_time(self) -> None:
        held, newest = self._board.now_ms(), self.outbox.newest
        if held is not None and newest is not None:
            fields = wire.fields_of(newest[1])
            if fields[6][0] != wire.SOURCE_NONE:
                self.hold(held, fields[5], fields[6][1])

    async def settle_all(self) -> None:
        """Verify what waited for a time or a key."""
        await self._settle()
        await self.coverage.settle()
        await self.updates.settle()

    def time_fault(self, code: str) -> None:
        """Why a time source gave none."""
        self.last_refusal = code
        self.faults.note(code if code.startswith("sntp.") else "time." + code)

    def time_set(self, move_ms: int) -> None:
        """The clock was set, by move_ms."""
        self._synced.set()
        if abs(move_ms) >= _MOVE_MS_NOTICED:
            self._retimed.set()
            self.coverage.retimed()
        unmapped = self._journal.unmapped
        if (unmapped or self.earlier) and not self._chain.lost:
            boots = [(self._chain.boot, 0, 0)] if unmapped else []
            left = borrow("lives").tell(self.write, self.clock, boots + self.earlier)
            self._journal.unmapped = unmapped and left[:1] == boots
            self.earlier = left[1:] if self._journal.unmapped else left

    # Downlinks.

    async def _take(self, tail: str, data: bytes) -> str:
        """Act on one downlink; "" or why it was refused."""
        if len(data) > downlinks.size_max(tail):
            return "oversize"
        if tail == downlinks.ENTROPY_TAIL:
            return self.coverage.take_link(data)
        opened, code = self._keyring.open(data)
        if opened is None:
            return code
        try:
            kind, to, serial, time_ms, body = downlinks.parse(opened.payload)
        except downlinks.DownlinkError as error:
            return error.code
        if to != self._device and (to or kind == downlinks.RECEIPT):
            return "to"
        if kind == downlinks.RECEIPT:
            up_to, id16, ranges, refused, _ = body
            receipt = Receipt(up_to, id16, ranges, refused, (opened, serial, time_ms))
            return await self._take_receipt(receipt)
        if kind == downlinks.TICK:
            return self._take_tick(body[0])
        if kind == downlinks.ENTROPY_COMMIT:
            return await self.coverage.take_commit(opened, serial, time_ms, body)
        if kind == downlinks.KEYS:
            return await self._take_keys(body)
        if kind == downlinks.RELEASE:
            return await self.updates.take(opened, serial, time_ms, body)
        if kind == downlinks.NOTICE:
            self.notices = (self.notices + [body])[-_LOG_MAX:]
        return ""

    def _take_tick(self, slot: int) -> str:
        before = self.clock.now()[0]
        if not self.clock.tick(slot):
            return "tick"
        self.time_set(self.clock.now()[0] - before)
        return ""

    async def _take_keys(self, statements: "Any") -> str:
        code = ""
        for statement in statements:
            why = await self._keyring.adopt(statement)
            # The gateway hands out the operator's statement too, which is no business of ours.
            code = code if why in ("", "role") else why
        await self.settle_all()
        return code

    # Receipts.

    async def _take_receipt(self, receipt: Receipt) -> str:
        code = self._receipts.check(receipt, self._chain)
        if code:
            return code
        self._receipts.newest = receipt
        for refusal in receipt.refused:
            if refusal not in self.refused:
                self.refused = (self.refused + [refusal])[-_LOG_MAX:]
        self._sender.receipted()
        self.receipted = self._board.ticks()
        return await self._settle()

    async def _settle(self, *, must: bool = False) -> str:
        """Verify the newest receipt if something hangs on it, and act on it."""
        receipt = self._receipts.newest
        signed = receipt.signed
        if signed is None or self._settling or not self._worth_verifying(receipt, must=must):
            return ""
        opened, serial, time_ms = signed
        if serial > self._keyring.serial:
            self._timekeeper.wanted.set()
            return ""
        self._settling = True
        code = await self._keyring.verify(opened, serial, time_ms)
        self._settling = False
        if code:
            self._receipts.discard(receipt)
            return code
        self._receipts.accept(receipt)
        receipt.signed = None
        self._act_on_verified(receipt)
        return ""

    def _worth_verifying(self, receipt: Receipt, *, must: bool) -> bool:
        if must or self._chain.lost or self.updates.trial or not self._sender.registered:
            return True
        freeable = self.outbox.freeable(receipt.covers)
        return freeable >= limits.FREE_BYTES_MIN or (freeable > 0 and self.outbox.crowded())

    def _act_on_verified(self, receipt: Receipt) -> None:
        if self._chain.lost:
            known = (receipt.up_to, receipt.highest())
            self._resume_chain(known)
        if not self._sender.registered:
            self._sender.registered = True
            self._remember(self._announced)
            self._sender.flush()
        self.outbox.free(receipt.covers)
        self.updates.receipted(fresh=receipt.highest() >= self._chain.first)

    async def _give_up_chain(self) -> None:
        await self._board.sleep(limits.CHAIN_LOST_WAIT_MS)
        if self._chain.lost:
            self._resume_chain(None)

    def _resume_chain(self, known: "tuple[int, int] | None") -> None:
        self._chain.resume(known, self._board.entropy(4))
        self._ready.set()
