"""What belongs to the board itself, kept in the chip's NVS: neither a new file system image nor
chain.create(), which clears the board's files, takes it away.

The stock image does not encrypt NVS: whoever holds the board can read the key and the Wi-Fi
password.

Blobs of the namespace "cairn": the station's vault (NvsFiles), and beside it "ssid", "psk" (absent
or empty: an open network), "lora" and "battery" (CBOR arrays of integers, see esp32_radio.py and
esp32.py). An official image whose padding reaches over NVS takes all of it away.
"""

import esp32

from .. import vault  # noqa: TID252 - inside cairn imports are relative
from .base import Files

NAMESPACE = "cairn"
# One page of NVS holds 126 entries of 32 bytes; the partition has 6 pages, one of them spare.
BYTES_MAX = 4_000
_BYTES_USUAL = 128
# MicroPython hands ESP-IDF's numbers on as negative ones: NOT_FOUND, INVALID_LENGTH.
_NOT_FOUND, _LONGER = 0x1102, 0x110C


class NvsFiles(Files):
    """Board.vault of an ESP32. ESP-IDF writes a blob anew before it forgets the old one, so a
    power cut leaves either.
    """

    def read(self, name: str) -> "bytes | None":
        return _get(name)

    def write(self, name: str, data: bytes) -> None:
        if len(data) > BYTES_MAX:
            raise OSError("more than NVS takes as one blob")
        nvs = esp32.NVS(NAMESPACE)
        nvs.set_blob(name, data)
        nvs.commit()

    def append(self, name: str, data: bytes) -> None:
        self.write(name, (_get(name) or b"") + data)

    def remove(self, name: str) -> None:
        nvs = esp32.NVS(NAMESPACE)
        try:
            nvs.erase_key(name)
        except OSError as error:
            if _number(error) != _NOT_FOUND:
                raise
        nvs.commit()

    def names(self, prefix: str) -> "list[str]":
        known = sorted(vault.NAMES + (vault.PUBLIC, vault.FLOORS))
        return [name for name in known if name.startswith(prefix) and _get(name) is not None]


def get(key: str) -> bytes:
    """The blob key; b"" if there is none. OSError: NVS is damaged, or this is no such blob."""
    return _get(key) or b""


def put(key: str, value: bytes) -> None:
    """Keep value (at most 4,000 bytes) as the blob key; b"" clears it."""
    NvsFiles().write(key, value)


def _get(key: str) -> "bytes | None":
    size = _BYTES_USUAL
    while True:
        buffer = bytearray(size)
        try:
            found = esp32.NVS(NAMESPACE).get_blob(key, buffer)
        except OSError as error:
            if _number(error) == _NOT_FOUND:
                return None
            if _number(error) != _LONGER or size == BYTES_MAX:
                raise
            size = BYTES_MAX
            continue
        return bytes(buffer[:found])


def _number(error: OSError) -> int:
    return abs(error.errno or 0)
