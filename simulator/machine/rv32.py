"""Runs rv32imc kernels (ESP32-C3, C6) in unicorn and counts their instructions."""

from importlib import import_module
from pathlib import Path
from typing import Any

from simulator.machine.faults import MachineError
from simulator.machine.memory import BASE, DATA, SIZE, STACK_TOP, Argument, Frame, Memory
from simulator.machine.mpy import compile_module

_RETURN = bytes.fromhex("8280")  # c.jr ra: the first argument is in the result's register already
_STOP = BASE + 0x800
_LIMIT_US = 60_000_000


class Rv32Kernel:
    """One viper function of a firmware module as an ESP32-C3 would run it.

    calls counts calls; instructions counts instructions, if counting was asked for (slower).
    """

    def __init__(self, source: Path, *, counting: bool = False, function: int = 0) -> None:
        try:
            unicorn: Any = import_module("unicorn")
            registers: Any = import_module("unicorn.riscv_const")
        except ImportError:
            raise MachineError("unicorn_missing", "install it with: pip install unicorn") from None
        module = compile_module(source, "rv32imc")
        self.code_bytes = len(module.functions[function])
        self.file_bytes = module.file_bytes
        self.calls = 0
        self.instructions = 0
        self._memory = Memory(module, _RETURN)
        self._entry = self._memory.entries[function]
        self._unicorn = unicorn
        self._registers = registers
        self._cpu = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self._cpu.mem_map(BASE, SIZE)
        self._cpu.mem_write(BASE, bytes(self._memory.image))
        self._lengths: dict[tuple[int, int], int] = {}
        if counting:
            self._cpu.hook_add(unicorn.UC_HOOK_BLOCK, self._count)

    def __call__(self, *arguments: Argument) -> None:
        """One call; what the kernel writes to a bytearray is in it afterwards.

        Raises MachineError (crashed, stuck).
        """
        frame = Frame(arguments, DATA)
        cpu, r = self._cpu, self._registers
        cpu.mem_write(DATA, frame.data)
        cpu.reg_write(r.UC_RISCV_REG_A0, self._memory.function_object)
        cpu.reg_write(r.UC_RISCV_REG_A1, len(arguments))
        cpu.reg_write(r.UC_RISCV_REG_A2, 0)
        cpu.reg_write(r.UC_RISCV_REG_A3, frame.args)
        cpu.reg_write(r.UC_RISCV_REG_SP, STACK_TOP)
        cpu.reg_write(r.UC_RISCV_REG_RA, _STOP)
        try:
            cpu.emu_start(self._entry, _STOP, timeout=_LIMIT_US)
        except self._unicorn.UcError as error:
            at = cpu.reg_read(r.UC_RISCV_REG_PC)
            raise MachineError("crashed", f"{error} at {at - self._entry:#x} of code") from None
        if cpu.reg_read(r.UC_RISCV_REG_PC) != _STOP:
            raise MachineError("stuck", f"no return within {_LIMIT_US // 1_000_000} s")
        self.calls += 1
        for address, buffer in frame.places:
            buffer[:] = cpu.mem_read(address, len(buffer))

    def _count(self, cpu: Any, address: int, size: int, _data: object) -> None:
        count = self._lengths.get((address, size))
        if count is None:
            code = bytes(cpu.mem_read(address, size))
            count = at = 0
            while at < size:
                at += 4 if code[at] & 3 == 3 else 2  # compressed instructions have two bytes
                count += 1
            self._lengths[address, size] = count
        self.instructions += count
