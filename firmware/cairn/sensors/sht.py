"""SHT3x and SHT4x: temperature and humidity over I2C, one single shot of high repeatability a
reading.

SHT3x: Sensirion, Datasheet SHT3x-DIS, version 7 (tables 4, 9, section 4.13). SHT4x: Datasheet
SHT4x, version 6 (tables 4, 7, section 4.6: what lies beyond 0 or 100 % may be cropped).
"""

from . import part, sensirion
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import I2C, Buses, Entry, Sleep

SHT3X = 2
_ADDRESS = 0x44
_TEMPERATURE = (-4_000, 12_500)
# +-2 %RH of the plain types.
_TOLERANCE = 20


class Sht(part.Part):
    gives = ((0, -2), (1, -1))
    _bus: "I2C"

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._address = self.option(3) or _ADDRESS
        self._third = entry[0] == SHT3X

    async def start(self, sleep: "Sleep") -> None:
        self._bus = self.open_i2c()
        # Soft reset: at most 1.5 ms and 1 ms.
        self._bus.writeto(self._address, b"\x30\xa2" if self._third else b"\x94")
        await sleep(2)

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        self._bus.writeto(self._address, b"\x24\x00" if self._third else b"\xfd")
        frame = bytearray(6)
        for _ in range(3):
            # At most 15.5 ms and 8.3 ms; until then the part does not acknowledge.
            await sleep(16 if self._third else 9)
            try:
                self._bus.readfrom_into(self._address, frame)
                break
            except OSError:
                continue
        else:
            raise SensorError(part.TIMEOUT)
        measured = sensirion.words(frame)
        self.moving(frame)
        return converted(measured[0], measured[1], self._third)


def converted(temperature: int, humid: int, third: bool) -> "list[int | None]":  # noqa: FBT001
    """Two words to [centi C, permille RH]; None: outside the part's range."""
    low, span = (0, 1_000) if third else (-60, 1_250)
    centi = sensirion.scaled(temperature, -4_500, 17_500)
    if not _TEMPERATURE[0] <= centi <= _TEMPERATURE[1]:
        return [None, None]
    return [centi, part.humidity(sensirion.scaled(humid, low, span), _TOLERANCE)]
