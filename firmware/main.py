"""Boot: MicroPython runs this file after boot.py. Everything else is in the package cairn."""

import asyncio

from cairn import config
from cairn.errors import OperatorError
from cairn.node import Node

try:
    from cairn.boards import esp32
except ImportError:
    raise OperatorError(
        "main.no_board",
        "this firmware cannot run on hardware yet",
        "cairn/boards/esp32.py is not part of this release",
        "Use the simulator, or boards/host.py on a computer.",
    )

board = esp32.Esp32Board()
asyncio.run(Node(board, esp32.link(board), config.load(board.fs)).run())
