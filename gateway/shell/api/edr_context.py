"""Products for the routes: a file that follows the log in the background, and reads from it."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeVar

from fastapi import Depends, Request

from gateway.shell.api.context import Api
from gateway.shell.api.problems import ApiCode, Problem
from gateway.shell.errors import OperatorFault
from gateway.shell.log import trouble
from gateway.shell.products import asking
from gateway.shell.products.projection import Products
from gateway.shell.store.base import Store

# Products change every ten minutes; whoever asks in between helps along.
_POLL_S = 10.0
_SETTLE_S = 0.5
T = TypeVar("T")


class Asked(NamedTuple):
    """What a question is answered from: one moment of everything.

    released_to_ms: products that begin and end before this are complete, but for what comes late.
    """

    store: Store
    database: sqlite3.Connection
    now_ms: int
    released_to_ms: int


class ProductsFeed:
    """The products of one API."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.products = Products(api.deps.network)
        self._settled_ms = 0
        self._following: asyncio.Task[None] | None = None

    async def read(self, fn: Callable[[Asked], T]) -> T:
        """Run fn in a reading thread, on products that are made up to now."""
        settled_ms = await self._settle()

        def asked(store: Store) -> T:
            if not self.products.follow(store, self.api.releases, settled_ms):
                raise Problem(
                    ApiCode.BUSY, "The products are being made.", headers={"Retry-After": "1"}
                )
            with self.products.reading() as database:
                released_to_ms = self.api.releases.released_to(asking.reached_ms(database))
                now_ms = self.api.now_ms(store)
                return fn(Asked(store, database, now_ms, released_to_ms))

        return await self.api.read_indexed(asked)

    async def _settle(self) -> int:
        """A time before which nothing can come into the log any more.

        Whatever was taken in by now has its time from now or before, and is written in order: when
        the worker has come to what it is given here, all of it is in the store. A worker that is
        busy for longer, with a close, is not waited for.
        """
        now_ms = self.api.deps.clock.now_ms()
        if now_ms is None:
            return self._settled_ms
        reached = asyncio.ensure_future(self.api.deps.worker.call(lambda _: None))
        done, _ = await asyncio.wait({reached}, timeout=_SETTLE_S)
        if done:
            self._settled_ms = max(self._settled_ms, now_ms)
        return self._settled_ms

    def begin(self) -> None:
        self._following = asyncio.create_task(self._follow(), name="api products")

    async def end(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})

    def close(self) -> None:
        """After the last reader has ended."""
        self.products.close()

    async def _follow(self) -> None:
        while True:
            try:
                complete = await self._catch_up()
            except Problem:
                complete = True
            except (OperatorFault, sqlite3.Error) as fault:
                # Whoever asks for products sees the same fault.
                trouble("api products", fault=str(fault))
                return
            if complete:
                await asyncio.sleep(_POLL_S)

    async def _catch_up(self) -> bool:
        """One step behind the log; whether there is no more."""
        settled_ms = await self._settle()

        def step(store: Store) -> bool:
            self.api.releases.follow(store)
            return self.products.follow(store, self.api.releases, settled_ms)

        return await self.api.read(step)


def _feed(request: Request) -> ProductsFeed:
    feed = request.app.state.products
    assert isinstance(feed, ProductsFeed)
    return feed


WithProducts = Annotated[ProductsFeed, Depends(_feed)]
