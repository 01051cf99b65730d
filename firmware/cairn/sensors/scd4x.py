"""SCD4x: CO2, temperature and humidity over I2C, measured by itself every five seconds.

Sensirion, Datasheet SCD4x, version 1.5 (tables 9 to 14, 32; operating conditions in table 3).
The altitude, pressure and self-calibration that are stored in the part are left alone.
"""

from . import part, sensirion
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import I2C, Buses, Entry, Sleep

_ADDRESS = 0x62
_PERIOD_MS = 5_000
_TEMPERATURE = (-1_000, 6_000)
# Output range of the part; 0 is what it says when it has no value.
_CO2 = (1, 40_000)
_TOLERANCE = 60


class Scd4x(part.Part):
    gives = ((5, 0), (0, -2), (1, -1))
    _bus: "I2C"

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._address = self.option(3) or _ADDRESS
        self._due = 0

    async def start(self, sleep: "Sleep") -> None:
        self._bus = self.open_i2c()
        # It may be measuring since before this boot, and then obeys nothing but this.
        self._bus.writeto(self._address, b"\x3f\x86")
        await sleep(500)
        self._bus.writeto(self._address, b"\x21\xb1")
        self._due = self.buses.ticks() + _PERIOD_MS + 500

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        if not (await self._ask(sleep, b"\xe4\xb8", 3))[0] & 0x7FF:
            if self.buses.ticks() <= self._due:
                raise SensorError(part.WARMING)
            raise SensorError(part.TIMEOUT)
        measured = await self._ask(sleep, b"\xec\x05", 9)
        self._due = self.buses.ticks() + _PERIOD_MS + 500
        return converted(measured[0], measured[1], measured[2])

    async def _ask(self, sleep: "Sleep", command: bytes, size: int) -> "list[int]":
        self._bus.writeto(self._address, command)
        await sleep(2)
        frame = bytearray(size)
        self._bus.readfrom_into(self._address, frame)
        return sensirion.words(frame)


def converted(co2: int, temperature: int, humid: int) -> "list[int | None]":
    """Three words to [ppm, centi C, permille RH]; None: outside the part's range."""
    centi = sensirion.scaled(temperature, -4_500, 17_500)
    if not _TEMPERATURE[0] <= centi <= _TEMPERATURE[1]:
        return [None, None, None]
    permille = part.humidity(sensirion.scaled(humid, 0, 1_000), _TOLERANCE)
    return [part.within(co2, _CO2[0], _CO2[1]), centi, permille]
