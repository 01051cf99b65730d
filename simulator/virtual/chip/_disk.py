"""A partition of the flash file: as a block device for VfsLfs2, and as NVS."""

import binascii
import struct

BLOCK = 4096
_MAGIC = b"vNVS"


class Partition:
    """flash: the open file. writes_left: how many times something is written before power fails;
    None for ever.
    """

    writes_left = None
    host = None

    def __init__(self, flash, offset, size):
        self._flash = flash
        self._offset = offset
        self._blocks = size // BLOCK

    def readblocks(self, block, buffer, offset=0):
        self._flash.seek(self._offset + block * BLOCK + offset)
        self._flash.readinto(buffer)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            # MicroPython's simple interface erases by itself.
            self.ioctl(6, block)
            offset = 0
        self._put(block * BLOCK + offset, buffer)

    def ioctl(self, operation, value):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK
        if operation == 6:
            self._put(value * BLOCK, b"\xff" * BLOCK)
        return 0

    def _put(self, at, data):
        left = Partition.writes_left
        if left is not None:
            if left <= 0:
                Partition.host.end("cut")
            Partition.writes_left = left - 1
        self._flash.seek(self._offset + at)
        self._flash.write(data)

    def blank(self):
        first = bytearray(BLOCK)
        self.readblocks(0, first)
        return first == b"\xff" * BLOCK


class Nvs:
    """Blobs and numbers by (namespace, key), all written again at every commit: into the half of
    the region that does not hold the newest whole copy.
    """

    def __init__(self, partition):
        self._partition = partition
        self._half = partition.ioctl(4, 0) // 2 * BLOCK
        self._turn = 0
        self.values = {}
        for half in (0, 1):
            turn, values = self._read(half)
            if turn > self._turn:
                self._turn, self.values = turn, values

    def _read(self, half):
        header = bytearray(16)
        self._partition.readblocks(0, header, half * self._half)
        magic, turn, size, crc = struct.unpack("<4sIII", header)
        if magic != _MAGIC or size > self._half - 16:
            return 0, {}
        body = bytearray(size)
        self._partition.readblocks(0, body, half * self._half + 16)
        if binascii.crc32(body) != crc:
            return 0, {}
        return turn, _decoded(bytes(body))

    def keep(self):
        """Write `values`; OSError: the region is full."""
        body = _encoded(self.values)
        if len(body) > self._half - 16:
            raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        turn = self._turn + 1
        at = turn % 2 * self._half
        for block in range(at // BLOCK, (at + self._half) // BLOCK):
            self._partition.ioctl(6, block)
        self._partition.writeblocks(0, body, at + 16)
        header = struct.pack("<4sIII", _MAGIC, turn, len(body), binascii.crc32(body))
        self._partition.writeblocks(0, header, at)
        self._turn = turn


def _encoded(values):
    parts = []
    for (namespace, key), value in sorted(values.items()):
        number = isinstance(value, int)
        data = struct.pack("<i", value) if number else value
        parts += [bytes([len(text)]) + text.encode() for text in (namespace, key)]
        parts.append(struct.pack("<BH", 1 if number else 2, len(data)) + data)
    return b"".join(parts)


def _decoded(body):
    values = {}
    at = 0
    while at < len(body):
        names = []
        for _ in range(2):
            size = body[at]
            names.append(body[at + 1 : at + 1 + size].decode())
            at += 1 + size
        kind, size = struct.unpack("<BH", body[at : at + 3])
        data = body[at + 3 : at + 3 + size]
        at += 3 + size
        values[(names[0], names[1])] = struct.unpack("<i", data)[0] if kind == 1 else data
    return values
