"""MicroPython's module esp32, as far as boards/esp32_store uses it.

Behaviour is that of ports/esp32/esp32_nvs.c: ESP-IDF's errors come as negative numbers, what is
not committed is lost at the next boot, a buffer that is too small is an error.
"""

# Signatures are MicroPython's, and so is the syntax.
# ruff: noqa: RUF012


class World:
    flash = {}
    broken = False


class NVS:
    def __init__(self, namespace):
        if World.broken:
            raise OSError(-0x1101, "ESP_ERR_NVS_NOT_INITIALIZED")
        assert len(namespace) <= 15
        self._namespace = namespace
        self._pending = {}

    def get_blob(self, key, buffer):
        kept = World.flash.get((self._namespace, key))
        if kept is None:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        if len(kept) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(kept)] = kept
        return len(kept)

    def set_blob(self, key, value):
        assert len(key) <= 15
        self._pending[(self._namespace, key)] = bytes(value)

    def commit(self):
        World.flash.update(self._pending)
        self._pending = {}
