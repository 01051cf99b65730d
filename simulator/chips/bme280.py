"""BME280 as Bosch BST-BME280-DS001 describes it: registers, forced mode, and the compensation of
its appendix 8.1 in floating point, which is inverted to get from a physical value to a raw one.
"""

from .chip import I2cChip

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable

# dig_T1..T3, P1..P9: the example of Bosch BST-BMP280-DS001, section 3.12. dig_H1..H6: a part's.
DIG_T = (27504, 26435, -1000)
DIG_P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
DIG_H = (75, 361, 0, 324, 50, 30)
_NVM_MS = 2
_NOTHING = (0x80000, 0x80000, 0x8000)


def fine_of(adc_t: int) -> float:
    first = (adc_t / 16384.0 - DIG_T[0] / 1024.0) * DIG_T[1]
    apart = adc_t / 131072.0 - DIG_T[0] / 8192.0
    return first + apart * apart * DIG_T[2]


def celsius_of(adc_t: int) -> float:
    return fine_of(adc_t) / 5120.0


def pascal_of(adc_p: int, fine: float) -> float:
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = DIG_P
    var1 = fine / 2.0 - 64000.0
    var2 = var1 * var1 * p6 / 32768.0
    var2 = var2 + var1 * p5 * 2.0
    var2 = var2 / 4.0 + p4 * 65536.0
    var1 = (p3 * var1 * var1 / 524288.0 + p2 * var1) / 524288.0
    var1 = (1.0 + var1 / 32768.0) * p1
    pressure = 1048576.0 - adc_p
    pressure = (pressure - var2 / 4096.0) * 6250.0 / var1
    var1 = p9 * pressure * pressure / 2147483648.0
    var2 = pressure * p8 / 32768.0
    return pressure + (var1 + var2 + p7) / 16.0


def percent_of(adc_h: int, fine: float) -> float:
    h1, h2, h3, h4, h5, h6 = DIG_H
    var = fine - 76800.0
    wet = adc_h - (h4 * 64.0 + h5 / 16384.0 * var)
    slope = 1.0 + h6 / 67108864.0 * var * (1.0 + h3 / 67108864.0 * var)
    var = wet * h2 / 65536.0 * slope
    return var * (1.0 - h1 * var / 524288.0)


def inverted(curve: "Callable[[int], float]", wanted: float, high: int) -> int:
    """The x in 0..high where a curve that only rises, or only falls, comes nearest."""
    low, top = 0, high
    rises = curve(high) > curve(0)
    while low < top:
        middle = (low + top) // 2
        if (curve(middle) < wanted) == rises:
            low = middle + 1
        else:
            top = middle
    return low


class Bme280(I2cChip):
    """More faults: slow (a conversion never ends), foreign (a BMP280)."""

    address = 0x76

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {0: 2_100, 1: 500, 2: 10_132}
        self._pointer = 0
        self._reset()

    def _reset(self) -> None:
        self._hum = self._hum_asked = self._meas = 0
        self._raw = _NOTHING
        self._busy_until = -1
        self._nvm_until = self.ticks() + _NVM_MS

    def write(self, data: bytes) -> None:
        self._pointer = data[0]
        for at in range(0, len(data) - 1, 2):
            self._set(data[at], data[at + 1])

    def _set(self, register: int, value: int) -> None:
        if register == 0xE0 and value == 0xB6:
            self._reset()
        elif register == 0xF2:
            self._hum_asked = value & 7
        elif register == 0xF4:
            self._meas = value
            self._hum = self._hum_asked
            if value & 3 in (1, 2):
                # Table 13: 1.25 + 2.3 for each sample + 0.575 twice, 9.3 ms for one of each.
                self._busy_until = self.ticks() + (10_000_000 if self.fault == "slow" else 10)

    def _measured(self) -> "tuple[int, int, int]":
        if self._busy_until >= 0 and self.ticks() >= self._busy_until:
            self._busy_until = -1
            self._meas &= 0xFC
            self._raw = self._convert()
        return self._raw

    def _convert(self) -> "tuple[int, int, int]":
        # One sample and no filter: 16 bits of 20, the rest are zero.
        adc_t = inverted(celsius_of, self.values[0] / 100.0, 0xFFFFF) + 16 * self.noise(1)
        adc_t = max(0, min(0xFFFFF, adc_t)) & 0xFFFF0
        fine = fine_of(adc_t)
        pascal = self.values[2] * 10.0
        adc_p = inverted(lambda adc: pascal_of(adc, fine), pascal, 0xFFFFF) + 16 * self.noise(2)
        adc_p = max(0, min(0xFFFFF, adc_p)) & 0xFFFF0
        adc_h = inverted(lambda adc: percent_of(adc, fine), self.values[1] / 10.0, 0xFFFF)
        adc_h = max(0, min(0xFFFF, adc_h + self.noise(2)))
        return (
            adc_p if self._meas >> 2 & 7 else _NOTHING[0],
            adc_t if self._meas >> 5 else _NOTHING[1],
            adc_h if self._hum else _NOTHING[2],
        )

    def read(self, size: int) -> bytes:
        return bytes([self._register(self._pointer + at) for at in range(size)])

    def _register(self, register: int) -> int:
        pressure, temperature, humidity = self._measured()
        if register == 0xD0:
            return 0x58 if self.fault == "foreign" else 0x60
        if register == 0xF3:
            busy = 8 if self._busy_until >= 0 else 0
            return busy | (1 if self.ticks() < self._nvm_until else 0)
        if register == 0xF2:
            return self._hum_asked
        if register == 0xF4:
            return self._meas
        if 0xF7 <= register <= 0xFE:
            data = (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big")
            return (data + humidity.to_bytes(2, "big"))[register - 0xF7]
        return NVM.get(register, 0)


def _nvm() -> "dict[int, int]":
    """Table 16: little-endian words, and H4 and H5 share a byte."""
    found = {}
    for at, word in enumerate(DIG_T + DIG_P):
        found[0x88 + 2 * at] = word & 0xFF
        found[0x89 + 2 * at] = word >> 8 & 0xFF
    h1, h2, h3, h4, h5, h6 = DIG_H
    found[0xA1] = h1
    found[0xE1], found[0xE2], found[0xE3] = h2 & 0xFF, h2 >> 8 & 0xFF, h3
    found[0xE4], found[0xE5], found[0xE6] = (
        h4 >> 4 & 0xFF,
        (h4 & 15) | (h5 & 15) << 4,
        h5 >> 4 & 0xFF,
    )
    found[0xE7] = h6 & 0xFF
    return found


NVM = _nvm()
