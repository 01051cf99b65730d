"""The chip's ROM in download mode: one packet in, its answers out.

Also stands for esptool's stub after somebody has loaded one into RAM: the code that was loaded is
not run, but from then on the answers are a stub's.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from simulator.virtual.flash import SECTOR_BYTES, Flash
from simulator.virtual.models import Model
from simulator.virtual.slip import SlipReader, framed
from simulator.virtual.spi import SpiController

# Error numbers of the ROM.
_INVALID, _FAILED, _BAD_CHECKSUM, _INFLATE = 0x05, 0x06, 0x07, 0x0B
_CHECKSUM_SEED = 0xEF
_SYNC_ANSWERS, _INVALID_ANSWERS = 8, 8
_SYNC_VALUE = 0x2012_0707
_SLOW_READ_BYTES = 64
_SYNC, _CHANGE_BAUD = 0x08, 0x0F
_BLOCK_COMMANDS = (0x03, 0x11)


class _Refused(Exception):  # noqa: N818 - an answer
    """The number of an error."""


@dataclass
class RomFaults:
    """What goes wrong, and how often; counters count down while the board lives.

    no_sync: nothing is answered in download mode (the TX wire is broken). bad_checksums: so many
    blocks arrive damaged. lost_replies: so many blocks are written and their answer gets lost.
    cut_after_blocks: power fails once so many blocks have arrived. unplug_after_blocks: the cable
    is pulled out instead. wrong_md5: flash does not keep what was written. baud_max: at higher
    rates the line carries nothing but noise. no_stub: code in RAM is refused.
    """

    no_sync: bool = False
    bad_checksums: int = 0
    lost_replies: int = 0
    cut_after_blocks: int | None = None
    unplug_after_blocks: int | None = None
    wrong_md5: bool = False
    baud_max: int | None = None
    no_stub: bool = False


@dataclass
class Wiring:
    """What the ROM can do to the rest of the board."""

    run: Callable[[], None]
    cut_power: Callable[[], None]
    unplug: Callable[[], None]


class Rom:
    """baud: the rate that the chip talks at; None until the first packet tells it."""

    def __init__(
        self, model: Model, mac: bytes, flash: Flash, faults: RomFaults, wiring: Wiring
    ) -> None:
        self.baud: int | None = None
        self._model, self._mac, self._flash = model, mac, flash
        self._faults, self._wiring = faults, wiring
        self._reader = SlipReader()
        self._spi = SpiController(model.spi, flash.size)
        self._written: dict[int, int] = {}
        self._stub = False
        self._offset = self._erased = self._block = 0
        self._inflate: Any = None
        self._reading: _StubRead | None = None
        self._commands: dict[int, Callable[[bytes], bytes]] = {
            0x02: self._flash_begin,
            0x03: self._flash_data,
            0x04: self._flash_end,
            0x05: self._memory,
            0x06: self._memory,
            0x07: self._memory,
            0x08: lambda _: b"",
            0x09: self._write_register,
            0x0B: lambda _: b"",
            0x0D: lambda _: b"",
            0x0E: self._read_slowly,
            0x0F: lambda _: b"",
            0x10: self._deflated_begin,
            0x11: self._deflated_data,
            0x12: self._flash_end,
            0x13: self._digest,
            0x14: self._security,
        }
        self._stub_commands: dict[int, Callable[[bytes], bytes]] = {
            0xD0: self._erase_all,
            0xD1: self._erase_region,
            0xD2: self._read_fast,
        }

    def feed(self, data: bytes, baud: int | None) -> bytes:
        """What the chip sends on it. baud: the host's rate; None: the line has none."""
        answer = b""
        if self._unheard(baud):
            return answer
        for packet in self._reader.feed(data):
            if self._faults.no_sync:
                continue
            if self._reading is not None:
                answer += self._reading.acknowledged(packet)
                if self._reading.ended:
                    self._reading = None
            elif len(packet) >= 8 and packet[0] == 0:
                answer += self._command(packet, baud)
        return answer

    def _unheard(self, baud: int | None) -> bool:
        if baud is None:
            return False
        limit = self._faults.baud_max
        return (limit is not None and baud > limit) or self.baud not in (None, baud)

    def _command(self, packet: bytes, baud: int | None) -> bytes:
        _, command, size, checksum = struct.unpack("<BBHI", packet[:8])
        data = packet[8 : 8 + size]
        if self.baud is None:
            # It measures the first bytes that it hears.
            self.baud = baud
        if command in _BLOCK_COMMANDS:
            return self._arriving_block(command, data, checksum)
        answer = self._answer(command, data)
        if command == _SYNC:
            return answer * _SYNC_ANSWERS
        if command == _CHANGE_BAUD and baud is not None:
            self.baud = int.from_bytes(data[:4], "little")
        return answer

    def _arriving_block(self, command: int, data: bytes, checksum: int) -> bytes:
        faults = self._faults
        if faults.bad_checksums:
            faults.bad_checksums -= 1
            return self._reply(command, error=_BAD_CHECKSUM)
        found = _CHECKSUM_SEED
        for byte in data[16:]:
            found ^= byte
        if found != checksum & 0xFF:
            return self._reply(command, error=_BAD_CHECKSUM)
        answer = self._answer(command, data)
        self._block += 1
        if faults.cut_after_blocks is not None and self._block >= faults.cut_after_blocks:
            faults.cut_after_blocks = None
            self._wiring.cut_power()
            return b""
        if faults.unplug_after_blocks is not None and self._block >= faults.unplug_after_blocks:
            faults.unplug_after_blocks = None
            self._wiring.unplug()
            return b""
        if faults.lost_replies:
            faults.lost_replies -= 1
            return b""
        return answer

    def _answer(self, command: int, data: bytes) -> bytes:
        if command == 0x0A:
            return self._reply(command, value=self._register(data))
        handle = self._commands.get(command)
        if handle is None and self._stub:
            handle = self._stub_commands.get(command)
        if handle is None:
            # esptool knows this by another command's number in it, eight times over.
            return self._reply(0, error=_INVALID) * _INVALID_ANSWERS
        try:
            body = handle(data)
        except _Refused as refused:
            number: int = refused.args[0]
            if number == _INVALID:
                return self._reply(0, error=number) * _INVALID_ANSWERS
            return self._reply(command, error=number)
        reply = self._reply(command, body, value=0 if self._stub else _SYNC_VALUE)
        if command == 0x06 and not self._stub and int.from_bytes(data[4:8], "little"):
            self._stub = True
            return reply + framed(b"OHAI")
        if self._reading is not None:
            return reply + self._reading.pieces()
        return reply

    def _reply(self, command: int, body: bytes = b"", error: int = 0, value: int = 0) -> bytes:
        status = bytes((1 if error else 0, error)) + (b"" if self._stub else b"\x00\x00")
        header = struct.pack("<BBHI", 1, command, len(body) + len(status), value)
        return framed(header + body + status)

    def _register(self, data: bytes) -> int:
        address = int.from_bytes(data[:4], "little")
        known = self._written.get(address)
        return self._model.read(address, self._mac) if known is None else known

    def _write_register(self, data: bytes) -> bytes:
        for at in range(0, len(data) - 15, 16):
            address, value, mask, _ = struct.unpack_from("<IIII", data, at)
            old = self._written.get(address, 0)
            self._written[address] = old & ~mask | value & mask
            self._spi.written(self._written, address, self._written[address])
        return b""

    def _security(self, _data: bytes) -> bytes:
        if not self._model.tells_security:
            raise _Refused(_INVALID)
        # No flags, nothing encrypted, no keys, the chip and the API's version.
        return bytes(12) + struct.pack("<II", self._model.chip_id, 0)

    def _memory(self, _data: bytes) -> bytes:
        if self._faults.no_stub:
            raise _Refused(_FAILED)
        return b""

    def _begin(self, data: bytes) -> None:
        size, _, _, offset = struct.unpack_from("<IIII", data)
        if not self._flash.holds(offset, size):
            raise _Refused(_FAILED)
        if size:
            self._flash.erase(offset, size)
        self._offset = offset

    def _flash_begin(self, data: bytes) -> bytes:
        self._begin(data)
        self._inflate = None
        return b""

    def _deflated_begin(self, data: bytes) -> bytes:
        self._begin(data)
        self._inflate = zlib.decompressobj()
        return b""

    def _flash_data(self, data: bytes) -> bytes:
        size, sequence, _, _ = struct.unpack_from("<IIII", data)
        self._program(self._offset + sequence * len(data[16 : 16 + size]), data[16 : 16 + size])
        return b""

    def _deflated_data(self, data: bytes) -> bytes:
        if self._inflate is None:
            raise _Refused(_FAILED)
        try:
            written = self._inflate.decompress(data[16:])
        except zlib.error:
            raise _Refused(_INFLATE) from None
        self._program(self._offset, written)
        self._offset += len(written)
        return b""

    def _program(self, offset: int, data: bytes) -> None:
        if not self._flash.holds(offset, len(data)):
            raise _Refused(_FAILED)
        if self._faults.wrong_md5 and data:
            data = bytes([data[0] ^ 1]) + data[1:]
        self._flash.program(offset, data)

    def _flash_end(self, data: bytes) -> bytes:
        if int.from_bytes(data[:4], "little") == 0:
            self._wiring.run()
        return b""

    def _read_slowly(self, data: bytes) -> bytes:
        offset, size = struct.unpack_from("<II", data)
        read = self._flash.read(offset, min(size, _SLOW_READ_BYTES))
        return read.ljust(_SLOW_READ_BYTES, b"\x00")

    def _digest(self, data: bytes) -> bytes:
        offset, size = struct.unpack_from("<II", data)
        if not self._flash.holds(offset, size):
            raise _Refused(_FAILED)
        digest = self._flash.digest(offset, size)
        return digest if self._stub else digest.hex().encode()

    def _erase_all(self, _data: bytes) -> bytes:
        self._flash.erase(0, self._flash.size)
        return b""

    def _erase_region(self, data: bytes) -> bytes:
        offset, size = struct.unpack_from("<II", data)
        if offset % SECTOR_BYTES or size % SECTOR_BYTES or not self._flash.holds(offset, size):
            raise _Refused(_FAILED)
        self._flash.erase(offset, size)
        return b""

    def _read_fast(self, data: bytes) -> bytes:
        offset, size, block, ahead = struct.unpack_from("<IIII", data)
        content = self._flash.read(offset, size)
        self._reading = _StubRead(content, self._flash.digest(offset, size), block, ahead)
        return b""


class _StubRead:
    """Blocks that a stub sends, at most `ahead` of them before the host says what has come."""

    def __init__(self, content: bytes, digest: bytes, block: int, ahead: int) -> None:
        self._content, self._digest = content, digest
        self._block, self._ahead = block, ahead
        self._sent = self._acknowledged = 0
        self.ended = False

    def acknowledged(self, packet: bytes) -> bytes:
        self._acknowledged = int.from_bytes(packet[:4], "little")
        return self.pieces()

    def pieces(self) -> bytes:
        return b"".join(self._next())

    def _next(self) -> Iterator[bytes]:
        while (
            self._sent < len(self._content)
            and self._sent - self._acknowledged < self._block * self._ahead
        ):
            piece = self._content[self._sent : self._sent + self._block]
            self._sent += len(piece)
            yield framed(piece)
        if self._acknowledged >= len(self._content) and not self.ended:
            self.ended = True
            yield framed(self._digest)
