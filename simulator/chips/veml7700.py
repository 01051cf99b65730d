"""VEML7700 as Vishay's datasheet 84286 and application note 84323 describe it: command codes,
gain, integration time, and a response that falls behind in bright light.
"""

from .chip import I2cChip

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable

_GAINS = {0: 1.0, 1: 2.0, 2: 0.125, 3: 0.25}
_TIMES_MS = {12: 25, 8: 50, 0: 100, 1: 200, 2: 400, 3: 800}


def corrected(x: float) -> float:
    """The application note's polynomial: what x lx by the counts really are."""
    return ((6.0135e-13 * x - 9.3924e-9) * x + 8.1488e-5) * x * x + 1.0023 * x


def linear_of(lux: float, *, eighth: bool) -> float:
    """What the counts say of that much light."""
    if not eighth:
        return lux
    low, high = 0.0, 60_000.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if corrected(middle) < lux:
            low = middle
        else:
            high = middle
    return low


class Veml7700(I2cChip):
    """lose_power(): its settings are gone, and it is shut down."""

    address = 0x10

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {6: 300}
        self._pointer = 0
        self.lose_power()

    def lose_power(self) -> None:
        self._settings = 1
        self._since = -1
        self._counts = 0

    def write(self, data: bytes) -> None:
        self._pointer = data[0]
        if len(data) == 3 and data[0] == 0:
            was_on = not self._settings & 1
            self._settings = data[1] | data[2] << 8
            if self._settings & 1:
                self._since = -1
            elif not was_on:
                self._since = self.ticks()

    def read(self, size: int) -> bytes:
        word = 0
        if self._pointer == 0:
            word = self._settings
        elif self._pointer == 4:
            word = self._measured()
        return bytes((word & 0xFF, word >> 8))[:size]

    def _measured(self) -> int:
        duration_ms = _TIMES_MS[self._settings >> 6 & 15]
        slow = self.fault == "slow"
        if self._since >= 0 and self.ticks() - self._since >= duration_ms + 3 and not slow:
            gain = _GAINS[self._settings >> 11 & 3]
            resolution = 0.0042 * 2.0 / gain * 800.0 / duration_ms
            linear = linear_of(float(self.values[6]), eighth=gain < 0.2)
            self._counts = min(0xFFFF, int(linear / resolution + 0.5))
        return self._counts
