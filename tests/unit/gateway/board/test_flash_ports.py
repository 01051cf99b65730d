"""Finding and opening a port, and what is said when that fails."""

import errno
import os
import pty
import socket
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import serial
from serial.tools import list_ports

from gateway.board import ports
from gateway.board.ports import find_port, has_lines, opened, reset_board
from gateway.shell.errors import Code, OperatorFault


def _port(device, vid=None, description="a port"):
    return SimpleNamespace(device=device, vid=vid, description=description)


@pytest.fixture
def plugged(monkeypatch):
    def plug(*found):
        monkeypatch.setattr(list_ports, "comports", lambda: list(found))

    return plug


@contextmanager
def _fault(code):
    with pytest.raises(OperatorFault) as raised:
        yield raised
    assert raised.value.code == code


def test_a_port_that_is_named_is_taken_as_it_is(plugged):
    plugged()
    assert find_port("rfc2217://desk:4000") == "rfc2217://desk:4000"


def test_auto_takes_the_one_that_looks_like_a_board(plugged):
    mouse, modem = _port("/dev/ttyACM3", 0x046D), _port("/dev/ttyS0")
    plugged(modem, mouse, _port("/dev/ttyUSB0", 0x10C4))
    assert find_port("auto") == "/dev/ttyUSB0"
    # Unknown makers count where nobody known is there; a built-in port never.
    plugged(modem, mouse)
    assert find_port("auto") == "/dev/ttyACM3"
    plugged(modem, _port("/dev/cu.usbserial-1410"))
    assert find_port("auto") == "/dev/cu.usbserial-1410"


def test_auto_says_what_to_do_if_there_is_none(plugged):
    plugged(_port("/dev/ttyS0"))
    with _fault(Code.PORT_ABSENT) as raised:
        find_port("auto")
    assert "power and no data" in raised.value.why


def test_auto_names_them_if_there_are_several(plugged):
    plugged(_port("COM7", 0x303A, "USB JTAG"), _port("COM3", 0x1A86, "CH340"))
    with _fault(Code.PORT_MANY) as raised:
        find_port("auto")
    assert raised.value.why == "COM3 is CH340; COM7 is USB JTAG."
    assert "--port COM3" in raised.value.do


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    yield ours, os.ttyname(theirs)
    for one in (ours, theirs):
        with pytest.MonkeyPatch.context():
            os.close(one)


def test_a_pty_is_opened_and_has_no_lines(terminal):
    ours, name = terminal
    with opened(name) as connection:
        os.write(ours, b"ready")
        assert connection.read(5) == b"ready"
        assert not has_lines(connection)
        assert reset_board(connection) is False
    assert not connection.is_open


def test_only_one_may_have_it(terminal):
    _, name = terminal
    with opened(name), _fault(Code.PORT_BUSY), opened(name):
        pass
    with opened(name):
        pass


@pytest.mark.parametrize("name", ["/dev/no-such-port", "/", "rfc2217://127.0.0.1:1", "odd://x"])
def test_what_is_no_port_is_absent(name):
    with _fault(Code.PORT_ABSENT), opened(name):
        pass


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EAGAIN])
def test_a_port_in_use_is_told(monkeypatch, number):
    monkeypatch.setattr(serial, "serial_for_url", _raising(serial.SerialException(number, "x")))
    with _fault(Code.PORT_BUSY), opened("COM3"):
        pass


def test_windows_says_it_in_words(monkeypatch):
    said = "could not open port 'COM3': PermissionError(13, 'Access is denied.', None, 5)"
    monkeypatch.setattr(serial, "serial_for_url", _raising(serial.SerialException(said)))
    with _fault(Code.PORT_BUSY), opened("COM3"):
        pass
    said = "could not open port 'COM9': FileNotFoundError(2, 'not there', None, 2)"
    monkeypatch.setattr(serial, "serial_for_url", _raising(serial.SerialException(said)))
    with _fault(Code.PORT_ABSENT), opened("COM9"):
        pass


@pytest.mark.parametrize("system, dialout", [("linux", True), ("darwin", False)])
def test_dialout_is_named_only_where_there_is_such_a_group(monkeypatch, system, dialout):
    monkeypatch.setattr(ports.sys, "platform", system)
    denied = serial.SerialException(errno.EACCES, "could not open port")
    monkeypatch.setattr(serial, "serial_for_url", _raising(denied))
    with _fault(Code.PORT_DENIED) as raised, opened("/dev/ttyUSB0"):
        pass
    assert ("dialout" in raised.value.do) is dialout


def _raising(error):
    def fail(*_args, **_options):
        raise error

    return fail


def test_a_cable_that_is_pulled_out_is_told(terminal):
    ours, name = terminal
    with _fault(Code.PORT_LOST), opened(name) as connection:
        raise serial.SerialException("device reports readiness to read but returned no data")
    with _fault(Code.PORT_LOST), opened(name) as connection:
        connection.fd = os.open("/dev/null", os.O_RDONLY)
        raise OSError(errno.EIO, "Input/output error")
    assert ours


def test_other_errors_stay_what_they_are(terminal):
    _, name = terminal
    for error in (FileNotFoundError(errno.ENOENT, "a file"), serial.SerialTimeoutException("x")):
        with pytest.raises(type(error)), opened(name):
            raise error


def test_without_pyserial_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(ports.sys.modules, "serial", None)
    with _fault(Code.TOOLS_MISSING) as raised, opened("COM3"):
        pass
    assert "pyserial" in raised.value.why


class Lines:
    """A port whose lines are written down."""

    def __init__(self, port="/dev/ttyUSB0", error=None):
        self.port = port
        self.heard = []
        self._error = error

    @property
    def cts(self):
        if self._error is not None:
            raise self._error
        return False

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name in ("dtr", "rts"):
            self.heard.append((name, value))


def test_a_reset_pulls_en_and_leaves_io0_high(monkeypatch):
    monkeypatch.setattr(ports.time, "sleep", lambda _: None)
    lines = Lines()
    assert reset_board(lines) is True
    assert lines.heard == [("dtr", False), ("rts", True), ("rts", False)]


def test_which_ports_have_lines():
    assert has_lines(Lines())
    assert has_lines(Lines("rfc2217://desk:4000", OSError(errno.EINVAL, "")))
    assert not has_lines(Lines("socket://desk:4000"))
    assert not has_lines(Lines(error=OSError(errno.ENOTTY, "")))
    with pytest.raises(OSError, match="5"):
        has_lines(Lines(error=OSError(errno.EIO, "5")))


def test_a_port_over_the_network_is_opened(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with opened(f"socket://127.0.0.1:{port}") as connection:
            assert not has_lines(connection)
