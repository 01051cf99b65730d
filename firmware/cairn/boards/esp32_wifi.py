"""The chip's Wi-Fi: switched on when somebody needs it, kept connected, brought back.

ESP-IDF's own reconnecting is switched off (reconnects=0): it would scan without a pause as long as
the access point is away, and ESP-NOW hears nothing during a scan. Not run on hardware yet.

Power management: ESP-IDF's default, PM_PERFORMANCE, until listen() is called; from then on
PM_NONE, because a receiver that naps between the access point's beacons misses most ESP-NOW
frames. PM_NONE takes some 80 mA more; only mains stations listen.
"""

import network

from . import esp32_store

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .base import Board

_CHECK_MS = 1_000
_STEP_MS = 100
# An access point answers within a few seconds. ESP-IDF says sooner if it has given up.
_CONNECT_MS = 20_000
# network.STAT_IDLE. Below it are ESP-IDF's reasons why there is no connection.
_IDLE = 1_000
# No network of that name, or none of that name with such security or so near; and what a wrong
# password ends with: 4WAY_HANDSHAKE_TIMEOUT, AUTH_FAIL, HANDSHAKE_TIMEOUT.
_UNKNOWN = (201, 210, 211, 212)
_PASSWORD = (15, 202, 204)
_PAUSE_MS_MIN = 1_000
_PAUSE_MS_MAX = 60_000
_OFF_MS = 1_000


class Wifi:
    """Nothing is switched on before on(), and nothing is joined before up().

    trial: (name, password) to join instead of what is stored; failed: what was last joined in
    vain, and ESP-IDF's reason.
    """

    def __init__(self, board: "Board") -> None:
        self._board = board
        self._wake = board.event()
        self._wlan: "network.WLAN | None" = None
        self._joining = False
        self._listens = False
        self.trial: "tuple[bytes, bytes] | None" = None
        self.failed: "tuple[tuple[bytes, bytes], int] | None" = None

    def on(self) -> "network.WLAN":
        """The station interface, active: random numbers are true ones, ESP-NOW can send."""
        wlan = self._wlan
        if wlan is None:
            wlan = network.WLAN(network.WLAN.IF_STA)
            wlan.active(True)  # noqa: FBT003
            wlan.config(reconnects=0)
            if self._listens:
                wlan.config(pm=network.WLAN.PM_NONE)
            self._wlan = wlan
        return wlan

    def off(self) -> None:
        """Radio off, before deep sleep or to bring it back. on() switches it on again."""
        wlan, self._wlan = self._wlan, None
        if wlan is None:
            return
        try:
            wlan.disconnect()
        except OSError:
            pass  # it was not connected
        try:
            wlan.active(False)  # noqa: FBT003
        except OSError as error:
            # Deep sleep switches it off all the same.
            self._board.report("wifi.refused", str(error))

    def listen(self) -> None:
        """No power saving from now on."""
        if not self._listens:
            self._listens = True
            self.on().config(pm=network.WLAN.PM_NONE)

    def rssi_dbm(self) -> "int | None":
        """Of the access point; None without a connection."""
        try:
            if self._wlan is not None and self._wlan.isconnected():
                return self._wlan.status("rssi")
        except OSError:
            pass  # lost between the two questions
        return None

    async def up(self, timeout_ms: int) -> None:
        """Until there is a connection; OSError with ESP-IDF's number if there is none in time."""
        wlan = self.on()
        if not self._joining:
            self._joining = True
            self._board.spawn(self._keep())
        end = self._board.ticks() + timeout_ms
        while not wlan.isconnected():
            if self._board.ticks() >= end:
                raise OSError("no Wi-Fi: status %d" % wlan.status())
            await self._board.sleep(_STEP_MS)
            wlan = self.on()

    async def recover(self, stage: int) -> None:
        """As Board.recover()."""
        if stage == 1:
            try:
                self.on().disconnect()
            except OSError:
                pass
        else:
            self.off()
            await self._board.sleep(_OFF_MS)
            self.on()
        self._wake.set()

    async def _keep(self) -> None:
        """Connect whenever there is no connection; never returns."""
        pause_ms = _PAUSE_MS_MIN
        while True:
            if self.on().isconnected():
                pause_ms = _PAUSE_MS_MIN
                await self._board.sleep(_CHECK_MS)
                continue
            if not await self._join():
                self._wake.clear()
                await self._wake.wait(pause_ms)
                pause_ms = min(2 * pause_ms, _PAUSE_MS_MAX)

    async def _join(self) -> bool:
        try:
            wanted = self.trial or (esp32_store.get("ssid"), esp32_store.get("psk"))
            name, password = wanted
            if not name:
                self._board.report("wifi.absent", "no network is set in NVS")
                return False
            self.on().connect(name.decode(), password.decode() or None)
        except (OSError, ValueError) as error:
            # "Wifi Internal State Error" while an attempt still runs; a name that is not UTF-8.
            self._board.report("wifi.refused", str(error))
            return False
        for _ in range(_CONNECT_MS // _STEP_MS):
            await self._board.sleep(_STEP_MS)
            if self.on().isconnected():
                return True
            if 0 < self.on().status() < _IDLE:
                break
        status = self.on().status()
        self.failed = wanted, status
        self._board.report(fault_of(status), "status %d" % status)
        try:
            self.on().disconnect()
        except OSError:
            pass
        return False


def fault_of(status: int) -> str:
    """The stable code of network.WLAN.status()."""
    if status in _UNKNOWN:
        return "wifi.unknown"
    return "wifi.password" if status in _PASSWORD else "wifi.not_connected"
