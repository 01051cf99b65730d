"""The runner's board is a Board: conformance, time, resets and processes."""

import ast
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.micropython.host import START_MS, Runner, RunnerError
from tests.device.runner_rig import SAMPLES, MakeRunner, kinds, run_program, texts

HERE = Path(__file__).parent
CONFORMANCE = HERE.parents[0] / "unit" / "firmware" / "conformance.py"
# What MicroPython has no module for, and what only the type checker reads.
NOT_ON_A_BOARD = re.compile(
    r"^(from (collections|typing|gateway)|(Far|Send) = ).*\n", re.MULTILINE
)
VERIFIER = """
from cairn.ed25519_verify import verify
def signature_valid(key, signature, message):
    return verify(key, message, signature)
"""


def test_conformance(runner: Runner, echo_port: int) -> None:
    source = NOT_ON_A_BOARD.sub("", CONFORMANCE.read_text()) + VERIFIER
    source = source.replace(
        '"config", *files.names("outbox/")]', '"config"] + files.names("outbox/")'
    )
    extra = {
        "conformance.py": source.encode(),
        "cases.py": (HERE / "runner_conformance.py").read_bytes(),
        "echo.json": json.dumps(["127.0.0.1", echo_port]).encode(),
    }
    runner.add(0, extra=extra, samples=SAMPLES, radios=(0, 1), program="from cases import run")
    runner.boot()
    runner.run_for(600_000)
    (said,) = [text for text in texts(runner.happenings()) if text.startswith("RESULTS ")]
    results = json.loads(said.removeprefix("RESULTS "))
    assert {name: text for name, text in results.items() if text} == {}
    assert len(results) >= 23


def methods_of(path: Path, name: str) -> set[str]:
    (found,) = [
        node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == name
    ]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {one.name for one in found.body if isinstance(one, kinds)}


def test_the_board_has_every_capability_of_a_board(repo_root: Path) -> None:
    """It inherits nothing, so nothing that is new in Board comes by itself."""
    wanted = methods_of(repo_root / "firmware/cairn/boards/base.py", "Board")
    assert wanted <= methods_of(repo_root / "simulator/micropython/board.py", "RunnerBoard")


TIMERS = """
import gc
def said(*words):
    print(*words, board.ticks())
async def ticker(name, every, times):
    for _ in range(times):
        await board.sleep(every)
        said(name)
async def run(board):
    event = board.event()
    board.spawn(ticker("a", 100, 3))
    board.spawn(ticker("b", 150, 2))
    said(await event.wait(120))
    said(await event.wait(0))
    await board.sleep(3_000_000_000)
    said("late")
"""


def test_virtual_time_is_exact_and_ordered(runner: Runner) -> None:
    began = time.monotonic()
    happened = run_program(runner, TIMERS, 3_000_000_200)
    assert texts(happened) == [
        "a 100", "False 120", "False 120", "b 150", "a 200", "b 300", "a 300", "late 3000000120",
    ]  # fmt: skip
    at = [one.at_ms - START_MS for one in happened if one.kind == "print"]
    assert at == [100, 120, 120, 150, 200, 300, 300, 3_000_000_120]
    # A month of nothing costs no time.
    assert time.monotonic() - began < 10


def test_an_oscillator_drifts(runner: Runner) -> None:
    program = "async def run(board):\n    await board.sleep(1_000_000)\n    print(board.ticks())\n"
    happened = run_program(runner, program, 1_000_000, drift_ppm=100)
    (one,) = [one for one in happened if one.kind == "print"]
    assert one.values["text"] == "1000000"
    assert one.at_ms - START_MS == 999_900


RESETS = """
async def run(board):
    heap, cause, battery, rssi = board.info()
    print(cause, board.retained(), board.now_ms() is None)
    await board.sleep(1_000)
    if cause == 1:
        board.set_clock(1_700_000_000_000)
        print(board.retain(b"note"), board.retain(bytes(2_001)))
        board.restart("wanted")
    elif cause == 4:
        board.deep_sleep(60_000)
    elif cause == 5:
        board.retain(board.retained() + b"+")
        await board.sleep(1_000_000)
    else:
        await board.sleep(1_000_000)
"""


def test_causes_and_what_outlives_a_reset(runner: Runner) -> None:
    happened = run_program(runner, RESETS, 200_000, watchdog_ms=30_000)
    assert texts(happened) == [
        "1 None True", "True False", "4 b'note' False", "5 b'note' False",
        "2 b'note+' False", "2 b'note+' False", "2 b'note+' False", "2 b'note+' False",
    ][: len(texts(happened))]  # fmt: skip
    assert kinds(happened)[:8] == [
        ("up", 0), ("restart", 1_000), ("up", 2_000), ("sleep", 3_000), ("up", 63_000),
        ("watchdog", 93_000), ("up", 94_000), ("watchdog", 124_000),
    ]  # fmt: skip
    runner.cut(0)
    assert kinds(runner.happenings()) == [("off", 200_000)]
    assert runner.state(0) == "off"
    runner.run_for(1_000)
    runner.boot([0], cause=3)
    runner.run_for(10)
    assert texts(runner.happenings()) == ["3 None True"]


