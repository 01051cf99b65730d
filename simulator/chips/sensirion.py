"""SHT3x, SHT4x and SCD4x as Sensirion's datasheets describe them: commands, times during which
they do not acknowledge, and words with a CRC.
"""

from .chip import NAK, I2cChip

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable

_POLYNOMIAL = 0x131
_START = 0xFF


def with_crc(word: int) -> bytes:
    """Three bytes: the word and the remainder of a long division of polynomials."""
    rest = (word ^ (_START << 8)) << 8
    for bit in range(23, 7, -1):
        if rest >> bit & 1:
            rest ^= _POLYNOMIAL << (bit - 8)
    return bytes((word >> 8, word & 0xFF, rest))


def as_word(value: float, low: float, span: float) -> int:
    """The word that a datasheet's low + span * word / 65535 turns into the value."""
    return max(0, min(0xFFFF, int((value - low) * 65535.0 / span + 0.5)))


class Slotted(I2cChip):
    """While it is busy it acknowledges nothing. Faults: slow, it stays busy; late, it takes twice
    the time that the datasheet allows it.
    """

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self._busy_until = -1
        self._answer = b""

    def _begin(self, duration_ms: int, answer: bytes) -> None:
        slow = self.fault == "slow" and duration_ms > 1
        if self.fault == "late":
            duration_ms *= 2
        self._busy_until = self.ticks() + (10_000_000 if slow else duration_ms)
        self._answer = answer

    def _reset(self, duration_ms: int) -> None:
        """Ends a measurement that hangs, too."""
        self._busy_until = self.ticks() + duration_ms
        self._answer = b""

    def _idle(self) -> None:
        if self.ticks() < self._busy_until:
            raise OSError(NAK)

    def read(self, size: int) -> bytes:
        self._idle()
        if len(self._answer) < size:
            raise OSError(NAK)
        answer, self._answer = self._answer, b""
        return answer[:size]


class Sht3x(Slotted):
    address = 0x44

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {0: 2_100, 1: 500}

    def write(self, data: bytes) -> None:
        if data == b"\x30\xa2":
            self._reset(2)
            return
        self._idle()
        if data == b"\x24\x00":
            temperature = as_word(self.values[0] / 100.0, -45.0, 175.0) + self.noise(8)
            humidity = as_word(self.values[1] / 10.0, 0.0, 100.0) + self.noise(20)
            self._begin(16, with_crc(temperature & 0xFFFF) + with_crc(_held(humidity)))
        else:
            raise OSError(NAK)


class Sht4x(Slotted):
    address = 0x44

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {0: 2_100, 1: 500}

    def write(self, data: bytes) -> None:
        if data == b"\x94":
            self._reset(1)
            return
        self._idle()
        if data == b"\xfd":
            temperature = as_word(self.values[0] / 100.0, -45.0, 175.0) + self.noise(8)
            humidity = as_word(self.values[1] / 10.0, -6.0, 125.0) + self.noise(16)
            self._begin(9, with_crc(temperature & 0xFFFF) + with_crc(_held(humidity)))
        else:
            raise OSError(NAK)


class Scd4x(Slotted):
    """Fault slow: it never has a measurement ready. lose_power(): as if its supply had failed."""

    address = 0x62

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {5: 415, 0: 2_100, 1: 500}
        self.lose_power()

    def lose_power(self) -> None:
        self._next = -1

    def _ready(self) -> bool:
        return 0 <= self._next <= self.ticks() and self.fault != "slow"

    def write(self, data: bytes) -> None:
        self._idle()
        if data == b"\x3f\x86":
            self._next = -1
            self._busy_until = self.ticks() + 500
        elif data == b"\x21\xb1" and self._next < 0:
            self._next = self.ticks() + 5_000
        elif data == b"\xe4\xb8":
            self._begin(1, with_crc(0x8006 if self._ready() else 0x8000))
        elif data == b"\xec\x05" and self._ready():
            self._next = self.ticks() - (self.ticks() - self._next) % 5_000 + 5_000
            temperature = as_word(self.values[0] / 100.0, -45.0, 175.0) + self.noise(8)
            humidity = as_word(self.values[1] / 10.0, 0.0, 100.0) + self.noise(20)
            words = (self.values[5], temperature, _held(humidity))
            self._begin(1, b"".join([with_crc(word & 0xFFFF) for word in words]))
        else:
            raise OSError(NAK)


def _held(word: int) -> int:
    return max(0, min(0xFFFF, word))
