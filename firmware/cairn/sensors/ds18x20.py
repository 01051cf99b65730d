"""DS18B20, DS18S20, DS1822: temperature over one wire, through the modules `ds18x20` and `onewire`
that are frozen in the official image. The scratchpad is decoded here in integers.

Analog Devices (Maxim), datasheets DS18B20 (figure 4, tables 1, 2) and DS18S20 (equation 1).
"""

from . import part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import Buses, Entry, Sleep, Wire

_DS18S20 = 0x10
_CONVERSION_MS = 750
# 85 C is what the scratchpad holds after power-on: the supply failed during the conversion.
_POWER_ON = 8_500


class Ds18x20(part.Part):
    gives = ((0, -2),)
    _wire: "Wire"

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        super().__init__(entry, buses)
        self._rom = bytearray(0)

    async def start(self, sleep: "Sleep") -> None:  # noqa: ARG002 - it needs no time
        self._wire = self.buses.onewire(self.entry[2])
        serial = self.option(3)
        try:
            found = [
                rom
                for rom in self._wire.scan()
                if not serial or int.from_bytes(rom[1:7], "little") == serial
            ]
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - onewire.OneWireError, which only the image has
            raise SensorError(part.BUS)
        # With several on the wire, which one is meant must be said.
        if len(found) != 1:
            raise SensorError(part.ABSENT)
        self._rom = found[0]

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        try:
            self._wire.convert_temp()
            await sleep(_CONVERSION_MS)
            pad = self._wire.read_scratch(self._rom)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a wrong CRC is just that; its subclass, silence
            raise SensorError(part.CHECKSUM if type(error) is Exception else part.BUS)
        return [centi_celsius(pad, self._rom[0])]


def centi_celsius(pad: "bytes | bytearray", family: int) -> "int | None":
    """Nine bytes of the scratchpad; None: outside its range. SensorError: no temperature."""
    if pad == bytes(9):
        # The CRC of nothing fits nothing: the wire is held low.
        raise SensorError(part.STUCK)
    raw = pad[0] | pad[1] << 8
    raw -= (raw & 0x8000) << 1
    if family == _DS18S20:
        if pad[7] != 16 or pad[6] > 16:
            raise SensorError(part.CHECKSUM)
        centi = (raw >> 1) * 100 - 25 + ((16 - pad[6]) * 100 + 8) // 16
    else:
        # Below 12 bits of resolution the last of them mean nothing.
        raw &= -1 << (3 - (pad[4] >> 5 & 3))
        centi = (raw * 25 + 2) >> 2
    if centi == _POWER_ON:
        raise SensorError(part.SUPPLY)
    return part.within(centi, -5_500, 12_500)
