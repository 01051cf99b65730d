"""MicroPython's module esp32, as far as boards/esp32_store uses it.

Behaviour is that of ports/esp32/esp32_nvs.c: ESP-IDF's errors come as negative numbers, what is
not committed is lost at the next boot, a buffer that is too small is an error.
"""

# Signatures are MicroPython's, and so is the syntax.


class World:
    """flash: what is kept, by namespace and key. kept: called when it has changed, where there is
    a flash behind it.
    """

    flash = {}
    broken = False
    kept = None


class NVS:
    def __init__(self, namespace):
        if World.broken:
            raise OSError(-0x1101, "ESP_ERR_NVS_NOT_INITIALIZED")
        assert len(namespace) <= 15
        self._namespace = namespace
        self._pending = {}

    def get_i32(self, key):
        kept = World.flash.get((self._namespace, key))
        if not isinstance(kept, int):
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        return kept

    def set_i32(self, key, value):
        assert len(key) <= 15
        self._pending[(self._namespace, key)] = value

    def get_blob(self, key, buffer):
        kept = World.flash.get((self._namespace, key))
        if kept is None or isinstance(kept, int):
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        if len(kept) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(kept)] = kept
        return len(kept)

    def set_blob(self, key, value):
        assert len(key) <= 15
        self._pending[(self._namespace, key)] = bytes(value)

    def erase_key(self, key):
        if (self._namespace, key) not in World.flash:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        self._pending[(self._namespace, key)] = None

    def commit(self):
        for name, value in self._pending.items():
            World.flash[name] = value
            if value is None:
                del World.flash[name]
        self._pending = {}
        if World.kept is not None:
            World.kept()
