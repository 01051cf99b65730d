"""Counts what one signature of a board costs in machine instructions, and one block of SHA-512.

The kernels run as the ESP32's machine code, and their instructions are counted exactly. The
Python around them runs in CPython here, so that its share is an estimate and stands apart.
"""

import hashlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from cairn import cose, ed25519, sha512, wire

from simulator.machine.native import (
    SHA512_WORK_BYTES,
    Kernel,
    NativeModules,
    kernel_source,
)
from simulator.machine.rv32 import Rv32Kernel
from simulator.machine.xtensa import XtensaKernel

SIGN_BAR = 5_500_000
SIGN_GOAL = 5_000_000
BLOCK_BAR = 70_000
# What a call of a viper function costs in Python, measured once in MicroPython for rv32.
CALL_INSTRUCTIONS = 1_300
# The same measurement of an Ed25519 signer that doubles and adds with big integers and `%`.
NAIVE_INSTRUCTIONS = 81_700_000
# An interpreter's loop, dispatch and object handling for one bytecode: an assumption, on the high
# side of the 40 to 60 that simple loops come to.
BYTECODE_INSTRUCTIONS = 60
# Four reductions modulo L or p of 512 bits at some 25,000, two products at 4,200, and about a
# hundred sums, shifts and conversions at 1,000: costs of such integers measured there too.
BIG_INTEGER_INSTRUCTIONS = 210_000
READINGS = 16
SEED = bytes(range(32))
HEDGE = bytes(range(32, 64))
BLIND = bytes(range(64, 96))
_NETWORK = bytes(8)
_SQUARE, _LOAD = 2, 6


class _Recorder:
    """A kernel that keeps the arguments of its calls, as they were before."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.programs: list[tuple[bytes, bytes]] = []

    def __call__(self, *arguments: Any) -> None:
        self.programs.append((bytes(arguments[2]), bytes(arguments[-1])))
        self._kernel(*arguments)


def readings_payload() -> bytes:
    """A message as a station with four sensors sends it: four samples, 16 readings."""
    columns = [
        (0, 0, -2, (2_131, 2_134, 2_140, 2_138), ()),
        (1, 0, -2, (5_512, 5_498, 5_470, 5_481), ()),
        (2, 0, 0, (101_325, 101_322, 101_320, 101_319), ()),
        (3, 0, -1, (84, 91, 88, 87), ()),
    ]
    return wire.encode_payload(
        kind=wire.READINGS,
        boot=17,
        seq=123_456,
        prev=bytes(range(16)),
        time_ms=1_795_000_000_000,
        source=wire.SOURCE_GATEWAY,
        uncertainty_ms=120,
        body=wire.readings_body(1_500, (60_000, 60_000, 60_000), columns),
    )


def count_signature() -> dict[str, Any]:
    """Instructions of one hedged, blinded signature, and of one block on both machines.

    Raises MachineError if a machine is absent, AssertionError if what was counted is no valid
    signature of the message.
    """
    field = Rv32Kernel(kernel_source("field25519_viper"), counting=True)
    block = Rv32Kernel(kernel_source("sha512_viper"), counting=True)
    recorder = _Recorder(field)
    modules = NativeModules(recorder, block)
    signer = modules.ed25519.Signer(SEED, BLIND)
    kid = cose.kid_of(signer.public_key)
    payload = readings_payload()
    for kernel in (field, block):
        kernel.calls = kernel.instructions = 0
    recorder.programs.clear()
    signed: list[bytes] = []
    bytecodes = 0

    def sign(message: bytes) -> bytes:
        nonlocal bytecodes
        signed.append(message)
        bytecodes, signature = _bytecodes(lambda: signer.sign(message, HEDGE, BLIND))
        return signature

    message, _ = cose.sign1(sign, kid, _NETWORK, "device", payload)
    if message[-64:] != ed25519.Signer(SEED).sign(signed[0], HEDGE):
        raise AssertionError("the machine's signature is not the integers'")
    calls = field.calls + block.calls
    kernels = field.instructions + block.instructions
    glue = BYTECODE_INSTRUCTIONS * bytecodes + BIG_INTEGER_INSTRUCTIONS
    xtensa = XtensaKernel(kernel_source("sha512_viper"))
    before = block.instructions
    block(*_block_arguments())
    return {
        "sign_instructions": kernels + CALL_INSTRUCTIONS * calls,
        "sha512_block_rv32": block.instructions - before,
        "sha512_block_xtensa": xtensa.count(*_block_arguments()),
        "readings": READINGS,
        "payload_bytes": len(payload),
        "message_bytes": len(message),
        "signed_bytes": len(signed[0]),
        "field_instructions": field.instructions,
        "sha512_instructions": before,
        "kernel_calls": calls,
        "field_instructions_xtensa": _xtensa_field(recorder.programs),
        "glue_bytecodes": bytecodes,
        "glue_instructions_estimate": glue,
        "with_glue_estimate": kernels + CALL_INSTRUCTIONS * calls + glue,
        "naive_instructions_noted": NAIVE_INSTRUCTIONS,
        "code_bytes_rv32": field.code_bytes + block.code_bytes,
    }


def _block_arguments() -> tuple[bytearray, int, bytes, bytes]:
    block = hashlib.sha256(SEED).digest() * 4
    return bytearray(sha512.START.ljust(SHA512_WORK_BYTES, b"\0")), 0, block, sha512.CONSTANTS


def _bytecodes(work: Callable[[], bytes]) -> tuple[int, bytes]:
    """Bytecodes that the firmware's own files ran meanwhile, in CPython's count."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if not frame.f_globals["__name__"].startswith("cairn"):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = work()
    finally:
        sys.settrace(before)
    return count, result


def _xtensa_field(programs: list[tuple[bytes, bytes]]) -> int:
    """What the same programs come to on an ESP32: no operation's length depends on a number, so
    that each is counted once in qemu-xtensa and multiplied. Entering and leaving is left out.
    """
    kernel = XtensaKernel(kernel_source("field25519_viper"))
    costs: dict[bytes, int] = {}
    total = 0
    for program, digits in programs:
        operations = [program[i : i + 4] for i in range(0, len(program) - 3, 4)]
        taken = sum(what == _LOAD and a == b for what, _, a, b in operations)
        passes = (len(digits) - 1) // taken if taken else 1
        for what, _, _, times in filter(any, operations):
            kind = bytes((what, 4, 4, times if what == _SQUARE else 4))
            if kind not in costs:
                costs[kind] = _cost(kernel, kind)
            total += passes * costs[kind]
    return total


def _cost(kernel: XtensaKernel, operation: bytes) -> int:
    counts = []
    for times in (1, 2):
        digits = bytes(times) if operation[0] == _LOAD else b""
        numbers = bytearray(80 * 17)
        program = times * operation + b"\0"
        counts.append(kernel.count(numbers, 0, program, bytes(99 + 33 * 4), digits + b"\xff"))
    return counts[1] - counts[0]
