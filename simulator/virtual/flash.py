"""The flash chip: one file, whose bits can be cleared one by one and are set by sectors only."""

import os
from hashlib import md5
from pathlib import Path

SECTOR_BYTES = 4096
_ERASED = b"\xff"


class Flash:
    """Made erased where there is no file; what is in the file stays when the board is gone."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        missing = size - os.fstat(self._file).st_size
        if missing > 0:
            os.pwrite(self._file, _ERASED * missing, size - missing)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file, max(0, min(size, self.size - offset)), offset)

    def erase(self, offset: int, size: int) -> None:
        """Every sector that the range touches."""
        start = offset - offset % SECTOR_BYTES
        end = -(-(offset + size) // SECTOR_BYTES) * SECTOR_BYTES
        os.pwrite(self._file, _ERASED * (min(end, self.size) - start), start)

    def program(self, offset: int, data: bytes) -> None:
        """As NOR flash does: a bit that is 0 stays 0."""
        old = int.from_bytes(self.read(offset, len(data)), "big")
        kept = (old & int.from_bytes(data, "big")).to_bytes(len(data), "big")
        os.pwrite(self._file, kept, offset)

    def holds(self, offset: int, size: int) -> bool:
        return offset + size <= self.size

    def digest(self, offset: int, size: int) -> bytes:
        return md5(self.read(offset, size), usedforsecurity=False).digest()

    def close(self) -> None:
        os.close(self._file)
