"""Takes the official MicroPython image apart, by its own partition table.

The file is bootloader, partition table and application in one, with 0xFF between them: written
as it is, it would erase NVS, where a board keeps its key.
"""

import re
import struct
from dataclasses import dataclass
from functools import reduce
from hashlib import md5, sha256
from operator import xor
from typing import NamedTuple

from gateway.shell.errors import Code, OperatorFault

SECTOR_BYTES = 0x1000
_ERASED = b"\xff"

# Where each chip's ROM looks for the bootloader, by the chip id in an image's header.
CHIPS = {0: ("esp32", 0x1000), 5: ("esp32c3", 0), 9: ("esp32s3", 0)}
_OTHER_CHIPS = {2: "ESP32-S2", 12: "ESP32-C2", 13: "ESP32-C6", 16: "ESP32-H2", 18: "ESP32-P4"}

# https://docs.espressif.com: "App Image Format" and "Partition Tables".
_IMAGE_MAGIC = 0xE9
_HEADER = struct.Struct("<BBBBIB3xHBHH4xB")
_SEGMENT = struct.Struct("<II")
_CHECKSUM_SEED = 0xEF
_SEGMENTS_MAX = 16
_ROW = struct.Struct("<2sBBII16sI")
_ROW_MAGIC = b"\xaa\x50"
_SUM_MAGIC = b"\xeb\xeb" + _ERASED * 14
TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
# A larger bootloader moves the table up.
_TABLE_OFFSET_MAX = 0x2_0000
# No such chip has more; a table that says so would make us fill gigabytes.
_FLASH_BYTES_MAX = 128 << 20

APP, DATA = 0, 1
_FACTORY, _OTA_0, _OTA_LAST = 0x00, 0x10, 0x1F
_OTADATA, _NVS, _NVS_KEYS = 0x00, 0x02, 0x04
_FAT = 0x81
# By its label MicroPython finds its file system; TinyUF2's images call theirs otherwise.
FILE_SYSTEM = "vfs"
_UF2_FILE_SYSTEM = "ffat"

_BANNER = re.compile(rb"MicroPython (v?\d+\.\d+[\w.+-]*)")
_NAME = b"MicroPython"


@dataclass(frozen=True)
class Partition:
    """A row of a partition table."""

    name: str
    kind: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def keeps_keys(self) -> bool:
        """Whether it is NVS, or holds the keys of an encrypted one."""
        return self.kind == DATA and self.subtype in (_NVS, _NVS_KEYS)


