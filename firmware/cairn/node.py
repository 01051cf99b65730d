"""The station's application: samples, signs, stores, publishes and listens.

It touches the world only through Board and Link (boards/base.py). Its tasks share one chain and
one outbox; both work without awaiting, so no task sees them half done.
"""

from hashlib import sha256

from . import cbor, cose, downlinks, limits, sealed, wire
from .batch import Batch
from .chain import Chain
from .clock import Clock
from .coverage import Coverage
from .journal import Journal
from .keyring import Keyring
from .outbox import Outbox
from .receipts import Receipt, Receipts
from .sender import Sender
from .timesync import fetch_time

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from .boards.base import Board, Link
    from .config import Config

FIRMWARE = "cairn 0.1.0"
ANNOUNCED_FILE = "announced"

_ANNOUNCE_WAIT_MS = 60_000
_MOVE_MS_NOTICED = 1_000
_LOG_MAX = 8


class Node:
    """One boot of a station. refused: the newest (seq, verdict) that the gateway refused for
    good; downlinks_refused and last_refusal: what the board itself did not accept; notices: the
    newest (code, text, detail) that came, unverified, for a human to read.
    """

    def __init__(self, board: "Board", link: "Link", config: "Config") -> None:
        self._board = board
        self._link = link
        self._config = config
        self._device = cose.kid_of(board.public_key())
        self._outbox = Outbox(board.fs, config.outbox_bytes_max)
        self._chain = Chain(board.fs, self._outbox, board.sign, self._device, config.network_id)
        self._receipts = Receipts(board.fs)
        self._keyring = Keyring(board, config.network_id, config.root_key)
        self._clock = Clock(board.ticks, config.simulated)
        interval_ms = config.reporting_interval_ms
        self._sender = Sender(board, link, self._outbox, self._receipts, interval_ms)
        self._journal = Journal(
            self._outbox, self._chain, self._receipts, self._sender, config.outbox_bytes_max
        )
        self._batch = Batch(config.quantities)
        self._ready = board.event()
        self._synced = board.event()
        self._retimed = board.event()
        self._time_wanted = board.event()
        self._said = board.event()
        self._settling = False
        self._announced: "tuple[bytes, bytes]" = (b"", b"")
        self._reported_ticks = -limits.DAY_MS
        self.coverage = Coverage(
            board=board,
            clock=self._clock,
            config=config,
            device=self._device,
            keyring=self._keyring,
            write=self.write,
            say_status=self._say_status,
            want_keys=self._time_wanted.set,
            newest=self._outbox.newest,
        )
        self.refused: "list[tuple[int, int]]" = []
        self.notices: "list[tuple[int, str, bytes]]" = []
        self.downlinks_refused = 0
        self.last_refusal = ""

    async def run(self) -> None:
        """Work until the board restarts."""
        self._load_announced()
        self._hold_time()
        self._board.spawn(self._announce())
        self._board.spawn(self._sample())
        self._board.spawn(self._report_status())
        self._board.spawn(self._sender.run())
        self._board.spawn(self.coverage.run(self._said))
        if self._config.time_host is not None:
            self._board.spawn(self._keep_time(self._config.time_host))
        if self._chain.lost:
            self._board.spawn(self._give_up_chain())
        else:
            self._ready.set()
        while True:
            tail, data = await self._link.receive()
            code = await self._take(tail, data)
            if code:
                self.downlinks_refused += 1
                self.last_refusal = code

    def write(self, kind: int, body: "list[object]", now: "tuple[int, int, int]") -> bool:
        """Sign, store and offer a message made at now; False if there is no room (journal.py)."""
        return self._journal.write(kind, body, now)

    @property
    def dropped(self) -> int:
        """Messages that were signed and dropped because the outbox was full."""
        return self._journal.dropped

    # What the station says of itself.

    async def _announce(self) -> None:
        await self._ready.wait(None)
        # A hello with a time needs no clock message; without a time service there still is one.
        await self._synced.wait(_ANNOUNCE_WAIT_MS)
        config = self._config
        hello = wire.hello_body(
            public_key=self._board.public_key(),
            firmware=FIRMWARE,
            quantities=config.quantities,
            duty=config.duty,
            place_commitment=config.place_commitment,
            scoring_cell=config.scoring_cell,
            antenna=config.antenna,
        )
        claim = None
        if config.owner is not None:
            claim = wire.claim_body(config.owner, config.owner_proof)
        marks = (_mark_of(hello), b"" if claim is None else _mark_of(claim))
        await self._say(wire.HELLO, hello, marks[0] != self._announced[0])
        await self._say(wire.CLAIM, claim, marks[1] != self._announced[1])
        if self._announced != marks:
            self._announced = marks
            self._store_announced()
        self._said.set()

    async def _say(self, kind: int, body: "list[object] | None", changed: bool) -> None:  # noqa: FBT001
        # The outbox may be full of what is never dropped: what was not signed was not said.
        while body is not None and changed and not self.write(kind, body, self._clock.now()):
            await self._board.sleep(_ANNOUNCE_WAIT_MS)

    def _load_announced(self) -> None:
        stored = sealed.read(self._board.fs, ANNOUNCED_FILE)
        if stored:
            hello_mark, claim_mark, registered = cbor.decode(stored)
            self._announced = (hello_mark, claim_mark)
            self._sender.registered = registered == 1

    def _store_announced(self) -> None:
        fields = [self._announced[0], self._announced[1], int(self._sender.registered)]
        sealed.write(self._board.fs, ANNOUNCED_FILE, cbor.encode(fields))

    # Sampling.

    async def _sample(self) -> None:
        await self._ready.wait(None)
        interval_ms = self._config.sample_interval_ms
        last_due = 0
        while True:
            due = self._next_due(interval_ms, last_due)
            if await self._retimed_within(due):
                last_due = 0
                continue
            last_due = due
            ticks = self._board.ticks()
            readings = await self._board.sample()
            if readings:
                self._batch.add(ticks, readings)
            over = self._clock.synced and _day(due) != _day(due + interval_ms)
            if over or len(self._batch) >= self._config.samples_per_message:
                if self._outbox.crowded():
                    # Known receipts first: what is delivered must not be counted as dropped.
                    await self._settle(must=True)
                self._close_batch()
            self._board.feed()

    def _close_batch(self) -> None:
        for body, when in self._batch.close(self._clock.now(), self._board.ticks()):
            self.write(wire.READINGS, body, when)

    async def _report_status(self) -> None:
        await self._ready.wait(None)
        last_due = 0
        while True:
            due = self._next_due(self._config.status_interval_ms, last_due)
            if await self._retimed_within(due):
                last_due = 0
                continue
            last_due = due
            self._say_status()

    def _say_status(self) -> None:
        ticks = self._board.ticks()
        if self._outbox.crowded() and ticks - self._reported_ticks < limits.DAY_MS:
            # Thinned, for it would outlast the readings and part them: see journal.py.
            return
        self._reported_ticks = ticks
        info, stored = self._board.info(), self._outbox.count
        heard = self.coverage.listening()
        body = wire.status_body(ticks // 1000, info, stored, self.dropped, heard)
        self.write(wire.STATUS, body, self._clock.now())

    def _next_due(self, interval_ms: int, last_due: int) -> int:
        """Next point of a grid whose phase is the device's own, in the clock's present time."""
        phase = int.from_bytes(self._device[:4], "big") % interval_ms
        now = self._clock.now()[0]
        due = now + interval_ms - (now - phase) % interval_ms
        # The clock may have been set back by a little since the last point.
        if last_due and abs(due - last_due) < interval_ms // 2:
            due += interval_ms
        return due

    async def _retimed_within(self, due: int) -> bool:
        """Sleep until due; True if the clock was set meanwhile, so that due means nothing."""
        if await self._retimed.wait(max(0, due - self._clock.now()[0])):
            self._retimed.clear()
            return True
        return False

    # Time.

    def _hold_time(self) -> None:
        held, newest = self._board.now_ms(), self._outbox.newest
        if held is None or newest is None:
            return
        fields = wire.fields_of(newest[1])
        time_ms, (source, uncertainty_ms) = fields[5], fields[6]
        if source != wire.SOURCE_NONE and self._clock.set_held(held, time_ms, uncertainty_ms):
            self._synced.set()

    async def _keep_time(self, host: str) -> None:
        backoff_ms = limits.BACKOFF_MS_MIN
        while self._clock.source != wire.SOURCE_TICK:
            port, device = self._config.time_port, self._device
            answer = await fetch_time(self._board, self._keyring, device, host, port)
            if isinstance(answer, str):
                self.last_refusal = answer
                pause_ms = backoff_ms + self._draw(backoff_ms)
                backoff_ms = min(2 * backoff_ms, limits.TIME_BACKOFF_MS_MAX)
            else:
                move_ms = self._clock.set_gateway(answer[0], answer[1], answer[2])
                self._time_set(move_ms)
                await self._settle()
                await self.coverage.settle()
                backoff_ms = limits.BACKOFF_MS_MIN
                pause_ms = limits.RESYNC_MS
            if await self._time_wanted.wait(pause_ms):
                # Anybody can name an unknown key serial: it may not make us ask at his pace.
                await self._board.sleep(limits.LINK_BACKOFF_MS_MAX)
                self._time_wanted.clear()

    def _time_set(self, move_ms: int) -> None:
        self._synced.set()
        if abs(move_ms) >= _MOVE_MS_NOTICED:
            self._retimed.set()
            self.coverage.retimed()
        if self._journal.unmapped:
            now = self._clock.now()
            utc_at_boot_ms = self._clock.utc_at_boot_ms()
            body = wire.clock_body(self._chain.boot, utc_at_boot_ms, now[1], now[2])
            self._journal.unmapped = not self.write(wire.CLOCK, body, now)

    def _draw(self, of_ms: int) -> int:
        return int.from_bytes(self._board.entropy(2), "big") * of_ms >> 16

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
        if to not in (b"", self._device):
            return "to"
        if kind == downlinks.RECEIPT:
            if to != self._device:
                return "to"
            up_to, id16, ranges, refused, _ = body
            receipt = Receipt(up_to, id16, ranges, refused, (opened, serial, time_ms))
            return await self._take_receipt(receipt)
        if kind == downlinks.TICK:
            return self._take_tick(body[0])
        if kind == downlinks.ENTROPY_COMMIT:
            return await self.coverage.take_commit(opened, serial, time_ms, body)
        if kind == downlinks.KEYS:
            return await self._take_keys(body)
        if kind == downlinks.NOTICE:
            self.notices = (self.notices + [body])[-_LOG_MAX:]
        return ""

    def _take_tick(self, slot: int) -> str:
        before = self._clock.now()[0]
        if not self._clock.tick(slot):
            return "tick"
        self._time_set(self._clock.now()[0] - before)
        return ""

    async def _take_keys(self, statements: "Any") -> str:
        code = ""
        for statement in statements:
            code = await self._keyring.adopt(statement) or code
        await self._settle()
        await self.coverage.settle()
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
        self._board.feed()
        return await self._settle()

    async def _settle(self, *, must: bool = False) -> str:
        """Verify the newest receipt if something hangs on it, and act on it."""
        receipt = self._receipts.newest
        if receipt.signed is None or self._settling:
            return ""
        if not must and not self._worth_verifying(receipt):
            return ""
        opened, serial, time_ms = receipt.signed
        if serial > self._keyring.serial:
            self._time_wanted.set()
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

    def _worth_verifying(self, receipt: Receipt) -> bool:
        if self._chain.lost or not self._sender.registered:
            return True
        freeable = self._outbox.freeable(receipt.covers)
        return freeable >= limits.FREE_BYTES_MIN or (freeable > 0 and self._outbox.crowded())

    def _act_on_verified(self, receipt: Receipt) -> None:
        if self._chain.lost:
            known = (receipt.up_to, receipt.highest())
            self._resume_chain(known)
        if not self._sender.registered:
            self._sender.registered = True
            self._store_announced()
            self._sender.flush()
        self._outbox.free(receipt.covers)

    async def _give_up_chain(self) -> None:
        await self._board.sleep(limits.CHAIN_LOST_WAIT_MS)
        if self._chain.lost:
            self._resume_chain(None)

    def _resume_chain(self, known: "tuple[int, int] | None") -> None:
        self._chain.resume(known, self._board.entropy(4))
        self._ready.set()


def _mark_of(body: "list[object]") -> bytes:
    return sha256(cbor.encode(body)).digest()[:8]


def _day(time_ms: int) -> int:
    return time_ms // limits.DAY_MS
