"""Drivers for the sensors that a station may carry, one module a part; docs/sensors.md is the
owner's page. rack.py imports the drivers that config.sensors names, and no others.

A driver is a `Part` (part.py): made with `(entry, buses)`, where entry is its line of
config.sensors, `[part, channel, ...]`, all integers. Making it touches no bus, so a board boots
without its sensors. `await read(sleep)` gives one reading for every (quantity, channel) it
measures, a value or a fault of spec/protocol.md section 6, raises nothing, and waits only by
awaiting `sleep(ms)`, which is Board.sleep. Register arithmetic is in functions of integers.

`buses` is what a board gives to its drivers, as MicroPython has it, so that machine.I2C,
machine.UART, machine.ADC and the frozen modules dht and ds18x20 fit as they are; the types below
are all that is asked of it. Opening the same bus twice gives the same object; opening one that
the board does not have raises ValueError or OSError, which is a fault of that part alone.
"""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Protocol

    # (quantity, channel, exponent, value or None, fault code), as Board.sample() gives them.
    Reading = tuple[int, int, int, int | None, int]
    Sleep = Callable[[int], Awaitable[None]]
    Entry = Sequence[int]

    class I2C(Protocol):
        """machine.I2C; OSError: no acknowledge (19, 5) or a clock held low (110, 116)."""

        def writeto(self, __address: int, __data: bytes) -> object: ...
        def readfrom_into(self, __address: int, __buffer: bytearray) -> object: ...
        def readfrom_mem_into(
            self, __address: int, __register: int, __buffer: bytearray
        ) -> object:
            """Write the register's number and read with a repeated start."""

    class Uart(Protocol):
        """machine.UART; what is not read in time is lost, newest first."""

        def any(self) -> int: ...
        def read(self, __size: int) -> "bytes | None": ...
        def write(self, __data: bytes) -> object: ...

    class Adc(Protocol):
        """machine.ADC at its widest attenuation (11 dB), the chip's own calibration applied."""

        def read_uv(self) -> int: ...

    class Dht(Protocol):
        """dht.DHT11 or dht.DHT22 of the official image: measure() fills buf."""

        buf: bytearray

        def measure(self) -> object: ...

    class Wire(Protocol):
        """ds18x20.DS18X20 of the official image."""

        def scan(self) -> "list[bytearray]": ...
        def convert_temp(self) -> object: ...
        def read_scratch(self, __rom: bytearray) -> bytearray: ...

    class Buses(Protocol):
        """What the board gives. A pin that is None: the board's own choice for that bus."""

        def ticks(self) -> int:
            """Board.ticks: milliseconds since this boot."""

        def i2c(self, number: int, sda: "int | None", scl: "int | None") -> I2C:
            """An I2C bus at 100 kHz, internal pull-ups are not relied on."""

        def uart(self, number: int, baud: int, tx: "int | None", rx: "int | None") -> Uart:
            """8N1, a receive buffer of at least 256 bytes, read(n) does not wait (timeout 0)."""

        def adc(self, pin: int) -> Adc: ...
        def dht(self, model: int, pin: int) -> Dht:
            """Model 11 or 22."""

        def onewire(self, pin: int) -> Wire: ...
