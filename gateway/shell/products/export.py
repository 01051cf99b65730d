"""The products of a closed epoch as files, with their hashes.

As they were when the epoch closed, so that a file never changes; revisions made later are in the
API, and in an export of the newest.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gateway.core.genesis import DAY_MS
from gateway.shell.api.release import Releases
from gateway.shell.bundle_file import write_whole
from gateway.shell.epochs import due_ms
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network
from gateway.shell.products import asking
from gateway.shell.products.parquet import write_parquet
from gateway.shell.products.periods import PERIODS
from gateway.shell.products.projection import Products
from gateway.shell.products.table import COLUMNS, Value, feature, row, write_csv
from gateway.shell.store.base import Store, StoredEpoch

FORMAT = "cairn-products-1"
INDEX = "index.json"
SUMS = "SHA256SUMS"
OUTLINES = "cells.geojson"


class Written(NamedTuple):
    """One file of an export; sha256 in hex; rows: products in it, or cells."""

    name: str
    rows: int
    size: int
    sha256: str


class Choice(NamedTuple):
    """newest: every revision up to now counts, not only those that the close saw."""

    parquet: bool
    newest: bool


def export_products(
    store: Store, network: Network, stored: StoredEpoch, folder: Path, choice: Choice
) -> list[Written]:
    """Write the products of a closed epoch into a folder; the list of hashes last."""
    releases, products = Releases(network), Products(network)
    try:
        releases.follow(store)
        close_ms = due_ms(stored.epoch, releases.rules(stored.epoch))
        while not products.follow(store, releases):
            pass
        as_of_ms = asking.REVISION_MAX * 1_000_000 if choice.newest else close_ms
        written = _write_all(products, stored.epoch, as_of_ms, folder, parquet=choice.parquet)
    finally:
        products.close()
    index = {
        "format": FORMAT,
        "network_id": network.network_id.hex(),
        "epoch": stored.epoch,
        "manifest_hash": stored.manifest_hash.hex(),
        "as_of_ms": None if choice.newest else close_ms,
        "files": [one._asdict() for one in written],
    }
    write_whole(folder / INDEX, (json.dumps(index, indent=1) + "\n").encode())
    sums = "".join(f"{one.sha256}  {one.name}\n" for one in written)
    write_whole(folder / SUMS, sums.encode())
    return written


def _write_all(
    products: Products, epoch: int, as_of_ms: int, folder: Path, *, parquet: bool
) -> list[Written]:
    span_ms = (epoch * DAY_MS, (epoch + 1) * DAY_MS)
    written, seen = [], set()
    with products.reading() as database:
        for period in PERIODS:

            def rows(period: Any = period) -> Iterator[dict[str, Value]]:
                for product in asking.of_day(database, period, span_ms, as_of_ms):
                    seen.add(product.cell)
                    yield row(product, products.quantities)

            name = f"cells-{period.name}"
            written.append(_write(folder / f"{name}.csv", rows, _as_csv))
            if parquet:
                written.append(_write(folder / f"{name}.parquet", rows, write_parquet))
    outlines = [feature(cell, {"cell": f"{cell:x}"}) for cell in sorted(seen)]
    document = {"type": "FeatureCollection", "features": outlines}
    data = (json.dumps(document) + "\n").encode()
    write_whole(folder / OUTLINES, data)
    written.append(Written(OUTLINES, len(outlines), len(data), hashlib.sha256(data).hexdigest()))
    return written


def _as_csv(path: Path, rows: Iterator[dict[str, Value]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        write_csv(handle, COLUMNS, rows)


def _write(
    path: Path,
    rows: Callable[[], Iterator[dict[str, Value]]],
    write: Callable[[Path, Iterator[dict[str, Value]]], None],
) -> Written:
    """Write a file row by row so that it is either there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    counted = _Counted(rows())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part, counted)
        with part.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        size = part.stat().st_size
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OperatorFault(
            f"The file {path} cannot be written.",
            f"{error.strerror or error}.",
            "Check that the folder exists, has room, and that this user may write to it.",
            Code.FILE_UNWRITABLE,
        ) from error
    return Written(path.name, counted.count, size, digest)


class _Counted(Iterator[dict[str, Value]]):
    """Rows as they come, counted."""

    def __init__(self, rows: Iterator[dict[str, Value]]) -> None:
        self._rows = rows
        self.count = 0

    def __next__(self) -> dict[str, Value]:
        following = next(self._rows)
        self.count += 1
        return following
