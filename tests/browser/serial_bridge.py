"""What serial_shim.js asks: a real port of pyserial behind the page's Web Serial."""

import base64
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PIECE_MAX = 4_096
SHIM = Path(__file__).with_name("serial_shim.js")


class SerialBridge:
    """url: any port of pyserial. pick: whether the user chooses the port; busy: whether another
    program holds it; opened: the rates it was opened with.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.pick = True
        self.busy = False
        self.opened: list[int] = []
        # Called before the chip is reset: what it then runs may write to its flash.
        self.before_reset: Callable[[], None] = lambda: None
        self._port: Any = None

    def answer(self, verb: str, *rest: Any) -> object:
        return getattr(self, f"_{verb}")(*rest)

    def end(self) -> None:
        self._close()

    def _choose(self) -> bool:
        return self.pick

    def _open(self, baud: int) -> bool:
        import serial

        self._close()
        if self.busy:
            return False
        try:
            # Its RFC 2217 names its thread as Python did before 3.10.
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                self._port = serial.serial_for_url(self.url, baudrate=baud, timeout=0)
        except serial.SerialException:
            return False
        self.opened.append(baud)
        return True

    def _read(self) -> str | None:
        import serial

        if self._port is None:
            return None
        try:
            found = b""
            # Some ports count, others only tell that there is something.
            while len(found) < _PIECE_MAX and (waiting := self._port.in_waiting):
                found += self._port.read(waiting)
            return base64.b64encode(found).decode()
        except (serial.SerialException, OSError):
            self._close()
            return None

    def _write(self, text: str) -> bool:
        import serial

        if self._port is None:
            return False
        try:
            self._port.write(base64.b64decode(text))
        except (serial.SerialException, OSError):
            self._close()
            return False
        return True

    def _signals(self, signals: dict[str, bool]) -> None:
        if self._port is not None:
            if signals.get("requestToSend"):
                self.before_reset()
            if "dataTerminalReady" in signals:
                self._port.dtr = signals["dataTerminalReady"]
            if "requestToSend" in signals:
                self._port.rts = signals["requestToSend"]

    def _close(self) -> None:
        import serial

        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except (serial.SerialException, OSError):
                return
