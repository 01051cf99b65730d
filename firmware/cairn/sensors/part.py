"""What all drivers share: the fault codes of spec/protocol.md section 6, one bounded retry with
everything set up anew, and the rule that a fault never carries a number.
"""

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import I2C, Buses, Entry, Reading, Sleep

BUS = 1
CHECKSUM = 2
TIMEOUT = 3
STUCK = 4
RANGE = 5
WARMING = 6
SUPPLY = 8
ABSENT = 9

# ETIMEDOUT of the ESP32's C library, and of others.
_TIMEOUTS = ((116,), (110,))
# Two measurements in a row agree to the last bit once in five to twenty with the parts for which
# this is asked; so many in a row never do.
_SAME_MAX = 16


class SensorError(Exception):
    """A measurement that was not had: a code above."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Part:
    """A driver gives `gives`, `start` and `measure`. tries: how often within one reading."""

    # (quantity, exponent) of what measure() returns, in its order.
    gives: "tuple[tuple[int, int], ...]" = ()
    tries = 2
    # (utc_ms, at ticks, uncertainty_ms), of a part that knows the time.
    time: "tuple[int, int, int] | None" = None

    def __init__(self, entry: "Entry", buses: "Buses") -> None:
        self.entry = entry
        self.buses = buses
        self.channel = entry[1]
        self._ready = False
        self._frame = b""
        self._same = 0

    async def start(self, sleep: "Sleep") -> None:
        """Open the bus and make the part ready; again after every fault."""

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        """A value for each of gives; None: it is outside the part's range."""
        raise NotImplementedError

    async def read(self, sleep: "Sleep") -> "list[Reading]":
        first = 0
        for _ in range(self.tries):
            try:
                if not self._ready:
                    await self.start(sleep)
                    self._ready = True
                values = await self.measure(sleep)
                return [self._reading(i, values[i], RANGE) for i in range(len(values))]
            except SensorError as error:
                code = error.code
                if code == WARMING:
                    first = first or code
                    break
            except OSError as error:
                code = TIMEOUT if error.args[:1] in _TIMEOUTS else BUS
            except (ValueError, ImportError):
                # The board has no such bus or pin, or its image not the module for it.
                code = ABSENT
            self._ready = False
            # What is wrong is what was seen first; trying anew may only hide it.
            first = first or code
        return [self._reading(i, None, first) for i in range(len(self.gives))]

    def _reading(self, index: int, value: "int | None", fault: int) -> "Reading":
        quantity, exponent = self.gives[index]
        return quantity, self.channel, exponent, value, 0 if value is not None else fault

    def open_i2c(self) -> "I2C":
        """The bus of an entry [part, channel, bus number, address, sda, scl]."""
        return self.buses.i2c(self.entry[2], self.option(4), self.option(5))

    def option(self, index: int) -> "int | None":
        """That field of the entry, or None if it is shorter."""
        return self.entry[index] if len(self.entry) > index else None

    def moving(self, frame: "bytes | bytearray") -> None:
        """Noise changes the last bits of a working part: raise when nothing changes them."""
        if frame == self._frame:
            self._same += 1
            if self._same >= _SAME_MAX:
                raise SensorError(STUCK)
        else:
            self._frame = bytes(frame)
            self._same = 0


def within(value: int, low: int, high: int) -> "int | None":
    """The value, or None if the part does not measure there."""
    return value if low <= value <= high else None


def humidity(permille: int, tolerance: int) -> "int | None":
    """Air holds 0 to 100 % of its moisture. What reads beyond that by no more than the part's
    tolerance means the end of the scale, as the datasheets say; beyond it, the part is wrong.
    """
    if not -tolerance <= permille <= 1_000 + tolerance:
        return None
    return min(max(permille, 0), 1_000)
