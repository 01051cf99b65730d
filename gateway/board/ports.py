"""Serial ports: which one the board is on, opening it, and what to do if that fails."""

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gateway.shell.errors import Code, OperatorFault

if TYPE_CHECKING:
    from serial import SerialBase

AUTO = "auto"
BAUD = 115_200

# Makers of the USB bridges on ESP32 boards: Espressif, Silicon Labs, WCH, FTDI, Prolific.
_VENDORS = {0x303A, 0x10C4, 0x1A86, 0x0403, 0x067B}
_NAMES = ("ttyUSB", "ttyACM", "usbserial", "usbmodem")
# What is not a line of wires: nobody can pull at EN or IO0 through it.
_WITHOUT_LINES = ("socket:", "loop:")
_RFC2217 = "rfc2217:"

_HOLD_SECONDS = 0.1
_ABSENT = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO, errno.ENOTDIR, errno.EISDIR}
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}
_DENIED = {errno.EACCES, errno.EPERM}
_GONE = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF, errno.EPIPE, errno.ECONNRESET}


def find_port(wanted: str) -> str:
    """The port to use; "auto": the one USB serial port that looks like a board."""
    if wanted != AUTO:
        return wanted
    ports = usb_ports()
    if not ports:
        raise _none_found()
    if len(ports) > 1:
        raise OperatorFault(
            "There are several serial ports.",
            "; ".join(f"{one.device} is {one.description}" for one in ports) + ".",
            f"Name one: --port {ports[0].device}, or unplug what is not the board.",
            Code.PORT_MANY,
        )
    return str(ports[0].device)


def usb_ports() -> list[Any]:
    """USB serial ports in order of their names: those of makers whose bridges are on such boards,
    else all. Each has .device and .description.
    """
    tools()
    from serial.tools.list_ports import comports

    found = [
        one
        for one in sorted(comports(), key=lambda one: str(one.device))
        if one.vid is not None or any(name in str(one.device) for name in _NAMES)
    ]
    return [one for one in found if one.vid in _VENDORS] or found


@contextmanager
def opened(port: str, *, baud: int = BAUD) -> Iterator["SerialBase"]:
    """Open a port for oneself alone. What fails in opening, or is unplugged later, is a fault."""
    connection = _open(port, baud)
    try:
        yield connection
    except Exception as error:
        if is_gone(error):
            raise lost(port, error) from error
        raise
    finally:
        connection.close()


def lost(port: str, error: object) -> OperatorFault:
    """The fault of a port that went away while it was used."""
    return OperatorFault(
        f"The connection to {port} broke.",
        f"The cable was unplugged, or the board lost its power: {error}.",
        "Plug it in again and repeat the command; a short cable straight into the computer helps.",
        Code.PORT_LOST,
    )


def is_gone(error: BaseException) -> bool:
    """Whether an exception says that the port is no longer there."""
    from serial import SerialException, SerialTimeoutException

    if isinstance(error, SerialException):
        return not isinstance(error, SerialTimeoutException)
    if type(error).__module__ == "termios":
        return bool(error.args) and error.args[0] in _GONE
    return isinstance(error, OSError) and error.errno in _GONE


def has_lines(connection: "SerialBase") -> bool:
    """Whether the port has modem lines, through which a board is reset."""
    name = str(connection.port)
    if name.startswith(_WITHOUT_LINES):
        return False
    if name.startswith(_RFC2217):
        return True
    try:
        _ = connection.cts
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            return False
        raise
    return True


def reset_board(connection: "SerialBase") -> bool:
    """Pull EN low for a moment, so that the board starts anew; False if the port cannot."""
    if not has_lines(connection):
        return False
    # RTS is EN, DTR is IO0, both inverted: low IO0 would start the bootloader.
    connection.dtr = False
    connection.rts = True
    time.sleep(_HOLD_SECONDS)
    connection.rts = False
    return True


def tools() -> None:
    """Fault if pyserial is not installed."""
    try:
        import serial  # noqa: F401
    except ImportError as error:
        raise tools_missing("pyserial") from error


def tools_missing(package: str) -> OperatorFault:
    """The fault that says what to install before a board can be spoken to."""
    return OperatorFault(
        "The tools that speak to a board are not installed.",
        f"{package} is missing; a gateway runs without it.",
        "pip install 'cairn-depin[device]'",
        Code.TOOLS_MISSING,
    )


def _open(port: str, baud: int) -> Any:
    tools()
    from serial import SerialException, serial_for_url

    try:
        return serial_for_url(port, baudrate=baud, timeout=1, exclusive=True)
    except (SerialException, OSError, ValueError) as error:
        raise _cannot_open(port, error) from error


def _cannot_open(port: str, error: Exception) -> OperatorFault:
    number = getattr(error, "errno", None)
    text = str(error)
    # On Windows the text is all there is, and a port in use is "Access is denied".
    if number in _BUSY or "Access is denied" in text:
        return OperatorFault(
            f"{port} is in use.",
            "Another program has it open: a serial monitor, an IDE, another cairn.",
            "Close that program and try again.",
            Code.PORT_BUSY,
        )
    if number in _DENIED:
        return _denied(port)
    if number in _ABSENT or "FileNotFoundError" in text:
        return OperatorFault(
            f"There is no port {port}.",
            "The board is not plugged in, is on another port, or its cable carries power only.",
            "Plug it in with a data cable, and let --port auto find it.",
            Code.PORT_ABSENT,
        )
    return OperatorFault(
        f"{port} cannot be opened.",
        f"{text}.",
        "Check the name; a board on another machine is rfc2217://HOST:PORT.",
        Code.PORT_ABSENT,
    )


def _denied(port: str) -> OperatorFault:
    do = "Ask whoever runs this machine for access to the port."
    if sys.platform.startswith("linux"):
        do = (
            "sudo usermod -a -G dialout $USER (on Arch: uucp), then log out and in again. "
            "In a container: pass the device into it."
        )
    return OperatorFault(
        f"{port} may not be opened.",
        "Your user has no right to use it.",
        do,
        Code.PORT_DENIED,
    )


def _none_found() -> OperatorFault:
    return OperatorFault(
        "No board was found.",
        "No USB serial port is there. Most often the cable carries power and no data; "
        "else the driver of the board's USB bridge (CP210x, CH340) is not installed.",
        "Use a cable that has carried data before, in another USB socket; then look whether a new "
        "port appears. A board elsewhere: --port rfc2217://HOST:PORT.",
        Code.PORT_ABSENT,
    )
