"""A station's part in the proof of coverage: its own beacons, and what it hears of others.

Runs only on a board with a radio and only while the clock is UTC. What is due when: a commitment
for tomorrow within the first hours of a day, a beacon when a slot's entropy says so, witness rows
after each full hour, a status shortly before midnight, the reveal an hour after the day's end.
"""

from . import downlinks, limits, regions, wire
from .beaconer import Beaconer
from .beacons import Secrets, SentLog
from .entropy import Entropy
from .listener import Listener
from .witness import Witness

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Board, Event
    from .clock import Clock
    from .config import Config
    from .cose import Sign1
    from .keyring import Keyring

    Now = tuple[int, int, int]
    # opened, key serial, time_ms, day, chain end
    Held = tuple[Sign1, int, int, int, bytes]


class Coverage:
    """write: Node.write; say_status: writes a status message; want_keys: a commit names a key
    serial that is not known; newest: (seq, message) that was stored last. beaconer, listener,
    witness: for their counters. active: it takes part; slot: the newest whose entropy is known.
    """

    def __init__(
        self,
        *,
        board: "Board",
        clock: "Clock",
        config: "Config",
        device: bytes,
        keyring: "Keyring",
        write: "Callable[[int, list[object], Now], bool]",
        say_status: "Callable[[], None]",
        want_keys: "Callable[[], None]",
        newest: "tuple[int, bytes] | None",
        takes_part: bool = True,
    ) -> None:
        self._board = board
        self._clock = clock
        self._keyring = keyring
        self._write = write
        self._say_status = say_status
        self._want_keys = want_keys
        # Spreads a fleet's messages over the time that each may take.
        self._phase = int.from_bytes(device[:4], "big")
        self._entropy = Entropy()
        self._held: "dict[int, Held]" = {}
        self._settling = False
        self._secrets = Secrets(board.fs, board.entropy)
        self._log = SentLog(board.fs)
        self._newest = newest
        self.witness = Witness()
        self.beaconer = Beaconer(
            board=board,
            clock=clock,
            config=config,
            device=device,
            secrets=self._secrets,
            log=self._log,
            witness=self.witness,
        )
        # A station without a radio that its region allows takes no part.
        radios = self.beaconer.radios
        self.active = takes_part and bool(radios)
        self.slot = -1
        self._witnesses = self.active and config.duty[0] == wire.DUTY_MAINS
        self._tunes = self._witnesses and regions.LORA in radios
        self.listener = Listener(
            board=board,
            clock=clock,
            network_id=config.network_id,
            radios=radios,
            witness=self.witness,
            write=write,
        )
        self._wake = board.event()
        self._flush_due = 0
        self._status_day = -1

    async def run(self, ready: "Event") -> None:
        """Take part, from the hello on."""
        if not self.active:
            return
        self._catch_up()
        await ready.wait(None)
        self._log.tidy(self._secrets.days())
        if self._witnesses:
            self._board.spawn(self.listener.run())
        while True:
            await self.settle()
            pause_ms = self._work() if self._clock.synced else None
            await self._wake.wait(pause_ms)
            self._wake.clear()

    def _catch_up(self) -> None:
        # What is signed is noted next, so a power cut between the two leaves it the newest
        # message: to sign it again would be a second commitment for one day.
        if self._newest is not None:
            fields = wire.fields_of(self._newest[1])
            kind, time_ms, body = fields[1], fields[5], fields[7]
            if kind == wire.COMMIT and self._secrets.holds(body[0], body[1]):
                self._secrets.count_from(body[0], _first_slot(body[0], time_ms))
            elif kind == wire.REVEAL and body[0] in self._secrets.days():
                self._secrets.forget(body[0])
        self._newest = None

    def retimed(self) -> None:
        """The clock was set for the first time, or moved."""
        self._wake.set()

    def listening(self) -> "tuple[int, int] | None":
        """(day, bit per UTC hour) for a status message; None from who claims nothing."""
        if not self._witnesses or not self._clock.synced:
            return None
        return self.listener.claim()

    # Entropy.

    def take_link(self, data: bytes) -> str:
        """Act on a link of the entropy chain; "" or why it was refused."""
        if not self.active:
            return ""
        try:
            link = downlinks.parse_entropy(data)
        except downlinks.DownlinkError as error:
            return error.code
        if self._clock.synced:
            day = link[0] // limits.SLOTS_A_DAY
            # Just after midnight by our clock a link may still be yesterday's.
            if not 0 <= day - self._today() <= 1 and self._entropy.end_of(day) is None:
                return "entropy_day"
        value, code = self._entropy.take(link)
        if value:
            self._begin_slot(link[0], value)
        return code

    def _begin_slot(self, slot: int, entropy: bytes) -> None:
        self.slot = slot
        if self._tunes:
            # At once, whatever our clock says: a link comes in its slot, beacons 30 s later.
            self._board.radio_listen(regions.LORA, self.beaconer.channel_of(entropy))
        self.beaconer.plan(slot, entropy)

    async def take_commit(
        self, opened: "Sign1", serial: int, time_ms: int, body: "tuple[bytes, int, int]"
    ) -> str:
        """Act on the signed end of a day's chain; "" or why it was refused."""
        if not self.active:
            return ""
        end, first, slots = body
        day, minute = divmod(first, limits.SLOTS_A_DAY)
        if minute or slots != limits.SLOTS_A_DAY:
            return "entropy_commit"
        known = self._entropy.end_of(day)
        if known is not None:
            # One chain a day: with a second one the gateway could choose what it likes better.
            return "" if known == end else "entropy_commit"
        # The day after tomorrow: the gateway's clock may have passed midnight before ours.
        if self._clock.synced and not 0 <= day - self._today() <= 2:
            return "entropy_day"
        self._held[day & 1] = (opened, serial, time_ms, day, end)
        return await self.settle()

    async def settle(self) -> str:
        """Verify the commits that can be verified by now."""
        if self._settling or not self._held or not self._clock.synced:
            return ""
        self._settling = True
        code = ""
        while True:
            held = self._next_held()
            if held is None:
                break
            del self._held[held[3] & 1]
            why = await self._keyring.verify(held[0], held[1], held[2])
            if why:
                code = why
                continue
            self._entropy.commit(held[3], held[4], self._today())
            slot, value, why = self._entropy.take_waiting()
            code = why or code
            if value:
                self._begin_slot(slot, value)
        self._settling = False
        return code

    def _next_held(self) -> "Held | None":
        found = None
        today = self._today()
        for parity in list(self._held):
            held = self._held[parity]
            if held[3] < today or self._entropy.end_of(held[3]) is not None:
                del self._held[parity]
            elif held[1] > self._keyring.serial:
                self._want_keys()
            elif held[3] <= today + 1 and (found is None or held[3] < found[3]):
                found = held
        return found

    # The day's round. Each part does what is due at now and says when (UTC ms) it is due again.

    def _work(self) -> int:
        now = self._clock.now()
        # Reveals first: what is told makes room for tomorrow's secret.
        dues = [self._reveal(now), self._commit(now), self._flush(now), self._last_status(now[0])]
        return max(1, min(dues) - now[0])

    def _commit(self, now: "Now") -> int:
        today, in_day_ms = divmod(now[0], limits.DAY_MS)
        phase = self._phase % limits.COMMIT_PHASE_MS
        for day in (today, today + 1) if in_day_ms >= phase else (today,):
            if not self._secrets.committed(day):
                body = wire.commit_body(day, self._secrets.commitment(day, today))
                if not self._write(wire.COMMIT, body, now):
                    return now[0] + limits.COVERAGE_RETRY_MS
                self._secrets.count_from(day, _first_slot(day, now[0]))
        due = today * limits.DAY_MS + phase
        return due if now[0] < due else due + limits.DAY_MS

    def _reveal(self, now: "Now") -> int:
        next_due = now[0] + limits.DAY_MS
        wait_ms = limits.REVEAL_AFTER_MS + min(now[2], limits.REVEAL_UNCERTAINTY_MS_MAX)
        span = limits.REVEAL_PHASE_MS_MAX - limits.REVEAL_PHASE_MS_MIN
        wait_ms += limits.REVEAL_PHASE_MS_MIN + self._phase % span
        for day in self._secrets.days():
            due = (day + 1) * limits.DAY_MS + wait_ms
            if now[0] < due:
                next_due = min(next_due, due)
            elif self._secrets.committed(day) and not self._write_reveal(day, now):
                return now[0] + limits.COVERAGE_RETRY_MS
            else:
                self._secrets.forget(day)
                self._log.remove(day)
        return next_due

    def _write_reveal(self, day: int, now: "Now") -> bool:
        rows = self._log.rows(day)
        for start in range(0, len(rows), limits.BEACONS_MAX):
            body = wire.beacon_body(day, rows[start : start + limits.BEACONS_MAX])
            if not self._write(wire.BEACON, body, now):
                return False
        return self._write(wire.REVEAL, wire.reveal_body(day, self._secrets.x_of(day)), now)

    def _flush(self, now: "Now") -> int:
        if not self._witnesses:
            return now[0] + limits.DAY_MS
        if now[0] >= self._flush_due or self._flush_due - now[0] > limits.HOUR_MS:
            self.listener.flush()
            span = limits.FLUSH_PHASE_MS_MAX - limits.FLUSH_PHASE_MS_MIN
            phase = limits.FLUSH_PHASE_MS_MIN + self._phase % span
            self._flush_due = now[0] + limits.HOUR_MS - (now[0] - phase) % limits.HOUR_MS
        return self._flush_due

    def _last_status(self, now_ms: int) -> int:
        # A status of the next day cannot speak for this one's last hour.
        if not self._witnesses:
            return now_ms + limits.DAY_MS
        day = now_ms // limits.DAY_MS
        before_ms = limits.LAST_STATUS_BEFORE_MS - self._phase % limits.FLUSH_PHASE_MS_MAX
        due = (day + 1) * limits.DAY_MS - before_ms
        if now_ms < due:
            return due
        if self._status_day != day:
            self._status_day = day
            self._say_status()
        return due + limits.DAY_MS

    def _today(self) -> int:
        return self._clock.now()[0] // limits.DAY_MS


def _first_slot(day: int, now_ms: int) -> int:
    """From where on a commitment that is signed now can count."""
    if now_ms < day * limits.DAY_MS:
        return day * limits.SLOTS_A_DAY
    return (now_ms // limits.HOUR_MS + 2) * (limits.HOUR_MS // limits.SLOT_MS)
