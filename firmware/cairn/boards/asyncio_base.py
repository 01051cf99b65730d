"""What every board with asyncio shares: time, tasks, events, streams, datagrams and the key.

The asyncio is MicroPython's or CPython's. They differ where a connection is made (MicroPython's
stream.py leaves the socket open when that fails, and gives no way to TCP_NODELAY below TLS), so
`connect` has two branches; tests/device runs the first of them on a real MicroPython.
"""

import asyncio
import binascii
import errno
import gc
import os
import time

from .. import limits  # noqa: TID252 - inside cairn imports are relative
from ..identity import open_identity  # noqa: TID252 - inside cairn imports are relative
from .base import Board, Event, Files, Stream

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from ssl import SSLContext
    from typing import Any

# For names that only one of the two interpreters has.
_ASYNCIO: "Any" = asyncio
_TIME: "Any" = time
ON_CHIP = hasattr(time, "ticks_ms")
_PEM = b"-----BEGIN CERTIFICATE-----"
# Of IPPROTO_TCP and TCP_NODELAY: the same on lwIP and Linux, but not every port names them.
_TCP, _NODELAY = 6, 1
_POLL_MS = 5
_DATAGRAM_BYTES_MAX = 512
# ticks_add() refuses half of the counter's period, 2**29 ms.
_SLEEP_MS_MAX = 1 << 28


class AsyncioEvent(Event):
    """asyncio's Event with a timeout in milliseconds."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    async def wait(self, timeout_ms: "int | None") -> bool:
        if timeout_ms is None:
            await self._event.wait()
            return True
        if self._event.is_set():
            return True
        try:
            await within(self._event.wait(), timeout_ms)
        except asyncio.TimeoutError:
            return self._event.is_set()
        return True


class AsyncioStream(Stream):
    """A TCP or TLS stream of asyncio."""

    def __init__(self, reader: "Any", writer: "Any") -> None:
        self._reader = reader
        self._writer = writer
        self._open = True
        self._reading = False

    async def read(self, size: int) -> bytes:
        if not self._open:
            raise OSError("the stream is closed")
        self._reading = True
        try:
            data: bytes = await self._reader.read(size)
            return data
        except ValueError as error:
            # MicroPython's ssl: a certificate that fails its check.
            raise OSError("TLS: " + str(error))
        finally:
            self._reading = False

    async def write(self, data: bytes) -> None:
        if not self._open:
            raise OSError("the stream is closed")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ValueError as error:
            raise OSError("TLS: " + str(error))

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        if ON_CHIP:
            # Its close() does nothing. A socket that is closed wakes whoever waits for it; TLS
            # whose handshake failed does not close the socket below.
            self._reader.s.close()
            self._reader.get_extra_info("socket").close()
        elif self._reading and hasattr(self._writer, "transport"):
            # CPython would let the reader wait until a dead peer has agreed to the end of TLS.
            self._writer.transport.abort()
        else:
            self._writer.close()


class AsyncioBoard(Board):
    """The rest of a board is its subclass's: restart(), sample(), feed(), info() and the radios.
    unique: the chip's number, for a key that is made now. vault: as Board.vault, if there is one.

    ticks() stays right if it is called once in 6 days (half the period of ticks_ms()) or more
    often. feed() calls it, and whoever does not feed for limits.WATCHDOG_MS is reset.
    """

    def __init__(self, files: Files, unique: bytes, vault: "Files | None" = None) -> None:
        self.fs = files
        self._vault = files if vault is None else vault
        self._ticks_ms = 0
        self._last = milliseconds()
        self._tasks: "list[Any]" = []
        self._signer = open_identity(files, self.entropy, milliseconds, unique, vault)

    @property
    def vault(self) -> Files:
        return self._vault

    def now_ms(self) -> "int | None":
        return None

    def ticks(self) -> int:
        now = milliseconds()
        self._ticks_ms += elapsed_ms(now, self._last)
        self._last = now
        return self._ticks_ms

    async def sleep(self, duration_ms: int) -> None:
        if not ON_CHIP:
            await asyncio.sleep(_seconds(duration_ms))
            return
        while duration_ms > _SLEEP_MS_MAX:
            await _ASYNCIO.sleep_ms(_SLEEP_MS_MAX)
            duration_ms -= _SLEEP_MS_MAX
        await _ASYNCIO.sleep_ms(duration_ms)

    def spawn(self, coroutine: "Coroutine[object, object, object]") -> None:  # type: ignore[override]
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._watched(coroutine)))

    def event(self) -> Event:
        return AsyncioEvent()

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)

    def public_key(self) -> bytes:
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message, os.urandom(32), os.urandom(32))

    async def stream(self, host: str, port: int, tls: "object | None") -> Stream:
        context = None if tls is None else tls_context(tls)
        end = self.ticks() + limits.STREAM_TIMEOUT_MS
        await self.online(limits.STREAM_TIMEOUT_MS)
        # A TLS connection takes some 40 kB beside MicroPython's heap, which must not have grown
        # into them; and what a connection that failed left behind holds its socket till it is
        # collected.
        gc.collect()
        try:
            connecting = connect(host, port, context)
            reader, writer = await within(connecting, max(1, end - self.ticks()))
        except asyncio.TimeoutError:
            raise OSError("no connection in time")
        except ValueError as error:
            # Also an OSError on CPython, but not on MicroPython.
            raise OSError("TLS: " + str(error))
        return AsyncioStream(reader, writer)

    async def datagram(self, host: str, port: int, data: bytes, timeout_ms: int) -> bytes:
        import socket  # the build for web pages has none

        end = self.ticks() + timeout_ms
        await self.online(timeout_ms)
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
        datagrams = socket.socket(found[0], socket.SOCK_DGRAM)
        try:
            datagrams.setblocking(False)  # noqa: FBT003
            # From now on only what this address sends is received.
            datagrams.connect(found[-1])
            datagrams.send(data)
            while self.ticks() < end:
                try:
                    return datagrams.recv(_DATAGRAM_BYTES_MAX)
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        raise
                await self.sleep(_POLL_MS)
        finally:
            datagrams.close()
        raise OSError("no datagram came back in time")

    async def _watched(self, coroutine: "Coroutine[object, object, object]") -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001 - whatever it is, only a restart mends it
            why = type(error).__name__ + ": " + str(error)
            self.report("task.failed", why)
            self.restart(why)
        # spawn() keeps the task until the next one: what ended must not keep its memory till then.
        del coroutine


async def connect(host: str, port: int, context: "SSLContext | None") -> "tuple[Any, Any]":
    """(reader, writer) of asyncio. The TLS handshake may still be to come."""
    if not ON_CHIP:
        # Sets TCP_NODELAY by itself.
        name = None if context is None else host
        return await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    import socket

    # This call blocks for as long as the name servers take.
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    raw: "Any" = socket.socket(found[0], found[1], found[2])
    connected = raw
    try:
        raw.setblocking(False)  # noqa: FBT003
        try:
            raw.connect(found[-1])
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await _writable(raw)
        raw.setsockopt(_TCP, _NODELAY, 1)
        if context is not None:
            connected = _wrapped(context, raw, host)
    except BaseException:
        # Also when the time is over: an ESP32 has ten sockets.
        raw.close()
        raise
    # One class in MicroPython, for any stream, and for both directions.
    both = _ASYNCIO.StreamReader(connected, {"socket": raw})
    return both, both


async def _writable(connecting: "Any") -> None:
    """Until the connection is made. Only asyncio itself can wait for that without asking often."""
    import select

    poll = select.poll()
    poll.register(connecting, select.POLLOUT)
    while True:
        for ready in poll.poll(0):
            if ready[1] & (select.POLLERR | select.POLLHUP):
                raise OSError("no connection")
            return
        await _ASYNCIO.sleep_ms(_POLL_MS)


def _wrapped(context: "Any", connected: "Any", host: str) -> "Any":
    # Later: with the handshake here everything else would stand still for seconds.
    wrapped = context.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
    wrapped.setblocking(False)  # noqa: FBT003
    return wrapped


def tls_context(ca: object) -> "SSLContext":
    """Checks the server's certificate against ca (PEM or DER bytes), and its name."""
    if not isinstance(ca, bytes):
        raise OSError("TLS: the CA certificate is not bytes")
    try:
        import ssl
    except ImportError:
        raise OSError("TLS: this interpreter has no module ssl")
    context: "Any" = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # MicroPython's default is CERT_NONE.
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        for certificate in _certificates(ca):
            context.load_verify_locations(cadata=certificate)
    except (OSError, ValueError) as error:
        raise OSError("TLS: the CA certificate is damaged: " + str(error))
    checking: "SSLContext" = context
    return checking


