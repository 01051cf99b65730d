"""Real sockets and wall time beside the virtual clock.

A task of the world that waits for a socket or for a wall timer is woken at the present virtual
time, when `Wire.pump` runs; virtual time never moves in there. Whatever times out because a peer
is slow runs on wall time, whatever a station does runs on virtual time: two clocks, never one.
It knows neither MQTT nor boards.
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import cast

from cairn.boards import base

from simulator.world import Event, Task, World

READ_BYTES = 65_536
# A reader that does not keep up is not read for; the peer's own window then fills.
INBOX_BYTES_MAX = 1 << 20
_TIMERS_SWEPT_FROM = 4_096
_ABRUPT = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time: close() sends RST

Address = tuple[int, "tuple[str, int] | tuple[str, int, int, int]"]
Ready = Callable[[int], None]


class Wire:
    """The sockets and wall timers of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._selector = selectors.DefaultSelector()
        # Deadline on the wall clock, order, task, the turn that it waits for.
        self._timers: list[tuple[int, int, Task, int]] = []
        self._order = 0
        self._swept_at = _TIMERS_SWEPT_FROM
        self._addresses: dict[tuple[str, int], Address] = {}
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    def now_ms(self) -> int:
        """Wall time that never goes back; only differences mean something."""
        return time.monotonic_ns() // 1_000_000

    def pump(self, timeout_s: float) -> bool:
        """Run what is due now, wait at most timeout_s for a socket or a wall timer, and run what
        that woke. False if nothing came.
        """
        world = self.world
        world.run(world.now_ms)
        if self._timers:
            due_s = (self._timers[0][0] - self.now_ms()) / 1000
            timeout_s = min(timeout_s, max(due_s, 0.0))
        ready = self._selector.select(timeout_s)
        for key, mask in ready:
            cast(Ready, key.data)(mask)
        came = self._fire() or bool(ready)
        if came:
            world.run(world.now_ms)
        return came

    def close(self) -> None:
        """Close every socket that is still open; idempotent."""
        for key in list((self._selector.get_map() or {}).values()):
            self._selector.unregister(key.fileobj)
            cast(socket.socket, key.fileobj).close()
        self._selector.close()

    def event(self) -> WallEvent:
        return WallEvent(self)

    async def sleep(self, duration_ms: int) -> None:
        await WallEvent(self).wait(max(duration_ms, 0))

    def wake_after(self, task: Task, duration_ms: int) -> None:
        """Resume the task with False after duration_ms of wall time, unless it went on before."""
        self._order += 1
        deadline_ms = self.now_ms() + max(duration_ms, 0)
        heappush(self._timers, (deadline_ms, self._order, task, task.turn))
        if len(self._timers) > self._swept_at:
            # A timer that lost its race stays until its deadline, and a keepalive's is far off.
            self._timers = [timer for timer in self._timers if timer[2].turn == timer[3]]
            heapify(self._timers)
            self._swept_at = max(2 * len(self._timers), _TIMERS_SWEPT_FROM)

    def _fire(self) -> bool:
        fired = False
        timers = self._timers
        now_ms = self.now_ms()
        while timers and timers[0][0] <= now_ms:
            _, _, task, turn = heappop(timers)
            if task.turn == turn:
                self.world.wake(task, self.world.now_ms, value=False)
                fired = True
        return fired

    # ---- for streams

    def watch(self, sock: socket.socket, interest: int, ready: Ready | None) -> None:
        """Call ready(mask) when the socket is ready for what interests; 0 ends that."""
        known = sock in self._selector.get_map()
        if not interest:
            if known:
                self._selector.unregister(sock)
        elif known:
            self._selector.modify(sock, interest, ready)
        else:
            self._selector.register(sock, interest, ready)

    def address(self, host: str, port: int) -> Address:
        """Where to connect; asked of the system once. OSError if there is no such host."""
        found = self._addresses.get((host, port))
        if found is None:
            family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            found = self._addresses[host, port] = (family, cast("tuple[str, int]", where))
        return found

    def context(self, authority: bytes) -> ssl.SSLContext:
        """A client's context that trusts only this certificate (PEM or DER)."""
        context = self._contexts.get(authority)
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            pem = authority.lstrip().startswith(b"-----")
            context.load_verify_locations(cadata=authority.decode() if pem else authority)
            self._contexts[authority] = context
        return context


