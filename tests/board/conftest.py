"""Virtual boards for the tests of everything that talks to one."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from simulator.virtual import VirtualBoard
from simulator.virtual.models import MODELS
from tests.board.official_image import VFS_ROW, official_image


def flashed(chip: str, file_system: bytes = b"", flash_bytes: int = 4 << 20) -> bytes:
    """A whole flash with the official image, and a file system where it looks for one."""
    flash = bytearray(b"\xff" * flash_bytes)
    vfs_at = VFS_ROW[3]
    for offset, part in (
        (MODELS[chip].bootloader_offset, official_image(chip)),
        (vfs_at, file_system),
    ):
        flash[offset : offset + len(part)] = part
    return bytes(flash)


@pytest.fixture
def virtual_board(tmp_path: Path) -> Iterator[Callable[..., VirtualBoard]]:
    """Makes boards with power; all end with the test.

    virtual_board() is as it comes from the shop: its flash is blank. virtual_board(flashed=True)
    has the official MicroPython, and file_system=bytes at its partition `vfs` too. Everything else
    goes to VirtualBoard.
    """
    for module in ("micropython_run", "serial", "esptool"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"component missing: no {module} (pip install '.[device]')")
    with ExitStack() as boards:
        count = 0

        def make(
            *, name: str | None = None, file_system: bytes | None = None, **options: Any
        ) -> VirtualBoard:
            nonlocal count
            count += 1
            folder = tmp_path / (name or f"board-{count}")
            has_program = options.pop("flashed", False) or file_system is not None
            if has_program:
                folder.mkdir()
                chip = options.get("chip", "esp32")
                size = options.get("flash_bytes", 4 << 20)
                content = flashed(chip, file_system or b"", size)
                (folder / "flash.bin").write_bytes(content)
            return boards.enter_context(VirtualBoard(folder, **options))

        yield make
