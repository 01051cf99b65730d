"""Bundles as files to hand out: made once, kept under bundles/, and given when all is released.

A bundle of day E ends with the messages of day E + 1 that came before the close. The last of them
hold readings that are not released yet, and reports of radio contacts that stay here until day
E + 1 is over and an hour more. The bundle waits until all may be seen.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gateway.core.bundle import read_bundle
from gateway.core.bundle_sections import MANIFEST
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.api.release import Releases
from gateway.shell.api.withheld import range_visible_ms
from gateway.shell.bundle_export import default_path, export_bundle
from gateway.shell.bundle_file import decompress, read_bundle_file
from gateway.shell.errors import OperatorFault
from gateway.shell.network import Network
from gateway.shell.store.base import Store, StoredEpoch

# Arrivals are in the order of the log, but a machine's clock may have been set back in between.
_NEWEST_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class BundleFile:
    """digest: SHA-256 of the file. stamp: size and time, by which a changed file is noticed."""

    path: Path
    digest: str
    stamp: tuple[int, int]


class Bundles:
    """The bundle files of one network. `get` is called by one thread at a time."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._known: dict[int, BundleFile] = {}
        self._released_ms: dict[int, int] = {}

    def get(
        self, store: Store, stored: StoredEpoch, releases: Releases, now_ms: int
    ) -> BundleFile:
        """The file of a closed epoch, made if there is none that fits. Problem if not released."""
        if stored.epoch not in self._released_ms:
            self._released_ms[stored.epoch] = _released_ms(store, stored, releases)
        wait_ms = self._released_ms[stored.epoch] - now_ms
        if wait_ms > 0:
            raise Problem(
                ApiCode.BUNDLE_UNRELEASED,
                f"Epoch {stored.epoch} is closed, its bundle follows {wait_ms} ms from now.",
                headers={"Retry-After": str(-(-wait_ms // 1000))},
            )
        path = default_path(self._network, stored.epoch)
        known = self._known.get(stored.epoch)
        if known is not None and known.stamp == _stamp(path):
            return known
        digest = _digest_if_fits(path, stored)
        if digest is None:
            _, made = export_bundle(store, self._network, stored, path)
            digest = made.hex()
        found = BundleFile(path, digest, _stamp(path))
        self._known[stored.epoch] = found
        return found


def _released_ms(store: Store, stored: StoredEpoch, releases: Releases) -> int:
    """When all that can be in the bundle may be seen."""
    first = max(stored.admission_first, stored.admission_last - _NEWEST_ENTRIES)
    newest_ms = max(
        (entry.recv_ms for entry in store.entries(first, stored.admission_last)), default=None
    )
    if newest_ms is None:
        return 0
    slots = releases.rules(stored.epoch).slot_clock
    # Further ahead no time counts: such a message has no reading.
    readings_ms = releases.release_ms(newest_ms + slots.future_slots_max * slots.slot_ms)
    reports_ms = range_visible_ms(
        store, stored.admission_first, stored.admission_last, stored.epoch, releases
    )
    return max(readings_ms, reports_ms)


def _digest_if_fits(path: Path, stored: StoredEpoch) -> str | None:
    """SHA-256 of a file that is whole and of this very epoch, else None."""
    try:
        data = read_bundle_file(path)
    except OperatorFault:
        return None
    sections = read_bundle(data, decompress)
    if not isinstance(sections, dict) or sections.get(MANIFEST) != stored.manifest:
        return None
    return hashlib.sha256(data).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (-1, 0)
    return (found.st_size, found.st_mtime_ns)
