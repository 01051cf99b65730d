"""A development board without the board: the chip's ROM, its flash, its two serial lines, and
MicroPython on it.

The serial protocol of the ROM is that which esptool speaks, and is written from esptool's side of
it. What runs after a reset is MicroPython's own code (its unix port: REPL, raw REPL, asyncio,
littlefs, sockets, TLS); `chip` stands for what only an ESP32 has. Nothing here can show timing,
radio, power or heat.
"""

from simulator.virtual.board import Unready, VirtualBoard
from simulator.virtual.rom import RomFaults

__all__ = ["RomFaults", "Unready", "VirtualBoard"]
