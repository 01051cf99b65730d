"""What an ESP32's own code does before boot.py: brings up the modules, the flash and the clock.

Everything of the host's file system that is needed is imported first: afterwards "/" is the
littlefs in the flash, and the host's files are out of reach.
"""

import sys
import time

import _disk
import _faces
import aioespnow
import dht
import ds18x20
import esp32
import lora
import machine
import network
import onewire
import vfs
from _host import Host

# They stay in sys.modules.
_STAND_INS = (aioespnow, dht, ds18x20, esp32, lora, machine, network, onewire)
_CORRUPTED = """\
The filesystem appears to be corrupted. If you had important data there, you
may want to make a flash snapshot to try to recover it. Otherwise, perform
factory reprogramming of MicroPython firmware (completely erase flash, followed
by firmware programming).
"""
_BOOT = b"""\
# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""


def start(flash_descriptor, host_descriptor, program):
    """program: the globals of boot.py, main.py and the prompt."""
    del program["sys"], program["_chip"]
    host = Host(host_descriptor)
    told = host.ask("hello")
    flash = open(flash_descriptor, "r+b")  # noqa: SIM115 - for the whole life
    _disk.Partition.host = host
    _disk.Partition.writes_left = told["writes_left"]
    clock = _faces.Clock(host, told["unix_ms"], told["clock_offset_ms"])
    _solder(host, told, flash, clock)
    vfs.umount("/")
    for name in list(sys.modules):
        if name.startswith("_") and name != "__main__":
            del sys.modules[name]
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv[:] = []
    _faces.put_on(host, told, clock)
    try:
        if told["vfs"][1]:
            _mount(_disk.Partition(flash, *told["vfs"]), host)
        host.ask("started")
        _run("boot.py", program)
        if not told["raw"]:
            _run("main.py", program)
    except KeyboardInterrupt as error:
        # Before or between the files.
        sys.print_exception(error)
    while not _ended(host):
        pass


def _ended(host):
    try:
        _faces.interrupts(on=True)
        host.ask("ended")
        return True
    except KeyboardInterrupt:
        # It was for what has just ended.
        return False


def _solder(host, told, flash, clock):
    """Give the modules what is behind them on this board."""
    chip = machine.World
    chip.host, chip.clock = host, clock
    chip.cause, chip.memory = told["cause"], bytes.fromhex(told["memory"])
    chip.mac = bytes.fromhex(told["mac"])
    chip.hertz_max = told["hertz_max"]
    nvs = _disk.Nvs(_disk.Partition(flash, *told["nvs"]))
    esp32.World.flash, esp32.World.kept = nvs.values, nvs.keep
    network.World.host, network.World.mac = host, chip.mac
    from simulator.chips.bench import ChipBuses

    chip.parts = ChipBuses(told["sensors"], time.ticks_ms)


def _mount(partition, host):
    try:
        vfs.mount(vfs.VfsLfs2(partition), "/")
    except OSError:
        if not partition.blank():
            host.ask("started")
            while True:
                print(_CORRUPTED)
                time.sleep(3)
        print("Performing initial setup")
        vfs.VfsLfs2.mkfs(partition)
        vfs.mount(vfs.VfsLfs2(partition), "/")
        with open("boot.py", "wb") as file:
            file.write(_BOOT)


def _run(name, program):
    try:
        open(name).close()
    except OSError:
        return
    try:
        execfile(name, program)  # noqa: F821
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - as pyexec_file_if_exists() does
        sys.print_exception(error)
