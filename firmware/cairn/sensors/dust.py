"""PMS5003 and SDS011: fine dust, reported by the part itself over a serial line at 9600 baud.

PMS5003: Plantower, PMS5003 series data manual V2.3 (appendix I: 32 bytes 42 4D; the figures "under
atmospheric environment" are data 5 and 6; a frame every 200 to 2300 ms; stable 30 s after it was
switched on; effective range 0 to 500 ug/m3, maximum range at least 1000). SDS011: Nova Fitness,
laser PM2.5 sensor specification V1.3 (10 bytes AA C0, 1 Hz, 0.1 ug/m3, range 0 to 999.9).
"""

from . import frames, part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import Buses, Entry, Sleep

PMS5003 = 5
_BAUD = 9_600
_WARM_MS = 30_000
_RANGE = (0, 10_000)


class Dust(part.Part):
    gives = ((3, -1), (4, -1))
    # The next frame comes by itself; waiting for it twice brings nothing.
    tries = 1

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._pms = entry[0] == PMS5003
        self._since = buses.ticks()

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        uart = self.buses.uart(self.entry[2], _BAUD, self.option(3), self.option(4))
        try:
            if self._pms:
                frame = await frames.next_frame(uart, sleep, b"BM", 32, pms_valid)
                found = pms_values(frame)
            else:
                frame = await frames.next_frame(uart, sleep, b"\xaa\xc0", 10, sds_valid)
                found = sds_values(frame)
        except SensorError:
            # Silence and half frames are also what a part does whose supply failed: its fan and
            # laser start anew.
            self._since = self.buses.ticks()
            raise
        if self.buses.ticks() - self._since < _WARM_MS:
            raise SensorError(part.WARMING)
        return found


def pms_valid(frame: bytes) -> bool:
    """Length and check sum fit."""
    return frame[2:4] == b"\x00\x1c" and frames.summed(frame, 0, 30) == frame[30] << 8 | frame[31]


def pms_values(frame: bytes) -> "list[int | None]":
    """[PM2.5, PM10] in 0.1 ug/m3."""
    return [
        part.within((frame[at] << 8 | frame[at + 1]) * 10, _RANGE[0], _RANGE[1]) for at in (12, 14)
    ]


def sds_valid(frame: bytes) -> bool:
    """Tail and check sum fit."""
    return frame[9] == 0xAB and frames.summed(frame, 2, 8) & 0xFF == frame[8]


def sds_values(frame: bytes) -> "list[int | None]":
    """[PM2.5, PM10] in 0.1 ug/m3."""
    return [part.within(frame[at] | frame[at + 1] << 8, 0, 9_999) for at in (2, 4)]
