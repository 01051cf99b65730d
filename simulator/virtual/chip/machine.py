"""MicroPython's module machine on an ESP32, as far as boards/esp32 uses it.

Runs on CPython and on MicroPython. test_esp32_fakes.py holds its signatures to the stubs'.
Behaviour is that of ports/esp32/*.c: machine_rtc.c (2,048 bytes, ValueError beyond), modmachine.c
(frequencies), machine_wdt.c (made again it is the same dog with another timeout).
"""

# Signatures are MicroPython's, and so is the syntax.
# ruff: noqa: A002, RET503

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

RTC_BYTES = 2048


class World:
    """What the chip's pins, supply and clock do, and what was asked of it. host, clock and parts:
    the board around it and what is soldered to it, where there is one (_chip.py).
    """

    host = None
    clock = None
    parts = None
    mac = b"\x24\x0a\xc4\x00\x00\x01"

    cause = PWRON_RESET
    memory = b""
    dated = None
    hertz_max = 240_000_000
    hertz = 160_000_000
    watchdog_ms = 0
    fed = 0
    resets = 0
    slept_ms = None
    microvolts = 1_650_000
    buses = []


def power_on():
    """As after the battery was away."""
    World.cause = PWRON_RESET
    World.memory = b""
    World.dated = World.slept_ms = None
    World.hertz, World.hertz_max = 160_000_000, 240_000_000
    World.watchdog_ms = World.fed = World.resets = 0
    World.buses = []


def freq(hz=None):
    if hz is None:
        return World.hertz
    if hz > World.hertz_max:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz or 160MHz")
    World.hertz = hz


def reset():
    World.resets += 1
    if World.host is not None:
        World.host.end("reset")


def soft_reset():
    raise SystemExit


def idle():
    pass


def reset_cause():
    return World.cause


def unique_id():
    return World.mac


def deepsleep(time_ms=None):
    if time_ms is not None and time_ms > 0x7FFFFFFF:
        raise OverflowError("overflow converting long int to machine word")
    World.slept_ms = time_ms
    if World.host is not None:
        World.host.end("sleep", time_ms)


class RTC:
    def __init__(self, id=0):
        pass

    def memory(self, data=None):
        if data is None:
            return World.memory
        if len(data) > RTC_BYTES:
            raise ValueError("buffer too long")
        World.memory = bytes(data)
        if World.host is not None:
            World.host.tell("memory", World.memory.hex())

    def datetime(self, datetimetuple=None):
        assert len(datetimetuple) == 8
        World.dated = datetimetuple
        if World.clock is not None:
            World.clock.set(datetimetuple)


class WDT:
    def __init__(self, *, id=0, timeout=5000):
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        World.watchdog_ms = timeout
        if World.host is not None:
            World.host.tell("watchdog", timeout)

    def feed(self):
        World.fed += 1
        if World.host is not None:
            World.host.tell("fed")


class Timer:
    """Never comes to its end."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id):
        pass

    def init(self, *, mode=PERIODIC, period=-1, callback=None):
        pass

    def deinit(self):
        pass


class Pin:
    def __init__(self, id, mode=-1, pull=-1):
        if not 0 <= id <= 48:
            raise ValueError("invalid pin")
        self.id = id


class ADC:
    ATTN_11DB = 3

    def __init__(self, id, *, atten=0):
        self.pin = id
        self.atten = atten
        self._wire = None if World.parts is None else World.parts.adc(id.id)

    def read_uv(self):
        return World.microvolts if self._wire is None else self._wire.read_uv()


class I2C:
    def __init__(self, id, *, scl=None, sda=None, freq=400_000):
        if id not in (0, 1):
            raise ValueError("I2C(%d) doesn't exist" % id)
        World.buses.append(("i2c", id, scl and scl.id, sda and sda.id, freq))
        self._bus = _soldered("i2c", id, sda and sda.id, scl and scl.id)

    def writeto(self, addr, buf):
        return self._answering().writeto(addr, buf)

    def readfrom_into(self, addr, buf):
        self._answering().readfrom_into(addr, buf)

    def readfrom_mem_into(self, addr, memaddr, buf):
        self._answering().readfrom_mem_into(addr, memaddr, buf)

    def scan(self):
        return [] if self._bus is None else sorted(self._bus.chips)

    def _answering(self):
        if self._bus is None:
            raise OSError(19)
        return self._bus


class UART:
    def __init__(self, id, baudrate=9600, *, tx=None, rx=None, rxbuf=None, timeout=None):
        if id not in (1, 2):
            raise ValueError("UART(%d) does not exist" % id)
        World.buses.append(("uart", id, baudrate, tx and tx.id, rx and rx.id, rxbuf, timeout))
        self._line = _soldered("uart", id, baudrate, tx and tx.id, rx and rx.id)

    def any(self):
        return 0 if self._line is None else self._line.any()

    def read(self, nbytes):
        return None if self._line is None else self._line.read(nbytes)

    def write(self, buf):
        return len(buf)


class SPI:
    def __init__(self, id, baudrate=1_000_000, *, sck=None, mosi=None, miso=None):
        World.buses.append(("spi", id, baudrate, sck.id, mosi.id, miso.id))


def _soldered(bus, *where):
    """What hangs on a bus of this board; None: nothing."""
    if World.parts is None:
        return None
    try:
        return getattr(World.parts, bus)(*where)
    except ValueError:
        return None
