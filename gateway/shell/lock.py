"""Who may write to a data directory: one process at a time, held by a lock on `gateway.lock`.

The kernel drops the lock when its holder ends, however it ends; the file stays and says nothing.
`gateway.json` beside it tells where the holder listens; it counts only while the lock is held.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.shell.bundle_file import write_whole
from gateway.shell.errors import Code, OperatorFault

LOCK = "gateway.lock"
ADDRESSES = "gateway.json"
# A verb that only asks holds the lock for a moment; a gateway that starts then must not give up.
_TRIES = 10
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running gateway is reached, as it is printed and written to gateway.json.

    mqtt: the endpoint for boards, or the external broker; http: the API. As seen from this
    machine.
    """

    pid: int
    mqtt: str
    http: str
    clock: str


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the one process that writes to `folder`. OperatorFault if another one is."""
    handle = _open(folder / LOCK)
    try:
        _acquire(handle, folder)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock at this moment."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def write_addresses(folder: Path, addresses: Addresses) -> None:
    write_whole(folder / ADDRESSES, json.dumps(asdict(addresses)).encode() + b"\n")


def remove_addresses(folder: Path) -> None:
    (folder / ADDRESSES).unlink(missing_ok=True)


def running(folder: Path) -> Addresses | None:
    """Where the gateway of this directory listens; None if none runs, or it is still starting."""
    if not is_held(folder):
        return None
    try:
        found = json.loads((folder / ADDRESSES).read_text("utf-8"))
        return Addresses(
            int(found["pid"]), str(found["mqtt"]), str(found["http"]), str(found["clock"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OperatorFault(
            f"The file {path} cannot be written.",
            f"{error.strerror}.",
            "Run as the user who owns the data directory, and see that it exists.",
            Code.FILE_UNWRITABLE,
        ) from error


def _acquire(handle: int, folder: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            if not left:
                raise _taken(folder, handle) from error
            time.sleep(_PAUSE_S)
        else:
            return


def _taken(folder: Path, handle: int) -> OperatorFault:
    holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
    return OperatorFault(
        f"A gateway runs on {folder} already.",
        f"Process {holder or 'unknown'} holds {folder / LOCK}; two writers would fork the logs.",
        "Stop that one first (`kill` its process; it ends in order), or name another directory.",
        Code.GATEWAY_RUNNING,
    )
