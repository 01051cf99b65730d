"""Runs on MicroPython's unix port: firmware/main.py as an ESP32 would, until it is ended.

machine, network, esp32 and dht are simulator/virtual/chip; the files below argument 1 are the
flash of a board that was provisioned.
"""

# There is no pathlib, and littlefs has to be mounted before main.py runs.
# ruff: noqa: E402, PTH123, PTH208
import os
import sys

import vfs
from ram_disk import RamDisk

FOLDER = sys.argv[1]

disk = RamDisk(256)
vfs.VfsLfs2.mkfs(disk)
vfs.mount(vfs.VfsLfs2(disk), "/data")
for name in os.listdir(FOLDER):
    with open(FOLDER + "/" + name, "rb") as source, open("/data/" + name, "wb") as copy:
        copy.write(source.read())

import esp32
import network

network.World.networks = {"home": "secret"}
esp32.World.flash = {("cairn", "ssid"): b"home", ("cairn", "psk"): b"secret"}

import main  # noqa: F401
