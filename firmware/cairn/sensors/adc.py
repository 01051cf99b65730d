"""A voltage on a pin, as battery voltage, water level, sound level or what else is straight in it:
two measured points of (microvolts, value) make the line.

The chip's factory calibration is in read_uv(). ESP32 series datasheets (ADC characteristics at the
widest attenuation): it is straight from 150 to 2,450 mV on the ESP32, and at least there on S2,
S3 and C3.
Outside it the pin clips, so nothing is said.
"""

from . import part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import Buses, Entry, Sleep

_LOW_UV = 150_000
_HIGH_UV = 2_450_000
_SAMPLES = 16
# Exponents of spec/quantities.toml by code, negated.
EXPONENTS = b"\x02\x01\x01\x01\x01\x00\x00\x01\x00\x02\x03\x03\x01"


class Adc(part.Part):
    """Entry [part, channel, pin, quantity, uv0, value0, uv1, value1]."""

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self.gives = ((entry[3], -EXPONENTS[entry[3]]),)

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        pin = self.buses.adc(self.entry[2])
        total = 0
        for _ in range(_SAMPLES):
            one = pin.read_uv()
            if one < 0:
                raise SensorError(part.BUS)
            if not _LOW_UV <= one <= _HIGH_UV:
                # One clipped sample makes the mean of all a wrong number.
                return [None]
            total += one
            await sleep(1)
        return [on_line((total + _SAMPLES // 2) // _SAMPLES, self.entry)]


def on_line(microvolts: int, entry: "Entry") -> int:
    """The value at that voltage, rounded."""
    uv0, value0, uv1, value1 = entry[4], entry[5], entry[6], entry[7]
    if uv1 < uv0:
        uv0, value0, uv1, value1 = uv1, value1, uv0, value0
    span = uv1 - uv0
    return value0 + ((microvolts - uv0) * (value1 - value0) * 2 + span) // (2 * span)
