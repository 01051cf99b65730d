"""How Sensirion's I2C sensors speak: 16-bit words, each with its CRC-8 (polynomial 0x31, start
0xFF; 0xBEEF gives 0x92: datasheets of SHT3x section 4.12, SHT4x 4.4, SCD4x 3.12).
"""

from . import part
from .part import SensorError


def words(frame: "bytes | bytearray") -> "list[int]":
    """The words of a frame of three bytes each. SensorError: one is damaged."""
    found = []
    for at in range(0, len(frame), 3):
        if crc8(frame[at : at + 2]) != frame[at + 2]:
            # A line held at one level reads as all zeros or all ones, which no checksum fits.
            held = frame in (bytes(len(frame)), b"\xff" * len(frame))
            raise SensorError(part.STUCK if held else part.CHECKSUM)
        found.append(frame[at] << 8 | frame[at + 1])
    return found


def crc8(data: "bytes | bytearray") -> int:
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x131 if crc & 0x80 else crc << 1
    return crc


def scaled(word: int, low: int, span: int) -> int:
    """low + span * word / 65535, rounded."""
    return low + (span * word + 32_767) // 65_535
