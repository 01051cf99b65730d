"""cairn.boards.esp32 on CPython, over simulator/virtual/chip for what only an ESP32 has."""

import asyncio
import gc
import importlib
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cairn import regions, wire
from cairn.boards import asyncio_base

CHIP = Path(__file__).resolve().parents[3] / "simulator" / "virtual" / "chip"
STAND_INS = (
    "machine", "network", "esp32", "aioespnow", "lora", "dht", "onewire", "ds18x20",
)  # fmt: skip
BOARD_MODULES = ("esp32_store", "esp32_wifi", "esp32_radio", "esp32_buses", "esp32")
NAMES = (*STAND_INS, *(f"cairn.boards.{name}" for name in BOARD_MODULES))
WIFI = {("cairn", "ssid"): b"home", ("cairn", "psk"): b"secret"}

TICKS_PERIOD = 1 << 62
_loaded: dict[str, ModuleType] = {}


class Chip:
    """One ESP32: its flash (a folder), NVS, air and supply, over as many boots as wanted."""

    def __init__(self, folder: Path, modules: dict[str, ModuleType]) -> None:
        self.folder = folder
        self.reports: list[tuple[str, str]] = []
        self._modules = modules
        self.machine: Any = modules["machine"].World
        self.air: Any = modules["network"].World
        self.wlan: Any = modules["network"].WLAN(0)
        self.nvs: Any = modules["esp32"].World
        self.espnow: Any = modules["aioespnow"].World
        self.lora: Any = modules["lora"].World

    def power_on(self) -> None:
        """As it leaves the factory: nothing in its NVS, no network around it."""
        self._modules["machine"].power_on()
        self._modules["network"].silence()
        self.nvs.flash, self.nvs.broken = {}, False
        self.espnow.sent, self.espnow.air, self.espnow.made = [], [], 0
        self.lora.made, self.lora.absent = [], False

    def boot(self, cause: int | None = None) -> Any:
        """A board that has just started."""
        from cairn.boards.esp32 import Esp32Board

        if cause is not None:
            self.machine.cause = cause
        board = Esp32Board()
        board.report = lambda code, detail: self.reports.append((code, detail))  # type: ignore[method-assign]
        return board


def make_chip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Chip:
    """The chip with power, and no network around it."""
    assert not asyncio_base.ON_CHIP
    monkeypatch.setattr(gc, "mem_free", lambda: 40_000, raising=False)
    monkeypatch.setattr(time, "ticks_ms", asyncio_base.milliseconds, raising=False)
    monkeypatch.setattr(time, "ticks_diff", asyncio_base.elapsed_ms, raising=False)
    monkeypatch.setattr(
        time, "ticks_add", lambda ticks, delta: (ticks + delta) % TICKS_PERIOD, raising=False
    )
    monkeypatch.syspath_prepend(str(CHIP))
    # Loaded once, for `from . import` finds what the package knows; others must not see them.
    for name in NAMES:
        if name in _loaded:
            monkeypatch.setitem(sys.modules, name, _loaded[name])
        else:
            _loaded[name] = importlib.import_module(name)
            monkeypatch.delitem(sys.modules, name)
            monkeypatch.setitem(sys.modules, name, _loaded[name])
    chip = Chip(tmp_path / "data", _loaded)
    chip.power_on()
    monkeypatch.setattr(_loaded["cairn.boards.esp32"], "DIRECTORY", str(chip.folder))
    return chip


def mains(region: int = regions.NONE, sensors: tuple[tuple[int, ...], ...] = ()) -> Any:
    """As much of a Config as equip() reads."""
    return SimpleNamespace(duty=(wire.DUTY_MAINS, 0, 0), region=region, sensors=sensors)


def battery(region: int = regions.NONE) -> Any:
    return SimpleNamespace(duty=(wire.DUTY_BATTERY, 60_000, 0), region=region, sensors=())


def drive(board: Any, work: Awaitable[None]) -> None:
    """Run work, then end every task of the board."""

    async def run() -> None:
        try:
            await asyncio.wait_for(work, 20)
        finally:
            for task in board._tasks:
                task.cancel()
            await asyncio.gather(*board._tasks, return_exceptions=True)

    asyncio.run(run())
