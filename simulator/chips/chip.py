"""What every model has: its values, its noise, its fault, and the buses on which it hangs."""

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable

NAK = 19  # ENODEV: what the ESP32's I2C driver raises when nobody acknowledges
TIMED_OUT = 116  # ETIMEDOUT of its C library


class Chip:
    """values: quantity code to integer, in the resolution of spec/quantities.toml.

    fault: None, or what is wrong with it (the model says what it knows); left: for how many
    transactions, None for ever; after: how many go well before that.
    """

    def __init__(self, ticks: "Callable[[], int]") -> None:
        self.ticks = ticks
        self.values: dict[int, int] = {}
        self.fault: str | None = None
        self.left: int | None = None
        self.after = 0
        self._state = 0x2545F491

    def fail(self, fault: "str | None", left: "int | None" = None, after: int = 0) -> None:
        self.fault = fault
        self.left = left
        self.after = after

    def failing(self) -> "str | None":
        """The fault of this transaction, which is counted."""
        fault = self.fault
        if self.after:
            self.after -= 1
            return None
        if fault is not None and self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.fault = self.left = None
                return None
        return fault

    def random(self, below: int) -> int:
        """The same sequence in every run: xorshift32."""
        state = self._state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        self._state = state
        return state % below

    def noise(self, width: int) -> int:
        """-width .. width."""
        return self.random(2 * width + 1) - width


class I2cChip(Chip):
    """Knows write(data) and read(size); the bus adds faults that are not of the chip alone:
    nak, timeout, stuck (all ones), low (all zeros), crc (one bit flipped), garbage, frozen (what
    was read first, again and again), foreign (another chip with another id).
    """

    address = 0

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def read(self, size: int) -> bytes:
        raise NotImplementedError


class I2cBus:
    """As machine.I2C."""

    def __init__(self) -> None:
        self.chips: dict[int, I2cChip] = {}
        self._asked = b""
        self._first: dict[tuple[int, bytes, int], bytes] = {}

    def writeto(self, address: int, data: bytes) -> int:
        chip, _ = self._answering(address)
        self._asked = bytes(data)
        chip.write(bytes(data))
        return len(data)

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        chip, fault = self._answering(address)
        size = len(buffer)
        key = (address, self._asked, size)
        if fault == "stuck":
            answer = b"\xff" * size
        elif fault == "low":
            answer = bytes(size)
        elif fault == "garbage":
            answer = bytes([chip.random(256) for _ in range(size)])
        elif fault == "crc":
            answer = flipped(chip.read(size), chip.random(8 * size))
        elif fault == "frozen":
            answer = self._first.get(key) or chip.read(size)
            self._first[key] = answer
        else:
            self._first.pop(key, None)
            answer = chip.read(size)
        buffer[:] = answer

    def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
        self.writeto(address, bytes((register,)))
        self.readfrom_into(address, buffer)

    def _answering(self, address: int) -> "tuple[I2cChip, str | None]":
        chip = self.chips.get(address)
        fault = None if chip is None else chip.failing()
        if fault == "timeout":
            raise OSError(TIMED_OUT)
        if chip is None or fault == "nak":
            raise OSError(NAK)
        return chip, fault


def flipped(data: bytes, bit: int) -> bytes:
    """The same with one bit the other way round."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


class SerialChip(Chip):
    """Knows produce(since_ms, now_ms): the bytes it sends in that time. Faults: silent, stuck (a
    line held low), garbage, crc (a bit of every frame flipped), half (frames break off).
    """

    def produce(self, since_ms: int, now_ms: int) -> bytes:
        raise NotImplementedError

    def frame_sent(self, frame: bytes) -> bytes:
        """What of one frame arrives under the present fault."""
        fault = self.failing()
        if fault == "silent":
            return b""
        if fault == "stuck":
            return bytes(len(frame))
        if fault == "garbage":
            return bytes([self.random(256) for _ in range(len(frame))])
        if fault == "crc":
            return flipped(frame, 16 + self.random(8 * len(frame) - 16))
        if fault == "half":
            return frame[: len(frame) // 2]
        return frame


class UartLine:
    """As machine.UART with timeout 0: a receive buffer of 256 bytes; what comes when it is full is
    lost.
    """

    FIFO_BYTES = 256

    def __init__(self, chip: SerialChip) -> None:
        self._chip = chip
        self._since = chip.ticks()
        self._buffer = b""

    def any(self) -> int:
        now = self._chip.ticks()
        if now > self._since:
            self._buffer += self._chip.produce(self._since, now)
            self._buffer = self._buffer[: self.FIFO_BYTES]
            self._since = now
        return len(self._buffer)

    def read(self, size: int) -> "bytes | None":
        self.any()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken or None

    def write(self, data: bytes) -> int:
        return len(data)
