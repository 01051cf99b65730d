"""All models of one station on its buses: what `buses` of firmware/cairn/sensors asks for. Only
the models of parts that the station has are imported: all of them would be as large as a board's
own program.
"""

from .chip import I2cBus, UartLine

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .chip import Chip
    from .wires import AdcPin, DhtWire, Ds18Wire

_ON_I2C = {
    1: ("bme280", "Bme280"),
    2: ("sensirion", "Sht3x"),
    3: ("sensirion", "Sht4x"),
    4: ("sensirion", "Scd4x"),
    7: ("veml7700", "Veml7700"),
}
_ON_UART = {
    5: ("serial", "Pms5003"),
    6: ("serial", "Sds011"),
    8: ("serial", "GnssReceiver"),
}
_DHT11, _DHT22, _DS18X20, _ADC = 9, 10, 11, 12


class ChipBuses:
    """One model for every entry of config.sensors; `chips` has them in that order. ticks: ms since
    this boot (its models are powered on with the board).
    """

    def __init__(self, sensors: "Sequence[Sequence[int]]", ticks: "Callable[[], int]") -> None:
        self.ticks = ticks
        self._i2c: dict[int, I2cBus] = {}
        self._uart: dict[int, UartLine] = {}
        # The model at a pin, and its part.
        self._pins: dict[int, tuple[Any, int]] = {}
        self.chips: list[Chip] = [self._fit(tuple(entry)) for entry in sensors]

    def _fit(self, entry: "tuple[int, ...]") -> "Any":
        part, where = entry[0], entry[2]
        if part in _ON_I2C:
            chip = _model(*_ON_I2C[part])(self.ticks)
            address = entry[3] if len(entry) > 3 and entry[3] else chip.address
            self._i2c.setdefault(where, I2cBus()).chips[address] = chip
            return chip
        if part in _ON_UART:
            chip = _model(*_ON_UART[part])(self.ticks)
            self._uart[where] = UartLine(chip)
            return chip
        if part == _ADC:
            chip = _model("wires", "AdcPin")(self.ticks, entry)
        elif part == _DS18X20:
            # Several may hang on one wire.
            chip = self._pins.get(where, (None,))[0] or _model("wires", "Ds18Wire")(self.ticks)
            if len(entry) > 3 and entry[3]:
                chip.add(0x28, entry[3], 0)
        elif part in (_DHT11, _DHT22):
            chip = _model("wires", "DhtWire")(self.ticks, 11 if part == _DHT11 else 22)
        else:
            raise ValueError(f"no model of part {part}")
        self._pins[where] = chip, part
        return chip

    def i2c(self, number: int, sda: "int | None", scl: "int | None") -> I2cBus:
        if number not in self._i2c or (sda is not None and sda == scl):
            raise ValueError(f"no I2C bus {number}")
        return self._i2c[number]

    def uart(self, number: int, baud: int, tx: "int | None", rx: "int | None") -> UartLine:
        if number not in self._uart or baud != 9_600 or (tx is not None and tx == rx):
            raise ValueError(f"no serial line {number}")
        return self._uart[number]

    def adc(self, pin: int) -> "AdcPin":
        found: AdcPin = self._at(pin, _ADC)
        return found

    def dht(self, model: int, pin: int) -> "DhtWire":
        found: DhtWire = self._at(pin, _DHT11 if model == 11 else _DHT22)
        return found

    def onewire(self, pin: int) -> "Ds18Wire":
        found: Ds18Wire = self._at(pin, _DS18X20)
        return found

    def _at(self, pin: int, wanted: int) -> "Any":
        chip, part = self._pins.get(pin, (None, 0))
        if part != wanted:
            raise ValueError("invalid pin")  # machine.Pin raises this
        return chip


def _model(module: str, name: str) -> "Any":
    package = __name__[: __name__.rfind(".") + 1]
    return getattr(__import__(package + module, None, None, (name,)), name)
