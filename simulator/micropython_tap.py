"""Runs inside MicroPython, at the edge of the board: tells the host when the firmware asks the
sensors, which messages it signs, hands to its connection and gets from it.

It changes nothing that passes. It knows the frames of MQTT and neither topics nor messages; what
they mean is found out by micropython_news.py. It has no import, so that it fits any image.
"""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Told = Callable[[str, str], None]

SIGNED = "tap.signed"
UP = "tap.up"
DOWN = "tap.down"
ONLINE = "tap.online"
SAMPLED = "tap.sampled"

_PUBLISH = 3
_SUBACK = 9


class Packets:
    """Cuts one direction of a connection into MQTT packets: taken(first byte, body) for each."""

    def __init__(self, taken: "Callable[[int, bytes], None]") -> None:
        self._taken = taken
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        data = self._data + data
        while True:
            at, size = _length(data)
            if not at or len(data) < at + size:
                break
            self._taken(data[0], data[at : at + size])
            data = data[at + size :]
        self._data = data


class TappedStream:
    """A stream whose packets are told in both directions before they go on."""

    def __init__(self, stream: "Any", told: "Told") -> None:
        self._stream = stream
        self._told = told
        self._out = Packets(self._sent)
        self._in = Packets(self._came)

    async def read(self, size: int) -> bytes:
        data: bytes = await self._stream.read(size)
        self._in.feed(data)
        return data

    async def write(self, data: bytes) -> None:
        # Before it leaves: the answer may be here before write() comes back.
        self._out.feed(data)
        await self._stream.write(data)

    def close(self) -> None:
        self._stream.close()

    def _sent(self, first: int, body: bytes) -> None:
        if first >> 4 == _PUBLISH:
            self._told(UP, _published(first, body)[1].hex())

    def _came(self, first: int, body: bytes) -> None:
        if first >> 4 == _PUBLISH:
            topic, payload = _published(first, body)
            self._told(DOWN, topic + " " + payload.hex())
        elif first >> 4 == _SUBACK:
            self._told(ONLINE, "")


def tap(board: "Any") -> None:
    """Listen at this boot's sensors and signer, and at every stream that it opens from now on."""
    open_stream, sample, sign, told = board.stream, board.sample, board.sign, board.report

    async def stream(host: str, port: int, tls: "bytes | None") -> TappedStream:
        return TappedStream(await open_stream(host, port, tls), told)

    async def sampled() -> "list[tuple[int, int, int, int | None, int]]":
        told(SAMPLED, "")
        readings: list[tuple[int, int, int, int | None, int]] = await sample()
        return readings

    def signed(message: bytes) -> bytes:
        told(SIGNED, message.hex())
        signature: bytes = sign(message)
        return signature

    board.sample = sampled
    board.stream = stream
    board.sign = signed


def _length(data: bytes) -> "tuple[int, int]":
    """(where the body of the first packet begins, its size); (0, 0): that is not here yet."""
    size = shift = 0
    for at in range(1, min(len(data), 5)):
        size |= (data[at] & 127) << shift
        shift += 7
        if data[at] < 128:
            return at + 1, size
    return 0, 0


def _published(first: int, body: bytes) -> "tuple[str, bytes]":
    """(topic, payload) of a PUBLISH."""
    end = 2 + int.from_bytes(body[:2], "big")
    at = end + 2 if first & 6 else end
    return body[2:end].decode(), body[at:]
