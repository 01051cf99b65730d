"""Runs inside MicroPython: the file system of the board's flash, mounted as VfsLfs2 would be.

The bytes are the host's, and survive the interpreter. This owns what MicroPython asks of a file
system, with the error numbers of the ESP32 port (this port's own file system has WASI's). Like
littlefs, an open makes a name at once and content counts from flush or close on.
"""

import _host  # type: ignore[import-not-found]
from uctypes import addressof  # type: ignore[import-not-found]

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Iterator

ENOENT = 2
EEXIST = 17
EISDIR = 21
EINVAL = 22
_ABSENT = -1
_DIRECTORY = -2
_BLOCK_BYTES = 4_096


class File:
    """One open file: all of its bytes are in RAM until it is flushed."""

    def __init__(self, path: str, content: bytes, mode: str) -> None:
        self._path = path
        self._content = content
        self._mode = mode
        self._at = 0
        self._parts: list[bytes] = []

    def read(self, size: int = -1) -> bytes:
        end = len(self._content) if size < 0 else self._at + size
        part = self._content[self._at : end]
        self._at += len(part)
        return part

    def readinto(self, buffer: bytearray) -> int:
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def write(self, data: bytes) -> int:
        if "r" in self._mode:
            raise OSError(EINVAL)
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        if not self._parts:
            return
        data = b"".join(self._parts)
        self._parts = []
        # What follows a flush of a new content belongs behind it.
        _check(_host.store(self._path, addressof(data), len(data), "a" in self._mode))
        self._mode = "ab"

    def close(self) -> None:
        if self._mode == "wb" and not self._parts:
            _check(_host.store(self._path, 0, 0, False))  # noqa: FBT003 - not an append
            self._mode = "ab"
        self.flush()

    def __enter__(self) -> "File":  # noqa: PYI034 - no typing
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Flash:
    """What `vfs.mount` takes. Binary files only."""

    def mount(self, readonly: bool, mkfs: bool) -> None:  # noqa: FBT001 - MicroPython's call
        pass

    def umount(self) -> None:
        pass

    def open(self, path: str, mode: str) -> File:
        mode = mode.replace("t", "").replace("b", "") + "b"
        kind = _host.stat(path)
        if kind == _DIRECTORY:
            raise OSError(EISDIR)
        if mode == "rb":
            if kind == _ABSENT:
                raise OSError(ENOENT)
            content = bytearray(kind)
            _host.load(path, addressof(content))
            return File(path, bytes(content), mode)
        if mode not in ("wb", "ab"):
            raise OSError(EINVAL)
        if kind == _ABSENT:
            _check(_host.store(path, 0, 0, False))  # noqa: FBT003 - not an append
        return File(path, b"", mode)

    def stat(self, path: str) -> "tuple[int, ...]":
        kind = _host.stat(path)
        if kind == _ABSENT:
            raise OSError(ENOENT)
        size = max(kind, 0)
        return (0x4000 if kind == _DIRECTORY else 0x8000, 0, 0, 0, 0, 0, size, 0, 0, 0)

    def statvfs(self, path: str) -> "tuple[int, ...]":  # noqa: ARG002
        blocks, free = _host.blocks(0), _host.blocks(1)
        return (_BLOCK_BYTES, _BLOCK_BYTES, blocks, free, free, 0, 0, 0, 0, 255)

    def ilistdir(self, path: str) -> "Iterator[tuple[str, int, int, int]]":
        listed = _host.list(path)
        if listed is None:
            raise OSError(ENOENT)
        entries = []
        for line in listed.split("\n") if listed else []:
            name, size = line.split("\t")
            entries.append((name, 0x8000, 0, int(size)) if size else (name, 0x4000, 0, 0))
        return iter(entries)

    def remove(self, path: str) -> None:
        _check(_host.remove(path))

    def rmdir(self, path: str) -> None:
        _check(_host.remove(path))

    def rename(self, old: str, new: str) -> None:
        _check(_host.rename(old, new))

    def mkdir(self, path: str) -> None:
        _check(_host.mkdir(path))

    def chdir(self, path: str) -> None:
        pass


def _check(errno: int) -> None:
    if errno:
        raise OSError(errno)
