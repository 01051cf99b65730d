"""A board's programs over real littlefs on a chip that can lose its power.

Files are written as boards/program_files.py and firmware/launch.py write them: a temporary name
that is renamed, or bytes behind what is there.
"""

from __future__ import annotations

from contextlib import suppress

from cairn.boards.base import Programs
from littlefs import LittleFSError, lfs

from tests.device.littlefs_disk import BLOCK_BYTES, Flash, PowerCut, mounted

_FLAGS = lfs.LFSFileFlag
_APPEND = int(_FLAGS.wronly | _FLAGS.creat | _FLAGS.append)
_WRITE = int(_FLAGS.wronly | _FLAGS.creat | _FLAGS.trunc)
_READ = int(_FLAGS.rdonly)


class LittlefsPrograms(Programs):
    """Mounted when made, as at a boot. slot: the one that runs."""

    def __init__(self, flash: Flash, slot: str = "a", *, fresh: bool = False) -> None:
        self.flash = flash
        self.slot = slot
        self._fs = mounted(flash, fresh=fresh)

    def read(self, name: str) -> bytes | None:
        size = self.size(name)
        return None if size is None else self.read_at(name, 0, size)

    def read_at(self, name: str, start: int, size: int) -> bytes:
        with self._told():
            file = lfs.file_open(self._fs.fs, name, _READ)
            lfs.file_seek(self._fs.fs, file, start, 0)
            data: bytes = lfs.file_read(self._fs.fs, file, size)
            lfs.file_close(self._fs.fs, file)
        return data

    def size(self, name: str) -> int | None:
        self._check_power()
        try:
            found = self._fs.stat(name)
        except LittleFSError:
            return None
        return None if found.type == 2 else found.size

    def write(self, name: str, data: bytes) -> None:
        self.put(name + ".new", data)
        self.rename(name + ".new", name)

    def append(self, name: str, data: bytes) -> None:
        self.put(name, data, _APPEND)

    def put(self, name: str, data: bytes, flags: int = _WRITE) -> None:
        """Also not atomically: as a file that is opened, written and closed."""
        with self._told():
            self._make_folders(name)
            file = lfs.file_open(self._fs.fs, name, flags)
            try:
                lfs.file_write(self._fs.fs, file, data)
                lfs.file_sync(self._fs.fs, file)
            finally:
                lfs.file_close(self._fs.fs, file)

    def remove(self, name: str) -> None:
        if self.size(name) is not None:
            with self._told():
                self._fs.remove(name)

    def rename(self, name: str, to: str) -> None:
        with self._told():
            self._make_folders(to)
            self._fs.rename(name, to)

    def names(self, prefix: str) -> list[str]:
        self._check_power()
        found = []
        for folder, _, files in self._fs.walk("/"):
            paths = [f"{folder.strip('/')}/{name}".lstrip("/") for name in files]
            found += [path for path in paths if path.startswith(prefix)]
        return sorted(found)

    def free_bytes(self) -> int:
        return (self.flash.blocks - self._fs.used_block_count) * BLOCK_BYTES

    def content(self, slot: str) -> dict[str, bytes]:
        return {name[2:]: self.read(name) or b"" for name in self.names(slot + "/")}

    def _make_folders(self, name: str) -> None:
        parts = name.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            with suppress(FileExistsError):
                self._fs.mkdir("/".join(parts[:count]))

    def _told(self) -> _Told:
        return _Told(self)

    def _check_power(self) -> None:
        if self.flash.dead:
            raise PowerCut


class _Told:
    """A littlefs fault is the OSError that a board gives, and a board without power goes on."""

    def __init__(self, disk: LittlefsPrograms) -> None:
        self._disk = disk
        disk._check_power()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._disk._check_power()
        if isinstance(error, LittleFSError):
            raise OSError(-int(error.code), str(error)) from error
