"""What a chip checks before it runs what is in its flash: image headers, the partition table."""

import struct
from dataclasses import dataclass
from hashlib import md5, sha256

from simulator.virtual.flash import Flash
from simulator.virtual.models import Model

TABLE_OFFSET = 0x8000
_TABLE_BYTES = 0xC00
_ROW = struct.Struct("<2sBBLL16sL")
_ROW_MAGIC, _DIGEST_MAGIC = b"\xaa\x50", b"\xeb\xeb" + b"\xff" * 14
_IMAGE_MAGIC, _CHECKSUM_SEED = 0xE9, 0xEF
_SEGMENTS_MAX = 16
_APP, _DATA, _NVS = 0, 1, 2


class Unbootable(Exception):  # noqa: N818 - a state of the flash
    """Nothing to run; the text is what the chip prints."""


@dataclass(frozen=True)
class Partition:
    name: str
    kind: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Layout:
    """Where the program finds its own; vfs may be empty."""

    nvs: Partition
    vfs: Partition


def check_boot(flash: Flash, model: Model) -> Layout:
    """Layout, if ROM and bootloader would come as far as the application; else Unbootable."""
    first = flash.read(model.bootloader_offset, 4)
    if first[0] != _IMAGE_MAGIC:
        raise Unbootable(f"invalid header: 0x{int.from_bytes(first, 'little'):08x}")
    fault = image_fault(flash, model.bootloader_offset, TABLE_OFFSET, model.chip_id)
    if fault is not None:
        raise Unbootable(f"ets_main.c 371: csum err: {fault}")
    rows = partitions(flash.read(TABLE_OFFSET, _TABLE_BYTES))
    for row in rows:
        if row.end > flash.size:
            raise Unbootable(
                f"E (88) flash_parts: partition {row.name} invalid - exceeds flash chip size"
            )
    app = next((row for row in rows if row.kind == _APP), None)
    nvs = next((row for row in rows if (row.kind, row.subtype) == (_DATA, _NVS)), None)
    if app is None or nvs is None:
        raise Unbootable("E (88) boot: No bootable app partitions in the partition table")
    fault = image_fault(flash, app.offset, app.end, model.chip_id)
    if fault is not None:
        raise Unbootable(
            f"E (91) esp_image: image at 0x{app.offset:x}: {fault}\r\n"
            "E (92) boot: Factory app partition is not bootable\r\n"
            "E (93) boot: No bootable app partitions in the partition table"
        )
    vfs = next((row for row in rows if row.name in ("vfs", "ffat")), None)
    if vfs is None:
        # MicroPython from 1.24 on makes it behind the last partition.
        start = max(row.end for row in rows)
        vfs = Partition("vfs", _DATA, 0x81, start, flash.size - start)
    return Layout(nvs, vfs)


def partitions(table: bytes) -> list[Partition]:
    """Rows up to the one with the MD5 of those before it, which has to be right."""
    rows: list[Partition] = []
    for at in range(0, len(table), _ROW.size):
        raw = table[at : at + _ROW.size]
        if raw.startswith(_DIGEST_MAGIC):
            if raw[16:] == md5(table[:at], usedforsecurity=False).digest():
                return rows
            raise Unbootable("E (87) flash_parts: partition MD5 mismatch")
        magic, kind, subtype, offset, size, name, _ = _ROW.unpack(raw)
        if magic != _ROW_MAGIC:
            break
        text = name.rstrip(b"\x00").decode("ascii", "replace")
        rows.append(Partition(text, kind, subtype, offset, size))
    raise Unbootable("E (86) flash_parts: partition table is damaged")


def image_fault(flash: Flash, offset: int, end: int, chip_id: int) -> str | None:
    """What is wrong with the image there, as the bootloader checks it; None if it is whole."""
    header = flash.read(offset, 24)
    if header[0] != _IMAGE_MAGIC:
        return "image has invalid magic byte (nothing flashed here?)"
    count, wanted = header[1], int.from_bytes(header[12:14], "little")
    if wanted != chip_id:
        return f"mismatch chip ID, expected {chip_id}, found {wanted}"
    if not 0 < count <= _SEGMENTS_MAX:
        return f"invalid segment count {count}"
    at, checksum = offset + 24, _CHECKSUM_SEED
    for _ in range(count):
        size = int.from_bytes(flash.read(at + 4, 4), "little")
        if at + 8 + size > end:
            return "a segment is larger than its partition"
        for byte in flash.read(at + 8, size):
            checksum ^= byte
        at += 8 + size
    # The checksum is the last byte of a row of 16.
    at += 16 - (at - offset) % 16
    if flash.read(at - 1, 1) != bytes([checksum]):
        return "Checksum failed"
    if header[23] and flash.read(at, 32) != sha256(flash.read(offset, at - offset)).digest():
        return "Image hash failed - image is corrupt"
    return None
