"""What is published for boards: `releases/` in the data directory.

`published.json` alone says what counts. It is replaced in one step, after everything that it
names is there: a release is published whole or not at all, and withdrawn in the same way. The
gateway reads it; `cairn release publish` and `withdraw` write it, with or without a gateway.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.core.releases import INDEX, Refusal, parse_bundle, parse_manifest
from gateway.shell import log
from gateway.shell.bundle_file import write_whole
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network
from gateway.shell.release_folder import (
    FILES,
    Release,
    check_signatures,
    check_version,
    trust_of,
    write_release,
)
from gateway.shell.release_keys import TRUST, read_trust

FOLDER = "releases"
PUBLISHED = "published.json"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Published:
    """One release. withdrawn_ms: None while it counts. index_sha256: hex."""

    counter: int
    version: str
    architectures: tuple[str, ...]
    index_sha256: str
    trust_serial: int
    published_ms: int
    withdrawn_ms: int | None = None


def published(data_dir: Path) -> tuple[Published, ...]:
    """Every release that was ever published, by its counter."""
    path = data_dir / FOLDER / PUBLISHED
    try:
        rows = json.loads(path.read_text("utf-8"))
        return tuple(_published(row) for row in rows)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorFault(
            f"The file {path} is damaged.",
            f"{error}.",
            "Restore it from your copy: it says which releases boards are told of.",
            Code.RELEASE_DAMAGED,
        ) from error


def _published(row: Any) -> Published:
    return Published(**{**row, "architectures": tuple(row["architectures"])})


def announced(data_dir: Path) -> Published | None:
    """The release that boards should run: the newest that is not withdrawn."""
    live = [one for one in published(data_dir) if one.withdrawn_ms is None]
    return live[-1] if live else None


def announcement(data_dir: Path) -> tuple[bytes, int] | None:
    """What boards are told: the hash of its index and its counter; zeros if none counts any more,
    None if none ever did, or the list is damaged: readings are taken all the same.
    """
    try:
        newest = announced(data_dir)
        if newest is None and not published(data_dir):
            return None
    except OperatorFault as fault:
        log.trouble("releases_unreadable", why=fault.why)
        return None
    if newest is None:
        return bytes(32), 0
    return bytes.fromhex(newest.index_sha256), newest.counter


def publish(data_dir: Path, release: Release, network: Network, now_ms: int) -> Published:
    """Check a release and let boards have it. OperatorFault, and nothing changed, if it may not
    be. The same release again changes nothing.
    """
    trust = trust_of(release, network)
    check_signatures(release, trust, network.network_id)
    check_version(release.version, release.counter)
    with _locked(data_dir):
        before = published(data_dir)
        made = Published(
            counter=release.counter,
            version=release.version,
            architectures=tuple(sorted(release.programs)),
            index_sha256=_hash(release),
            trust_serial=trust.serial,
            published_ms=now_ms,
        )
        newest = before[-1] if before else None
        if newest is not None and _same(newest, made):
            return newest
        _check_forward(made, newest, _trust_serial(data_dir, network))
        write_release(data_dir / FOLDER / str(release.counter), release)
        _write(data_dir, (*before, made))
    return made


def _same(one: Published, other: Published) -> bool:
    return (one.counter, one.index_sha256, one.withdrawn_ms) == (
        other.counter,
        other.index_sha256,
        None,
    )


def _check_forward(made: Published, newest: Published | None, trust_serial: int) -> None:
    if newest is not None and made.counter <= newest.counter:
        raise OperatorFault(
            f"The counter {made.counter} is not above {newest.counter}, that of the newest "
            "release here.",
            "Boards go forward only: they would not take it.",
            f"Build it with --counter {newest.counter + 1}, also if it is older code.",
            Code.RELEASE_REFUSED,
        )
    serial = max(trust_serial, newest.trust_serial if newest is not None else 0)
    if made.trust_serial < serial:
        raise OperatorFault(
            f"The release has trust document {made.trust_serial}, and {serial} is known here.",
            "Boards that have seen the newer one refuse the older: its keys may be revoked.",
            "Build it again with the newest trust document.",
            Code.RELEASE_REFUSED,
        )


def _trust_serial(data_dir: Path, network: Network) -> int:
    """Of the document that lies in the data directory, if one does."""
    path = data_dir / TRUST
    return read_trust(path, network)[1].serial if path.exists() else 0


def withdraw(data_dir: Path, counter: int, now_ms: int) -> Published:
    """Let boards have it no more. It stays known, so that no other gets its counter."""
    with _locked(data_dir):
        before = published(data_dir)
        found = next((one for one in before if one.counter == counter), None)
        if found is None:
            raise OperatorFault(
                f"No release {counter} is published here.",
                "There is nothing to withdraw.",
                "`cairn release status` lists those that are.",
                Code.RELEASE_MISSING,
            )
        if found.withdrawn_ms is not None:
            return found
        gone = replace(found, withdrawn_ms=now_ms)
        _write(data_dir, tuple(gone if one is found else one for one in before))
    return gone


class Shelf:
    """What a gateway serves of it. Read again when something was published or withdrawn."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._read: tuple[object, tuple[Published, ...], frozenset[str]] | None = None

    def releases(self) -> tuple[Published, ...]:
        """All that was ever published."""
        return self._followed()[0]

    def document(self, counter: int, name: str) -> bytes | None:
        """The index, or a bundle by its architecture; None unless boards may have it."""
        one = next((one for one in self.releases() if one.counter == counter), None)
        if one is None or one.withdrawn_ms is not None:
            return None
        if name != INDEX and name not in one.architectures:
            return None
        return _bytes(self._data_dir / FOLDER / str(counter) / name)

    def file(self, digest: str) -> bytes | None:
        """A file of a release that is not withdrawn, by its SHA-256 in hex."""
        _, digests = self._followed()
        if digest not in digests:
            return None
        for one in reversed(self.releases()):
            folder = self._data_dir / FOLDER / str(one.counter) / FILES
            if one.withdrawn_ms is None and (folder / digest).is_file():
                return _bytes(folder / digest)
        return None

    def _followed(self) -> tuple[tuple[Published, ...], frozenset[str]]:
        stamp = _stamp(self._data_dir / FOLDER / PUBLISHED)
        if self._read is None or self._read[0] != stamp:
            releases = published(self._data_dir)
            self._read = (stamp, releases, frozenset(self._digests(releases)))
        return self._read[1:]

    def _digests(self, releases: tuple[Published, ...]) -> Iterator[str]:
        for one in releases:
            if one.withdrawn_ms is not None:
                continue
            for architecture in one.architectures:
                path = self._data_dir / FOLDER / str(one.counter) / architecture
                bundle = parse_bundle(_bytes(path) or b"")
                if isinstance(bundle, Refusal):
                    continue
                manifest = parse_manifest(bundle.manifest)
                if not isinstance(manifest, Refusal):
                    yield from (file.sha256.hex() for file in manifest.files)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    # It is only ever replaced, so that another one is another inode or another time.
    return found.st_ino, found.st_mtime_ns, found.st_size


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _hash(release: Release) -> str:
    return sha256(release.index()).hexdigest()


def _write(data_dir: Path, releases: tuple[Published, ...]) -> None:
    text = json.dumps([asdict(one) for one in releases], indent=1) + "\n"
    write_whole(data_dir / FOLDER / PUBLISHED, text.encode())


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One at a time may publish; who comes second waits for a moment."""
    folder = data_dir / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OperatorFault(
            f"The folder {folder} cannot be written.",
            f"{error.strerror}.",
            "Run as the user who owns the data directory, and see that it exists.",
            Code.FILE_UNWRITABLE,
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
