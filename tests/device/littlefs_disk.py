"""A board's Files over real littlefs (littlefs-python) on a chip that can lose its power.

Geometry, caches and on-disk version are those of MicroPython's VfsLfs2 on an ESP32, and so is the
way that boards/host.py writes: append, or a temporary name that is renamed. Every programming and
every erase of the chip is one operation; a cut may fall between two or in the middle of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cairn.boards.base import Files
from littlefs import LittleFS, LittleFSError, lfs

BLOCK_BYTES = 4096
PROG_BYTES = 32
# extmod/vfs_lfsx.c: four times the larger of read and prog size, and 100 block cycles.
CACHE_BYTES = 4 * PROG_BYTES
BLOCK_CYCLES = 100
DISK_VERSION = 0x00020000
TEMPORARY = ".new"
FOLDER = "outbox"
NO_ENTRY = -2
NO_SPACE = 28

_FLAGS = lfs.LFSFileFlag
_APPEND = int(_FLAGS.wronly | _FLAGS.creat | _FLAGS.append)
_WRITE = int(_FLAGS.wronly | _FLAGS.creat | _FLAGS.trunc)
_READ = int(_FLAGS.rdonly)
_ERASED = b"\xff" * BLOCK_BYTES


class PowerCut(BaseException):
    """The power went during the call that raises it."""


@dataclass(frozen=True)
class Operation:
    """One change of the chip; data None: the block is erased."""

    start: int
    data: bytes | None

    @property
    def size(self) -> int:
        return BLOCK_BYTES if self.data is None else len(self.data)

    def apply(self, image: bytearray, size: int) -> None:
        """Its first bytes; a cut may leave it at that."""
        end = self.start + size
        if self.data is None:
            image[self.start : end] = _ERASED[:size]
            return
        # Flash bits only ever go from 1 to 0 without an erase.
        old = image[self.start : end]
        if old == _ERASED[:size]:
            image[self.start : end] = self.data[:size]
        else:
            image[self.start : end] = bytes(a & b for a, b in zip(old, self.data, strict=False))


@dataclass
class Flash:
    """The chip: its image, and what was done to it since it was made."""

    blocks: int = 64
    image: bytearray = field(default_factory=bytearray)
    log: list[Operation] = field(default_factory=list)
    operations: int = 0
    erases: int = 0

    def __post_init__(self) -> None:
        self.image = self.image or bytearray(_ERASED * self.blocks)
        self._cut: tuple[int, int] | None = None
        self._survivor: bytearray | None = None

    def arm(self, operations: int, torn_bytes: int = 0) -> None:
        """Cut the power behind so many more operations, and torn_bytes into the next one."""
        self._cut = (self.operations + operations, torn_bytes)

    @property
    def dead(self) -> bool:
        return self._survivor is not None

    def power_on(self) -> None:
        """What the cut left is what there is now."""
        if self._survivor is not None:
            self.image = self._survivor
        self._cut = self._survivor = None

    # The interface of littlefs-python.

    def read(self, _cfg: object, block: int, off: int, size: int) -> bytearray:
        start = block * BLOCK_BYTES + off
        return self.image[start : start + size]

    def prog(self, _cfg: object, block: int, off: int, data: bytes) -> int:
        return self._do(Operation(block * BLOCK_BYTES + off, bytes(data)))

    def erase(self, _cfg: object, block: int) -> int:
        self.erases += 1
        return self._do(Operation(block * BLOCK_BYTES, None))

    def sync(self, _cfg: object) -> int:
        return 0

    def _do(self, operation: Operation) -> int:
        if self._cut is not None and not self.dead and self.operations >= self._cut[0]:
            self._survivor = bytearray(self.image)
            operation.apply(self._survivor, min(self._cut[1], operation.size))
        # The call runs on against the doomed image: what littlefs would make of failing
        # operations is nothing that a board without power sees.
        operation.apply(self.image, operation.size)
        self.operations += 1
        self.log.append(operation)
        return 0


def mounted(flash: Flash, *, fresh: bool) -> LittleFS:
    """The file system on a flash, as a boot finds it; fresh: a new one."""
    disk = LittleFS(
        context=flash,
        mount=False,
        block_size=BLOCK_BYTES,
        block_count=flash.blocks,
        read_size=PROG_BYTES,
        prog_size=PROG_BYTES,
        lookahead_size=PROG_BYTES,
        cache_size=CACHE_BYTES,
        block_cycles=BLOCK_CYCLES,
        disk_version=DISK_VERSION,
    )
    if fresh:
        disk.format()
    disk.mount()
    return disk


class LittlefsDisk(Files):
    """Files of a board on a Flash; mounted when made, as at a boot."""

    def __init__(self, flash: Flash, *, fresh: bool = False) -> None:
        self.flash = flash
        self._fs = mounted(flash, fresh=fresh)
        self._folders = {name for name in self._list("/") if name == FOLDER}
        for name in self._all():
            if name.endswith(TEMPORARY):
                self.remove(name)

    @property
    def used_blocks(self) -> int:
        return self._fs.used_block_count

    def read(self, name: str) -> bytes | None:
        self._check_power()
        fs = self._fs.fs
        try:
            file = lfs.file_open(fs, name, _READ)
        except LittleFSError as error:
            if error.code == NO_ENTRY:
                return None
            raise
        data: bytes = lfs.file_read(fs, file, lfs.file_size(fs, file))
        lfs.file_close(fs, file)
        return data

    def write(self, name: str, data: bytes) -> None:
        self._put(name + TEMPORARY, data, _WRITE)
        self._fs.rename(name + TEMPORARY, name)
        self._check_power()

    def append(self, name: str, data: bytes) -> None:
        self._put(name, data, _APPEND)

    def remove(self, name: str) -> None:
        self._check_power()
        try:
            self._fs.remove(name)
        except LittleFSError as error:
            if error.code != NO_ENTRY:
                raise
        self._check_power()

    def names(self, prefix: str) -> list[str]:
        self._check_power()
        found = [name for name in self._all() if name.startswith(prefix)]
        return sorted(name for name in found if not name.endswith(TEMPORARY))

    def _put(self, name: str, data: bytes, flags: int) -> None:
        self._check_power()
        folder = name.rpartition("/")[0]
        if folder and folder not in self._folders:
            self._fs.mkdir(folder)
            self._check_power()
            self._folders.add(folder)
        fs = self._fs.fs
        file = lfs.file_open(fs, name, flags)
        try:
            lfs.file_write(fs, file, data)
            lfs.file_sync(fs, file)
        except LittleFSError as error:
            raise OSError(NO_SPACE, str(error)) from error
        finally:
            lfs.file_close(fs, file)
        self._check_power()

    def _all(self) -> list[str]:
        root = [name for name in self._list("/") if name != FOLDER]
        return root + [
            f"{folder}/{name}" for folder in self._folders for name in self._list(folder)
        ]

    def _list(self, path: str) -> list[str]:
        return self._fs.listdir(path)

    def _check_power(self) -> None:
        if self.flash.dead:
            raise PowerCut
