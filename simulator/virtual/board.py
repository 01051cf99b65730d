"""The whole board: power, buttons and lines outside; ROM, flash and MicroPython inside."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from simulator.virtual.auto_reset import AutoReset
from simulator.virtual.bootable import Layout, Unbootable, check_boot
from simulator.virtual.flash import Flash
from simulator.virtual.interpreter import Interpreter, Unready, check_ready
from simulator.virtual.loop import Loop
from simulator.virtual.models import MODELS
from simulator.virtual.ports import RUN_BAUD, Ports
from simulator.virtual.rom import Rom, RomFaults, Wiring
from simulator.virtual.supply import (
    DEEP_SLEEP,
    HARD_RESET,
    POWER_ON,
    SOFT_RESET,
    WATCHDOG_RESET,
    Supply,
)
from simulator.virtual.transcript import Transcript

__all__ = ["BME280", "DHT22", "Unready", "VirtualBoard"]

# Entries as a station's configuration has them: a BME280 on I2C 0, a DHT22 at pin 4.
BME280, DHT22 = (1, 0, 0), (10, 0, 4)
_CAPACITOR_S = 0.25
_BOOT_AGAIN_S = 0.5
_PUMP_S = 0.005
_REASONS = {
    POWER_ON: "rst:0x1 (POWERON_RESET)",
    HARD_RESET: "rst:0xc (SW_CPU_RESET)",
    WATCHDOG_RESET: "rst:0x8 (TG1WDT_SYS_RESET)",
    DEEP_SLEEP: "rst:0x5 (DEEPSLEEP_RESET)",
}


class VirtualBoard:
    """In folder: flash.bin, which stays. wifi: the networks around it by name, "" for an open one;
    `air` is the same and may be changed at any time. sensors: what is soldered to it, as a
    configuration's entries. clock_offset_ms: how wrong its clock goes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        chip: str = "esp32",
        flash_bytes: int = 4 << 20,
        wifi: Mapping[str, str] | None = None,
        sensors: Sequence[Sequence[int]] = (BME280, DHT22),
        faults: RomFaults | None = None,
        clock_offset_ms: int = 0,
        mac: bytes | None = None,
    ) -> None:
        check_ready()
        folder.mkdir(parents=True, exist_ok=True)
        self.model = MODELS[chip]
        self.faults = faults or RomFaults()
        self.air = dict({"home": "secret"} if wifi is None else wifi)
        # Its own, and the same as long as the folder is: Espressif's first three bytes.
        self.mac = mac or b"\x24\x0a\xc4" + sha256(str(folder.resolve()).encode()).digest()[:3]
        # Counted from the next start of the program on: then power fails.
        self.cut_after_writes: int | None = None
        self._sensors, self._clock_offset_ms = sensors, clock_offset_ms
        self._flash = Flash(folder / "flash.bin", flash_bytes)
        self._transcript = Transcript()
        self._supply = Supply()
        self._powered = False
        self._rom: Rom | None = None
        self._interpreter: Interpreter | None = None
        self._layout: Layout | None = None
        self._turn = 0
        self._loop = Loop(self._tick)
        self._pumping = self._asleep = False
        circuit = AutoReset(
            self._hold, self._release, lambda call: self._loop.later(_CAPACITOR_S, call)
        )
        self._ports = Ports(self._loop, self._heard, circuit.changed)

    def __enter__(self) -> Self:
        self._loop.start()
        self._loop.do(self._attach)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything; only flash.bin stays."""
        self._loop.do(self._detach)
        self._loop.stop()
        self._flash.close()

    # What hands can do.

    def press_reset(self) -> None:
        self._loop.do(lambda: self._pressed(download=False))

    def hold_boot_and_reset(self) -> None:
        """Hold BOOT, press and release RESET, release BOOT: the ROM waits for a download."""
        self._loop.do(lambda: self._pressed(download=True))

    def power_cut(self) -> None:
        """In the middle of whatever it does. The lines stay: a bridge has its own supply."""
        self._loop.do(self._cut)

    def power_on(self) -> None:
        self._loop.do(self._switch_on)

    def unplug(self) -> None:
        """Pull the cable out: no supply, and the ports are gone."""
        self._loop.do(self._unplug)

    def plug_in(self) -> None:
        """The pty gets a new name, as a port may."""
        self._loop.do(self._plug_in)

    # What eyes can see.

    @property
    def pty(self) -> str:
        """The port without lines; another one after plug_in()."""
        return self._ports.pty

    @property
    def url(self) -> str:
        """The port with DTR and RTS."""
        return self._ports.url

    @property
    def flash(self) -> bytes:
        return self._flash.read(0, self._flash.size)

    @property
    def console(self) -> str:
        """Everything that it has printed, answers of the ROM left out."""
        return self._transcript.since(0)[1]

    def printed_since(self, position: int) -> tuple[int, str]:
        """Where the console is now, in bytes, and what it has printed since it was there."""
        return self._transcript.since(position)

    def wait_for(self, text: str, timeout_s: float = 30.0, *, since: int = 0) -> bool:
        """Whether it has printed the text, behind the position `since`, in that time."""
        return self._transcript.wait_for(text, timeout_s, since)

    @property
    def state(self) -> str:
        """off, download, running, asleep, or stuck: nothing in its flash can be run."""
        if not self._powered:
            return "off"
        if self._rom is not None:
            return "download"
        if self._interpreter is not None:
            return "running"
        return "asleep" if self._asleep else "stuck"

    # Supply and reset.

    def _switch_on(self) -> None:
        if not self._powered:
            self._powered = True
            self._pressed(download=False)

    def _pressed(self, *, download: bool) -> None:
        self._hold()
        self._release(download)

    def _hold(self) -> None:
        self._stop()
        self._supply.lost()

    def _release(self, download: bool) -> None:  # noqa: FBT001 - IO0
        if self._powered:
            self._begin(download=download)

    def _cut(self) -> None:
        self._hold()
        self._powered = False

    def _restart(self, cause: int) -> None:
        if not self._powered:
            # The power went between the asking and the doing.
            return
        self._stop()
        self._supply.restarted(cause)
        self._begin(download=False)

    def _stop(self) -> None:
        self._turn += 1
        self._rom, self._asleep = None, False
        if self._interpreter is not None:
            # What it has printed has left the chip.
            self._printed()
            self._loop.unwatch(self._interpreter)
            self._loop.unwatch(self._interpreter.host)
            self._interpreter.close()
            self._interpreter = None

    def _begin(self, *, download: bool) -> None:
        mode = self.model.downloads if download else self.model.boots
        reason = _REASONS[self._supply.cause]
        self._print(f"{self.model.banner}\r\n\r\n{reason},{mode}\r\n")
        if download:
            self._print("waiting for download\r\n")
            wiring = Wiring(
                run=self._soon(lambda: self._restart(HARD_RESET)),
                cut_power=self._soon(self._cut),
                unplug=self._soon(self._unplug),
            )
            self._rom = Rom(self.model, self.mac, self._flash, self.faults, wiring)
            return
        try:
            self._layout = check_boot(self._flash, self.model)
        except Unbootable as fault:
            self._print(f"{fault}\r\n")
            turn = self._turn
            self._loop.later(_BOOT_AGAIN_S, lambda: self._boot_again(turn))
            return
        self._run()

    def _boot_again(self, turn: int) -> None:
        if turn == self._turn:
            self._restart(WATCHDOG_RESET)

    def _soon(self, call: Callable[[], None]) -> Callable[[], None]:
        """Once what is being handled now has been handled."""
        return lambda: self._loop.later(0, call)

    # The program.

    def _run(self) -> None:
        self._transcript.begin(raw=self._supply.raw)
        self._interpreter = Interpreter(self._flash.path, self._told)
        self._loop.watch(self._interpreter, self._printed)
        self._loop.watch(self._interpreter.host, self._messages)

    def _facts(self) -> dict[str, object]:
        assert self._layout is not None
        nvs, vfs = self._layout.nvs, self._layout.vfs
        left, self.cut_after_writes = self.cut_after_writes, None
        return {
            "cause": self._supply.cause,
            "memory": self._supply.memory.hex(),
            "mac": self.mac.hex(),
            "machine": self.model.machine_text,
            "hertz_max": self.model.hertz_max,
            "nvs": [nvs.offset, nvs.size],
            "vfs": [vfs.offset, vfs.size],
            "sensors": [list(entry) for entry in self._sensors],
            "unix_ms": self._supply.unix_ms(),
            "clock_offset_ms": self._clock_offset_ms,
            "raw": self._supply.raw,
            "writes_left": left,
        }

    def _told(self, verb: str, value: Any, number: int) -> None:
        interpreter = self._interpreter
        assert interpreter is not None
        answer: object = None
        if verb == "hello":
            answer = self._facts()
        elif verb == "air":
            answer = self.air
        elif verb == "started":
            interpreter.accept()
            self._pump()
        elif verb == "ended":
            self._printed()
            interpreter.finish()
            self._pump()
            self._transcript.programs_ended(interpreter)
        elif verb == "write":
            self._printed()
            self._send(bytes.fromhex(value))
        else:
            self._told_of_supply(verb, value)
        if number:
            interpreter.answer(number, answer)

    def _told_of_supply(self, verb: str, value: Any) -> None:
        supply = self._supply
        if verb == "memory":
            supply.memory = bytes.fromhex(value)
        elif verb == "clock":
            supply.set_clock(value)
        elif verb == "watchdog":
            supply.watch(value)
        elif verb == "fed":
            supply.feed()
        elif verb == "reset":
            self._soon(lambda: self._restart(HARD_RESET))()
        elif verb == "cut":
            self._soon(self._cut)()
        elif verb == "sleep":
            self._soon(lambda: self._sleep(value))()
        else:
            raise ValueError(f"unknown message {verb!r}")

    def _sleep(self, duration_ms: int | None) -> None:
        self._stop()
        self._supply.watchdog_s = None
        self._asleep = True
        turn = self._turn
        if duration_ms is not None:
            self._loop.later(duration_ms / 1000, lambda: self._wake(turn))

    def _wake(self, turn: int) -> None:
        if turn == self._turn:
            self._restart(DEEP_SLEEP)

    def _messages(self) -> None:
        interpreter = self._interpreter
        if interpreter is None or interpreter.messages():
            return
        self._printed()
        code = interpreter.ended()
        raw = self._supply.raw
        self._stop()
        if code < 0:
            self._print("Guru Meditation Error: Core 0 panic'ed (interpreter died).\r\n")
            self._restart(HARD_RESET)
            return
        self._print("MPY: soft reboot\r\n")
        self._supply.cause, self._supply.raw = SOFT_RESET, raw
        self._run()

    def _printed(self) -> None:
        interpreter = self._interpreter
        if interpreter is None:
            return
        data = self._transcript.from_program(interpreter.read(), interpreter)
        self._supply.raw = self._transcript.raw_prompt
        self._send(data)

    def _tick(self) -> None:
        self._ports.flush()
        if self._supply.starved():
            self._print("E (task_wdt): Task watchdog got triggered.\r\n")
            self._restart(WATCHDOG_RESET)

    # The lines.

    def _attach(self) -> None:
        self._ports.attach()
        self._switch_on()

    def _detach(self) -> None:
        self._cut()
        self._ports.close()

    def _unplug(self) -> None:
        self._cut()
        self._ports.unplug()

    def _plug_in(self) -> None:
        self._ports.plug_in()
        self._switch_on()

    def _heard(self, data: bytes, baud: int | None) -> None:
        if self._rom is not None:
            self._ports.send(self._rom.feed(data, baud))
        elif self._interpreter is not None and baud in (None, RUN_BAUD):
            self._interpreter.type(data)
            self._pump()

    def _pump(self) -> None:
        """Soon again, as long as the interpreter has not taken everything."""
        if self._interpreter is not None and self._interpreter.pump() and not self._pumping:
            self._pumping = True
            self._loop.later(_PUMP_S, self._pumped)

    def _pumped(self) -> None:
        self._pumping = False
        self._pump()

    def _print(self, text: str) -> None:
        self._send(text.encode())

    def _send(self, data: bytes) -> None:
        self._transcript.printed(data)
        self._ports.send(data, RUN_BAUD)
