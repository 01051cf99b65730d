"""MicroPython's module network on an ESP32, as far as boards/esp32_wifi uses it.

Behaviour is that of ports/esp32/network_wlan.c: one object per interface; connect() returns at
once; with reconnects=0 nothing is tried again; status() is ESP-IDF's reason of the last failure.
"""

# Signatures are MicroPython's, and so is the syntax.
# ruff: noqa: RET503

_IDLE, _CONNECTING, _GOT_IP = 1000, 1001, 1010
_NO_AP, _WRONG_PASSWORD = 201, 202


class World:
    """The air: networks by name, and how many questions after connect() the answer is there.
    host: the board around it, which knows the air better.
    """

    host = None
    mac = b"\x24\x0a\xc4\x00\x00\x01"
    networks = {}
    patience = 1
    rssi_dbm = -61
    connects = []
    broken = False


def _look():
    if World.host is not None:
        World.networks = World.host.ask("air")
    return World.networks


class WLAN:
    IF_STA = 0
    PM_NONE = 0
    PM_PERFORMANCE = 1

    _only = None

    def __new__(cls, interface_id=0):
        if cls._only is None:
            cls._only = super().__new__(cls)
            cls._only.reset()
        return cls._only

    def reset(self):
        self._active = False
        self.settings = {}
        self._tries = self._left = 0
        self._state = _IDLE
        self.switched = 0

    def active(self, is_active=None):
        if is_active is not None:
            if World.broken:
                raise OSError("Wifi Unknown Error 0x0102")
            self.switched += self._active != bool(is_active)
            self._active = bool(is_active)
            if not self._active:
                self._state = _IDLE
                self.settings = {}
        return self._active

    def config(self, param=None, **settings):
        if not self._active:
            raise OSError("Wifi Not Started")
        if param == "txpower":
            return self.settings.get("txpower", 20.0)
        if param == "mac":
            return World.mac
        if param is not None:
            return self.settings.get(param)
        self.settings.update(settings)

    def connect(self, ssid=None, password=None, *, bssid=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self._state == _CONNECTING:
            raise OSError("Wifi Internal State Error")
        assert self.settings.get("reconnects") == 0, "ESP-IDF would go on scanning by itself"
        World.connects.append((ssid, password))
        self._state, self._left = _CONNECTING, World.patience
        self._wanted = ssid, password

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._state = _IDLE

    def isconnected(self):
        if self._state == _CONNECTING:
            self._left -= 1
            if self._left < 0:
                ssid, password = self._wanted
                if ssid not in _look():
                    self._state = _NO_AP
                else:
                    right = World.networks[ssid] == (password or "")
                    self._state = _GOT_IP if right else _WRONG_PASSWORD
        if self._state == _GOT_IP and self._wanted[0] not in _look():
            self._state = _NO_AP
        return self._active and self._state == _GOT_IP

    def scan(self):
        if not self._active:
            raise OSError("STA must be active")
        found = []
        for place, (name, password) in enumerate(sorted(_look().items())):
            # Name, MAC of the access point, channel, strength, WPA2 or open, hidden.
            mac = bytes([2, 0, 0, 0, 0, place])
            found.append((name.encode(), mac, 6, World.rssi_dbm, 3 if password else 0, False))
        return found

    def ifconfig(self):
        if self._state != _GOT_IP:
            return ("0.0.0.0",) * 4  # noqa: S104 - no address yet
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def _carries(self):
        """Whether packets get out: joined, and the network is still there."""
        return self._active and self._state == _GOT_IP and self._wanted[0] in _look()

    def status(self, param=None):
        if param == "rssi":
            if self._state != _GOT_IP:
                raise OSError("Wifi Not Connected")
            return World.rssi_dbm
        return self._state


def silence():
    """As a chip that was just switched on, with no network around."""
    World.networks = {}
    World.patience = 1
    World.connects = []
    World.broken = False
    WLAN(WLAN.IF_STA).reset()