def _certificates(ca: bytes) -> "list[bytes]":
    """DER of every certificate in ca. CPython takes PEM only as text, Mbed TLS only with a NUL."""
    if not ca.startswith(_PEM):
        return [ca]
    bodies = [part.split(b"-----END", 1)[0] for part in ca.split(_PEM)[1:]]
    return [binascii.a2b_base64(body) for body in bodies]


def within(awaitable: "Any", timeout_ms: int) -> "Any":
    """An awaitable that ends with asyncio.TimeoutError after timeout_ms."""
    if ON_CHIP:
        return _ASYNCIO.wait_for_ms(awaitable, timeout_ms)
    return asyncio.wait_for(awaitable, _seconds(timeout_ms))


def milliseconds() -> int:
    """A counter that wraps on MicroPython, and that nothing sets."""
    now: int = _TIME.ticks_ms() if ON_CHIP else _TIME.monotonic_ns() // 1_000_000
    return now


def elapsed_ms(now: int, before: int) -> int:
    """From one of milliseconds() to another; ticks_diff() knows where the counter wraps."""
    elapsed: int = _TIME.ticks_diff(now, before) if ON_CHIP else now - before
    return elapsed


def _seconds(duration_ms: int) -> float:
    # Only for CPython: a float of an ESP32 has 24 bits.
    return float("%de-3" % duration_ms)
