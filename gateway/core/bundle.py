"""The container of a bundle: named sections in one file of which every byte is accounted for.

header   magic (8), format (u8), index length (u32 big-endian), SHA-256 of the index (32),
         SHA-256 of the header so far (32)
index    CBOR [[name, compressed length, raw length, SHA-256 of compressed], ...], by name
sections compressed, in the order of the index, nothing between or behind them

Compression is an argument. What the sections hold is bundle_sections.py's; here they are bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core import canonical
from gateway.core.cbor_profile import encode

MAGIC = b"CAIRNBDL"
FORMAT = 1
SECTIONS_MAX = 64
RAW_BYTES_MAX = 1 << 31
# No honest section shrinks so far: ids, keys and signatures are random. A stranger's file must not
# need memory out of proportion to its size, of which every byte of CBOR may take ten more.
EXPANSION_MAX = 256
_HEAD = struct.Struct(">8sBI32s")
_HASH_BYTES = 32
_HEADER_BYTES = _HEAD.size + _HASH_BYTES

Compress = Callable[[bytes], bytes]
# decompress(data, raw length): exactly that many bytes or ValueError, never allocating more.
Decompress = Callable[[bytes, int], bytes]


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a file is no bundle: place is `header`, `index`, `section <name>` or `end`.

    raw: what a damaged section still decompresses to, for whoever can name the entry in it;
    intact: the sections in front of it and behind it that are whole.
    """

    place: str
    detail: str
    raw: bytes | None = None
    intact: Mapping[str, bytes] | None = None


class _IndexEntry(NamedTuple):
    name: str
    size: int
    raw_size: int
    digest: bytes


def write_bundle(sections: Mapping[str, bytes], compress: Compress) -> bytes:
    """Return the file that holds `sections`; the same for the same sections and compressor."""
    packed = [(name, sections[name], compress(sections[name])) for name in sorted(sections)]
    index = encode(
        [[name, len(data), len(raw), hashlib.sha256(data).digest()] for name, raw, data in packed]
    )
    head = _HEAD.pack(MAGIC, FORMAT, len(index), hashlib.sha256(index).digest())
    header = head + hashlib.sha256(head).digest()
    return b"".join([header, index, *(data for _, _, data in packed)])


def read_bundle(data: bytes, decompress: Decompress) -> dict[str, bytes] | Damage:
    """Return the sections by name, or the first place where the file is damaged."""
    index_size = _read_header(data)
    if isinstance(index_size, Damage):
        return index_size
    start = _HEADER_BYTES + index_size
    try:
        entries = _read_index(data[_HEADER_BYTES:start])
    except canonical.MalformedError as error:
        return Damage("index", str(error))
    if start + sum(entry.size for entry in entries) != len(data):
        return Damage("end", "the file is not as long as its index says")
    return _read_sections(data, start, entries, decompress)


def _read_header(data: bytes) -> int | Damage:
    """Return the length of the index."""
    if len(data) < _HEADER_BYTES:
        return Damage("header", "the file is shorter than a header")
    magic, fmt, index_size, digest = _HEAD.unpack_from(data)
    if magic != MAGIC or fmt != FORMAT:
        return Damage("header", "this is no bundle of format 1")
    if hashlib.sha256(data[: _HEAD.size]).digest() != data[_HEAD.size : _HEADER_BYTES]:
        return Damage("header", "its own hash differs")
    index = data[_HEADER_BYTES : _HEADER_BYTES + index_size]
    if hashlib.sha256(index).digest() != digest:
        return Damage("index", "its hash differs from the one in the header")
    return int(index_size)


def _read_index(index: bytes) -> list[_IndexEntry]:
    entries = []
    for value in canonical.rows(canonical.decode(index), "the index"):
        name, size, raw_size, digest = canonical.row(value, 4, "an index entry")
        if type(name) is not str:
            raise canonical.MalformedError("a section's name is not text")
        entries.append(
            _IndexEntry(
                name,
                canonical.uint(size, "a length"),
                canonical.uint(raw_size, "a length"),
                canonical.octets(digest, (_HASH_BYTES,), "a section's hash"),
            )
        )
    canonical.ascending([entry.name for entry in entries], "section names")
    if len(entries) > SECTIONS_MAX or sum(entry.raw_size for entry in entries) > RAW_BYTES_MAX:
        raise canonical.MalformedError("more sections or bytes than a bundle may have")
    for entry in entries:
        if entry.raw_size > EXPANSION_MAX * entry.size:
            why = f"{entry.size} bytes are said to stand for {entry.raw_size}"
            raise canonical.MalformedError(f"section {entry.name}: {why}")
    return entries


def _read_sections(
    data: bytes, start: int, entries: list[_IndexEntry], decompress: Decompress
) -> dict[str, bytes] | Damage:
    sections: dict[str, bytes] = {}
    damages: list[Damage] = []
    for entry in entries:
        packed = data[start : start + entry.size]
        start += entry.size
        whole = hashlib.sha256(packed).digest() == entry.digest
        raw, detail = _unpack(packed, entry.raw_size, decompress)
        if whole and raw is not None:
            sections[entry.name] = raw
        else:
            why = detail if whole else "its hash differs from the one in the index"
            damages.append(Damage(f"section {entry.name}", why, raw))
    if not damages:
        return sections
    first = damages[0]
    return Damage(first.place, first.detail, first.raw, sections)


def _unpack(packed: bytes, raw_size: int, decompress: Decompress) -> tuple[bytes | None, str]:
    try:
        raw = decompress(packed, raw_size)
    except ValueError as error:
        return None, f"it does not decompress ({error})"
    if len(raw) != raw_size:
        return None, "it is not as long as the index says"
    return raw, ""
