"""Runs on MicroPython's unix port: calls of the image's second program, as a host would make them.

Arguments: the folder of the image, and a file of calls, one a line; "air {...}" changes the
networks, "nvs KEY HEX" and "file NAME HEX" write into flash, "again" is a soft reset. Every answer
is one line of JSON behind `cairn> `.
"""

# Modules of the chip have to be there before the program.
# ruff: noqa: E402, PTH102, PTH123, S102
import json
import os
import sys
from binascii import unhexlify

import vfs
from ram_disk import RamDisk


class ChipsOs:
    """An ESP32's os knows what it runs on."""

    def uname(self):
        return "esp32", "esp32", "1.29.0", "v1.29.0", "Generic ESP32C3 module with ESP32C3"

    def __getattr__(self, name):
        return getattr(os, name)


sys.path.insert(0, sys.argv[1])
sys.modules["os"] = ChipsOs()
disk = RamDisk(256)
vfs.VfsLfs2.mkfs(disk)
vfs.mount(vfs.VfsLfs2(disk), "/data")
os.mkdir("/data/outbox")

import console
import esp32
import machine
import network

network.World.networks = {"home": "secret-secret"}
with open(sys.argv[2]) as calls:
    for line in calls:
        word, _, rest = line.strip().partition(" ")
        if word == "air":
            network.World.networks = json.loads(rest)
        elif word == "nvs":
            key, _, value = rest.partition(" ")
            esp32.World.flash[("cairn", key)] = unhexlify(value)
        elif word == "file":
            name, _, value = rest.partition(" ")
            with open("/data/" + name, "wb") as file:
                file.write(unhexlify(value))
        elif word == "again":
            # As after a soft reset: the modules are new, the chip and its flash are not.
            for name in list(sys.modules):
                if name.startswith("con"):
                    del sys.modules[name]
            import console
        else:
            exec("console." + line.strip(), {"console": console})
assert machine.World.watchdog_ms == 86_400_000, "whoever types is slow"
