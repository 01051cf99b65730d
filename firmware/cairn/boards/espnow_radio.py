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


class EspNowRadio:
    """espnow: an AIOESPNow that is active; its Wi-Fi interface and channel are the board's
    business. age_ms: how long ago a time.ticks_ms() was. set_power: sets the transmit power in
    whole dBm (on ESP32 `lambda dbm: wlan.config(txpower=dbm)`).
    """

    def __init__(
        self,
        *,
        board: "Board",
        espnow: "Any",
        frames: "FrameQueue",
        age_ms: "Callable[[int], int]",
        set_power: "Callable[[int], object]",
    ) -> None:
        self._board = board
        self._espnow = espnow
        self._frames = frames
        self._age_ms = age_ms
        self._set_power = set_power
        # Without the peer nothing can be sent to it. The table of peers survives active(False).
        if not any(peer[0] == BROADCAST for peer in espnow.get_peers()):
            espnow.add_peer(BROADCAST)

    def send(self, power_cdbm: int, frame: bytes) -> bool:
        """Hand a frame over; False if the driver's buffers are full."""
        try:
            self._set_power(power_cdbm // 100)
            # Not sync: nobody answers a broadcast.
            return bool(self._espnow.send(BROADCAST, frame, False))  # noqa: FBT003
        except OSError:
            return False

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

    def _take(self, mac: bytes, message: bytes) -> None:
        known = self._espnow.peers_table.get(mac)
        if known is None:
            return
        # [RSSI in dBm, ticks_ms()] of the newest message of this sender that was read.
        rssi_dbm, stamp = known
        ticks = self._board.ticks() - self._age_ms(stamp)
        self._frames.put((ESP_NOW, 0, 100 * rssi_dbm, None, ticks, message))
