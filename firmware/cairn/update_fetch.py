"""One HTTP GET over a plain connection, from an offset on, in pieces: what it brings is checked by
whoever asked, against a signature or a hash.
"""

from . import limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Board, Event, Stream

_HEAD_BYTES_MAX = 1_024
_READ_BYTES = 1_024


class FetchError(Exception):
    """It did not come, or not whole; what came was handed on. code: unreachable (no connection),
    cut (it ended too early, or stood still), absent (404), http (an answer that is none), range
    (not the part that was asked for).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Transfer:
    """One request. moved: whether bytes came since somebody looked."""

    def __init__(self, board: "Board", host: str, port: int) -> None:
        self._board = board
        self._host = host
        self._port = port
        self._stream: "Stream | None" = None
        self.moved = False

    async def get(self, path: str, start: int, size: int, take: "Callable[[bytes], None]") -> int:
        """Hand what lies from start on to take, in pieces of limits.UPDATE_PIECE_BYTES and a last
        one; the whole has size bytes, or at most -size if that is negative. Returns how many
        bytes the whole has; fewer than that may have come: then it is asked for the rest.
        """
        try:
            stream = await self._board.stream(self._host, self._port, None)
        except OSError:
            raise FetchError("unreachable")
        self._stream = stream
        done = self._board.event()
        self._board.spawn(self._watch(stream, done))
        try:
            await self._send(path, start)
            head, rest = await self._head()
            skip, left, whole = _span(head, start, size)
            await self._body(rest, skip, left, take)
            return whole
        finally:
            done.set()
            stream.close()

    async def _watch(self, stream: "Stream", done: "Event") -> None:
        # A server that neither sends nor hangs up would hold the update for ever.
        while not await done.wait(limits.HTTP_TIMEOUT_MS):
            if not self.moved:
                stream.close()
                return
            self.moved = False

    async def _send(self, path: str, start: int) -> None:
        # HTTP/1.0: the answer ends with the connection and is never chunked.
        text = "GET %s HTTP/1.0\r\nHost: %s\r\n" % (path, self._host)
        if start:
            text += "Range: bytes=%d-\r\n" % start
        try:
            await self._connected().write((text + "\r\n").encode())
        except OSError:
            raise FetchError("cut")

    async def _read(self, size: int) -> bytes:
        try:
            data = await self._connected().read(size)
        except OSError:
            raise FetchError("cut")
        if not data:
            raise FetchError("cut")
        self.moved = True
        return data

    async def _head(self) -> "tuple[bytes, bytes]":
        got = b""
        while True:
            end = got.find(b"\r\n\r\n")
            if end >= 0:
                return got[:end], got[end + 4 :]
            if len(got) > _HEAD_BYTES_MAX:
                raise FetchError("http")
            got += await self._read(256)

    async def _body(
        self, rest: bytes, skip: int, left: int, take: "Callable[[bytes], None]"
    ) -> None:
        piece = bytearray()
        try:
            while left:
                data = (rest or await self._read(min(_READ_BYTES, left)))[:left]
                rest = b""
                left -= len(data)
                piece.extend(data[skip:])
                skip -= min(skip, len(data))
                while len(piece) >= limits.UPDATE_PIECE_BYTES:
                    take(bytes(piece[: limits.UPDATE_PIECE_BYTES]))
                    piece = piece[limits.UPDATE_PIECE_BYTES :]
        finally:
            # Also of a connection that was lost: that much need not come again.
            if piece:
                take(bytes(piece))

    def _connected(self) -> "Stream":
        assert self._stream is not None
        return self._stream


def _span(head: bytes, start: int, size: int) -> "tuple[int, int, int]":
    """(bytes to pass over, bytes that follow, bytes of the whole) of an answer's head."""
    lines = head.split(b"\r\n")
    status = lines[0].split(b" ")
    if len(status) < 2 or not status[0].startswith(b"HTTP/1."):
        raise FetchError("http")
    if status[1] == b"404":
        raise FetchError("absent")
    length, part = -1, b""
    for line in lines[1:]:
        colon = line.find(b":")
        name, value = line[:colon].lower(), line[colon + 1 :].strip()
        if name == b"content-length":
            length = _number(value)
        elif name == b"content-range":
            part = value
    if status[1] == b"200":
        # All of it, also for a server that knows no ranges.
        first, whole = 0, length
    elif status[1] == b"206" and start:
        first, length, whole = _part(part, length)
        if first != start:
            raise FetchError("range")
    else:
        raise FetchError("range" if status[1] in (b"206", b"416") else "http")
    if length < 0 or whole > abs(size) or (size > 0 and whole != size):
        raise FetchError("http")
    return start - first, length, whole


def _part(value: bytes, length: int) -> "tuple[int, int, int]":
    """(first, length, bytes of the whole) of "bytes FIRST-LAST/WHOLE"."""
    words = value.replace(b"-", b" ").replace(b"/", b" ").split()
    if len(words) != 4 or words[0] != b"bytes":
        raise FetchError("range")
    first, last, whole = [_number(word) for word in words[1:]]
    if min(first, last, whole) < 0 or not first <= last < whole or last - first + 1 != length:
        raise FetchError("range")
    return first, length, whole


def _number(digits: bytes) -> int:
    return int(digits) if digits.isdigit() and len(digits) <= 7 else -1
