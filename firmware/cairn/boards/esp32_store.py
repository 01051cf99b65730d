"""What belongs to the board itself and not to the station's configuration: the Wi-Fi it may join
and what is soldered to it. Kept in the chip's NVS, so neither a new file system image nor
chain.create(), which clears the board's files, takes it away.

The stock image does not encrypt NVS: whoever holds the board can read the Wi-Fi password.

Blobs of the namespace "cairn": "ssid", "psk" (absent or empty: an open network), "lora" and
"battery" (CBOR arrays of integers, see esp32_radio.py and esp32.py). put() writes one from the
serial console.
"""

import esp32

NAMESPACE = "cairn"
_BYTES_MAX = 128
# ESP_ERR_NVS_NOT_FOUND; MicroPython hands ESP-IDF's numbers on as negative ones.
_NOT_FOUND = 0x1102


def get(key: str) -> bytes:
    """The blob key; b"" if there is none. OSError: NVS is damaged, or this is no such blob."""
    buffer = bytearray(_BYTES_MAX)
    try:
        size = esp32.NVS(NAMESPACE).get_blob(key, buffer)
    except OSError as error:
        if abs(error.errno or 0) == _NOT_FOUND:
            return b""
        raise
    return bytes(buffer[:size])


def put(key: str, value: bytes) -> None:
    """Keep value (at most 128 bytes) as the blob key; b"" clears it."""
    if len(value) > _BYTES_MAX:
        raise ValueError("longer than get() can read")
    nvs = esp32.NVS(NAMESPACE)
    nvs.set_blob(key, value)
    nvs.commit()
