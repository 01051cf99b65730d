"""Listens for the beacons of others and writes witness messages."""

from . import beacons, limits, wire
from .witness import Listening

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Board
    from .clock import Clock
    from .witness import Batch, Witness


class Listener:
    """heard: frames of this network, our own included. write: as Node.write."""

    def __init__(
        self,
        *,
        board: "Board",
        clock: "Clock",
        network_id: bytes,
        radios: "tuple[int, ...]",
        witness: "Witness",
        write: "Callable[[int, list[object], tuple[int, int, int]], bool]",
    ) -> None:
        self._board = board
        self._clock = clock
        self._network_id = network_id
        self._radios = radios
        self._witness = witness
        self._write = write
        self._listening = Listening()
        self.heard = 0

    def claim(self) -> "tuple[int, int]":
        """(day, bit per UTC hour) of unbroken listening; the clock is synced."""
        return self._listening.claim(self._clock.now()[0], self._board.ticks())

    def flush(self) -> None:
        """Report what waits."""
        self._report(self._witness.flush())

    async def run(self) -> None:
        """Listen for as long as there is a radio."""
        pause_ms = limits.BACKOFF_MS_MIN
        while True:
            self._listening.begin(self._board.ticks())
            before = self.heard
            try:
                if not await self._hear():
                    break
            except OSError:
                # The radio failed: what was on the air meanwhile is not known.
                pass
            self._break()
            pause_ms = limits.BACKOFF_MS_MIN if self.heard != before else pause_ms
            await self._board.sleep(pause_ms)
            pause_ms = min(2 * pause_ms, limits.LINK_BACKOFF_MS_MAX)
        self._break()

    async def _hear(self) -> bool:
        """Take frames for as long as the radio works; False if there is none."""
        while True:
            got = await self._board.radio_receive()
            if got is None:
                return False
            radio, channel, rssi_cdbm, snr_cdb, ticks, frame = got
            if radio not in self._radios:
                continue
            tag = beacons.tag_in(frame, self._network_id)
            if tag is None:
                continue
            self.heard += 1
            if not self._clock.synced:
                # When it was heard is not known, so it counts as not listened to.
                self._listening.begin(self._board.ticks() + 1)
                continue
            heard_ms = self._clock.now()[0] - (self._board.ticks() - ticks)
            slot, delay_ms = divmod(heard_ms, limits.SLOT_MS)
            dropped = self._witness.dropped
            row = (slot, tag, rssi_cdbm, snr_cdb, channel, delay_ms)
            self._report(self._witness.hear(radio, row))
            if self._witness.dropped != dropped:
                self._restart_listening()

    def _report(self, batches: "list[Batch]") -> None:
        for day, radio, rows in batches:
            body = wire.witness_body(day, radio, rows)
            if not self._write(wire.WITNESS, body, self._clock.now()):
                self._witness.dropped += len(rows)
                self._restart_listening()

    def _break(self) -> None:
        self._listening.stop(self._clock.now()[0], self._board.ticks())

    def _restart_listening(self) -> None:
        # Who loses rows must not claim to have listened: a beacon in them would count as silent.
        self._break()
        # Not in this millisecond: it may be an hour's first.
        self._listening.begin(self._board.ticks() + 1)
