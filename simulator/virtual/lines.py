"""The two serial lines of a development board, seen from the board.

One is a pty, as a board with a bare cable: no control lines. The other is RFC 2217 on TCP, which
carries DTR and RTS; they drive EN and IO0 through the two transistors that boards have.
"""

import os
import socket
import termios
import time
import tty
from collections.abc import Callable
from typing import Any

_CHUNK = 4096
_UNSET = 38_400
# For a host that does not read; then it has gone.
_PATIENCE_S = 2.0
_RATES = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit()
}


class PtyLine:
    """path: what the host opens. Both ends are held open, so that the host may come and go."""

    def __init__(self) -> None:
        self._board, self._host = os.openpty()
        tty.setraw(self._host)
        os.set_blocking(self._board, False)
        self.path = os.ttyname(self._host)
        self._waiting = bytearray()
        self._taken = time.monotonic()

    def fileno(self) -> int:
        return self._board

    def baud(self) -> int | None:
        """What the host has set; None if it has set nothing."""
        rate = _RATES.get(termios.tcgetattr(self._host)[5], _UNSET)
        return None if rate == _UNSET else rate

    def read(self) -> bytes:
        try:
            return os.read(self._board, _CHUNK)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        self._waiting += data
        self.flush()

    def flush(self) -> None:
        """What nobody reads is lost after a while, as it is when a port is closed."""
        while self._waiting:
            try:
                sent = os.write(self._board, self._waiting[:_CHUNK])
            except OSError:
                if time.monotonic() > self._taken + _PATIENCE_S:
                    self._waiting.clear()
                return
            del self._waiting[:sent]
            self._taken = time.monotonic()
        self._taken = time.monotonic()

    def close(self) -> None:
        os.close(self._board)
        os.close(self._host)


class ModemLines:
    """What an RFC 2217 server asks of a port: rates and lines, set by the host."""

    def __init__(self, changed: Callable[[bool, bool], None]) -> None:
        self._changed = changed
        self._dtr = self._rts = False
        self.baudrate = 115_200
        self.bytesize, self.parity, self.stopbits = 8, "N", 1
        self.xonxoff = self.rtscts = self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self._dtr = on
        self._changed(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self._rts = on
        self._changed(self._dtr, self._rts)

    def released(self) -> None:
        """The host has closed the port: both lines fall at once."""
        self._dtr = self._rts = False
        self._changed(False, False)  # noqa: FBT003

    def reset_input_buffer(self) -> None:
        """There is none."""

    def reset_output_buffer(self) -> None:
        """There is none."""


class Rfc2217Line:
    """A server for one host at a time."""

    def __init__(self, changed: Callable[[bool, bool], None]) -> None:
        self._lines = ModemLines(changed)
        self._telnet: Any = None
        self._connection: socket.socket | None = None
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self.server.getsockname()[1]}"

    @property
    def connection(self) -> socket.socket | None:
        return self._connection

    def baud(self) -> int:
        return self._lines.baudrate

    def accept(self, *, wanted: bool) -> bool:
        """Whether there is a host from now on; the port is busy as long as one has it."""
        from serial.rfc2217 import PortManager  # noqa: PLC0415 - of the extra `device`

        connection, _ = self.server.accept()
        if self._connection is not None or not wanted:
            connection.close()
            return False
        connection.settimeout(_PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._telnet = PortManager(self._lines, _Writer(connection))
        return True

    def read(self) -> bytes | None:
        """Data without Telnet's commands, which take effect here; None: the host has gone."""
        assert self._connection is not None
        try:
            received = self._connection.recv(_CHUNK)
        except OSError:
            return None
        return b"".join(self._telnet.filter(received)) if received else None

    def write(self, data: bytes) -> None:
        if self._connection is not None:
            _Writer(self._connection).write(data.replace(b"\xff", b"\xff\xff"))

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._lines.released()

    def close(self) -> None:
        self.hang_up()
        self.server.close()


class _Writer:
    """Bytes of the host that has gone are lost; that it has gone is seen when it is read from."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError:
            return
