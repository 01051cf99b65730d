"""MicroPython's ROMFS: a file system that is read in place, so that bytecode stays in flash.

A board needs a partition of that name for it, which MicroPython's usual images leave out:
docs/decisions/0018.
"""

from collections.abc import Mapping

# Format: extmod/vfs_rom.c of MicroPython. A record is kind, length, payload.
_HEADER = b"\xd2\xcd\x31"
_DATA, _DIRECTORY, _FILE = 2, 4, 5


def pack_romfs(files: Mapping[str, bytes]) -> bytes:
    """An image of these files, named with slashes; the same bytes on every run."""
    content = _folder(files)
    length = _number(len(content))
    if (len(_HEADER) + len(length) + len(content)) % 2:
        # Images have an even length; a leading zero does not change the number.
        length = b"\x80" + length
    return _HEADER + length + content


def _folder(files: Mapping[str, bytes]) -> bytes:
    inner: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        folder, _, rest = name.partition("/")
        if rest:
            inner.setdefault(folder, {})[rest] = content
    records = []
    for name in sorted({name.partition("/")[0] for name in files}):
        head = _number(len(name)) + name.encode("ascii")
        if name in inner:
            records.append(_record(_DIRECTORY, head + _folder(inner[name])))
        else:
            records.append(_record(_FILE, head + _record(_DATA, files[name])))
    return b"".join(records)


def _record(kind: int, payload: bytes) -> bytes:
    return _number(kind) + _number(len(payload)) + payload


def _number(value: int) -> bytes:
    """Seven bits a byte, the highest first; the top bit says that another byte follows."""
    encoded = [value & 0x7F]
    while value := value >> 7:
        encoded.insert(0, 0x80 | value & 0x7F)
    return bytes(encoded)
