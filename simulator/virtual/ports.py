"""Both lines of a board on its loop: what comes in is handed on, what goes out waits for a host
that is slow, and is dropped where there is none.
"""

from collections.abc import Callable

from simulator.virtual.lines import PtyLine, Rfc2217Line
from simulator.virtual.loop import Loop

# The rate at which bootloader and programs talk.
RUN_BAUD = 115_200
_NOISE = b"\xf8"


class Ports:
    """heard: called with bytes and the host's rate. lines: called with DTR and RTS. pty and url
    are what a host opens.
    """

    def __init__(
        self,
        loop: Loop,
        heard: Callable[[bytes, int | None], None],
        lines: Callable[[bool, bool], None],
    ) -> None:
        self._loop, self._heard = loop, heard
        self._pty: PtyLine | None = PtyLine()
        self._network = Rfc2217Line(lines)
        self.pty, self.url = self._pty.path, self._network.url

    def attach(self) -> None:
        self._loop.watch(self._network.server, self._called)
        if self._pty is not None:
            self._loop.watch(self._pty, self._pty_heard)

    def close(self) -> None:
        self.unplug()
        self._loop.unwatch(self._network.server)
        self._network.close()

    def unplug(self) -> None:
        if self._pty is not None:
            self._loop.unwatch(self._pty)
            self._pty.close()
            self._pty = None
        self._hang_up()

    def plug_in(self) -> None:
        if self._pty is None:
            self._pty = PtyLine()
            self.pty = self._pty.path
            self._loop.watch(self._pty, self._pty_heard)

    def send(self, data: bytes, rate: int | None = None) -> None:
        """At that rate; where the host listens at another one, it hears noise."""
        for line in (self._pty, self._network):
            if line is not None and data:
                heard = rate is None or line.baud() in (None, rate)
                line.write(data if heard else _NOISE * len(data))

    def flush(self) -> None:
        """Go on with what a host has not taken yet."""
        if self._pty is not None:
            self._pty.flush()

    def _called(self) -> None:
        if self._network.accept(wanted=self._pty is not None):
            connection = self._network.connection
            assert connection is not None
            self._loop.watch(connection, self._network_heard)

    def _hang_up(self) -> None:
        connection = self._network.connection
        if connection is not None:
            self._loop.unwatch(connection)
            self._network.hang_up()

    def _pty_heard(self) -> None:
        assert self._pty is not None
        data = self._pty.read()
        if data:
            self._heard(data, self._pty.baud())

    def _network_heard(self) -> None:
        data = self._network.read()
        if data is None:
            self._hang_up()
        elif data:
            self._heard(data, self._network.baud())
