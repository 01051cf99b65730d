"""Runs `cairn board flash` as a person does, whose hands are those of the test."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.virtual import VirtualBoard

NVS = slice(0x9000, 0xF000)
SECONDS_MAX = 240
HOLD_BOOT, PRESS_RESET = "Hold BOOT", "Press RESET"
WENT_WELL = [
    "idle", "opening", "connecting", "inspecting", "ready", "building", "flashing", "verifying",
    "verifying_protected", "rebooting", "done",
]  # fmt: skip

# A part of what is printed on stderr -> what the person does then.
Hands = Mapping[str, Callable[[], None]]


@dataclass
class Flashed:
    """How it ended. told: the JSON object; err: what a person read."""

    code: int
    told: dict[str, Any]
    err: str

    @property
    def fault(self) -> str:
        """Its stable code, "" if there was none. It is told twice, and must be told alike."""
        error = self.told["error"]
        assert (error is None) == (self.code == 0), self
        if error is None:
            assert "error:" not in self.err
            return ""
        assert f"code: {error['code']}" in self.err
        assert error["why"] in self.err
        return str(error["code"])


def on_pty(board: VirtualBoard) -> Hands:
    """The hands of who has a board without an automatic reset."""
    return {HOLD_BOOT: board.hold_boot_and_reset, PRESS_RESET: board.press_reset}


def command(*arguments: object, before: str = "") -> list[str]:
    """The command line. before: Python that runs first, to take something away."""
    start = f"{before}\nfrom gateway.cli import main\nmain(prog_name='cairn')"
    return [sys.executable, "-c", start, "board", "flash", *map(str, arguments)]


def flash(port: str, *arguments: object, hands: Hands | None = None, before: str = "") -> Flashed:
    """Flash what is on the port with a program in bytecode, which the virtual board can run."""
    line = command(
        "--port", port, "--architecture", "bytecode", "--json", *arguments, before=before
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(line, text=True, env=_environment(), **pipes) as process:
        watchdog = threading.Timer(SECONDS_MAX, process.kill)
        watchdog.start()
        assert process.stderr is not None
        assert process.stdout is not None
        err = []
        for text in process.stderr:
            err.append(text)
            for part, act in (hands or {}).items():
                if part in text:
                    act()
        out = process.stdout.read()
        watchdog.cancel()
    told = out.splitlines()
    # Nothing of esptool's, and nothing but the result.
    assert len(told) <= 1, out
    return Flashed(process.returncode, json.loads(told[0]) if told else {}, "".join(err))


def _environment() -> dict[str, str]:
    home = Path(__file__).resolve().parents[2]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return kept | {"PYTHONPATH": f"{home}:{home / 'firmware'}"}
