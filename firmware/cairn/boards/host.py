"""A station without a microcontroller: CPython or MicroPython with asyncio and a file system.

For tests, for a computer that has sensors of its own, and as the pattern for other boards. The
sensors come in as `samples`; there is no radio, no watchdog and no battery-backed clock.
"""

import asyncio
import os
import time

from .. import limits  # noqa: TID252 - inside cairn imports are relative
from ..identity import open_identity  # noqa: TID252 - inside cairn imports are relative
from .base import Board, Event, Files, Stream

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from ssl import SSLContext

    Sample = list[tuple[int, int, int, int | None, int]]

_TEMPORARY = ".new"
_PEM = b"-----BEGIN"


class MemoryFiles(Files):
    """Files that last as long as the object."""

    def __init__(self) -> None:
        self._content: "dict[str, bytearray]" = {}

    def read(self, name: str) -> "bytes | None":
        content = self._content.get(name)
        return None if content is None else bytes(content)

    def write(self, name: str, data: bytes) -> None:
        self._content[name] = bytearray(data)

    def append(self, name: str, data: bytes) -> None:
        self._content.setdefault(name, bytearray()).extend(data)

    def remove(self, name: str) -> None:
        self._content.pop(name, None)

    def names(self, prefix: str) -> "list[str]":
        return sorted([name for name in self._content if name.startswith(prefix)])


class DirectoryFiles(Files):
    """Files under a directory, as durable as the file system lets them be."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        _make_directory(directory)

    def read(self, name: str) -> "bytes | None":
        try:
            with open(self._path(name), "rb") as file:
                return file.read()
        except OSError:
            # MicroPython's ports disagree on the number for "no such file".
            if self._exists(name):
                raise
            return None

    def write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        self._put(path + _TEMPORARY, "wb", data)
        os.rename(path + _TEMPORARY, path)
        _sync_directory(path)

    def append(self, name: str, data: bytes) -> None:
        path = self._path(name)
        self._put(path, "ab", data)
        _sync_directory(path)

    def remove(self, name: str) -> None:
        if self._exists(name):
            os.remove(self._path(name))
            _sync_directory(self._path(name))

    def names(self, prefix: str) -> "list[str]":
        found = []
        for entry in os.listdir(self._directory):
            if _is_directory(self._path(entry)):
                found += [entry + "/" + inner for inner in os.listdir(self._path(entry))]
            else:
                found.append(entry)
        wanted = [name for name in found if name.startswith(prefix)]
        return sorted([name for name in wanted if not name.endswith(_TEMPORARY)])

    def _path(self, name: str) -> str:
        return self._directory + "/" + name

    def _exists(self, name: str) -> bool:
        return name in self.names(name)

    def _put(self, path: str, mode: str, data: bytes) -> None:
        _make_directory(path.rsplit("/", 1)[0])
        with open(path, mode) as file:
            file.write(data)
            file.flush()
            if hasattr(os, "fsync"):
                os.fsync(file.fileno())


class HostEvent(Event):
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
            await asyncio.wait_for(self._event.wait(), _seconds(timeout_ms))
        except asyncio.TimeoutError:
            return self._event.is_set()
        return True


class HostStream(Stream):
    """A TCP or TLS stream of asyncio."""

    def __init__(self, reader: "asyncio.StreamReader", writer: "asyncio.StreamWriter") -> None:
        self._reader = reader
        self._writer = writer
        self._open = True
        self._reading = False

    async def read(self, size: int) -> bytes:
        if not self._open:
            raise OSError("the stream is closed")
        self._reading = True
        try:
            return await self._reader.read(size)
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
        if self._reading and hasattr(self._writer, "transport"):
            # CPython would let the reader wait until a dead peer has agreed to the end of TLS.
            self._writer.transport.abort()
        else:
            self._writer.close()


class HostBoard(Board):
    """samples: a coroutine function that measures once. restarted: called with the reason when
    the node asks for a restart or one of its tasks ends with an error.
    """

    def __init__(
        self,
        files: Files,
        samples: "Callable[[], Awaitable[Sample]]",
        restarted: "Callable[[str], None]",
    ) -> None:
        self.fs = files
        self._samples = samples
        self._restarted = restarted
        self._ticks_ms = 0
        self._last = _milliseconds()
        self._tasks: "list[asyncio.Task[object]]" = []
        self._signer = open_identity(files, os.urandom, _milliseconds, b"host")

    def now_ms(self) -> "int | None":
        return None

    def ticks(self) -> int:
        now = _milliseconds()
        self._ticks_ms += _elapsed(now, self._last)
        self._last = now
        return self._ticks_ms

    async def sleep(self, duration_ms: int) -> None:
        await asyncio.sleep(_seconds(duration_ms))

    def spawn(self, coroutine: "Coroutine[object, object, object]") -> None:  # type: ignore[override]
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._watched(coroutine)))

    def event(self) -> Event:
        return HostEvent()

    def entropy(self, size: int) -> bytes:
        return os.urandom(size)

    def public_key(self) -> bytes:
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message, os.urandom(32), os.urandom(32))

    async def sample(self) -> "Sample":
        return await self._samples()

    async def stream(self, host: str, port: int, tls: "object | None") -> Stream:
        # CPython's asyncio sets TCP_NODELAY by itself.
        if tls is None:
            connecting = asyncio.open_connection(host, port)
        else:
            context = _tls_context(tls)
            connecting = asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        try:
            reader, writer = await asyncio.wait_for(connecting, _seconds(limits.STREAM_TIMEOUT_MS))
        except asyncio.TimeoutError:
            raise OSError("no connection in time")
        except ValueError as error:
            # Also an OSError on CPython, but not on MicroPython.
            raise OSError("TLS: " + str(error))
        return HostStream(reader, writer)

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> "bool | None":
        """No radio."""

    async def radio_receive(self) -> "tuple[int, int, int, int | None, int, bytes] | None":
        return None

    def feed(self) -> None:
        """There is no watchdog."""

    def restart(self, reason: str) -> None:
        self.stop()
        self._restarted(reason)

    def info(self) -> "tuple[int, int, int | None, int | None]":
        return 0, 0, None, None

    def stop(self) -> None:
        """End every task of this boot."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _watched(self, coroutine: "Coroutine[object, object, object]") -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001 - whatever it is, only a restart mends it
            self.restart(type(error).__name__ + ": " + str(error))


