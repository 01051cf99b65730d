"""Runs on MicroPython's unix port: the conformance suite of every board, on the ESP32 board over
littlefs, real sockets and the stand-ins of simulator/virtual/chip. Argument: port of an echo.

`conformance` is tests/unit/firmware/conformance.py without what only CPython has.
"""

# littlefs has to be mounted before the board is made.
# ruff: noqa: E402, T201
import asyncio
import sys

import vfs
from ram_disk import RamDisk

disk = RamDisk(256)
vfs.VfsLfs2.mkfs(disk)
vfs.mount(vfs.VfsLfs2(disk), "/data")

import conformance
import esp32
import network
from cairn import wire
from cairn.boards.directory_files import DirectoryFiles
from cairn.boards.esp32 import Esp32Board

PORT = int(sys.argv[1])
made = 0


class Station:
    """As much of a Config as equip() reads: a DHT22 on pin 4."""

    duty = (wire.DUTY_MAINS, 0, 0)
    region = 0
    sensors = ((10, 0, 4),)


def make_files():
    global made  # noqa: PLW0603
    made += 1
    return DirectoryFiles(f"/data/case{made}")


async def main():
    network.World.networks = {"home": "secret"}
    esp32.World.flash = {("cairn", "ssid"): b"home", ("cairn", "psk"): b"secret"}
    board = Esp32Board()
    board.equip(Station)
    for case in conformance.FILES:
        case(make_files)
        print("ok " + case.__name__)
    for case in conformance.EVENTS + conformance.BOARDS:
        await case(board)
        print("ok " + case.__name__)
    for case in conformance.STREAMS:
        await case(board, "127.0.0.1", PORT)
        print("ok " + case.__name__)


asyncio.run(main())
