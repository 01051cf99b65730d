"""Brings a release into the slot that does not run: one attempt, which goes on where the last one
ended. Needed for minutes in a year: updates.py borrows it.

Order is what keeps a power cut harmless: the slot's list is removed first, then files come one by
one under a name of their own until they are whole, then everything is read again, then the list is
written, and only then is the slot put on trial. The slot that runs is never written to.
"""

import binascii
from hashlib import sha256

from . import limits, releases, slots
from .update_fetch import FetchError, Transfer

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from .boards.base import Board, Programs
    from .config import Config
    from .keyring import Keyring
    from .releases import Manifest, Row
    from .updates import Updates

_PART = ".part"
_SLICE_BYTES = 1_024
_TRANSIENT = ("unreachable", "cut", "absent", "http", "range", "other_content")


async def attempt(updates: "Updates", offer: "tuple[bytes, int]") -> int:
    """Try to install what was offered: ms until the next attempt,
    limits.UPDATE_REFUSED or limits.UPDATE_INSTALLED.
    """
    work = Installation(updates, offer)
    try:
        await work.run()
    except releases.ReleaseError as error:
        work.forget()
        return _refused(updates, error.code, offer)
    except FetchError as error:
        code = error.code
    except OSError as error:
        code = "update.full" if work.no_room else "update.storage"
        updates.faults.note(code, str(error))
        return limits.UPDATE_BACKOFF_MS_MAX
    except MemoryError:
        # Left to itself it would restart the board, at each announcement again.
        updates.faults.note("update.memory", "release %d" % offer[1])
        return limits.UPDATE_BACKOFF_MS_MAX
    else:
        return limits.UPDATE_INSTALLED
    if code not in _TRANSIENT:
        return _refused(updates, code, offer)
    updates.faults.note("update." + code, "release %d" % offer[1])
    updates.failures = 0 if work.moved else updates.failures + 1
    # What was written in vain wears the flash, and whoever spoils it may well let some of it come.
    updates.spoiled += code == "other_content"
    doublings = min(max(updates.failures, updates.spoiled), 9)
    pause_ms = limits.UPDATE_BACKOFF_MS_MIN << doublings
    return updates.drawn(min(pause_ms, limits.UPDATE_BACKOFF_MS_MAX))


def _refused(updates: "Updates", code: str, offer: "tuple[bytes, int]") -> int:
    updates.faults.note("update." + code, "release %d is not taken" % offer[1])
    return limits.UPDATE_REFUSED


