"""DHT11, DHT22, DS18B20 and a voltage, behind the objects that the official image's modules give:
dht.DHT22, ds18x20.DS18X20 and machine.ADC. What those raise is raised here.
"""

from .chip import TIMED_OUT, Chip, flipped

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable


class OneWireError(Exception):
    """As onewire.OneWireError: nobody answered the reset."""


class DhtWire(Chip):
    """Faults: silent, crc, low (the wire reads as zeros), frozen is how it always looks."""

    def __init__(self, ticks: "Callable[[], int]", model: int) -> None:
        super().__init__(ticks)
        self.values = {0: 2_100, 1: 500}
        self.buf = bytearray(5)
        self.model = model

    def measure(self) -> None:
        fault = self.failing()
        if fault == "silent":
            raise OSError(TIMED_OUT)
        tenths = abs(self.values[0]) // 10
        below = 0x80 if self.values[0] < 0 else 0
        if self.model == 22:
            data = self.values[1].to_bytes(2, "big") + (tenths | below << 8).to_bytes(2, "big")
        else:
            humidity = self.values[1]
            data = bytes((humidity // 10, humidity % 10, tenths // 10, tenths % 10 | below))
        frame = data + bytes([sum(data) & 0xFF])
        if fault == "low":
            frame = bytes(5)
        elif fault == "crc":
            frame = flipped(frame, self.random(40))
        self.buf[:] = frame
        if sum(frame[:4]) & 0xFF != frame[4]:
            # What dht.DHTBase.measure raises.
            raise Exception("checksum error")  # noqa: TRY002


class Ds18Wire(Chip):
    """parts: ROM to values. Faults: silent (nobody answers the reset), crc, low, power (the supply
    fails during the conversion, and the power-on value stays).
    """

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {0: 2_100}
        self.parts: dict[bytes, int] = {}
        self.add(0x28, 0x0000_0A1B_2C3D, 0)

    def add(self, family: int, serial: int, offset: int) -> None:
        """One more on the wire, offset 1/100 C from the value."""
        rom = bytes((family,)) + serial.to_bytes(6, "little")
        self.parts[rom + bytes([crc8(rom)])] = offset

    def scan(self) -> "list[bytearray]":
        if self.fault == "silent":
            return []
        return [bytearray(rom) for rom in self.parts]

    def convert_temp(self) -> None:
        self._converted_at = self.ticks() + 750
        if self.failing() == "silent":
            raise OneWireError

    def read_scratch(self, rom: bytearray) -> bytearray:
        fault = self.failing()
        if fault == "silent":
            raise OneWireError
        family = rom[0]
        centi = self.values[0] + self.parts[bytes(rom)]
        done = self.ticks() >= self._converted_at and fault != "power"
        pad = bytearray(scratchpad(family, centi if done else 8_500))
        if fault == "low":
            pad = bytearray(9)
        elif fault == "crc":
            pad = bytearray(flipped(bytes(pad), self.random(72)))
        if crc8(pad[:8]) != pad[8]:
            # What ds18x20.DS18X20.read_scratch raises.
            raise Exception("CRC error")  # noqa: TRY002
        return pad


def scratchpad(family: int, centi: int) -> bytes:
    """Nine bytes as the datasheets DS18B20 (figure 4) and DS18S20 (equation 1) have them."""
    if family == 0x10:
        # T = whole - 0.25 + (16 - remain) / 16, whole in half degrees cut to degrees.
        sixteenths = (centi * 16 + 50) // 100
        whole = (sixteenths + 4) // 16
        remain = 16 - (sixteenths + 4) % 16
        data = (2 * whole & 0xFFFF).to_bytes(2, "little") + b"\x4b\x46\xff\xff"
        data += bytes((remain, 16))
    else:
        raw = (centi * 16 + 50) // 100 & 0xFFFF
        data = raw.to_bytes(2, "little") + b"\x4b\x46\x7f\xff\x0c\x10"
    return data + bytes([crc8(data)])


def crc8(data: "bytes | bytearray") -> int:
    """Maxim application note 27: x^8 + x^5 + x^4 + 1, bits from the right."""
    crc = 0
    for byte in data:
        for bit in range(8):
            mixed = (crc ^ byte >> bit) & 1
            crc >>= 1
            if mixed:
                crc ^= 0x8C
    return crc


class AdcPin(Chip):
    """values of its one quantity, through the line that the entry calibrates. Faults: low and high
    (the pin clips).
    """

    def __init__(self, ticks: "Callable[[], int]", entry: "tuple[int, ...]") -> None:
        super().__init__(ticks)
        self._entry = entry
        self.values = {entry[3]: (entry[5] + entry[7]) // 2}

    def read_uv(self) -> int:
        fault = self.failing()
        if fault == "low":
            return 142_000
        if fault == "high":
            return 3_100_000
        _, _, _, quantity, uv0, value0, uv1, value1 = self._entry
        share = (self.values[quantity] - value0) / (value1 - value0)
        return int(uv0 + share * (uv1 - uv0)) + self.noise(800)
