"""The Board on ESP32, S2, S3, C3 and C6 with the official MicroPython 1.29 or later.

NOT YET RUN ON HARDWARE. It is written against MicroPython's source and documentation, checked
against the types of micropython-esp32-stubs, and tested with fakes that follow them;
docs/decisions/0021-esp32-board.md lists what only a physical board can show.

Watchdog: started first of all and never stopped, which no board can (after Ctrl-C
`machine.WDT(timeout=86_400_000)` makes it harmless). feed() is the node's; nothing in here feeds,
because a board that only looks busy is what it is for. Its time is far above the longest a
single call blocks: name resolution (some 15 s), a step of a TLS handshake (2 s), a signature.

Reset causes: MicroPython tells a brown-out as power on, but memory that is lost without power
survives it, so power on with that memory intact is told as 3. A crash of the C code (panic) comes
as 4, as a restart that was asked for does.
"""

import gc
import os
import time

import machine

from .. import cbor, epoch, limits  # noqa: TID252 - inside cairn imports are relative
from ..overlay import borrow  # noqa: TID252
from . import esp32_store
from .asyncio_base import AsyncioBoard
from .directory_files import DirectoryFiles
from .esp32_wifi import Wifi

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from typing import Any

    from ..config import Config  # noqa: TID252
    from .base import Console, Programs
    from .esp32_radio import Radios

    Sample = list[tuple[int, int, int, int | None, int]]

# Not the root: the program is there, and chain.create() removes what it does not know.
DIRECTORY = "/data"
# What the image may have brought beside the program.
OFFER = "/offer"
# Before what retain() keeps. Found at power on it shows that the power was not away for long.
_MARK = b"Cairn\x01"
# machine.deepsleep() takes an int of 32 bits.
_SLEEP_MS_MAX = 0x7FFF_FFFF
_CALM_MS = 86_400_000
_UNKNOWN, _POWER_ON, _WATCHDOG, _BROWN_OUT, _SOFTWARE, _DEEP_SLEEP = 0, 1, 2, 3, 4, 5


