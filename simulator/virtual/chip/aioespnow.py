"""micropython-lib's aioespnow over ports/esp32/modespnow.c, as far as esp32_radio uses it."""

# Signatures are MicroPython's, and so is the syntax.
# ruff: noqa: ASYNC110, FBT002

import asyncio

from network import WLAN


class World:
    """air: what comes, as [mac, message, rssi]; sent: what went out, with the power it had."""

    sent = []
    air = []
    made = 0


class AIOESPNow:
    def __init__(self):
        World.made += 1
        self._peers = []
        self._active = False
        self.peers_table = {}

    def active(self, flag=None):
        if flag is not None:
            self._active = bool(flag)
            if not flag:
                # esp_now_deinit() removes all peers.
                self._peers = []
        return self._active

    def get_peers(self):
        return tuple([(mac, b"", 0, 0, False) for mac in self._peers])

    def add_peer(self, mac):
        if mac in self._peers:
            raise OSError(-12395, "ESP_ERR_ESPNOW_EXIST")
        self._peers.append(mac)

    def send(self, mac, msg, sync=True):
        if not self._active:
            raise OSError(-12389, "ESP_ERR_ESPNOW_NOT_INIT")
        if not WLAN(WLAN.IF_STA).active():
            raise OSError(-12389, "ESP_ERR_ESPNOW_IF")
        if mac not in self._peers:
            raise OSError(-12393, "ESP_ERR_ESPNOW_NOT_FOUND")
        World.sent.append((msg, WLAN(WLAN.IF_STA).settings.get("txpower")))
        return True

    async def arecv(self):
        while not (self._active and World.air):
            await asyncio.sleep(0)
        mac, message, rssi, stamp = World.air.pop(0)
        self.peers_table[mac] = [rssi, stamp]
        return mac, message
