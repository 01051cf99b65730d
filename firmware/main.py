"""Boot: MicroPython runs this file after boot.py. Everything else is in the package cairn."""

import asyncio
import time

from cairn import station
from cairn.errors import OperatorError

try:
    from cairn.boards import esp32
except ImportError:
    raise OperatorError(
        "main.no_board",
        "this program needs an ESP32",
        "this interpreter has no module machine, or cairn/boards/esp32.py is absent",
        "Use boards/host.py on a computer, or the simulator.",
    )

_RETRY_S = 60


def _board() -> "esp32.Esp32Board":
    while True:
        try:
            return esp32.Esp32Board()
        except OperatorError as error:
            # Without a key there is no station. It is said again and again: whoever plugs in a
            # cable should not have to wait for a reset to see it.
            print(error)  # noqa: T201 - the console is all that there is
        time.sleep(_RETRY_S)


asyncio.run(station.run(_board()))
