"""The buses of an ESP32 for the sensors: cairn.sensors.Buses over machine and the frozen drivers.

Not run on hardware yet.
"""

from machine import ADC, I2C, UART, Pin

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .base import Board

_I2C_HERTZ = 100_000
# A GNSS module talks 500 B a second, and is read once in a while.
_UART_BYTES = 1_024
_CONSOLE = 0


class Buses:
    """Opens a bus when its first part asks for it, and keeps it for the others."""

    def __init__(self, board: "Board") -> None:
        self._open: "dict[tuple[str, int], Any]" = {}
        self.ticks = board.ticks

    def i2c(self, number: int, sda: "int | None", scl: "int | None") -> I2C:
        def make() -> I2C:
            if sda is None or scl is None:
                return I2C(number, freq=_I2C_HERTZ)
            return I2C(number, sda=Pin(sda), scl=Pin(scl), freq=_I2C_HERTZ)

        bus: I2C = self._opened("i2c", number, make)
        return bus

    def uart(self, number: int, baud: int, tx: "int | None", rx: "int | None") -> UART:
        if number == _CONSOLE:
            raise ValueError("UART 0 is the console")

        def make() -> UART:
            if tx is None or rx is None:
                return UART(number, baud, timeout=0, rxbuf=_UART_BYTES)
            sent, got = Pin(tx), Pin(rx)
            return UART(number, baud, tx=sent, rx=got, timeout=0, rxbuf=_UART_BYTES)

        bus: UART = self._opened("uart", number, make)
        return bus

    def adc(self, pin: int) -> ADC:
        def make() -> ADC:
            return ADC(Pin(pin), atten=ADC.ATTN_11DB)

        converter: ADC = self._opened("adc", pin, make)
        return converter

    def dht(self, model: int, pin: int) -> "Any":
        import dht

        kind = dht.DHT11 if model == 11 else dht.DHT22
        return self._opened("dht", pin, lambda: kind(Pin(pin)))

    def onewire(self, pin: int) -> "Any":
        import ds18x20
        import onewire

        return self._opened("onewire", pin, lambda: ds18x20.DS18X20(onewire.OneWire(Pin(pin))))

    def _opened(self, kind: str, number: int, make: "Callable[[], Any]") -> "Any":
        found = self._open.get((kind, number))
        if found is None:
            found = self._open[(kind, number)] = make()
        return found
