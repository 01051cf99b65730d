"""Tells entropy at the start of every slot of the real clock, and what is mixed into it.

What is told, and whether it may still be, is the gateway's to say (`entropy.py`). A driven clock
needs none of this: its ticks do it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Protocol

import httpx

from gateway.core.genesis import SLOT_MS
from gateway.shell import log
from gateway.shell.clock import Clock
from gateway.shell.errors import OperatorFault
from gateway.shell.metrics import Metrics

# Slots begin by a clock that may be set meanwhile: never sleep over more than this.
_NAP_S = 1.0
WAIT_S = 5.0
FETCH_S = 10.0
_ANSWER_BYTES_MAX = 65_536
_RANDOMNESS_BYTES = 32

External = Callable[[], Awaitable[bytes]]


class Teller(Protocol):
    """What the timer asks of ingest."""

    async def tell_entropy(self, external: bytes) -> None: ...


class EntropyTimer:
    """is_up: can anybody be told? A slot that nobody could be told of in time is void."""

    def __init__(
        self, teller: Teller, clock: Clock, is_up: Callable[[], bool], external: External
    ) -> None:
        self._teller = teller
        self._clock = clock
        self._is_up = is_up
        self._external = external
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Until it is cancelled, or ingest has failed: that ends the process anyway."""
        done = None
        while True:
            slot = self._slot()
            if slot is not None and slot != done and self._is_up():
                external = await self._external()
                try:
                    await self._teller.tell_entropy(external if self._slot() == slot else b"")
                except OperatorFault:
                    return
                done = slot
            await self._sleep(self._nap_s())

    def _slot(self) -> int | None:
        now_ms = self._clock.now_ms()
        return None if now_ms is None else now_ms // SLOT_MS

    def _nap_s(self) -> float:
        now_ms = self._clock.now_ms() or 0
        return min((SLOT_MS - now_ms % SLOT_MS) / 1_000, _NAP_S)


async def no_external() -> bytes:
    """Nothing is mixed in."""
    return b""


class Drand:
    """The newest round of a drand network. Called once a slot; never longer than WAIT_S."""

    def __init__(
        self, url: str, metrics: Metrics, *, wait_s: float = WAIT_S, fetch_s: float = FETCH_S
    ) -> None:
        self._url = url
        self._metrics = metrics
        self._wait_s = wait_s
        self._fetch_s = fetch_s
        self._fetching: set[asyncio.Task[bytes]] = set()

    async def __call__(self) -> bytes:
        """32 bytes, or b"" if they cannot be had in time: that slot goes without."""
        task = asyncio.create_task(self._fetch(), name="drand")
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)
        done, _ = await asyncio.wait({task}, timeout=self._wait_s)
        found = task.result() if done else b""
        if not done:
            log.trouble("entropy_external_slow", url=self._url, waited_s=self._wait_s)
        if not found:
            self._metrics.entropy_external_failed()
        return found

    async def _fetch(self) -> bytes:
        try:
            async with (
                asyncio.timeout(self._fetch_s),
                httpx.AsyncClient() as client,
                client.stream("GET", self._url) as answer,
            ):
                answer.raise_for_status()
                return _randomness(await _body(answer))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            log.trouble("entropy_external_failed", url=self._url, why=_why(error))
            return b""

    async def stop(self) -> None:
        for task in list(self._fetching):
            task.cancel()
        await asyncio.gather(*self._fetching, return_exceptions=True)


async def _body(answer: httpx.Response) -> bytes:
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > _ANSWER_BYTES_MAX:
            raise ValueError("the answer is too long")
    return body


def _randomness(body: bytes) -> bytes:
    """The value in drand's answer; ValueError if there is none."""
    try:
        answer = json.loads(body)
    except RecursionError as error:
        raise ValueError("the answer is nested too deeply") from error
    text = answer.get("randomness") if isinstance(answer, dict) else None
    found = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(found) != _RANDOMNESS_BYTES:
        raise ValueError("there is no randomness of 32 bytes in the answer")
    return found


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