def _tls_context(ca: object) -> "SSLContext":
    """Checks the server's certificate against ca (PEM or DER bytes), and its name."""
    if not isinstance(ca, bytes):
        raise OSError("TLS: the CA certificate is not bytes")
    try:
        import ssl
    except ImportError:
        raise OSError("TLS: this interpreter has no module ssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # MicroPython's default is CERT_NONE.
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        # CPython wants PEM as text.
        context.load_verify_locations(cadata=ca.decode() if ca.startswith(_PEM) else ca)
    except (OSError, ValueError) as error:
        raise OSError("TLS: the CA certificate is damaged: " + str(error))
    return context


def _seconds(duration_ms: int) -> float:
    # The one place where board code needs a float: asyncio counts in seconds.
    return float("%de-3" % duration_ms)


def _milliseconds() -> int:
    if hasattr(time, "ticks_ms"):
        ticks: int = time.ticks_ms()
        return ticks
    return time.monotonic_ns() // 1_000_000


def _elapsed(now: int, before: int) -> int:
    # MicroPython's counter wraps; ticks_diff knows where.
    if hasattr(time, "ticks_diff"):
        elapsed: int = time.ticks_diff(now, before)
        return elapsed
    return now - before


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path)
    except OSError:
        if not _is_directory(path):
            raise


def _is_directory(path: str) -> bool:
    try:
        return os.stat(path)[0] & 0x4000 != 0
    except OSError:
        return False


def _sync_directory(path: str) -> None:
    """Make a new name durable too, where the system has a call for it."""
    if not hasattr(os, "fsync") or not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path.rsplit("/", 1)[0], os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