EXCEPTION = """
async def inner():
    raise ValueError("broken code")
async def run(board):
    await board.sleep(500)
    board.spawn(inner())
    await board.sleep(5_000)
"""


def test_an_exception_is_told_and_restarts_the_board(make_runner: MakeRunner) -> None:
    happened = run_program(make_runner(strict=False), EXCEPTION, 2_000)
    assert kinds(happened) == [
        ("up", 0), ("report", 500), ("exception", 500), ("up", 1_500), ("report", 2_000),
        ("exception", 2_000),
    ]  # fmt: skip
    assert "ValueError: broken code" in happened[2].values["text"]
    assert happened[1].values == {"code": "task.failed", "detail": "ValueError: broken code"}
    with pytest.raises(RunnerError, match=r"(?s)board 0, exception: Traceback.*broken code"):
        run_program(make_runner(), EXCEPTION, 2_000)


def test_a_program_that_cannot_start_is_told(runner: Runner) -> None:
    runner.add(0, program="import nothing_of_that_name")
    with pytest.raises(RunnerError, match="no module named 'nothing_of_that_name'"):
        runner.boot()


ENDLESS = """
async def run(board):
    await board.sleep(1_000)
    while board.info()[1] == 1:
        pass
    await board.sleep(20_000)
"""


def test_a_step_without_an_end(make_runner: MakeRunner) -> None:
    happened = run_program(make_runner(hung_s=1.0), ENDLESS, 5_000, watchdog_ms=60_000)
    assert [one.kind for one in happened] == ["up", "watchdog", "up"]
    assert happened[2].values["cause"] == 2
    with pytest.raises(RunnerError, match="did not end within 1000 ms"):
        run_program(make_runner(hung_s=1.0), ENDLESS, 5_000)


def processes(parent: int) -> list[str]:
    done = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [line for line in done.stdout.splitlines() if "host.mjs" in line]


def test_a_dead_process_is_a_clear_error(runner: Runner) -> None:
    runner.add(0, program="async def run(board):\n    await board.sleep(1)\n")
    runner.boot()
    process = runner._process._process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(RunnerError, match="the Node process"):
        runner.run_for(1_000)
    runner.close()
    runner.close()


def test_a_missed_deadline_ends_the_process(runner: Runner) -> None:
    runner.add(0, program=ENDLESS)
    runner.boot()
    with pytest.raises(RunnerError, match="run_to took longer than its deadline"):
        runner.run_for(5_000, deadline_s=0.5)
    assert processes(os.getpid()) == []


def test_node_ends_with_whoever_started_it(node_modules: Callable[[str], Path]) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from simulator.micropython.host import Runner\n"
        f"runner = Runner({{}}, Path({str(node_modules('device'))!r}))\n"
        "print(runner._process.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    done = subprocess.run(
        [os.sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )  # type: ignore[attr-defined]
    pid = int(done.stdout)
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


REAL = """
async def run(board):
    for _ in range(5):
        await board.sleep(100)
    print("five", board.ticks())
    board.restart("again")
"""


def test_real_time_goes_by_itself(runner: Runner) -> None:
    runner.add(0, program=REAL, restart_ms=100)
    runner.boot()
    runner.real_time(rate=2.0)
    time.sleep(1.0)
    runner.pause()
    stands = runner.now_ms() - START_MS
    assert 2_000 <= stands < 4_000
    time.sleep(0.2)
    assert runner.now_ms() - START_MS == stands
    happened = runner.happenings()
    assert len([one for one in happened if one.kind == "restart"]) >= 2
    assert all(500 <= int(text.split()[1]) < 700 for text in texts(happened))
    runner.run_for(10_000)
    assert len([one for one in runner.happenings() if one.kind == "restart"]) >= 10


def test_a_seed_repeats_a_run(make_runner: MakeRunner) -> None:
    program = (
        "async def run(board):\n"
        "    board.fs.write('signed', board.sign(b'x') + board.entropy(4))\n"
        "    await board.sleep(1_000)\n"
        "    board.restart('again')\n"
    )
    flashes = []
    for seed in (7, 7, 8, None):
        runner = make_runner()
        runner.add(0, seed=seed, program=program)
        runner.boot()
        runner.run_for(3_000)
        flashes.append(runner.flash(0))
    assert flashes[0] == flashes[1]
    assert len({flash["signed"] for flash in flashes}) == 3
    assert len({flash["identity"] for flash in flashes}) == 3


def test_memory_is_collected_between_steps(make_runner: MakeRunner) -> None:
    runner = make_runner(memory_pages=512)
    program = (
        "async def run(board):\n"
        "    for _ in range(20_000):\n"
        "        kept = bytes(1_000)\n"
        "        await board.sleep(1)\n"
        "    print('used', gc.mem_alloc())\n"
    )
    said = texts(run_program(runner, program, 30_000, heap_bytes=200_000))
    # 20 MB were made.
    assert int(said[0].split()[1]) < 1_000_000
