"""RFC 1055 frames, as Espressif's ROMs have them on the serial line."""

from collections.abc import Iterator

_END, _ESCAPE = 0xC0, 0xDB
_MEANS = {0xDC: 0xC0, 0xDD: 0xDB}
# A block of a stub with its header; what is longer is noise.
FRAME_BYTES_MAX = 0x1_0000


def framed(packet: bytes) -> bytes:
    """The packet as it goes over the line."""
    escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return b"\xc0" + escaped + b"\xc0"


class SlipReader:
    """Takes bytes as they come and gives whole packets; what is outside a frame is dropped."""

    def __init__(self) -> None:
        self._packet: bytearray | None = None
        self._escaped = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for byte in data:
            packet = self._packet
            if byte == _END:
                if packet:
                    self._packet = None
                    yield bytes(packet)
                else:
                    self._packet = bytearray()
                self._escaped = False
            elif packet is None:
                continue
            elif self._escaped:
                packet.append(_MEANS.get(byte, byte))
                self._escaped = False
            elif byte == _ESCAPE:
                self._escaped = True
            elif len(packet) < FRAME_BYTES_MAX:
                packet.append(byte)
            else:
                self._packet = None
