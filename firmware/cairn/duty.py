"""A battery station: one wake of it. It samples into retained memory, and at the points of its
declared duty it connects, signs, stores and delivers; then it sleeps deeply.

Times are kept on a line of ms that began with the first wake and goes on over sleep by what was
asked of the timer. Once UTC is known it is carried along; at every delivery the gateway's time
says how far the line went wrong since the last, and the samples between are put straight by that.
Until UTC is known for the first time nothing is signed: the samples wait. What a reset that was no
end of a sleep did to the line is not known, only bounded.

Before the samples are signed, the first seq that they may get is noted with them: after a reset in
the middle what flash holds of them is not signed again.
"""

from . import beacons, limits, staging, wire
from .overlay import borrow

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Link
    from .config import Config
    from .faults import Faults
    from .node import Node
    from .outbox import Outbox

_NOTES = 2
_NEVER = [_NOTES, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]


class Duty:
    """lives: see vigil.py. equipped: there are sensors; without them, and in safe mode, it only
    delivers.
    """

    def __init__(
        self,
        board: "Board",
        config: "Config",
        faults: "Faults",
        lives: "tuple[int, int, int]",
        equipped: bool,  # noqa: FBT001
    ) -> None:
        self._board = board
        self._config = config
        self._faults = faults
        self._lives = lives
        self._equipped = equipped
        self._safe = lives[0] > limits.CRASHES_MAX
        notes, self._samples, self._thinned, code = staging.unpack(board.retained())
        if code:
            faults.note(code, "samples that were not delivered yet are lost")
        if len(notes) != len(_NEVER) or notes[0] != _NOTES:
            # Without them nobody knows when these were.
            notes, self._samples, self._thinned = _NEVER, [], 0
        # Line, and UTC or 0, both at ticks 0; the uncertainty of that UTC as it fell asleep.
        asleep = notes[2]
        self._line = notes[1] + asleep
        self._utc = notes[3] + asleep if notes[3] else 0
        self._known_ms, self._uncertainty_ms = notes[3], notes[4]
        self._synced_line = notes[5]
        self._delivered, self._sampled_line, self._status_line = notes[6], notes[7], notes[8]
        # Seq of the first message that may hold these samples, or 0; how far the line may have
        # gone wrong at resets since the last sync.
        self._signing, self._jumps_ms = notes[9], notes[10]
        if self._signing:
            # That delivery was cut off: anew, whatever its point was.
            self._delivered = 0
        cause = board.info()[1]
        self._woken = cause == _WOKEN or notes is _NEVER
        if not self._woken:
            # Reset in its sleep, or in a wake of which these notes do not tell.
            jump_ms = asleep + limits.DUTY_JUMP_MS_MAX
            if cause == _BROWN_OUT:
                jump_ms += limits.DAY_MS
            self._jumps_ms += jump_ms
            self._uncertainty_ms += jump_ms

    async def run(self, link: "Link | None") -> None:
        """Until it sleeps. link: as in station.run."""
        self._board.feed()
        if not self._woken:
            self._retain(0)
        if self._equipped and self._sample_is_due():
            line = self._line + self._board.ticks()
            pairs = [(quantity, channel) for quantity, channel, _ in self._config.quantities]
            readings = [row for row in await self._board.sample() if (row[0], row[1]) in pairs]
            self._sampled_line = line + 1
            if readings:
                self._samples.append((line, readings))
        if not self._retain(0) or self._delivery_is_due():
            await self._deliver(link)
        self._sleep()

    # What is due. Wakes come a little early or late, as the oscillator has it.

    def _now(self) -> int:
        return (self._utc or self._line) + self._board.ticks()

    def _sample_is_due(self) -> bool:
        interval_ms = self._config.sample_interval_ms
        since_ms = self._line + self._board.ticks() + 1 - self._sampled_line
        return not self._sampled_line or since_ms >= interval_ms - _early(interval_ms)

    def _number(self, at_ms: int) -> int:
        """Of the newest point of the duty at that time; 1 or more."""
        _, period_ms, phase_ms = self._config.duty
        return 1 + (at_ms + period_ms - phase_ms) // period_ms

    def _point(self) -> int:
        """Number of the point for which this wake is, be it a little early."""
        return self._number(self._now() + _early(self._config.duty[1]))

    def _delivery_is_due(self) -> bool:
        if self._safe or self._point() != self._delivered:
            return True
        # Rather sign now than thin out: signed messages go to flash, where there is room.
        packed, thinned = staging.pack(_NEVER, self._samples, self._thinned)
        full = len(packed) > limits.RETAINED_BYTES - (limits.RETAINED_BYTES >> 2)
        return bool(self._utc) and (full or thinned > self._thinned)

    def _sleep_ms(self) -> int:
        _, period_ms, phase_ms = self._config.duty
        interval_ms, now = self._config.sample_interval_ms, self._now()
        sleep_ms = period_ms - (now - phase_ms) % period_ms
        if self._number(now + sleep_ms) <= self._delivered:
            sleep_ms += period_ms
        if self._equipped:
            left_ms = interval_ms - (now - phase_ms) % interval_ms
            since_ms = self._line + self._board.ticks() + 1 - self._sampled_line
            if left_ms + since_ms < interval_ms - _early(interval_ms):
                left_ms += interval_ms
            sleep_ms = min(sleep_ms, left_ms)
        if self._safe:
            sleep_ms = limits.SAFE_MS << min(self._lives[1], limits.SAFE_DOUBLINGS_MAX)
        return max(limits.DUTY_SLEEP_MS_MIN, sleep_ms)

    # Delivery.

    async def _deliver(self, link: "Link | None") -> None:
        from .station import make  # a wake that only samples needs neither node nor link

        board = self._board
        self._delivered = self._point()
        link, node = make(
            board, self._config, self._faults, link, sampling=False, coverage=not self._safe
        )
        if self._signing:
            signed = _samples_from(node.outbox, self._signing)
            self._samples, self._signing = self._samples[signed:], 0
            self._retain(0)
        if self._utc:
            held_ms = self._utc + board.ticks()
            node.hold(held_ms, self._known_ms, self._uncertainty_ms)
        begun = board.ticks()
        end = begun + limits.DUTY_AWAKE_MS_MAX
        if node.lost:
            end += limits.CHAIN_LOST_WAIT_MS
        board.spawn(node.run())
        await self._wait_for_time(node, end)
        if node.clock.synced and not node.lost:
            newest = node.outbox.newest
            self._signing = 1 + (newest[0] if newest else 0)
            self._retain(0)
            self._hand_over(node)
            self._say_status(node)
            if node.shut():
                self._samples, self._thinned, self._signing = [], 0, 0
                self._retain(0)
        while board.ticks() < end and (node.updates.busy or not node.delivered):
            if link.state() != "up" and board.ticks() - begun > limits.DUTY_CONNECT_MS_MAX:
                break
            await self._look()
        if node.delivered and self._lives != (0, 0, 0) and not self._safe:
            borrow("lives").store(board.fs, 0, 0, 0)
        if link.state() == "up":
            await self._stay_for_beacon(node, board.ticks() + 2 * limits.SLOT_MS)
        node.shut()
        self._take_time(node)

    def _say_status(self, node: "Node") -> None:
        line = self._line + self._board.ticks()
        if not self._status_line or line - self._status_line >= self._config.status_interval_ms:
            self._status_line = line + 1
            node.say_status()

    async def _look(self) -> None:
        # Bounded by the clock of each loop that calls it: whoever hangs elsewhere is not fed.
        self._board.feed()
        await self._board.sleep(limits.DUTY_LOOK_MS)

    async def _wait_for_time(self, node: "Node", end: int) -> None:
        while self._board.ticks() < end and node.lost:
            self._retain(0)
            await self._look()
        if self._config.time_host is None and self._config.sntp_host is None:
            return
        end = self._board.ticks() + limits.DUTY_SYNC_MS_MAX
        while self._board.ticks() < end and node.clock.source in _NOT_FRESH:
            await self._look()

    def _hand_over(self, node: "Node") -> None:
        """Give the samples to the node, which signs them. Their ticks are mostly negative."""
        if self._thinned:
            self._faults.note("staging.thinned", "%d samples" % self._thinned)
        ticks = self._board.ticks()
        utc, source, _ = node.clock.now()
        now_line = self._line + ticks
        error_ms, span_ms, extra_ms = 0, 1, 0
        if source not in _NOT_FRESH:
            span_ms = max(1, now_line - self._synced_line)
            if self._utc:
                # The oscillator's error since the last sync lies behind us evenly, more or less.
                error_ms = utc - self._utc - ticks
                # A jump can hide behind as much as the oscillator does before and after it.
                drift_ms = span_ms * limits.HELD_DRIFT_PPM // 500_000
                extra_ms = abs(error_ms) + min(self._jumps_ms, drift_ms)
                if 2 * abs(error_ms) > span_ms:
                    # No oscillator does that. Somebody set a clock, or a reset took the time.
                    error_ms = 0
            elif self._samples:
                away_ms = now_line - self._samples[0][0]
                extra_ms = away_ms * limits.HELD_DRIFT_PPM // 1_000_000 + 1
                extra_ms += self._jumps_ms
        taken = []
        for line, readings in self._samples:
            missing_ms = (now_line - line) * error_ms // span_ms
            taken.append((ticks - (now_line - line) - missing_ms, readings))
        node.take(taken, extra_ms)

    async def _stay_for_beacon(self, node: "Node", end: int) -> None:
        """In a slot of its duty: until this slot's entropy is known, and its beacon is sent."""
        coverage, clock = node.coverage, node.clock
        while coverage.active and clock.synced and self._board.ticks() < end:
            slot, in_slot_ms = divmod(clock.now()[0], limits.SLOT_MS)
            hopes = coverage.slot < slot and in_slot_ms < beacons.DELAY_MS_MIN
            if not beacons.awake(slot, self._config.duty):
                hopes = False
            if not hopes and not coverage.beaconer.pending:
                return
            await self._look()

    def _take_time(self, node: "Node") -> None:
        utc, source, uncertainty_ms = node.clock.now()
        if source == wire.SOURCE_NONE:
            return
        known = self._utc > 0
        self._utc = utc - self._board.ticks()
        self._uncertainty_ms = uncertainty_ms
        if source not in _NOT_FRESH:
            self._synced_line, self._jumps_ms = self._line + self._board.ticks(), 0
        self._known_ms = utc
        # By a corrected clock the point may be still to come: once is enough.
        self._delivered = max(self._delivered, self._point()) if known else self._point()

    # Sleep.

    def _retain(self, sleep_ms: int) -> bool:
        ticks = self._board.ticks()
        line, utc = self._line + ticks, self._utc + ticks if self._utc else 0
        asleep_ms = utc - self._known_ms if self._known_ms else 0
        drift_ms = asleep_ms * limits.HELD_DRIFT_PPM // 1_000_000
        notes = [
            _NOTES,
            line,
            sleep_ms,
            utc,
            self._uncertainty_ms + drift_ms,
            self._synced_line,
            self._delivered,
            self._sampled_line,
            self._status_line,
            self._signing,
            self._jumps_ms,
        ]
        # What is thinned for want of room is still whole here, and counted when it is read back.
        return self._board.retain(staging.pack(notes, self._samples, self._thinned)[0])

    def _sleep(self) -> None:
        sleep_ms = self._sleep_ms()
        self._retain(sleep_ms)
        if self._safe:
            crashes, stays, quiet = self._lives
            crashes, stays = limits.CRASHES_MAX - 1, stays + 1
            borrow("lives").store(self._board.fs, crashes, stays, quiet)
        self._board.deep_sleep(sleep_ms)


_BROWN_OUT, _WOKEN = 3, 5
_NOT_FRESH = (wire.SOURCE_NONE, wire.SOURCE_HELD)


def _early(period_ms: int) -> int:
    return min(period_ms >> 3, limits.DUTY_EARLY_MS_MAX)


def _samples_from(outbox: "Outbox", seq: int) -> int:
    """How many samples its readings hold from seq on. One message at a time: RAM is short."""
    count = 0
    after = seq - 1
    while True:
        rows = outbox.messages(after, limits.SEQ_MAX, 1, _covers_none, (wire.READINGS,))
        if not rows:
            return count
        for after, message in rows:  # noqa: B007 - the last seq is used above
            count += 1 + len(wire.fields_of(message)[7][1])


def _covers_none(first: int, last: int) -> bool:  # noqa: ARG001 - a Covers
    return False
