"""One thread that owns a gateway: whatever blocks (SQLite, signatures) happens there.

The event loop hands functions over and awaits what they return. They run one at a time and in
order, so a function has the gateway to itself. What they do is their caller's business.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.shell.service import Gateway

T = TypeVar("T")


class Worker:
    """`start`, any number of `call`, `stop`; all on one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gateway")
        self._gateway: Gateway | None = None

    async def start(self, opener: Callable[[], Gateway]) -> None:
        """Open the gateway in its thread; what the opener raises comes out here."""
        self._gateway = await asyncio.get_running_loop().run_in_executor(self._thread, opener)

    async def call(self, fn: Callable[[Gateway], T]) -> T:
        """Run fn(gateway) behind everything that was handed over before."""
        assert self._gateway is not None, "the worker is not running"
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, fn, self._gateway)

    async def stop(self) -> None:
        """Close the gateway when all is done that was handed over; further calls are bugs."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, gateway.close)
        self._thread.shutdown(wait=False)
