"""ESP-NOW beacons over the module aioespnow, which the official ESP32 image has frozen in.

Written against its source and MicroPython's documentation of espnow, tested with a fake of them;
it has not run on hardware yet.
"""

from ..regions import ESP_NOW  # noqa: TID252 - inside cairn imports are relative

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .base import Board
    from .frame_queue import FrameQueue

BROADCAST = b"\xff" * 6
_PAUSE_MS = 1_000
# A frame leaves within 100 ms (Board.radio_send).
_AIR_MS = 100


class EspNowRadio:
    """espnow: an AIOESPNow that is active; its Wi-Fi interface and channel are the board's
    business. age_ms: how long ago a time.ticks_ms() was. set_power: sets the transmit power in
    whole dBm (on ESP32 `lambda dbm: wlan.config(txpower=dbm)`), which Wi-Fi shares: full_dbm is
    set again after a frame.
    """

    def __init__(
        self,
        *,
        board: "Board",
        espnow: "Any",
        frames: "FrameQueue",
        age_ms: "Callable[[int], int]",
        set_power: "Callable[[int], object]",
        full_dbm: int,
    ) -> None:
        self._board = board
        self._espnow = espnow
        self._frames = frames
        self._age_ms = age_ms
        self._set_power = set_power
        self._full_dbm = full_dbm
        self._sent = 0
        self.add_peer()

    def add_peer(self) -> None:
        """Without it nothing can be sent. After active(False) it has to be added again."""
        if not any(peer[0] == BROADCAST for peer in self._espnow.get_peers()):
            self._espnow.add_peer(BROADCAST)

    def send(self, power_cdbm: int, frame: bytes) -> bool:
        """Hand a frame over; False if the driver's buffers are full."""
        try:
            self._set_power(power_cdbm // 100)
            # Not sync: nobody answers a broadcast.
            sent = bool(self._espnow.send(BROADCAST, frame, False))  # noqa: FBT003
        except OSError:
            sent = False
        self._sent += 1
        self._board.spawn(self._restore(self._sent))
        return sent

    async def run(self) -> None:
        """Receive; never returns. The board spawns it."""
        while True:
            try:
                mac, message = await self._espnow.arecv()
                if mac is not None:
                    self._take(bytes(mac), bytes(message))
            except OSError as error:
                self._frames.fail("ESP-NOW: " + str(error))
                await self._board.sleep(_PAUSE_MS)

    async def _restore(self, sent: int) -> None:
        await self._board.sleep(_AIR_MS)
        # Not while a later frame waits for the air: its power must not be exceeded.
        if sent == self._sent:
            try:
                self._set_power(self._full_dbm)
            except OSError:
                pass  # Wi-Fi was switched off; it starts with full power

    def _take(self, mac: bytes, message: bytes) -> None:
        known = self._espnow.peers_table.get(mac)
        if known is None:
            return
        # [RSSI in dBm, ticks_ms()] of the newest message of this sender that was read.
        rssi_dbm, stamp = known
        ticks = self._board.ticks() - self._age_ms(stamp)
        self._frames.put((ESP_NOW, 0, 100 * rssi_dbm, None, ticks, message))