class WallEvent(Event):
    """An event whose timeouts are counted on the wall."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire.world)
        self._wire = wire

    def enlist(self, task: Task, timeout_ms: int | None) -> None:
        if timeout_ms is not None:
            self._wire.wake_after(task, timeout_ms)
        super().enlist(task, None)


class TcpStream(base.Stream):
    """One connection, plain or TLS. Make it, then await `connect`; `abort` is a power cut."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._socket: socket.socket | None = None
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._ended = False
        self._failure = "the stream is closed"
        self._interest = 0
        # One event for all: a stream has one reader and, now and then, one writer.
        self._changed = Event(wire.world)
        self._shaking = False

    @property
    def open(self) -> bool:
        return self._socket is not None

    async def connect(self, host: str, port: int, authority: bytes | None) -> None:
        """OSError when nobody is there, or the certificate is not of `authority` or the host."""
        family, where = self._wire.address(host, port)
        sock = socket.socket(family, socket.SOCK_STREAM)
        self._socket = sock
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(where)
            if code not in {0, errno.EINPROGRESS}:
                raise OSError(code, "cannot connect")
            self._shaking = True
            await self._until(selectors.EVENT_WRITE)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, "cannot connect")
            if authority is not None:
                await self._shake_hands(self._wire.context(authority), host)
        except OSError:
            self.close()
            raise
        self._shaking = False
        self._want(selectors.EVENT_READ)

    async def read(self, size: int) -> bytes:
        while not self._inbox:
            if self._socket is None:
                raise OSError(self._failure)
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait(None)
        inbox = self._inbox
        chunk = bytes(inbox[:size])
        full = len(inbox) >= INBOX_BYTES_MAX
        del inbox[:size]
        if full and self._socket is not None:
            self._pull()
            self._want(self._interest | selectors.EVENT_READ)
        return chunk

    async def write(self, data: bytes) -> None:
        if self._outbox:
            self._outbox += data
        elif (sent := self._send(data)) < len(data):
            self._outbox += data[sent:]
            self._want(self._interest | selectors.EVENT_WRITE)
        while self._outbox:
            if self._socket is None:
                raise OSError(self._failure)
            self._changed.clear()
            await self._changed.wait(None)

    def close(self) -> None:
        if self._socket is not None:
            self._wire.watch(self._socket, 0, None)
            self._socket.close()
            self._socket = None
            self._inbox.clear()
            self._changed.set()

    def abort(self) -> None:
        """End the connection without a goodbye; what was under way is lost."""
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
            self._failure = "the connection was cut"
            self.close()

    async def _shake_hands(self, context: ssl.SSLContext, host: str) -> None:
        assert self._socket is not None
        plain = self._socket
        self._wire.watch(plain, 0, None)
        self._interest = 0
        secure = context.wrap_socket(plain, do_handshake_on_connect=False, server_hostname=host)
        self._socket = secure
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await self._until(selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                await self._until(selectors.EVENT_WRITE)
            else:
                return

    async def _until(self, interest: int) -> None:
        self._want(interest)
        self._changed.clear()
        await self._changed.wait(None)
        if self._socket is None:
            raise OSError(self._failure)

    def _want(self, interest: int) -> None:
        if interest != self._interest and self._socket is not None:
            self._wire.watch(self._socket, interest, self._ready)
            self._interest = interest

    def _ready(self, mask: int) -> None:
        if self._shaking:
            self._want(0)
            self._changed.set()
            return
        if mask & selectors.EVENT_READ:
            self._pull()
        if mask & selectors.EVENT_WRITE and self._socket is not None:
            self._push()

    def _pull(self) -> None:
        """Take in what has arrived."""
        assert self._socket is not None
        secure = isinstance(self._socket, ssl.SSLSocket)
        try:
            while len(self._inbox) < INBOX_BYTES_MAX:
                data = self._socket.recv(READ_BYTES)
                if not data:
                    self._ended = True
                    break
                self._inbox += data
                # TLS may hold more that no selector sees.
                if not secure:
                    break
            if self._ended or len(self._inbox) >= INBOX_BYTES_MAX:
                self._want(self._interest & ~selectors.EVENT_READ)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._fail(error)
        self._changed.set()

    def _push(self) -> None:
        try:
            del self._outbox[: self._send(bytes(self._outbox))]
        except OSError:
            return  # the stream is closed, and says so to whoever writes or reads next
        if not self._outbox:
            self._want(self._interest & ~selectors.EVENT_WRITE)
            self._changed.set()

    def _send(self, data: bytes) -> int:
        if self._socket is None:
            raise OSError(self._failure)
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            self._fail(error)
            raise

    def _fail(self, error: OSError) -> None:
        self._failure = error.strerror or str(error)
        self.close()


class TooFewFiles(OSError):  # noqa: N818 - says what is missing
    """The system lets this process open fewer sockets than the fleet has stations."""


def allow_sockets(count: int) -> None:
    """Raise the limit on open files so that `count` sockets fit beside everything else."""
    wanted = count + 128
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooFewFiles(f"{count} connections need {wanted} open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
