"""The HTTP server around the API: uvicorn, inside the gateway's event loop.

It takes no signals (the runtime does), gives up clients that stop reading, and ends in bounded
time however many streams are open.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.shell.errors import Code, OperatorFault
from gateway.shell.live import LiveFeed

CONNECTIONS_MAX = 1_024
WRITE_STALL_S = 30.0
_GRACE_S = 5
_KEEP_ALIVE_S = 15
_POLL_S = 0.02


class _Protocol(H11Protocol):
    """Aborts a connection whose client has read nothing for a while: else it is held for ever."""

    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(WRITE_STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._forget()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the runtime."""
        yield


class ApiServer:
    """`start`, then `stop`. port: the real one once started."""

    def __init__(self, app: FastAPI, live: LiveFeed, host: str, port: int) -> None:
        self._live = live
        self._host = host
        self._wanted_port = port
        self.port = 0
        self._task: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. OperatorFault if the address cannot be had."""
        listener = self._bind()
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve([listener]), name="http")
        while not self._server.started:
            done, _ = await asyncio.wait({self._task}, timeout=_POLL_S)
            if done:
                self._task.result()
                raise AssertionError("the HTTP server ended without a word")

    async def stop(self) -> None:
        """End the streams, let answers out for a few seconds, then close everything."""
        self._live.close()
        self._server.should_exit = True
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for connection in list(self._server.server_state.connections):
            transport: Any = connection.transport
            transport.abort()

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # With its protocol named, asyncio turns Nagle off: else answers wait 40 ms for an ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._wanted_port))
        except OSError as error:
            listener.close()
            raise OperatorFault(
                f"The HTTP API cannot listen on {self._host}:{self._wanted_port}.",
                f"{error.strerror}.",
                "Choose another http_port or http_host (0: any free port), or stop what uses it.",
                Code.LISTEN_FAILED,
            ) from error
        return listener
