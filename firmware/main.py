"""Boot: MicroPython runs this file after boot.py. Everything else is in the package cairn."""

import asyncio

from cairn import config
from cairn.errors import OperatorError
from cairn.login import Login
from cairn.mqttlink import MqttLink
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


async def _run() -> None:
    board = esp32.Esp32Board()
    settings = config.load(board.fs)
    login = Login(board.fs, board.sign, board.public_key(), settings.network_id)
    link = MqttLink(board, settings, login)
    board.spawn(link.run())
    await Node(board, link, settings).run()


asyncio.run(_run())
