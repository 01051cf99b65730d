"""LoRa beacons over micropython-lib's modem drivers (mip: lora-async and lora-sx126x or -sx127x).

Written against their documentation and source, tested with a fake of them; it has not run on
hardware yet. One modem listens on one channel at a time: it hears the beacons of that channel,
which is why all stations of a slot use the same one (spec/coverage.md section 2).
"""

from .. import regions  # noqa: TID252 - inside cairn imports are relative

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .base import Board
    from .frame_queue import FrameQueue

_PAUSE_MS = 1_000
# A packet's RSSI is that of signal and noise. 10 log10(1 + 10^(-SNR/10)) in cdB is what the noise
# adds, for an SNR of -10 to 10 dB in steps of 2.5 dB.
_NOISE_CDB = (1_041, 821, 619, 444, 301, 194, 119, 71, 41)
_NOISE_FROM_CDB = -1_000
_NOISE_STEP_CDB = 250


def signal_rssi_cdbm(rssi_dbm: int, snr_cdb: int) -> int:
    """RSSI of the signal alone."""
    index, rest = divmod(snr_cdb - _NOISE_FROM_CDB, _NOISE_STEP_CDB)
    if index < 0:
        added = _NOISE_CDB[0] + _NOISE_FROM_CDB - snr_cdb
    elif index >= len(_NOISE_CDB) - 1:
        added = 0 if rest or index >= len(_NOISE_CDB) else _NOISE_CDB[-1]
    else:
        slope = _NOISE_CDB[index + 1] - _NOISE_CDB[index]
        added = _NOISE_CDB[index] + slope * rest // _NOISE_STEP_CDB
    return 100 * rssi_dbm - added


class LoraRadio:
    """modem: an AsyncModem, not configured yet. listens: False for a board that only sends.
    age_ms: how long ago a time.ticks_ms() was.
    """

    def __init__(
        self,
        *,
        board: "Board",
        modem: "Any",
        region: "regions.Region",
        listens: bool,
        frames: "FrameQueue",
        age_ms: "Callable[[int], int]",
    ) -> None:
        self._board = board
        self._modem = modem
        self._region = region
        self._listens = listens
        self._channel = 0
        # What the modem is set to; None while it has to be configured.
        self._tuned: "int | None" = None
        self._frames = frames
        self._age_ms = age_ms
        self._outgoing: "tuple[int, int, bytes] | None" = None
        self._wake = board.event()

    def send(self, channel: int, power_cdbm: int, frame: bytes) -> bool:
        """Hand a frame over; False while another one is on its way."""
        if self._outgoing is not None:
            return False
        self._outgoing = (channel, power_cdbm, frame)
        self._wake.set()
        # Ends a recv() that waits: it returns None, and run() sees what is to be sent.
        self._modem.standby()
        return True

    def listen(self, channel: int) -> None:
        """Receive on another channel from now on, or from the end of what is being sent."""
        self._channel = channel
        if not self._listens or self._outgoing is not None or self._tuned in {None, channel}:
            return
        try:
            # As in send(): run() tunes the modem before it receives again.
            self._modem.standby()
        except (OSError, RuntimeError) as error:
            self._frames.fail("LoRa: " + str(error))

    async def run(self) -> None:
        """Own the modem; never returns. The board spawns it."""
        while True:
            try:
                self._modem.configure(self._settings())
                self._tuned = self._channel
                while True:
                    await self._step()
            except (OSError, RuntimeError) as error:
                # RuntimeError: "BUSY timeout" of the SX126x driver.
                self._outgoing = self._tuned = None
                self._frames.fail("LoRa: " + str(error))
                await self._board.sleep(_PAUSE_MS)

    async def _step(self) -> None:
        if self._outgoing is not None:
            channel, power_cdbm, frame = self._outgoing
            # Rounded down: never more than what was asked for.
            self._tune(channel, {"output_power": power_cdbm // 100})
            await self._modem.send(frame)
            self._outgoing = None
        elif not self._listens:
            self._wake.clear()
            await self._wake.wait(None)
        else:
            # listen() may name another one while a packet is on its way to us.
            channel = self._channel
            if channel != self._tuned:
                self._tune(channel, {})
            packet = await self._modem.recv()
            if packet:
                self._take(packet, channel)

    def _tune(self, channel: int, more: "dict[str, object]") -> None:
        settings: "dict[str, object]" = {"freq_khz": self._region.channels_khz[channel]}
        settings.update(more)
        self._modem.configure(settings)
        self._tuned = channel

    def _take(self, packet: "Any", channel: int) -> None:
        snr_cdb = 25 * packet.snr  # it comes in quarters of a dB
        rssi_cdbm = signal_rssi_cdbm(packet.rssi, snr_cdb)
        ticks = self._board.ticks() - self._age_ms(packet.ticks_ms)
        self._frames.put((regions.LORA, channel, rssi_cdbm, snr_cdb, ticks, bytes(packet)))

    def _settings(self) -> "dict[str, object]":
        return {
            "freq_khz": self._region.channels_khz[self._channel],
            "sf": regions.SPREADING_FACTOR,
            "bw": regions.BANDWIDTH_KHZ,
            "coding_rate": regions.CODING_RATE,
            "preamble_len": regions.PREAMBLE_SYMBOLS,
            "implicit_header": False,
            "crc_en": True,
            "rx_boost": True,
        }
