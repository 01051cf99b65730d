"""The serial console of an ESP32 as bytes, and what setting the board up over it asks of the chip.
Loaded only while that goes on, so nothing of the program's other modules is mentioned here.

Not run on hardware yet.
"""

import os
import select
import sys

import micropython

from .base import Console

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from .esp32 import Esp32Board
    from .esp32_wifi import Wifi

_CTRL_C = 3
_SLICE_MS = 250
# What network.WLAN.status() says where nothing is known.
_IDLE = 1_000


class Esp32Console(Console):
    def __init__(self, board: "Esp32Board", wifi: "Wifi") -> None:
        self._board = board
        self._wifi = wifi
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def open(self) -> None:
        # Ctrl-C is a byte of frames. It is taken from what comes in before anybody reads it.
        micropython.kbd_intr(-1)
        self._board.attended = True

    def close(self) -> None:
        micropython.kbd_intr(_CTRL_C)
        self._board.attended = False

    def read(self) -> int:
        # One at a time: what comes behind a Ctrl-C is for the prompt.
        if not self._poll.poll(0):
            return -1
        came = sys.stdin.buffer.read(1)
        # Nothing, where somebody has closed it: no serial port is ever at its end.
        return came[0] if came else -1

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def networks(self) -> "list[tuple[bytes, int, bool]]":
        found: "dict[bytes, tuple[int, bool]]" = {}
        for row in self._wifi.on().scan():
            name, rssi_dbm, security = row[0], row[3], row[4]
            # One for each access point; hidden ones have no name.
            if name and (name not in found or found[name][0] < rssi_dbm):
                found[name] = rssi_dbm, security != 0
        rows = [(found[name][0], name, found[name][1]) for name in found]
        rows.sort(reverse=True)
        return [(name, rssi_dbm, secured) for rssi_dbm, name, secured in rows]

    async def join(self, name: bytes, password: bytes, timeout_ms: int) -> int:
        wifi = self._wifi
        wanted = name, password
        wifi.trial, wifi.failed = wanted, None
        end = self._board.ticks() + timeout_ms
        try:
            # What is connected now must not be taken for what is asked.
            await wifi.recover(1)
            await self._board.sleep(_SLICE_MS)
            while self._board.ticks() < end:
                try:
                    await wifi.up(_SLICE_MS)
                except OSError:
                    failed: "Any" = wifi.failed
                    if failed is not None and failed[0] == wanted:
                        return int(failed[1])
                    continue
                self._keep(wanted)
                return 0
            return wifi.on().status() or _IDLE
        finally:
            wifi.trial = None

    def _keep(self, wanted: "tuple[bytes, bytes]") -> None:
        vault = self._board.vault
        if (vault.read("ssid"), vault.read("psk")) == wanted:
            return
        # A power cut in between leaves no network, and not one with another's password.
        vault.remove("ssid")
        vault.write("psk", wanted[1])
        vault.write("ssid", wanted[0])

    def address(self) -> str:
        address: str = self._wifi.on().ifconfig()[0]
        return address

    def chip(self) -> str:
        # "Generic ESP32 module with ESP32".
        return os.uname()[4].split(" ")[-1].lower()
