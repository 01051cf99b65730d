"""Sends the beacons that are due: when the entropy says so, within what the region allows."""

from . import beacons, limits, regions

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .beacons import Secrets, SentLog
    from .boards.base import Board
    from .clock import Clock
    from .config import Config
    from .witness import Witness

    # delay_ms, power step, channel, tag
    Plan = tuple[int, int, int, bytes]


class Beaconer:
    """Frames sent and skipped (too late, no air time left, a busy radio); radios: those used."""

    def __init__(
        self,
        *,
        board: "Board",
        clock: "Clock",
        config: "Config",
        device: bytes,
        secrets: "Secrets",
        log: "SentLog",
        witness: "Witness",
    ) -> None:
        self._board = board
        self._clock = clock
        self._config = config
        self._secrets = secrets
        self._log = log
        self._witness = witness
        self._head = beacons.message_head(config.network_id, device)
        self._region = regions.REGIONS.get(config.region)
        self._budget = None if self._region is None else regions.AirBudget(self._region)
        self._channels = 1 if self._region is None else len(self._region.channels_khz)
        self._sent_slot = -1
        self.radios = tuple(
            [one for one in board.radios() if one != regions.LORA or self._region is not None]
        )
        self.sent = 0
        self.skipped = 0
        self.pending = 0

    def channel_of(self, entropy: bytes) -> int:
        """The region's LoRa channel of a slot with this entropy."""
        return beacons.channel_of(entropy, self._channels)

    def plan(self, slot: int, entropy: bytes) -> None:
        """A slot's entropy is known: send at its time if a beacon is due."""
        now = self._clock.now()[0]
        start = slot * limits.SLOT_MS
        mac = self._secrets.mac_for(slot)
        # Most links stop here or at beacon_of: 119 of 120.
        if mac is None or now > start + beacons.DELAY_MS_MAX + limits.BEACON_LATE_MS_MAX:
            return
        every = self._config.beacon_every
        plan = beacons.beacon_of(
            mac, self._head, slot, entropy, every=every, channels=self._channels
        )
        if plan is None or not beacons.awake(slot, self._config.duty):
            return
        if now > start + plan[0] or start - now > limits.SLOT_MS:
            self.skipped += 1
            return
        self.pending += 1
        self._board.spawn(self._send(slot, plan))

    async def _send(self, slot: int, plan: "Plan") -> None:
        await self._send_in_time(slot, plan)
        self.pending -= 1

    async def _send_in_time(self, slot: int, plan: "Plan") -> None:
        due = slot * limits.SLOT_MS + plan[0]
        while True:
            # Anew after each sleep: the clock may have been set meanwhile.
            left = due - self._clock.now()[0]
            if left <= 0:
                break
            await self._board.sleep(min(left, 2 * limits.SLOT_MS))
        if left < -limits.BEACON_LATE_MS_MAX or not self._unsent(slot):
            self.skipped += 1
            return
        _, step, channel, tag = plan
        frame = beacons.frame_of(self._config.network_id, tag)
        self._witness.sent(tag)
        for radio in self.radios:
            power = self._emit(radio, step, channel, frame)
            if power is None:
                self.skipped += 1
            else:
                self._log.append(slot, radio, channel if radio == regions.LORA else 0, power)
                self.sent += 1

    def _unsent(self, slot: int) -> bool:
        """Whether this station has neither sent in this slot, perhaps before a restart, nor as
        much in this day as it can report.
        """
        day = slot // limits.SLOTS_A_DAY
        if self._sent_slot < 0:
            for row in self._log.rows(day):
                self._sent_slot = max(self._sent_slot, row[0])
        if slot <= self._sent_slot or self._log.full(day):
            return False
        self._sent_slot = slot
        return True

    def _emit(self, radio: int, step: int, channel: int, frame: bytes) -> "int | None":
        """Send; the EIRP in cdBm, or None if nothing went out."""
        if radio != regions.LORA:
            power = regions.SHORT_RANGE_EIRP_CDBM - regions.POWER_STEP_CDB * step
            conducted = power - regions.SHORT_RANGE_GAIN_CDBI
            return power if self._board.radio_send(radio, 0, conducted, frame) else None
        region, budget, antenna = self._region, self._budget, self._config.antenna
        if region is None or budget is None:
            return None
        power = region.eirp_cdbm - regions.POWER_STEP_CDB * step
        if not budget.spend(self._board.ticks(), regions.airtime_us(len(frame))):
            return None
        conducted = power - (0 if antenna is None else antenna[0])
        return power if self._board.radio_send(radio, channel, conducted, frame) else None
