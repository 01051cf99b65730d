"""The controller between chip and flash, as far as esptool works it by its registers."""

from simulator.virtual.models import SpiRegisters

_START = 1 << 18
_READ_ID = 0x9F
# Winbond, SPI NOR; the third byte is the size as a power of two.
_MAKER, _KIND = 0xEF, 0x40


class SpiController:
    """Commands end at once; one that nobody knows reads as 0, as the line would."""

    def __init__(self, registers: SpiRegisters, flash_bytes: int) -> None:
        self._at = registers
        self._id = _MAKER | _KIND << 8 | (flash_bytes.bit_length() - 1) << 16

    def written(self, written: dict[int, int], address: int, value: int) -> None:
        """A register was written; the effect goes into `written`, where it will be read."""
        if address != self._at.command or not value & _START:
            return
        command = written.get(self._at.user2, 0) & 0xFF
        written[self._at.word0] = self._id if command == _READ_ID else 0
        written[address] = value & ~_START
