"""A block device in memory, on which MicroPython's own littlefs works as on a flash."""

BLOCK = 4096


class RamDisk:
    """blocks of 4 kB, erased or not."""

    def __init__(self, blocks):
        self._blocks = blocks
        self._data = bytearray(BLOCK * blocks)

    def readblocks(self, block, buffer, offset=0):
        start = block * BLOCK + offset
        buffer[:] = self._data[start : start + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        start = block * BLOCK + offset
        self._data[start : start + len(buffer)] = buffer

    def ioctl(self, operation, _value):
        if operation == 4:
            return self._blocks
        return BLOCK if operation == 5 else 0
