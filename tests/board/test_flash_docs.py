"""docs/flash-a-board.md: its commands are run as they stand, by a person at a terminal, with a
virtual board on the cable. Only the gateway's address, what a virtual board cannot run (machine
code) and how often it reports are put in.
"""

import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.virtual.board import BME280, VirtualBoard
from tests.board.official_image import official_image
from tests.board.onboarding_rig import PASSWORD, WIFI, Town, cairn, town
from tests.repo.test_docs_commands import Step, _missing, session

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "flash-a-board.md"
GATEWAY = "http://127.0.0.1:8080"
PUT_IN = {
    "cairn board flash": "--architecture bytecode",
    "cairn board provision": "--sample-every 2 --message-every 2",
}
# What a person types when the command asks.
ANSWERS = {r"Password of .*: $": PASSWORD, r"\[y/N\]: $": "y"}
SECONDS_MAX = 240
ACTION = re.compile(r"(?m)^\*\*\d\. ")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(require_component, tmp_path_factory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with town(require_component("openssl"), folder, admission_policy="open") as one:
        yield one


@pytest.fixture
def board(tmp_path: Path) -> Iterator[VirtualBoard]:
    for module in ("micropython_run", "serial", "esptool"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"component missing: no {module} (pip install '.[device]')")
    with VirtualBoard(tmp_path / "board", wifi={WIFI: PASSWORD}, sensors=(BME280,)) as one:
        yield one


def typed(command: str, folder: Path, port: str) -> tuple[int, str]:
    """Run a command at a terminal, and answer what it asks; its exit code and all it showed."""
    ours, theirs = os.openpty()
    environment = {name: one for name, one in os.environ.items() if not name.startswith("CAIRN_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=environment
        | {"PATH": path, "CAIRN_BOARD_PORT": port, "TERM": "dumb", "COLUMNS": "99"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = _watched(ours, process)
    os.close(ours)
    return process.returncode, shown


def _watched(terminal: int, process: "subprocess.Popen[bytes]") -> str:
    shown = b""
    answered = 0
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 1)
        if not ready:
            continue
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            # The last one who had the other side of the terminal is gone.
            process.wait()
            return shown.decode(errors="replace")
        asked = shown[answered:].decode(errors="replace")
        for question, answer in ANSWERS.items():
            if re.search(question, asked):
                os.write(terminal, answer.encode() + b"\n")
                answered = len(shown)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError(f"did not end: {shown.decode(errors='replace')}")


def played(step: Step, folder: Path, port: str, url: str) -> str | None:
    """Run one step; what went wrong, or None."""
    command = step.command.replace(GATEWAY, url)
    for begin, more in PUT_IN.items():
        if command.startswith(begin):
            command = f"{command} {more}"
    code, shown = typed(command, folder, port)
    if code != step.exit_code:
        return f"exit {code}: $ {command}\n{shown}"
    wrong = _missing(step, shown)
    return f"$ {command}\n{wrong}\n{shown}" if wrong else None


def test_a_newcomer_reaches_the_first_accepted_reading(
    place: Town, board: VirtualBoard, tmp_path: Path
):
    steps = session(DOCUMENT.read_text(encoding="utf-8"))
    assert len(steps) == 5
    (tmp_path / "ESP32_GENERIC.bin").write_bytes(official_image("esp32"))
    for step in steps:
        wrong = played(step, tmp_path, board.url, place.url)
        assert wrong is None, f"{DOCUMENT.name}:{step.line}: {wrong}"


def test_the_batch_of_the_page(place: Town, board: VirtualBoard, tmp_path: Path):
    text = DOCUMENT.read_text(encoding="utf-8")
    [table] = re.findall(r"(?ms)^```\n(name,.*?)^```$", text)
    [line] = re.findall(r"(?ms)^```sh\n(cairn board provision --batch .*?)\n```$", text)
    (tmp_path / "image.bin").write_bytes(official_image("esp32"))
    flashed = cairn(
        *("board", "flash", "--port", board.url, "--firmware", tmp_path / "image.bin"),
        *("--architecture", "bytecode", "--yes"),
        folder=tmp_path,
    )
    assert flashed.code == 0, flashed.err
    head, row = table.splitlines()
    (tmp_path / "boards.csv").write_text(f"{head},port\n{row},{board.url}\n")
    code, shown = typed(line.replace(GATEWAY, place.url), tmp_path, board.url)
    assert code == 0, shown
    assert (tmp_path / "labels.pdf").read_bytes().startswith(b"%PDF")


def test_there_are_at_most_five_actions():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert 1 <= len(ACTION.findall(text)) <= 5


def test_pictures_are_those_that_the_script_draws(tmp_path: Path):
    script = ROOT / "docs" / "pictures" / "make_wiring.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    drawn = sorted(tmp_path.glob("*.svg"))
    text = DOCUMENT.read_text(encoding="utf-8")
    assert drawn
    for picture in drawn:
        assert picture.read_bytes() == (ROOT / "docs" / "pictures" / picture.name).read_bytes()
        assert f"pictures/{picture.name}" in text