class Installation:
    """moved: whether it got any further; no_room: whether flash was found too full."""

    def __init__(self, updates: "Updates", offer: "tuple[bytes, int]") -> None:
        board, config = updates.board, updates.config
        programs = board.programs()
        assert programs is not None
        assert config.time_host is not None
        self._board: "Board" = board
        self._config: "Config" = config
        self._keyring: "Keyring" = updates.keyring
        self._programs: "Programs" = programs
        self._updates = updates
        self._offer = offer
        self._transfer = Transfer(board, config.time_host, config.time_port)
        self._got = bytearray()
        self._part = self._bundle = ""
        self._slot = slots.other(programs)
        self.moved = self.no_room = False

    async def run(self) -> None:
        """Until the other slot is on trial."""
        manifest = await self._manifest()
        files = manifest[3]
        self._check_room(files)
        self._clear(files)
        for row in files:
            if self._updates.offer is not self._offer:
                raise FetchError("withdrawn")
            await self._bring(row)
        await self._finish(manifest)

    def forget(self) -> None:
        """What came is of no use."""
        if self._bundle:
            self._programs.remove(self._bundle)

    async def _manifest(self) -> "Manifest":
        programs, config, (digest, counter) = self._programs, self._config, self._offer
        described = slots.running(programs)
        floor = slots.floor(programs, self._board.vault)
        if described is None or floor is None:
            raise FetchError("busy")
        architecture = described[3]
        path = "/v1/releases/%d/" % counter
        rows = releases.parse_index(await self._index(path, digest))
        mine = [row for row in rows if row[0] == architecture]
        if not mine:
            raise FetchError("other_architecture")
        await self._download(path + architecture, mine[0][1], mine[0][2])
        self._bundle = self._part
        serial, manifest = await releases.verified(
            programs.read(self._part) or b"",
            keyring=self._keyring,
            network_id=config.network_id,
            root_key=config.root_key,
            architecture=architecture,
            floor=floor,
            trust_serial=slots.floors(self._board.vault, config.root_key)[0],
        )
        if manifest[0] != counter:
            raise FetchError("other_counter")
        slots.keep_floors(self._board.vault, config.root_key, serial, 0)
        return manifest

    async def _index(self, path: str, digest: bytes) -> bytes:
        await self._transfer.get(path + "index", 0, -limits.INDEX_BYTES_MAX, self._keep)
        data = bytes(self._got)
        if sha256(data).digest() != digest:
            raise FetchError("other_content")
        return data

    def _keep(self, data: bytes) -> None:
        self._got.extend(data)

    # The slot.

    def _check_room(self, files: "list[Row]") -> None:
        programs = self._programs
        blocks = limits.UPDATE_SPARE_BLOCKS
        for _, size, _ in files:
            blocks += 1 + size // limits.FLASH_BLOCK_BYTES
        for name in programs.names(self._slot + "/"):
            # It is removed, or it need not come again.
            blocks -= 1 + (programs.size(name) or 0) // limits.FLASH_BLOCK_BYTES
        if blocks * limits.FLASH_BLOCK_BYTES > programs.free_bytes():
            self.no_room = True
            raise OSError("%d blocks of flash are needed" % blocks)

    def _clear(self, files: "list[Row]") -> None:
        """Only what this release can use stays; first of all, the slot is no program any more."""
        programs, folder = self._programs, self._slot + "/"
        programs.remove(folder + slots.RELEASE)
        wanted = [(folder + name, size) for name, size, _ in files]
        parts = [self._part_of(digest) for _, _, digest in files] + [self._bundle]
        for name in programs.names(folder):
            if (name, programs.size(name)) not in wanted and name not in parts:
                programs.remove(name)

    async def _bring(self, row: "Row") -> None:
        name, size, digest = row
        target = self._slot + "/" + name
        if await self._is(target, size, digest):
            return
        source = self._programs.slot + "/" + name
        if await self._is(source, size, digest):
            await self._copy(source, size, digest)
        else:
            path = "/v1/releases/files/" + binascii.hexlify(digest).decode()
            await self._download(path, size, digest)
        self._programs.rename(self._part, target)
        self.moved = True

    async def _copy(self, source: str, size: int, digest: bytes) -> None:
        self._part = self._part_of(digest)
        self._programs.write(self._part, b"")
        for start in range(0, size, limits.UPDATE_PIECE_BYTES):
            self._append(self._programs.read_at(source, start, limits.UPDATE_PIECE_BYTES))
            await self._board.sleep(0)

    async def _download(self, path: str, size: int, digest: bytes) -> None:
        """Into its part, which is whole then, and what was signed."""
        programs = self._programs
        self._part = part = self._part_of(digest)
        have = programs.size(part)
        if have is None or have > size:
            have = 0
            programs.write(part, b"")
        if have < size:
            await self._transfer.get(path, have, size, self._append)
        if not await self._is(part, size, digest):
            if (programs.size(part) or 0) < size:
                raise FetchError("cut")
            programs.remove(part)
            raise FetchError("other_content")

    def _append(self, data: bytes) -> None:
        self._programs.append(self._part, data)
        # A byte at a time would be a block of flash for each.
        self.moved = self.moved or len(data) == limits.UPDATE_PIECE_BYTES

    def _part_of(self, digest: bytes) -> str:
        return self._slot + "/" + binascii.hexlify(digest[:8]).decode() + _PART

    async def _is(self, name: str, size: int, digest: bytes) -> bool:
        programs = self._programs
        if programs.size(name) != size:
            return False
        hashed = sha256()
        for start in range(0, size, _SLICE_BYTES):
            hashed.update(programs.read_at(name, start, _SLICE_BYTES))
            await self._board.sleep(0)
        return hashed.digest() == digest

    async def _finish(self, manifest: "Manifest") -> None:
        counter, version, architecture, files = manifest
        programs = self._programs
        for name, size, digest in files:
            if not await self._is(self._slot + "/" + name, size, digest):
                raise OSError("flash does not keep " + name)
        self.forget()
        text = release_text(counter, version, architecture, files)
        name = self._slot + "/" + slots.RELEASE
        programs.write(name, text)
        if programs.read(name) != text:
            raise OSError("flash does not keep " + name)
        slots.offer_trial(programs, counter, self._updates.tries())


def release_text(counter: int, version: str, architecture: str, files: "list[Row]") -> bytes:
    """The list of a slot, as firmware/launch.py reads it."""
    lines = ["cairn 1 %d %s %s\n" % (counter, architecture, version)]
    for name, size, digest in files:
        lines.append("%s %d %s\n" % (binascii.hexlify(digest).decode(), size, name))
    text = "".join(lines).encode()
    return text + b"= " + binascii.hexlify(sha256(text).digest()) + b"\n"
