"""Runs xtensawin kernels (ESP32, S2, S3) in qemu-xtensa and counts their instructions.

A program is made by hand for each run: a Linux executable with the memory image and one call
after the other, which at its end writes its data area to standard output.
"""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from simulator.machine.faults import MachineError
from simulator.machine.memory import BASE, DATA, SIZE, Argument, Frame, Memory
from simulator.machine.mpy import compile_module

CPU = "dc233c"  # a Tensilica core with windowed registers and 16-bit instructions, as the ESP32's
_CONVERT = bytes.fromhex("364100 1df0")  # entry a1, 32; retw.n: a2 stays as it came
_SYSCALL = bytes.fromhex("005000")
_SYSCALL_EXIT = 118
_SYSCALL_WRITE = 13
_EM_XTENSA = 94
_HEADER_BYTES = 0x1000
_TIMEOUT_S = 300


class XtensaKernel:
    """One viper function of a firmware module as an ESP32 would run it."""

    def __init__(self, source: Path, *, function: int = 0) -> None:
        found = shutil.which("qemu-xtensa")
        if found is None:
            raise MachineError("qemu_missing", "install it with: apt-get install qemu-user")
        self._qemu = found
        module = compile_module(source, "xtensawin")
        self.code_bytes = len(module.functions[function])
        self.file_bytes = module.file_bytes
        self._memory = Memory(module, _CONVERT)
        self._entry = self._memory.entries[function]

    def run(self, calls: Sequence[Sequence[Argument]]) -> None:
        """All calls in one process; bytearrays hold afterwards what the kernel wrote to them.

        Raises MachineError (crashed, stuck).
        """
        program, frames, end = self._program(calls)
        out = self._execute(program, ["-cpu", CPU])
        if len(out) != end - DATA:
            raise MachineError("crashed", f"{len(out)} bytes came back of {end - DATA}")
        for frame in frames:
            for address, buffer in frame.places:
                start = address - DATA
                buffer[:] = out[start : start + len(buffer)]

    def count(self, *arguments: Argument) -> int:
        """Instructions of one call, from the kernel's first to its return; results are dropped."""
        program, _, _ = self._program([arguments])
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            flags = ["-cpu", CPU, "-singlestep", "-d", "exec,nochain", "-D", str(log)]
            self._execute(program, flags)
            count = 0
            low, high = self._entry, self._entry + self.code_bytes
            with log.open(encoding="ascii", errors="replace") as lines:
                for line in lines:
                    # Trace 0: 0x7f... [00000000/00100ff4/00000024/ff000000]
                    address = int(line.split("/", 2)[1], 16) if line.startswith("Trace") else 0
                    count += low <= address < high
        return count

    def _execute(self, program: bytes, flags: list[str]) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "program"
            path.write_bytes(program)
            path.chmod(0o755)
            try:
                done = subprocess.run(  # noqa: S603 - a program made here, in a user-mode machine
                    [self._qemu, *flags, str(path)],
                    capture_output=True,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise MachineError("stuck", f"no end within {_TIMEOUT_S} s") from None
        if done.returncode != 0:
            detail = done.stderr.decode(errors="replace")[-200:]
            raise MachineError("crashed", f"qemu-xtensa ended with {done.returncode} {detail}")
        return done.stdout

    def _program(self, calls: Sequence[Sequence[Argument]]) -> tuple[bytes, list[Frame], int]:
        frames: list[Frame] = []
        at = DATA
        for arguments in calls:
            frames.append(Frame(arguments, at))
            at = frames[-1].end
        start = _Assembler(-(-at // 16) * 16)
        start.set_register(1, start.base + SIZE - 64)  # above everything, wherever the data ends
        for frame, arguments in zip(frames, calls, strict=True):
            start.set_register(10, self._memory.function_object)
            start.set_register(11, len(arguments))
            start.set_register(12, 0)
            start.set_register(13, frame.args)
            start.set_register(8, self._entry)
            start.code += bytes.fromhex("e00800")  # callx8 a8
        start.system_call(_SYSCALL_WRITE, 1, DATA, at - DATA)
        start.system_call(_SYSCALL_EXIT, 0, 0, 0)
        data = b"".join(frame.data for frame in frames)
        image = bytes(self._memory.image) + data
        image += bytes(start.base - BASE - len(image))
        entry, body = start.finish()
        return _executable(image + body, entry), frames, at


class _Assembler:
    """Straight-line code whose constants come from a pool in front of it, as l32r wants it."""

    _POOL_WORDS = 8192

    def __init__(self, base: int) -> None:
        self.base = base
        self.code = bytearray()
        self._pool: dict[int, int] = {}
        self._loads: list[tuple[int, int, int]] = []

    def set_register(self, register: int, value: int) -> None:
        index = self._pool.setdefault(value, len(self._pool))
        self._loads.append((len(self.code), register, index))
        self.code += bytes(3)

    def system_call(self, number: int, first: int, second: int, third: int) -> None:
        for register, value in ((2, number), (6, first), (3, second), (4, third)):
            self.set_register(register, value)
        self.code += _SYSCALL

    def finish(self) -> tuple[int, bytes]:
        pool_bytes = 4 * -(-len(self._pool) // 4) * 4
        entry = self.base + pool_bytes
        for at, register, index in self._loads:
            here = (entry + at + 3) & ~3
            words = (self.base + 4 * index - here) // 4
            if words < -0x8000:
                raise ValueError("more calls than one program can hold")
            self.code[at : at + 3] = ((words & 0xFFFF) << 8 | register << 4 | 1).to_bytes(
                3, "little"
            )
        return entry, struct.pack(f"<{len(self._pool)}I", *self._pool).ljust(
            pool_bytes, b"\0"
        ) + bytes(self.code)


def _executable(image: bytes, entry: int) -> bytes:
    """An ELF file with one segment at BASE that may be read, written and run."""
    ident = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    header = ident + struct.pack(
        "<HHIIIIIHHHHHH", 2, _EM_XTENSA, 1, entry, 52, 0, 0, 52, 32, 1, 0, 0, 0
    )
    memory = len(image) + SIZE
    segment = struct.pack(
        "<8I", 1, _HEADER_BYTES, BASE, BASE, len(image), memory, 7, _HEADER_BYTES
    )
    return (header + segment).ljust(_HEADER_BYTES, b"\0") + image
