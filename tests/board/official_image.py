"""A stand-in for the merged image of MicroPython that micropython.org offers for a chip.

Every part that a chip, esptool or a flasher looks at is as in the real one: headers, checksums,
hashes, the partition table with its MD5 row, and 0xFF from the table over NVS to the application.
The code in it is random bytes: nothing runs it.
"""

import random
import struct
from collections.abc import Sequence
from hashlib import md5, sha256

VERSION = "1.29.0"
# As ports/esp32/partitions-4MiBplus.csv: the file system comes behind the last one, unnamed.
ROWS = (
    ("nvs", 1, 2, 0x9000, 0x6000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("factory", 0, 0, 0x10000, 0x1F0000),
)
VFS_ROW = ("vfs", 1, 0x81, 0x200000, 0x200000)
TABLE_OFFSET = 0x8000
# Chip number in headers, where the bootloader is, where segments may be loaded.
CHIPS = {
    "esp32": (0, 0x1000, 0x3F40_0020, 0x4008_0000),
    "esp32s3": (9, 0x0, 0x3C00_0020, 0x4037_8000),
    "esp32c3": (5, 0x0, 0x3C00_0020, 0x4038_0000),
}
_MODULES = {
    "esp32": "Generic ESP32 module with ESP32",
    "esp32s3": "Generic ESP32S3 module with ESP32S3",
    "esp32c3": "Generic ESP32C3 module with ESP32C3",
}


def firmware_image(chip: str, segments: Sequence[tuple[int, bytes]]) -> bytes:
    """As esptool's elf2image makes it: header, segments, checksum, SHA-256."""
    number = CHIPS[chip][0]
    # Mode DIO, 4 MB at 40 MHz; no pins; no lowest or highest revision; a hash at the end.
    body = struct.pack("<BBBBI", 0xE9, len(segments), 2, 0x20, segments[-1][0])
    body += struct.pack("<BBBBHBHH4xB", 0xEE, 0, 0, 0, number, 0, 0, 399, 1)
    checksum = 0xEF
    for address, data in segments:
        assert len(data) % 4 == 0
        body += struct.pack("<II", address, len(data)) + data
        for byte in data:
            checksum ^= byte
    body += bytes(15 - len(body) % 16) + bytes([checksum])
    return body + sha256(body).digest()


def partition_table(rows: Sequence[tuple[str, int, int, int, int]] = ROWS) -> bytes:
    """Rows, their MD5, and 0xFF to the end of the sector's first 3 kB."""
    table = b"".join(
        struct.pack("<2sBBLL16sL", b"\xaa\x50", kind, subtype, offset, size, name.encode(), 0)
        for name, kind, subtype, offset, size in rows
    )
    table += b"\xeb\xeb" + b"\xff" * 14 + md5(table, usedforsecurity=False).digest()
    return table.ljust(0xC00, b"\xff")


def bootloader(chip: str) -> bytes:
    return firmware_image(chip, [(CHIPS[chip][3], _code(chip, "boot", 12_000))])


def application(chip: str, version: str = VERSION, size: int = 60_000) -> bytes:
    """With ESP-IDF's description of an application, and the banner of MicroPython."""
    description = struct.pack("<II8x", 0xABCD5432, 0) + b"".join(
        text.encode().ljust(width, b"\x00")
        for text, width in (
            (f"v{version}", 32), ("micropython", 32), ("12:00:00", 16), ("Jan  1 2026", 16),
            ("v5.5.1", 32),
        )
    )  # fmt: skip
    banner = f"MicroPython v{version} on 2026-01-01\x00{_MODULES[chip]}\x00".encode()
    data = description.ljust(256, b"\x00") + banner.ljust(128, b"\x00")
    first = (CHIPS[chip][2], data + _code(chip, version, size // 4))
    return firmware_image(chip, [first, (CHIPS[chip][3], _code(chip, version, size))])


def official_image(
    chip: str = "esp32",
    *,
    version: str = VERSION,
    rows: Sequence[tuple[str, int, int, int, int]] = ROWS,
    size: int = 60_000,
) -> bytes:
    """The merged file. On an ESP32 its first byte belongs at 0x1000, else at 0. rows: another
    table, for example (*ROWS, VFS_ROW) of older images; the first application row is filled.
    """
    start = CHIPS[chip][1]
    app_at = next(offset for _, kind, _, offset, _ in rows if kind == 0)
    merged = bytearray(b"\xff" * (app_at - start))
    for offset, part in ((start, bootloader(chip)), (TABLE_OFFSET, partition_table(rows))):
        merged[offset - start : offset - start + len(part)] = part
    return bytes(merged) + application(chip, version, size)


def _code(chip: str, what: str, size: int) -> bytes:
    return random.Random(f"{chip} {what}").randbytes(size - size % 4)
