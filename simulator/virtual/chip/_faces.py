"""Modules of the unix port with the face that they have on an ESP32.

Copies go into sys.modules, where `import` looks first.
"""

import io
import os
import socket
import sys
import termios
import time
from collections import namedtuple

import micropython
import network

# From here on the chip counts its seconds; in Unix time.
CHIP_EPOCH_S = 946_684_800
# lwIP's EAI_FAIL, as MicroPython hands it on.
_NO_NETWORK = -202
_ISIG = 1
_LOCAL_MODES = 3
_UNIX_ONLY = ("system", "getenv", "putenv", "unsetenv")


class Face:
    """A module's attributes."""


def copy_of(module, without=()):
    face = Face()
    for name in dir(module):
        if name != "__class__" and name not in without:
            setattr(face, name, getattr(module, name))
    return face


class _Raw:
    """sys.stdout.buffer: bytes that go out as they are."""

    def __init__(self, host):
        self._host = host

    def write(self, data):
        self._host.ask("write", bytes(data).hex())
        return len(data)

    def flush(self):
        pass


class _Stdout(io.IOBase):
    def __init__(self, host):
        self.buffer = _Raw(host)

    def write(self, data):
        return sys.stdout.write(data)

    def flush(self):
        pass

    def ioctl(self, request, argument):
        # MP_STREAM_POLL: whatever is asked for is possible.
        return argument if request == 3 else 0


def interrupts(*, on):
    """Whether Ctrl-C ends a program; the board around looks at this mode of the terminal."""
    modes = termios.tcgetattr(0)
    modes[_LOCAL_MODES] = modes[_LOCAL_MODES] | _ISIG if on else modes[_LOCAL_MODES] & ~_ISIG
    termios.tcsetattr(0, termios.TCSANOW, modes)


def _micropython():
    face = copy_of(micropython)
    face.kbd_intr = lambda character: interrupts(on=character == 3)
    return face


def _sys(host, told):
    face = copy_of(sys)
    face.platform = "esp32"
    face.stdout = _Stdout(host)
    face.implementation = _implementation(told["machine"])
    return face


def _implementation(machine_text):
    names = [name for name in dir(sys.implementation) if name[:2] != "__"]
    values = [getattr(sys.implementation, name) for name in names]
    values[names.index("_machine")] = machine_text
    return namedtuple("implementation", names)(*values)  # noqa: PYI024 - no typing there


def _os(told):
    face = copy_of(os, _UNIX_ONLY)
    release = "%d.%d.%d" % sys.implementation.version[:3]
    uname = namedtuple("uname", ("sysname", "nodename", "release", "version", "machine"))  # noqa: PYI024
    face.uname = lambda: uname("esp32", "esp32", release, release, told["machine"])
    return face


def _socket():
    """Names are found, and connections made, through the chip's Wi-Fi alone. A connection that is
    there outlives its network, which on a chip it would not for long.
    """
    face = copy_of(socket)

    def getaddrinfo(*where):
        if not network.WLAN()._carries():  # noqa: SLF001 - not of the module it stands for
            raise OSError(_NO_NETWORK)
        return socket.getaddrinfo(*where)

    face.getaddrinfo = getaddrinfo
    return face


class Clock:
    """The chip's clock: unix_ms() as somebody has set it, offset_ms beside the truth."""

    def __init__(self, host, unix_ms, offset_ms):
        self._host = host
        self._offset_ms = offset_ms
        self._ahead_ns = unix_ms * 1_000_000 - time.time_ns()

    def now_ns(self):
        return time.time_ns() + self._ahead_ns + self._offset_ms * 1_000_000

    def set(self, date):
        """date: as machine.RTC.datetime() takes it."""
        year, month, day, _, hour, minute, second, micros = date
        seconds = time.mktime((year, month, day, hour, minute, second, 0, 0))
        unix_ns = int(seconds) * 1_000_000_000 + micros * 1_000
        self._ahead_ns = unix_ns - time.time_ns()
        self._host.tell("clock", unix_ns // 1_000_000)

    def face(self):
        face = copy_of(time, ("clock",))
        face.time_ns = lambda: self.now_ns() - CHIP_EPOCH_S * 1_000_000_000
        face.time = lambda: face.time_ns() // 1_000_000_000

        def gmtime(seconds=None):
            seconds = face.time() if seconds is None else seconds
            return time.gmtime(seconds + CHIP_EPOCH_S)[:8]

        face.gmtime = face.localtime = gmtime
        face.mktime = lambda date: int(time.mktime(date[:8] + (0,))) - CHIP_EPOCH_S
        return face


def put_on(host, told, clock):
    sys.modules["micropython"] = _micropython()
    sys.modules["os"] = _os(told)
    sys.modules["time"] = clock.face()
    sys.modules["socket"] = _socket()
    sys.modules["sys"] = _sys(host, told)
