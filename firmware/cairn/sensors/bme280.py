"""BME280: temperature, humidity and pressure over I2C, one forced measurement a reading.

Registers, compensation and timing: Bosch BST-BME280-DS001 (sections 4.2.3, 5.3, 5.4, 9.1). The
pressure follows its 64-bit formula, the rest its 32-bit ones, without their clipping.
"""

from . import part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import I2C, Buses, Entry, Sleep

_ADDRESS = 0x76
_CHIP_ID = 0x60
# Ambient range of the part: -40..85 C, 300..1100 hPa.
_TEMPERATURE = (-4_000, 8_500)
_PRESSURE = (3_000, 11_000)
# +-3 %RH.
_TOLERANCE = 30
# What the data registers hold when nothing was measured (section 5.4.7 to 5.4.9, reset values).
_NOTHING = b"\x80\x00\x00\x80\x00\x00\x80\x00"


class Bme280(part.Part):
    gives = ((0, -2), (1, -1), (2, -1))
    _bus: "I2C"

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._address = self.option(3) or _ADDRESS
        self._factory: "tuple[int, ...]" = ()

    async def start(self, sleep: "Sleep") -> None:
        self._bus = bus = self.open_i2c()
        chip = self._registers(0xD0, 1)
        if chip[0] in (0x00, 0xFF):
            raise SensorError(part.STUCK)
        if chip[0] != _CHIP_ID:
            raise SensorError(part.ABSENT)
        bus.writeto(self._address, b"\xe0\xb6")
        await sleep(3)
        await self._wait(sleep, 1)
        low, high = self._registers(0x88, 26), self._registers(0xE1, 7)
        # There is no checksum on this bus: what reads differently twice was damaged.
        if low != self._registers(0x88, 26) or high != self._registers(0xE1, 7):
            raise SensorError(part.CHECKSUM)
        self._factory = factory(low, high)
        # No part leaves the factory without these two, and nothing is divided by zero below.
        if self._factory[0] in (0, 0xFFFF) or self._factory[3] in (0, 0xFFFF):
            raise SensorError(part.STUCK)

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        bus = self._bus
        # Humidity once, then temperature and pressure once and start: 9.3 ms at most.
        bus.writeto(self._address, b"\xf2\x01")
        bus.writeto(self._address, b"\xf4\x25")
        await sleep(10)
        await self._wait(sleep, 8)
        raw = self._registers(0xF7, 8)
        if raw == _NOTHING or raw[6:] == b"\x80\x00":
            raise SensorError(part.TIMEOUT)
        if raw in (bytes(8), b"\xff" * 8):
            raise SensorError(part.STUCK)
        if raw != self._registers(0xF7, 8):
            raise SensorError(part.CHECKSUM)
        self.moving(raw)
        return compensated(raw, self._factory)

    async def _wait(self, sleep: "Sleep", busy: int) -> None:
        for _ in range(6):
            status = self._registers(0xF3, 1)[0]
            if status == 0xFF:
                raise SensorError(part.STUCK)
            if not status & busy:
                return
            await sleep(3)
        raise SensorError(part.TIMEOUT)

    def _registers(self, first: int, count: int) -> bytearray:
        buffer = bytearray(count)
        self._bus.readfrom_mem_into(self._address, first, buffer)
        return buffer


def factory(low: bytearray, high: bytearray) -> "tuple[int, ...]":
    """dig_T1..T3, P1..P9, H1..H6 out of registers 0x88..0xA1 and 0xE1..0xE7 (table 16)."""
    words = []
    for at in range(0, 24, 2):
        word = low[at] | low[at + 1] << 8
        words.append(word if at in (0, 6) else _signed(word, 16))
    h2 = _signed(high[0] | high[1] << 8, 16)
    h4 = _signed(high[3] << 4 | high[4] & 15, 12)
    h5 = _signed(high[5] << 4 | high[4] >> 4, 12)
    return tuple(words) + (low[25], h2, high[2], h4, h5, _signed(high[6], 8))


def compensated(raw: bytearray, dig: "tuple[int, ...]") -> "list[int | None]":
    """Registers 0xF7..0xFE to [centi C, permille RH, 0.1 hPa]; None: outside the part's range."""
    fine = temperature_fine(raw[3] << 12 | raw[4] << 4 | raw[5] >> 4, dig)
    temperature = part.within((fine * 5 + 128) >> 8, _TEMPERATURE[0], _TEMPERATURE[1])
    if temperature is None:
        # The others are computed with it.
        return [None, None, None]
    pressure = pressure_q8(raw[0] << 12 | raw[1] << 4 | raw[2] >> 4, fine, dig)
    humid = humidity_q10(raw[6] << 8 | raw[7], fine, dig)
    return [
        temperature,
        part.humidity((humid * 10 + 512) >> 10, _TOLERANCE),
        part.within((pressure + 1_280) // 2_560, _PRESSURE[0], _PRESSURE[1]),
    ]


def temperature_fine(adc: int, dig: "tuple[int, ...]") -> int:
    """t_fine: the temperature in 1/5120 C."""
    t1, t2, t3 = dig[0], dig[1], dig[2]
    first = (((adc >> 3) - (t1 << 1)) * t2) >> 11
    apart = (adc >> 4) - t1
    return first + ((((apart * apart) >> 12) * t3) >> 14)


def pressure_q8(adc: int, fine: int, dig: "tuple[int, ...]") -> int:
    """The pressure in 1/256 Pa; 0 where the formula has none."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = dig[3:12]
    var1 = fine - 128_000
    var2 = var1 * var1 * p6 + ((var1 * p5) << 17) + (p4 << 35)
    var1 = ((var1 * var1 * p3) >> 8) + ((var1 * p2) << 12)
    var1 = (((1 << 47) + var1) * p1) >> 33
    if var1 <= 0:
        return 0
    pressure = ((((1_048_576 - adc) << 31) - var2) * 3_125) // var1
    var1 = (p9 * (pressure >> 13) * (pressure >> 13)) >> 25
    var2 = (p8 * pressure) >> 19
    return ((pressure + var1 + var2) >> 8) + (p7 << 4)


def humidity_q10(adc: int, fine: int, dig: "tuple[int, ...]") -> int:
    """The relative humidity in 1/1024 %, not clipped."""
    h1, h2, h3, h4, h5, h6 = dig[12:18]
    var = fine - 76_800
    wet = ((adc << 14) - (h4 << 20) - h5 * var + 16_384) >> 15
    dry = ((((var * h6) >> 10) * (((var * h3) >> 11) + 32_768)) >> 10) + 2_097_152
    var = wet * ((dry * h2 + 8_192) >> 14)
    return (var - (((((var >> 15) * (var >> 15)) >> 7) * h1) >> 4)) >> 12


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
