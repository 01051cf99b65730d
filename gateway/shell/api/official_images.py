"""The operator's official MicroPython images, which the page /flash may offer.

Looked at again whenever the folder is asked for; each file is taken apart once, as long as it does
not change. What is no official image is not offered, and the log says why.
"""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from gateway.device.official import split
from gateway.shell.errors import OperatorFault
from gateway.shell.log import trouble

_SUFFIX = ".bin"
# The largest flash of a board that one is made for.
_BYTES_MAX = 32 << 20
_OFFERED_MAX = 64


class Offered(NamedTuple):
    """chip: "esp32"; version: MicroPython's, "" if it does not say."""

    name: str
    size: int
    sha256: str
    chip: str
    version: str


class OfficialImages:
    """folder: None if the operator offers none. Called in reading threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[tuple[str, int, int], Offered | None] = {}

    def offered(self) -> list[Offered]:
        """Those that are images, by name."""
        if self._folder is None:
            return []
        try:
            paths = sorted(self._folder.glob("*" + _SUFFIX))[:_OFFERED_MAX]
            found = [self._looked_at(path) for path in paths if path.is_file()]
        except OSError as error:
            trouble("flash images", folder=str(self._folder), why=str(error))
            return []
        return [one for one in found if one is not None]

    def read(self, name: str) -> bytes | None:
        """One that is offered; None if there is none of that name."""
        if self._folder is None or all(one.name != name for one in self.offered()):
            return None
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            trouble("flash images", file=name, why=str(error))
            return None

    def _looked_at(self, path: Path) -> Offered | None:
        status = path.stat()
        key = (path.name, status.st_mtime_ns, status.st_size)
        if key not in self._known:
            if len(self._known) > _OFFERED_MAX:
                self._known.clear()
            self._known[key] = _look(path, status.st_size)
        return self._known[key]


def _look(path: Path, size: int) -> Offered | None:
    if size > _BYTES_MAX:
        trouble("flash images", file=path.name, why="It is larger than any official image.")
        return None
    data = path.read_bytes()
    try:
        official = split(data)
    except OperatorFault as fault:
        trouble("flash images", file=path.name, why=f"{fault.what} {fault.why}")
        return None
    digest = sha256(data).hexdigest()
    return Offered(path.name, len(data), digest, official.chip, official.version)
