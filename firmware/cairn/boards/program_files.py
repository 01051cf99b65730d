"""The programs on a board as Files with folders: the root of its file system, of which "a/..." and
"b/..." are the two slots (firmware/launch.py).
"""

import os
import sys

from .base import Programs
from .directory_files import DirectoryFiles

_FOLDER = 0x4000
_TEMPORARY = ".new"


class ProgramFiles(DirectoryFiles, Programs):
    """root: "" on a board. slot: the one that runs; "": where the interpreter looks first."""

    def __init__(self, root: str, slot: str = "") -> None:
        # Unlike DirectoryFiles it clears nothing up: only an update writes here, and it does.
        self._directory = root
        self.slot = slot or sys.path[0][-1:]

    def size(self, name: str) -> "int | None":
        try:
            found = os.stat(self._path(name))
        except OSError:
            return None
        return None if found[0] & _FOLDER else found[6]

    def read_at(self, name: str, start: int, size: int) -> bytes:
        with open(self._path(name), "rb") as file:
            file.seek(start)
            data: bytes = file.read(size)
            return data

    def remove(self, name: str) -> None:
        """As Files.remove(). A folder that is empty then goes too: an import would take it for the
        program's file of that name, in every release to come.
        """
        super().remove(name)
        while "/" in name:
            name = name.rsplit("/", 1)[0]
            try:
                os.rmdir(self._path(name))
            except OSError:
                return  # something is in it

    def rename(self, name: str, to: str) -> None:
        self._make_folders(self._path(to))
        os.rename(self._path(name), self._path(to))

    def free_bytes(self) -> int:
        disk = os.statvfs(self._directory or "/")
        return disk[0] * disk[3]

    def _entries(self, prefix: str) -> "list[str]":
        """All below the folder that prefix begins with, unlike DirectoryFiles at any depth."""
        waiting = [prefix.rsplit("/", 1)[0] + "/" if "/" in prefix else ""]
        found = []
        while waiting:
            folder = waiting.pop()
            try:
                inside = os.listdir(self._path(folder).rstrip("/") or "/")
            except OSError:
                continue
            for entry in inside:
                name = folder + entry
                if os.stat(self._path(name))[0] & _FOLDER:
                    waiting.append(name + "/")
                elif name.startswith(prefix):
                    found.append(name)
        return found

    def _put(self, path: str, mode: str, data: bytes) -> None:
        self._make_folders(path)
        super()._put(path, mode, data)

    def _make_folders(self, path: str) -> None:
        parts = path[len(self._directory) + 1 :].split("/")
        for count in range(1, len(parts)):
            try:
                os.mkdir(self._directory + "/" + "/".join(parts[:count]))
            except OSError:  # it is there, or whoever writes will say what is wrong
                continue
