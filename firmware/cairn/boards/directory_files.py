"""Files under a directory of a real file system: littlefs on a chip, the host's own elsewhere.

Needs no asyncio, so that a board with another event loop can use it.
"""

import errno
import os

from .base import Files

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

# For names that a chip's os does not have.
_OS: "Any" = os
_TEMPORARY = ".new"
# No such file. The second number is that of WASI, whose builds of MicroPython pass it on.
_ABSENT = (errno.ENOENT, 44)


class DirectoryFiles(Files):
    """As durable as the file system lets them be. littlefs makes a file's new content visible at
    close() and a rename in one step, so a power cut leaves the old content or the new one.

    Opening it removes what a power cut left of an unfinished write.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        _make_directory(directory)
        for name in self._entries(""):
            if name.endswith(_TEMPORARY):
                os.remove(self._path(name))

    def read(self, name: str) -> "bytes | None":
        try:
            with open(self._path(name), "rb") as file:
                content: bytes = file.read()
                return content
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        try:
            self._put(path + _TEMPORARY, "wb", data)
        except OSError:
            # Half a file on a full disk would keep it full.
            _remove(path + _TEMPORARY)
            raise
        os.rename(path + _TEMPORARY, path)
        _sync_directory(path)

    def append(self, name: str, data: bytes) -> None:
        path = self._path(name)
        self._put(path, "ab", data)
        _sync_directory(path)

    def remove(self, name: str) -> None:
        path = self._path(name)
        if _remove(path):
            _sync_directory(path)

    def names(self, prefix: str) -> "list[str]":
        return sorted([name for name in self._entries(prefix) if not name.endswith(_TEMPORARY)])

    def _entries(self, prefix: str) -> "list[str]":
        """Names that start with prefix, unfinished ones too. Only folders that can hold some are
        looked into: one listing of a full outbox takes an ESP32 long enough.
        """
        folder = prefix.rsplit("/", 1)[0] + "/" if "/" in prefix else ""
        found = []
        for entry in _list(self._path(folder)):
            name = folder + entry
            if _is_directory(self._path(name)):
                found += [name + "/" + inner for inner in _list(self._path(name))]
            else:
                found.append(name)
        return [name for name in found if name.startswith(prefix)]

    def _path(self, name: str) -> str:
        return self._directory + "/" + name

    def _put(self, path: str, mode: str, data: bytes) -> None:
        _make_directory(path.rsplit("/", 1)[0])
        with open(path, mode) as file:
            file.write(data)
            file.flush()
            if hasattr(os, "fsync"):
                os.fsync(file.fileno())


def _list(path: str) -> "list[str]":
    try:
        return os.listdir(path.rstrip("/"))
    except OSError as error:
        if error.errno in _ABSENT:
            return []
        raise


def _remove(path: str) -> bool:
    try:
        os.remove(path)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise
    return True


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path)
    except OSError:
        if not _is_directory(path):
            raise


def _is_directory(path: str) -> bool:
    try:
        return os.stat(path)[0] & 0x4000 != 0
    except OSError:
        return False


def _sync_directory(path: str) -> None:
    """Make a new name durable too, where the system has a call for it (a chip's has none)."""
    if not hasattr(os, "fsync") or not hasattr(os, "O_DIRECTORY"):
        return
    handle = _OS.open(path.rsplit("/", 1)[0], _OS.O_RDONLY | _OS.O_DIRECTORY)
    try:
        _OS.fsync(handle)
    finally:
        _OS.close(handle)
