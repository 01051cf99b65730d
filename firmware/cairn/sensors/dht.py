"""DHT11 and DHT22: temperature and humidity over one wire, read by the module `dht` that is frozen
in the official image. Its five bytes are decoded here in integers.

Aosong, DHT11 and AM2302 product manuals. The tenths of a DHT11 are zero in most of them.
"""

from . import part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import Buses, Entry, Sleep

DHT11 = 9


class Dht(part.Part):
    gives = ((0, -2), (1, -1))
    # It answers no more often than every two seconds.
    tries = 1

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._eleven = entry[0] == DHT11

    async def measure(self, sleep: "Sleep") -> "list[int | None]":  # noqa: ARG002
        wire = self.buses.dht(11 if self._eleven else 22, self.entry[2])
        try:
            wire.measure()
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - the frozen module raises just that for a wrong sum
            raise SensorError(part.CHECKSUM)
        return (dht11 if self._eleven else dht22)(wire.buf)


def dht11(buf: "bytes | bytearray") -> "list[int | None]":
    """Five bytes to [centi C, permille RH]; None: outside the part's range."""
    _alive(buf)
    if buf[1] > 9 or buf[3] & 0x7F > 9:
        raise SensorError(part.CHECKSUM)
    centi = buf[2] * 100 + (buf[3] & 0x7F) * 10
    return [
        part.within(-centi if buf[3] & 0x80 else centi, -2_000, 6_000),
        part.within(buf[0] * 10 + buf[1], 50, 950),
    ]


def dht22(buf: "bytes | bytearray") -> "list[int | None]":
    """Five bytes to [centi C, permille RH]; None: outside the part's range."""
    _alive(buf)
    centi = ((buf[2] & 0x7F) << 8 | buf[3]) * 10
    return [
        part.within(-centi if buf[2] & 0x80 else centi, -4_000, 8_000),
        part.within(buf[0] << 8 | buf[1], 0, 1_000),
    ]


def _alive(buf: "bytes | bytearray") -> None:
    if (buf[0] + buf[1] + buf[2] + buf[3]) & 0xFF != buf[4]:
        raise SensorError(part.CHECKSUM)
    if buf[0] == buf[1] == buf[2] == buf[3] == 0:
        # The sum of nothing fits nothing. 0.0 C at 0.0 % is found nowhere on Earth.
        raise SensorError(part.STUCK)