class Esp32Board(AsyncioBoard):
    """One a boot. OperatorError: its key is damaged, or none could be made."""

    def __init__(self) -> None:
        self._watchdog = machine.WDT(timeout=limits.WATCHDOG_MS)
        # Made again after a fault it may have run for a while.
        self._watchdog.feed()
        set_fastest()
        self._wifi = Wifi(self)
        self._radios: "Radios | None" = None
        self._rack: "Any" = None
        self._battery = read_battery()
        # Whether somebody has the console.
        self.attended = False
        self._memory = machine.RTC()
        kept = self._memory.memory()
        self._cause = reset_cause(survived=kept.startswith(_MARK))
        if not kept.startswith(_MARK):
            self._memory.memory(_MARK)
        # A key that is made now asks entropy(), which switches the radio on.
        vault = esp32_store.NvsFiles()
        super().__init__(DirectoryFiles(DIRECTORY), machine.unique_id(), vault)

    def offer(self) -> "bytes | None":
        try:
            with open(OFFER, "rb") as file:
                offered: bytes = file.read()
                return offered
        except OSError:
            return None

    def programs(self) -> "Programs":
        from .program_files import ProgramFiles

        return ProgramFiles("")

    def firmware(self) -> str:
        text: str = borrow("slots").text(self.programs())
        return text

    def console(self) -> "Console | None":
        if self.attended:
            return None
        from .esp32_setup import Esp32Console

        return Esp32Console(self, self._wifi)

    def equip(self, config: "Config") -> None:
        from .esp32_radio import Radios

        self._radios = Radios(self, self._wifi, config)
        if config.sensors:
            from ..sensors.rack import Rack  # noqa: TID252
            from .esp32_buses import Buses

            self._rack = Rack(config.sensors, Buses(self))

    async def sample(self) -> "Sample":
        if self._rack is None:
            return []
        readings: "Sample" = await self._rack.sample(self.sleep)
        return readings

    def now_ms(self) -> "int | None":
        seconds, rest_ms = divmod(time.time_ns() // 1_000_000, 1000)
        utc_ms = epoch.unix_ms(seconds, time.gmtime(0)[0])
        return None if utc_ms is None else utc_ms + rest_ms

    def set_clock(self, utc_ms: int) -> None:
        seconds = epoch.board_seconds(utc_ms, time.gmtime(0)[0])
        # Eight fields on an ESP32, nine on other ports.
        date = time.gmtime(seconds)
        micros = utc_ms % 1000 * 1000
        self._memory.datetime(
            (date[0], date[1], date[2], date[6], date[3], date[4], date[5], micros)
        )

    def entropy(self, size: int) -> bytes:
        # ESP-IDF's generator is a true one only while a radio is on.
        self._wifi.on()
        return os.urandom(size)

    async def online(self, timeout_ms: int) -> None:
        await self._wifi.up(timeout_ms)

    async def recover(self, stage: int) -> None:
        if stage > 1 and self._radios is not None:
            self._radios.pause()
        await self._wifi.recover(stage)
        if stage > 1 and self._radios is not None:
            self._radios.resume()

    def radios(self) -> "tuple[int, ...]":
        return () if self._radios is None else self._radios.kinds

    def radio_send(self, radio: int, channel: int, power_cdbm: int, frame: bytes) -> "bool | None":
        if self._radios is None:
            return None
        return self._radios.send(radio, channel, power_cdbm, frame)

    def radio_listen(self, radio: int, channel: int) -> None:
        if self._radios is not None:
            self._radios.listen(radio, channel)

    async def radio_receive(self) -> "tuple[int, int, int, int | None, int, bytes] | None":
        if self._radios is None:
            return None
        frame: "tuple[int, int, int, int | None, int, bytes]" = await self._radios.receive()
        return frame

    def feed(self) -> None:
        self._watchdog.feed()
        # See AsyncioBoard: it has to be asked now and then.
        self.ticks()

    def restart(self, reason: str) -> None:
        self.report("restart", reason)
        machine.reset()

    def deep_sleep(self, duration_ms: int) -> None:
        if self._radios is not None:
            self._radios.pause()
        self._wifi.off()
        machine.deepsleep(max(1, min(duration_ms, _SLEEP_MS_MAX)))

    def retained(self) -> "bytes | None":
        kept = self._memory.memory()
        return kept[len(_MARK) :] or None if kept.startswith(_MARK) else None

    def retain(self, data: bytes) -> bool:
        if len(data) > limits.RETAINED_BYTES:
            return False
        self._memory.memory(_MARK + data)
        return True

    def storage_bytes(self) -> "int | None":
        """What the outbox may fill: the blocks that are free, and those that it has."""
        disk = os.statvfs(DIRECTORY)
        return disk[0] * (disk[3] + len(self.fs.names("outbox/")))

    def report(self, code: str, detail: str) -> None:
        print("cairn: " + code + ": " + detail)  # noqa: T201 - the console is where it belongs

    def info(self) -> "tuple[int, int, int | None, int | None]":
        return gc.mem_free(), self._cause, self._battery_mv(), self._wifi.rssi_dbm()

    def _battery_mv(self) -> "int | None":
        if self._battery is None:
            return None
        adc, ratio_milli = self._battery
        return adc.read_uv() * ratio_milli // 1_000_000


def calm() -> None:
    """Make the watchdog harmless, for whoever works at the prompt: it cannot be stopped."""
    machine.WDT(timeout=_CALM_MS)


def reset_cause(*, survived: bool) -> int:
    """Board.info()'s number. survived: memory that needs power has kept its content."""
    cause = machine.reset_cause()
    if cause == machine.PWRON_RESET:
        return _BROWN_OUT if survived else _POWER_ON
    if cause == machine.WDT_RESET:
        return _WATCHDOG
    if cause == machine.DEEPSLEEP_RESET:
        return _DEEP_SLEEP
    if cause in (machine.HARD_RESET, machine.SOFT_RESET):
        return _SOFTWARE
    return _UNKNOWN


def set_fastest() -> None:
    """240 MHz, or 160 MHz where that is all (C3, C6). Everything that takes long here is
    arithmetic, which the default of 160 MHz makes half as long again; a battery station is awake
    for a shorter time and sleeps without a clock.
    """
    for hertz in (240_000_000, 160_000_000):
        try:
            machine.freq(hertz)
        except ValueError:
            continue
        return


def read_battery() -> "tuple[machine.ADC, int] | None":
    """From the blob "battery" of esp32_store: [pin, battery voltage * 1000 // pin voltage]."""
    try:
        wired = esp32_store.get("battery")
        if not wired:
            return None
        pin, ratio_milli = cbor.decode(wired)
        return machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB), ratio_milli
    except (OSError, ValueError, TypeError, cbor.CborError):
        return None
