"""What every route works with: the gateway's parts, and reads that never block the event loop.

Reads of the store run in a few threads of their own; who comes when all are taken waits, and when
too many wait, is told to come again.
"""

import asyncio
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from gateway.core.coverage.model import Coverage
from gateway.core.coverage.table import decode_coverage
from gateway.core.epoch_inputs import StationRow
from gateway.core.genesis import DAY_MS
from gateway.core.quantities import Quantity, parse_quantities
from gateway.core.station_table import decode_stations
from gateway.shell.api.board_images import BoardImages
from gateway.shell.api.bundles import Bundles
from gateway.shell.api.deps import ApiDeps
from gateway.shell.api.index import FILE, MessageIndex
from gateway.shell.api.official_images import OfficialImages
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.api.release import Releases
from gateway.shell.epochs import due_ms
from gateway.shell.errors import OperatorFault
from gateway.shell.log import trouble
from gateway.shell.network import read_pinned
from gateway.shell.onboarding import Onboarding
from gateway.shell.releases import Shelf
from gateway.shell.service import Gateway
from gateway.shell.store.base import Store, StoredEpoch

READERS = 4
WAITING_MAX = 128
_BEARER = "bearer"
_TABLES_KEPT = 2
T = TypeVar("T")


class Api:
    """One API over one gateway."""

    def __init__(self, deps: ApiDeps) -> None:
        self.deps = deps
        self.index = MessageIndex(deps.network.folder / FILE, deps.network.network_id)
        self.releases = Releases(deps.network)
        self.shelf = Shelf(deps.network.folder)
        self.bundles = Bundles(deps.network)
        self.board_images = BoardImages()
        self.official_images = OfficialImages(deps.flash_images_dir)
        self.exporting = asyncio.Lock()
        self.streams = 0
        self._quantities: dict[int, Quantity] = {}
        self._tables: dict[bytes, tuple[StationRow, ...]] = {}
        self._coverage: dict[bytes, Coverage] = {}
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="api")
        self._busy = 0
        self._following: asyncio.Task[None] | None = None

    # ---- reading

    async def read(self, fn: Callable[[Store], T]) -> T:
        """Run fn with a store of its own, in a thread."""

        def opened() -> T:
            store = self.deps.open_store()
            try:
                return fn(store)
            finally:
                store.close()

        return await self.in_thread(opened)

    async def read_indexed(self, fn: Callable[[Store], T]) -> T:
        """The same, with the index and the operator log's rules up to what the store holds."""

        def followed(store: Store) -> T:
            self.releases.follow(store)
            if not self.index.follow(store):
                raise Problem(
                    ApiCode.BUSY,
                    f"The index is being made: {self.index.position} messages are in it.",
                    headers={"Retry-After": "1"},
                )
            return fn(store)

        return await self.read(followed)

    async def in_thread(self, fn: Callable[[], T]) -> T:
        if self._busy >= READERS + WAITING_MAX:
            raise Problem(ApiCode.BUSY, "All readers are taken.", headers={"Retry-After": "1"})
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, fn)
        finally:
            self._busy -= 1

    def begin(self) -> None:
        """Start to bring the index up to the log, step by step; requests help it along."""
        self._following = asyncio.create_task(self._follow(), name="api index")

    async def _follow(self) -> None:
        try:
            while not await self.read(self.index.follow):
                pass
        except (OperatorFault, Problem) as fault:
            # Whoever asks for something that needs the index sees the same fault.
            trouble("api index", fault=str(fault))

    def quantities(self) -> dict[int, Quantity]:
        """What can be measured, from the network's own file. Called in a reading thread."""
        if not self._quantities:
            text = read_pinned(self.deps.network.folder, "quantities.toml")
            self._quantities = dict(parse_quantities(text))
        return self._quantities

    def station_rows(self, stored: StoredEpoch) -> tuple[StationRow, ...]:
        """The station table of a closed epoch; the last few are kept, for they may be large."""
        rows = self._tables.get(stored.manifest_hash)
        if rows is None:
            rows = decode_stations(stored.outcome)
            kept = list(self._tables.items())[-(_TABLES_KEPT - 1) :]
            self._tables = {**dict(kept), stored.manifest_hash: rows}
        return rows

    def coverage(self, stored: StoredEpoch) -> Coverage | None:
        """The coverage table of a closed epoch, None if it has none; the last few are kept."""
        if not stored.coverage:
            return None
        found = self._coverage.get(stored.manifest_hash)
        if found is None:
            found = decode_coverage(stored.coverage)
            kept = list(self._coverage.items())[-(_TABLES_KEPT - 1) :]
            self._coverage = {**dict(kept), stored.manifest_hash: found}
        return found

    def onboarding(self, store: Store) -> Onboarding:
        """What boards must know today. Called in a reading thread."""
        self.releases.follow(store)
        return self.deps.onboarding(self.releases.rules(self.now_ms(store) // DAY_MS))

    # ---- the gateway

    async def call(self, fn: Callable[[Gateway, int], T]) -> T:
        """Run fn(gateway, protocol time) on the worker's thread, the time taken there."""

        def timed(gateway: Gateway) -> T:
            now_ms = self.deps.clock.now_ms()
            if now_ms is None:
                raise Problem(ApiCode.CLOCK_UNSET, "No tick has come yet.")
            return fn(gateway, now_ms)

        return await self.deps.worker.call(timed)

    def now_ms(self, store: Store) -> int:
        """Protocol time; after a restart without a tick, as far as it must have come before: to
        the newest arrival, and to the newest close.
        """
        now_ms = self.deps.clock.now_ms()
        if now_ms is not None:
            return now_ms
        closed = store.epoch_numbers()[-1:]
        closes_ms = [due_ms(epoch, self.releases.rules(epoch)) for epoch in closed]
        return max([self.index.newest_recv_ms, *closes_ms])

    # ---- the operator

    def check_key(self, authorization: str | None) -> None:
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != _BEARER or not given:
            raise Problem(
                ApiCode.KEY_MISSING,
                "There is no bearer key in Authorization.",
                headers={"WWW-Authenticate": 'Bearer realm="cairn operator"'},
            )
        # In constant time: how long it takes must not tell how much of a guess was right.
        if not hmac.compare_digest(given.strip().encode(), self.deps.api_key.encode()):
            raise Problem(ApiCode.KEY_WRONG, "The bearer key is another one.")

    async def end(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        self.index.close()


def _api(request: Request) -> Api:
    api = request.app.state.api
    assert isinstance(api, Api)
    return api


WithApi = Annotated[Api, Depends(_api)]
