"""VEML7700: illuminance over I2C, with two sensitivities.

Vishay, VEML7700 datasheet 84286 (command codes; words come low byte first) and application note
84323 "Designing the VEML7700 into an application": 0.0042 lx a count at gain 2 and 800 ms, in
proportion to 2 / gain and 800 ms / time; the polynomial for gain 1/8, which alone reaches full
sunlight. Gain 1 over 100 ms resolves 0.07 lx, finer than the 1 lx that a station reports.
"""

from . import part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import I2C, Buses, Entry, Sleep

_ADDRESS = 0x10
# 2.5 ms to wake up, 100 ms to integrate, and a tenth for the part's own clock.
_WAIT_MS = 115
# Gain 1 is taken up to here, gain 1/8 down to a third of the same light.
_BRIGHT_COUNTS = 10_000
_DIM_COUNTS = 400
_LUX_MAX = 140_000
# Command code 0: gain in bits 11 and 12 (0 is 1, 2 is 1/8), time in bits 6 to 9 (0: 100 ms), and
# bit 0. Bit 4 concerns an interrupt that is off: it tells settings that were kept from a line
# that reads as zeros.
_EIGHTH = 0x10
_MARK = 0x10
_OFF = 0x01


class Veml7700(part.Part):
    gives = ((6, 0),)
    _bus: "I2C"

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._address = self.option(3) or _ADDRESS
        self._dim = False

    async def start(self, sleep: "Sleep") -> None:  # noqa: ARG002 - it needs no time
        self._bus = self.open_i2c()

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        for _ in range(3):
            counts = await self._counts(sleep)
            if counts <= _BRIGHT_COUNTS if self._dim else counts >= _DIM_COUNTS:
                return [lux(counts, self._dim)]
            self._dim = not self._dim
        # The light changes faster than it is measured.
        raise SensorError(part.TIMEOUT)

    async def _counts(self, sleep: "Sleep") -> int:
        # Off, then on with the new gain: a count that began before the change is never read.
        high = 0x00 if self._dim else _EIGHTH
        self._write(0, _MARK | _OFF, high)
        self._write(0, _MARK, high)
        await sleep(_WAIT_MS)
        counts = self._read(4)
        # There is no checksum: a part that lost its settings, or a dead line, shows here.
        if self._read(0) != high << 8 | _MARK:
            raise SensorError(part.STUCK)
        # Off keeps the last count, and what reads differently twice was damaged, unless just then
        # the next count was done.
        self._write(0, _MARK | _OFF, high)
        again = self._read(4)
        if counts != again and again != self._read(4):
            raise SensorError(part.CHECKSUM)
        return again

    def _write(self, command: int, low: int, high: int) -> None:
        self._bus.writeto(self._address, bytes((command, low, high)))

    def _read(self, command: int) -> int:
        buffer = bytearray(2)
        self._bus.readfrom_mem_into(self._address, command, buffer)
        return buffer[0] | buffer[1] << 8


def lux(counts: int, dim: bool) -> "int | None":  # noqa: FBT001
    """Counts at gain 1 (dim) or 1/8, both over 100 ms, to lx; None: brighter than it measures."""
    if dim:
        # 0.0672 lx a count; this light is in the part's linear range.
        return (counts * 672 + 5_000) // 10_000
    # x = 0.5376 lx a count; 6.0135e-13 x^4 - 9.3924e-9 x^3 + 8.1488e-5 x^2 + 1.0023 x, times 1e17.
    x = counts * 5_376
    y = 60_135 * x // 10_000 - 939_240_000
    y = y * x // 10_000 + 8_148_800_000_000
    y = y * x // 10_000 + 100_230_000_000_000_000
    return part.within((y * x // 10_000 + 5 * 10**16) // 10**17, 0, _LUX_MAX)
