"""The memory image that both machines share: interpreter tables, code, arguments, stack.

A native function is called as f(self, n_args, n_kw, args). It finds the interpreter's function
table over self -> context -> object table. Arguments are addresses already, so that the one
function of that table that kernels need, the conversion of an argument, may return it unchanged.
"""

import struct
from collections.abc import Sequence

from simulator.machine.mpy import NativeModule

BASE = 0x100000
SIZE = 0x40000
CODE = BASE + 0x1000
DATA = BASE + 0x10000
STACK_TOP = BASE + SIZE - 0x1000

_SELF = BASE
_CONTEXT = BASE + 0x20
_TABLE = BASE + 0x40
_OBJECTS = BASE + 0x180
_STUBS = BASE + 0x400
_FUNCTIONS = 50
_CONVERT_ARGUMENT = 3
_STRAY = 0x10  # any other function of the table leads to an address that faults

Argument = bytes | bytearray | int


class Memory:
    """Addresses of one module's functions, and calls laid out in the data area.

    convert is the machine code of a function that returns its first argument.
    """

    def __init__(self, module: NativeModule, convert: bytes) -> None:
        self.image = bytearray(DATA - BASE)
        table = [_STRAY] * _FUNCTIONS
        table[_CONVERT_ARGUMENT] = _STUBS
        self._put(_SELF + 4, struct.pack("<I", _CONTEXT))
        self._put(_CONTEXT, struct.pack("<4I", 0, 0, 0, _OBJECTS))
        self._put(_TABLE, struct.pack(f"<{_FUNCTIONS}I", *table))
        self._put(_OBJECTS, struct.pack("<I", _TABLE) * module.object_count)
        self._put(_STUBS, convert)
        self.entries: list[int] = []
        at = CODE
        for code in module.functions:
            self._put(at, code)
            self.entries.append(at)
            at += -(-len(code) // 16) * 16

    @property
    def function_object(self) -> int:
        """The address to pass as self."""
        return _SELF

    def _put(self, address: int, data: bytes) -> None:
        start = address - BASE
        if start + len(data) > len(self.image):
            raise ValueError("the module does not fit the machine's memory")
        self.image[start : start + len(data)] = data


class Frame:
    """The arguments of one call, placed at an address: args is the array, places the buffers."""

    def __init__(self, arguments: Sequence[Argument], at: int) -> None:
        self.args = at
        self.places: list[tuple[int, bytearray]] = []
        values = []
        chunks = [bytes(4 * -(-len(arguments) // 4) * 4)]
        at += len(chunks[0])
        for argument in arguments:
            if isinstance(argument, int):
                values.append(argument & 0xFFFFFFFF)
                continue
            values.append(at)
            if isinstance(argument, bytearray):
                self.places.append((at, argument))
            # The spare bytes tell a kernel that reads past its argument from one that does not.
            padded = bytes(argument) + b"\xa5" * (16 - len(argument) % 16)
            chunks.append(padded)
            at += len(padded)
        body = b"".join(chunks)
        head = struct.pack(f"<{len(values)}I", *values)
        self.data = head + body[len(head) :]
        self.end = at
