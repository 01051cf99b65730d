"""Bundles as files: zstd for every section, bounded reading, writing in one step.

What a bundle holds is the core's (gateway.core.bundle). No database is needed here, so that an
auditor's process needs none.
"""

import contextlib
import os
from pathlib import Path

import zstandard

from gateway.core.bundle import RAW_BYTES_MAX
from gateway.shell.errors import Code, OperatorFault

# Fixed for good: another level would give other bytes for the same epoch. One thread, because
# zstd's output depends on how the input is split among several.
LEVEL = 9
FILE_BYTES_MAX = RAW_BYTES_MAX
SUFFIX = ".cairn"
_CHECKSUM_BYTES = 4
# A damaged frame may claim to expand without bound: looked at after every so many bytes.
_SALVAGE_STEP_BYTES = 1024


def compress(raw: bytes) -> bytes:
    """One zstd frame with content size and checksum; the same bytes for the same input."""
    return zstandard.ZstdCompressor(
        level=LEVEL, threads=0, write_checksum=True, write_content_size=True
    ).compress(raw)


def decompress(packed: bytes, raw_size: int) -> bytes:
    """The raw_size bytes in one zstd frame; ValueError for anything else.

    The size in the frame is compared before a byte is allocated. Of a damaged frame whatever
    still comes out whole is returned: the core compares its hash, and can then name the message
    that was hit.
    """
    try:
        stated = zstandard.frame_content_size(packed)
        if stated != raw_size:
            raise ValueError(f"its frame states {stated} bytes, the index {raw_size}")
        if raw_size == 0:
            # The library returns early for an empty frame, without looking at the rest of it.
            if packed != compress(b""):
                raise ValueError("an empty frame with something in it")
            return b""
        return zstandard.ZstdDecompressor().decompress(
            packed, max_output_size=raw_size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        salvaged = _salvage(packed, raw_size)
        if salvaged is None:
            raise ValueError(str(error)) from error
        return salvaged


def _salvage(packed: bytes, raw_size: int) -> bytes | None:
    """The content of a frame of which only the checksum disagrees, else None."""
    stream = zstandard.ZstdDecompressor().decompressobj()
    content, checksum = packed[:-_CHECKSUM_BYTES], packed[-_CHECKSUM_BYTES:]
    raw = bytearray()
    try:
        for start in range(0, len(content), _SALVAGE_STEP_BYTES):
            raw += stream.decompress(content[start : start + _SALVAGE_STEP_BYTES])
            if len(raw) > raw_size or stream.eof:
                return None
    except zstandard.ZstdError:
        return None
    try:
        stream.decompress(checksum)
    except zstandard.ZstdError:
        return bytes(raw) if len(raw) == raw_size else None
    # Nothing disagrees: there are bytes too few or too many.
    return None


def read_bundle_file(path: Path) -> bytes:
    """The bytes of a bundle file; OperatorFault if it cannot be read or is too large."""
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise _unreadable(path, f"It has {size} bytes; a bundle has at most {FILE_BYTES_MAX}.")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, f"{error.strerror}.") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is either there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OperatorFault(
            f"The file {path} cannot be written.",
            f"{error.strerror}.",
            "Check that the folder exists, has room, and that this user may write to it.",
            Code.FILE_UNWRITABLE,
        ) from error


def _unreadable(path: Path, why: str) -> OperatorFault:
    return OperatorFault(
        f"The file {path} cannot be read as a bundle.",
        why,
        "Check the name; `cairn export bundle EPOCH` writes one.",
        Code.FILE_UNREADABLE,
    )
