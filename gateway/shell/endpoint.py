"""The gateway's own MQTT endpoint for devices: sockets, logins, fan-out (decision 0007).

Owns the listening socket, the links of its clients and their sessions. The protocol is in
`gateway/core/mqtt`; what a message is worth, and who may log in, the ingest pipeline says. It is
no general broker: nothing that a client publishes reaches another client.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gateway.core.downlink import Downlink
from gateway.core.login import LoginRefusal, LoginRequest, LoginResult, refused
from gateway.core.mqtt.connection import Connection, Limits, Submit, Ticket
from gateway.core.mqtt.packets import Connect, ReturnCode
from gateway.core.mqtt.session import Message, Sessions
from gateway.core.mqtt.topics import Topics
from gateway.core.verdicts import Verdict
from gateway.shell.endpoint_link import Link
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.source import SourceState, Submission

# One read of one connection; what is not parsed at once is held, so this bounds memory too.
READ_BYTES = 1 << 14
# Connections that come at once, as after a power cut of a town, wait in the kernel.
_BACKLOG = 1024
_TLS_SHUTDOWN_S = 2.0
# CONNACK code of a login that the pipeline refuses; any other reason is "not authorized".
_RETURN_CODES: dict[str, ReturnCode] = {
    LoginRefusal.BAD_NAME: ReturnCode.IDENTIFIER,
    LoginRefusal.BAD_TOKEN: ReturnCode.CREDENTIALS,
    LoginRefusal.ADDRESS_LIMIT: ReturnCode.UNAVAILABLE,
    LoginRefusal.UNAVAILABLE: ReturnCode.UNAVAILABLE,
}


class Pipeline(Protocol):
    """What the endpoint asks of ingest."""

    def submit(self, submission: Submission) -> None: ...

    async def login(self, request: LoginRequest) -> LoginResult: ...

    async def control_tick(self, data: bytes) -> bool: ...

    def on_pressure(self, listener: Callable[[bool], None]) -> None: ...


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """port 0: a free one. sessions_max: of clients that are away and asked to be remembered."""

    host: str = "127.0.0.1"
    port: int = 1883
    tls: ssl.SSLContext | None = None
    connections_max: int = 10_000
    sessions_max: int = 10_000
    packet_bytes_max: int = 8192
    connect_timeout_ms: int = 10_000
    slow_reader_ms: int = 60_000
    # How often time-outs are looked at, and how long a stop lets sockets flush.
    sweep_ms: int = 500
    stop_ms: int = 2_000


class Endpoint:
    """A Source of submissions that listens. Everything runs on the event loop's thread."""

    def __init__(
        self,
        ingest: Pipeline,
        network_id: bytes,
        net_tag: Callable[[str], bytes],
        options: EndpointOptions,
    ) -> None:
        self.port = options.port
        # Why connections ended, by word.
        self.ends: Counter[str] = Counter()
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self._ingest = ingest
        self._net_tag = net_tag
        self._options = options
        self._limits = Limits(
            options.packet_bytes_max, options.connect_timeout_ms, options.slow_reader_ms
        )
        self._topics = Topics(network_id)
        self._sessions = Sessions(options.sessions_max)
        self._open: set[Link] = set()
        # Connected and not logged in, oldest first; and logged in, by device id.
        self._waiting: dict[Link, None] = {}
        self._links: dict[bytes, Link] = {}
        self._dirty: dict[Link, None] = {}
        self._halted: dict[Link, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pressed = False
        self._stopping = False
        self._flush_due = False
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()
        ingest.on_pressure(self._press)

    # ---- Source

    async def start(self) -> None:
        """Listen. OperatorFault if the address cannot be had."""
        options, secured = self._options, self._options.tls is not None
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        try:
            self._server = await self._loop.create_server(
                self._make_link,
                options.host,
                options.port,
                ssl=options.tls,
                backlog=_BACKLOG,
                reuse_address=True,
                ssl_handshake_timeout=options.connect_timeout_ms / 1000 if secured else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S if secured else None,
            )
        except OSError as error:
            raise OperatorFault(
                f"The MQTT endpoint cannot listen on {options.host}:{options.port}.",
                f"{error.strerror or error}.",
                "Stop what uses the port, or set mqtt_host and mqtt_port to a free address.",
                Code.LISTEN_FAILED,
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweep()

    def send(self, downlink: Downlink) -> None:
        """To all at QoS 0, now; to one device at QoS 1, with whatever else goes to it."""
        message = self._message(downlink)
        if not downlink.device:
            self._sessions.hold(message)
            for link in self._links.values():
                data = link.connection.fan_out(message)
                if data is not None:
                    link.write(data)
            return
        session = self._sessions.get(downlink.device)
        if session is None:
            return
        session.hold(message)
        link_of = self._links.get(downlink.device)
        if session.offer(message) and link_of is not None:
            self._mark(link_of)

    def state(self) -> SourceState:
        host = self._options.host
        return SourceState(
            name="endpoint",
            address=f"mqtt{'s' if self._options.tls else ''}://"
            f"{f'[{host}]' if ':' in host else host}:{self.port}",
            up=self._server is not None and self._server.is_serving() and not self._stopping,
            connections=len(self._links),
            detail=f"{len(self._waiting)} not logged in" if self._waiting else "",
        )

    async def stop_reading(self) -> None:
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for link in self._open:
            link.advance()

    async def stop(self) -> None:
        """Acknowledge what has its verdict, close every socket, and free the port."""
        await self.stop_reading()
        self._flush()
        for link in list(self._open):
            link.end("stopped")
        for task in self._tasks:
            task.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._open:
            self._all_gone.clear()
            await self._wait_gone(self._options.stop_ms / 1000)
        for link in list(self._open):
            link.abort()
        if self._open:
            # An aborted transport reports it on the loop's next round.
            await self._wait_gone(1)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    # ---- what links ask for

    def takes_in(self, link: Link) -> bool:
        # Pressure is about messages. A login must get through, and so must the operator: with a
        # driven clock only its tick ends the pressure.
        return not self._stopping and (
            not self._pressed or link.connection.operator or not link.connection.live
        )

    def now_ms(self) -> int:
        return int(self._loop.time() * 1000)

    def connected(self, link: Link) -> None:
        self._open.add(link)
        self._waiting[link] = None
        if self._stopping:
            link.end("stopped")
        elif len(self._open) > self._options.connections_max:
            # Whoever has not logged in gives way, so that idle sockets keep no board out.
            next(iter(self._waiting)).end("full")

    def authenticate(self, link: Link, connect: Connect, device: bytes) -> None:
        self._run(self._login(link, connect, device), link)

    def submit(self, link: Link, submit: Submit) -> None:
        done = partial(self._done, link, submit.ticket)
        self._ingest.submit(
            Submission(
                submit.device, link.device, submit.data, link.net_tag, done, submit.oversize
            )
        )

    def control_tick(self, link: Link, data: bytes, ticket: Ticket) -> None:
        self._run(self._control_tick(link, data, ticket), link)

    def halted(self, link: Link) -> None:
        self._halted[link] = None

    def ended(self, link: Link, reason: str) -> None:
        self.ends[reason] += 1
        self._waiting.pop(link, None)
        self._halted.pop(link, None)
        self._dirty.pop(link, None)
        if self._links.get(link.device) is link:
            del self._links[link.device]
            session = self._sessions.get(link.device)
            if session is not None:
                self._sessions.leave(session)

    def disconnected(self, link: Link) -> None:
        self._open.discard(link)
        if not self._open:
            self._all_gone.set()

    # ---- logins

    async def _login(self, link: Link, connect: Connect, device: bytes) -> None:
        since = self._sessions.serial
        request = LoginRequest(
            connect.client_id, connect.user_name or "", connect.password or b"", link.address
        )
        try:
            result = await self._ingest.login(request)
        except OperatorFault:
            # Ingest has the fault and will stop for it; to the client we are out of order.
            result = refused(LoginRefusal.UNAVAILABLE)
        if link.connection.closed:
            return
        if result.granted:
            self._grant(link, connect, device, result, since)
        else:
            code = _RETURN_CODES.get(result.reason, ReturnCode.NOT_AUTHORIZED)
            link.connection.refuse(code, f"login_{result.reason}")
        link.advance()

    def _grant(
        self, link: Link, connect: Connect, device: bytes, result: LoginResult, since: int
    ) -> None:
        """Take the session over, all in one go: nobody sees two clients with one id."""
        before = self._links.get(device)
        if before is not None:
            before.end("taken_over")
        # An id that anybody can make costs us no memory once it is gone.
        session, present = self._sessions.open(device, clean=connect.clean, keep=result.registered)
        session.restore(map(self._message, result.retained), since)
        del self._waiting[link]
        self._links[device] = link
        link.device = device
        link.net_tag = self._net_tag(link.address)
        link.connection.grant(session, operator=result.operator, present=present)

    async def _control_tick(self, link: Link, data: bytes, ticket: Ticket) -> None:
        await self._ingest.control_tick(data)
        self._done(link, ticket, Verdict.OK)

    def _run(self, work: Coroutine[None, None, None], link: Link) -> None:
        """Let a link wait for ingest; if that fails, the link must not wait for ever."""

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is None:
                return
            link.end("failed")
            # Of an OperatorFault ingest itself makes the noise.
            if not isinstance(error, OperatorFault):
                what = {"message": "A login or tick failed", "exception": error}
                self._loop.call_exception_handler(what)

        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(finished)

    # ---- verdicts, pressure, time

    def _message(self, downlink: Downlink) -> Message:
        return self._sessions.message(
            self._topics.of(downlink),
            downlink.data,
            qos=1 if downlink.device else 0,
            retained=downlink.retained,
        )

    def _done(self, link: Link, ticket: Ticket, _verdict: Verdict) -> None:
        ticket.done = True
        if not link.connection.closed:
            self._mark(link)

    def _mark(self, link: Link) -> None:
        """Run the link soon, once for all that happens until then: one write, not one a packet."""
        self._dirty[link] = None
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        dirty, self._dirty = self._dirty, {}
        for link in dirty:
            link.advance()

    def _press(self, pressed: bool) -> None:  # noqa: FBT001
        self._pressed = pressed
        if not pressed:
            halted, self._halted = self._halted, {}
            for link in halted:
                self._mark(link)

    def _sweep(self) -> None:
        now_ms = self.now_ms()
        for link in list(self._open):
            link.expire(now_ms)
        self._sweeper = self._loop.call_later(self._options.sweep_ms / 1000, self._sweep)

    def _make_link(self) -> Link:
        connection = Connection(self._topics, self._sessions, self._limits, self.now_ms())
        return Link(self, connection)

    async def _wait_gone(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._all_gone.wait()
        except TimeoutError:
            pass