class Range(NamedTuple):
    """What is written to one place of the flash."""

    name: str
    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """Where the last sector ends that writing it erases."""
        return -(-(self.offset + len(self.data)) // SECTOR_BYTES) * SECTOR_BYTES


@dataclass(frozen=True)
class Official:
    """chip: "esp32", "esp32s3" or "esp32c3"; version: MicroPython's, "" if it does not say;
    flash_bytes: the flash that its bootloader expects; ranges: in the order of their offsets.
    """

    chip: str
    version: str
    flash_bytes: int
    table_offset: int
    partitions: tuple[Partition, ...]
    ranges: tuple[Range, ...]

    @property
    def protected(self) -> tuple[Partition, ...]:
        """Where keys are kept."""
        return tuple(one for one in self.partitions if one.keeps_keys)

    def file_system(self, flash_bytes: int) -> Partition:
        """Where the file system is on a chip with that much flash.

        MicroPython makes it from the last partition to the end, if the table names none.
        """
        for one in self.partitions:
            if one.kind == DATA and one.name == FILE_SYSTEM:
                return one
        start = max(one.end for one in self.partitions)
        return Partition(FILE_SYSTEM, DATA, _FAT, start, max(flash_bytes - start, 0))


def split(image: bytes) -> Official:
    """What an official image is made of; OperatorFault if it is none, or is damaged."""
    try:
        return _split(image)
    except _NotOne as reason:
        raise OperatorFault(
            "The file is no official MicroPython image.",
            f"{reason}.",
            "Take the .bin of your board from micropython.org/download (not .app-bin, not .uf2).",
            Code.IMAGE_NOT_OFFICIAL,
        ) from None


def read_table(data: bytes) -> tuple[Partition, ...] | None:
    """The rows of a partition table; None if this is none: no rows, or its checksum is wrong."""
    rows: list[Partition] = []
    for place in range(0, min(len(data), TABLE_BYTES) - _ROW.size + 1, _ROW.size):
        row = data[place : place + _ROW.size]
        if row.startswith(_SUM_MAGIC):
            sound = row[len(_SUM_MAGIC) :] == _md5(data[:place])
            return tuple(rows) if rows and sound else None
        magic, kind, subtype, offset, size, label, _ = _ROW.unpack(row)
        if magic != _ROW_MAGIC:
            break
        name = label.split(b"\0")[0].decode("ascii", "replace")
        rows.append(Partition(name, kind, subtype, offset, size))
    # Without a checksum row it may be half of a table.
    return None


class _NotOne(Exception):  # noqa: N818 - becomes an OperatorFault
    """Why a file is no official image."""


def _split(image: bytes) -> Official:
    lead = 0
    if image[:SECTOR_BYTES] == _ERASED * SECTOR_BYTES:
        # Merged from 0, where an ESP32's bootloader does not begin.
        lead = SECTOR_BYTES
    boot = _read_image(image[lead:], "bootloader")
    chip, start = _chip(boot.chip_id)
    if lead and lead != start:
        raise _NotOne("It begins with an empty sector, where the bootloader must be")
    # From here on a place in the file is a place in the flash.
    flash = _ERASED * (start - lead) + image
    table_offset, partitions = _table(flash, start + boot.size)
    _check_places(partitions, table_offset)
    _check_keys_empty(flash, partitions)
    ranges = [Range("bootloader", start, flash[start : start + boot.size])]
    table = flash[table_offset : table_offset + TABLE_BYTES]
    ranges.append(Range("partition table", table_offset, table))
    ranges += _contents(flash, partitions, boot.chip_id)
    return Official(
        chip,
        _version(ranges),
        boot.flash_bytes,
        table_offset,
        partitions,
        tuple(sorted(ranges, key=lambda one: one.offset)),
    )


class _Image(NamedTuple):
    chip_id: int
    size: int
    flash_bytes: int


def _read_image(data: bytes, what: str) -> _Image:
    """Read an ESP image at the start of data, and check its checksum and its SHA-256."""
    if len(data) < _HEADER.size or data[0] != _IMAGE_MAGIC:
        raise _NotOne(f"Where its {what} must be, there is none")
    header = _HEADER.unpack_from(data)
    segments, size_and_speed, chip_id, hashed = header[1], header[3], header[6], header[-1]
    place = _HEADER.size
    checksum = _CHECKSUM_SEED
    if not 0 < segments <= _SEGMENTS_MAX:
        raise _NotOne(f"Its {what} has {segments} segments")
    for _ in range(segments):
        if place + _SEGMENT.size > len(data):
            raise _NotOne(f"Its {what} ends too early")
        _, length = _SEGMENT.unpack_from(data, place)
        place += _SEGMENT.size
        checksum = reduce(xor, data[place : place + length], checksum)
        place += length
    # The checksum is the last byte of a block of 16.
    place = place // 16 * 16 + 16
    end = place + (32 if hashed else 0)
    if end > len(data):
        raise _NotOne(f"Its {what} ends too early")
    if data[place - 1] != checksum:
        raise _NotOne(f"The checksum of its {what} is wrong")
    if hashed and data[place:end] != sha256(data[:place]).digest():
        raise _NotOne(f"The SHA-256 of its {what} is wrong")
    return _Image(chip_id, end, 1 << (20 + (size_and_speed >> 4)))


def _chip(chip_id: int) -> tuple[str, int]:
    if chip_id in CHIPS:
        return CHIPS[chip_id]
    raise OperatorFault(
        "The image is for a chip that Cairn does not run on.",
        f"It is for {_OTHER_CHIPS.get(chip_id, f'chip {chip_id}')}.",
        "Take the image of your board: an ESP32, an ESP32-S3 or an ESP32-C3.",
        Code.IMAGE_OTHER_CHIP,
    )


def _table(flash: bytes, after: int) -> tuple[int, tuple[Partition, ...]]:
    first = -(-after // SECTOR_BYTES) * SECTOR_BYTES
    # Where it nearly always is comes first.
    for offset in (TABLE_OFFSET, *range(first, _TABLE_OFFSET_MAX + 1, SECTOR_BYTES)):
        if offset >= first and (found := read_table(flash[offset : offset + TABLE_BYTES])):
            return offset, found
    raise _NotOne(
        "It has no partition table with a right checksum: it is a single application, or damaged"
    )


def _check_places(partitions: tuple[Partition, ...], table_offset: int) -> None:
    if not any(one.keeps_keys for one in partitions):
        raise _NotOne("Its partition table has no NVS, where a board keeps its key")
    if any(one.name == _UF2_FILE_SYSTEM for one in partitions):
        raise _NotOne("It is an image for TinyUF2, whose file system is another one")
    free_from = table_offset + SECTOR_BYTES
    for one in sorted(partitions, key=lambda one: one.offset):
        if one.offset % SECTOR_BYTES or one.size % SECTOR_BYTES or not one.size:
            raise _NotOne(f"Its partition {one.name!r} is not made of whole sectors")
        if one.offset < free_from:
            raise _NotOne(f"Its partition {one.name!r} lies over another one")
        free_from = one.end
    if free_from > _FLASH_BYTES_MAX:
        raise _NotOne("Its partition table is for more flash than any chip has")


def _check_keys_empty(flash: bytes, partitions: tuple[Partition, ...]) -> None:
    for one in partitions:
        if one.keeps_keys and flash[one.offset : one.end].strip(_ERASED):
            raise _NotOne(f"It has something in {one.name!r}: a copy of a board, with its key")


def _contents(flash: bytes, partitions: tuple[Partition, ...], chip_id: int) -> list[Range]:
    """What the image has for its partitions, application by application, and an empty otadata:
    what an old one says would start an old application.
    """
    found = []
    bootable = False
    for one in partitions:
        inside = flash[one.offset : one.end]
        if one.kind == DATA and one.subtype == _OTADATA:
            found.append(Range(one.name, one.offset, _ERASED * one.size))
        elif one.keeps_keys or not inside.strip(_ERASED):
            continue
        elif one.kind == APP:
            found.append(Range(one.name, one.offset, _app(inside, one, chip_id)))
            bootable |= one.subtype in (_FACTORY, _OTA_0)
        elif one.name != FILE_SYSTEM:
            found.append(Range(one.name, one.offset, inside))
    if not bootable:
        raise _NotOne("It has a partition table, and no application in it")
    return found


def _app(inside: bytes, partition: Partition, chip_id: int) -> bytes:
    if partition.subtype != _FACTORY and not _OTA_0 <= partition.subtype <= _OTA_LAST:
        raise _NotOne(f"Its application {partition.name!r} is of a kind that is not known")
    read = _read_image(inside, f"application {partition.name!r}")
    if read.chip_id != chip_id:
        raise _NotOne("Its bootloader and its application are for different chips")
    return inside[: read.size]


def _version(ranges: list[Range]) -> str:
    if not any(_NAME in one.data for one in ranges):
        raise _NotOne("MicroPython is not in it")
    for one in ranges:
        if banner := _BANNER.search(one.data):
            return banner[1].decode()
    return ""


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()
