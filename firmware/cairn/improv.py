"""Wi-Fi credentials over the serial console: Improv Wi-Fi, serial, version 1. Served while the
station has no configuration or no network; borrowed for as long as that lasts.

A packet is b"IMPROV", version 1, type, length, data, the sum of all bytes before, and a line feed.
Between packets the console is what it always is: text goes out, and Ctrl-C ends the program.
"""

from .identity import device_id, device_name

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .boards.base import Board, Console
    from .config import Config

STATE, ERROR, RPC, RESULT = 1, 2, 3, 4
AUTHORIZED, PROVISIONING, PROVISIONED = 2, 3, 4
NO_ERROR, INVALID, UNKNOWN, UNABLE, FAILED = 0, 1, 2, 3, 255
SETTINGS, CURRENT, INFO, SCAN = 1, 2, 3, 4

_HEAD = b"IMPROV\x01"
# Head, type and length.
_START = 9
_CTRL_C = 3
_NAME_BYTES_MAX = 32
_PASSWORD_BYTES_MIN = 8
_PASSWORD_BYTES_MAX = 64
_DATA_MAX = 255
# The console's queue holds 260 bytes, 22 ms of what comes in at 115,200 baud.
_POLL_MS = 10
# Between two questions for the state of the network, which cost more than a byte.
_LOOK_MS = 1_000
# A packet that stops in its middle holds up Ctrl-C for no longer.
_SILENT_MS = 1_000
# A client gives up after 30 s.
_JOIN_MS = 25_000
# Answers go on for so long after the network is there.
_LINGER_MS = 60_000


class Parser:
    """Takes bytes one by one. text: whether the last one was no part of a packet."""

    def __init__(self) -> None:
        self._got = bytearray()
        self.text = True

    @property
    def inside(self) -> bool:
        """Whether the next byte is part of a packet, whatever it is."""
        return len(self._got) >= len(_HEAD)

    def drop(self) -> None:
        """Forget a packet that does not go on."""
        self._got = bytearray()

    def feed(self, byte: int) -> "tuple[int, bytes] | None":
        """(type, data) of a packet that is complete; (0, b"") of one whose sum is wrong."""
        got = self._got
        if not self.inside:
            self.text = byte != _HEAD[len(got)]
            if self.text:
                self.drop()
                if byte != _HEAD[0]:
                    return None
                self.text = False
                got = self._got
            got.append(byte)
            return None
        got.append(byte)
        if len(got) < _START or len(got) < _START + got[8] + 1:
            return None
        self.drop()
        if sum(got[:-1]) & 0xFF != got[-1]:
            return 0, b""
        return got[7], bytes(got[_START:-1])


def packet(kind: int, data: bytes) -> bytes:
    """Bytes of one packet."""
    start = _HEAD + bytes([kind, len(data)]) + data
    return start + bytes([sum(start) & 0xFF, 10])


def result(command: int, texts: "Sequence[bytes]") -> bytes:
    """A packet with the answer to a command; what does not fit is left out."""
    body = b""
    for text in texts:
        if len(body) + 1 + len(text) <= _DATA_MAX - 2:
            body += bytes([len(text)]) + text
    return packet(RESULT, bytes([command, len(body)]) + body)


def parse(data: bytes) -> "tuple[int, bytes] | None":
    """(command, its data) of an RPC packet; None: it is none."""
    if len(data) < 2 or data[1] != len(data) - 2:
        return None
    return data[0], data[2:]


def credentials(data: bytes) -> "tuple[bytes, bytes] | None":
    """(name, password) of SETTINGS; None: that can be no network's."""
    if not data or len(data) < 2 + data[0]:
        return None
    name, rest = data[1 : 1 + data[0]], data[1 + data[0] :]
    password = rest[1:]
    if rest[0] != len(password) or not 1 <= len(name) <= _NAME_BYTES_MAX:
        return None
    if password and not _PASSWORD_BYTES_MIN <= len(password) <= _PASSWORD_BYTES_MAX:
        return None
    try:
        name.decode()
        password.decode()
    except ValueError:
        return None
    return name, password


def attend(board: "Board", settings: "Config | None") -> None:
    """Serve beside everything else, if there is a console and nobody serves it yet."""
    console = board.console()
    if console is not None:
        console.open()
        board.spawn(Server(board, console, settings).run())


class Server:
    """settings: None while the board has none; then it serves until the board restarts."""

    def __init__(self, board: "Board", console: "Console", settings: "Config | None") -> None:
        self._board = board
        self._console = console
        self._settings = settings
        self._parser = Parser()
        self._joining = False
        # When a byte of a packet came; when the network was missing, or a client was there.
        self._came = self._wanted = self._looked = board.ticks()
        self._served, self._missing = False, True

    async def run(self) -> None:
        """Until the station is set up. KeyboardInterrupt: somebody wants the prompt."""
        try:
            while self._goes_on():
                self._read()
                await self._board.sleep(_POLL_MS)
        finally:
            self._console.close()

    def _goes_on(self) -> bool:
        now = self._board.ticks()
        if now - self._looked >= _LOOK_MS:
            self._looked = now
            self._missing = self._settings is None or not self._online()
        if self._missing or self._joining:
            self._wanted = now
        return now - self._wanted < (_LINGER_MS if self._served else _LOOK_MS)

    def _online(self) -> bool:
        return self._board.info()[3] is not None

    def _read(self) -> None:
        parser, now = self._parser, self._board.ticks()
        if parser.inside and now - self._came > _SILENT_MS:
            parser.drop()
        while True:
            byte = self._console.read()
            if byte < 0:
                return
            self._came = now
            if byte == _CTRL_C and not parser.inside:
                raise KeyboardInterrupt
            found = parser.feed(byte)
            if found is not None:
                self._served = True
                self._take(found[0], found[1])

    def _take(self, kind: int, data: bytes) -> None:
        if kind not in (0, RPC):
            return
        asked = parse(data) if kind == RPC else None
        if asked is None:
            self._say(ERROR, INVALID)
            return
        command, given = asked
        if command == SETTINGS:
            self._take_settings(given)
        elif command == CURRENT:
            self._say(ERROR, NO_ERROR)
            self._say_state(command)
        elif command == INFO:
            self._say(ERROR, NO_ERROR)
            self._tell(result(INFO, self._info()))
        elif command == SCAN:
            self._scan()
        else:
            self._say(ERROR, UNKNOWN)

    def _take_settings(self, given: bytes) -> None:
        wanted = credentials(given)
        if wanted is None:
            self._say(ERROR, INVALID)
        elif self._joining:
            self._say(STATE, PROVISIONING)
        else:
            self._say(ERROR, NO_ERROR)
            self._joining = True
            self._say(STATE, PROVISIONING)
            self._board.spawn(self._join(wanted))

    async def _join(self, wanted: "tuple[bytes, bytes]") -> None:
        try:
            failed = await self._console.join(wanted[0], wanted[1], _JOIN_MS)
            code = UNABLE if failed else NO_ERROR
        except OSError as error:
            self._board.report("wifi.refused", str(error))
            code = FAILED
        self._joining = False
        if code:
            self._say(ERROR, code)
            self._say(STATE, AUTHORIZED)
        else:
            self._say_state(SETTINGS)

    def _scan(self) -> None:
        self._say(ERROR, NO_ERROR)
        try:
            for name, rssi_dbm, secured in self._console.networks():
                texts = (name, str(rssi_dbm).encode(), b"YES" if secured else b"NO")
                self._tell(result(SCAN, texts))
        except OSError as error:
            self._board.report("wifi.refused", str(error))
        self._tell(result(SCAN, ()))

    def _say_state(self, command: int) -> None:
        if self._joining:
            self._say(STATE, PROVISIONING)
        elif not self._online():
            self._say(STATE, AUTHORIZED)
        else:
            self._say(STATE, PROVISIONED)
            self._tell(result(command, self._next()))

    def _next(self) -> "list[bytes]":
        """Where a browser goes from here: the network's page, if the station has a network."""
        settings = self._settings
        if settings is None or settings.time_host is None:
            return []
        url = "http://%s:%d/flash#station=" % (settings.time_host, settings.time_port)
        return [(url + self._name()).encode()]

    def _info(self) -> "list[bytes]":
        program, _, version = self._board.firmware().partition(" ")
        told = (program, version, self._console.chip(), self._name())
        return [text.encode() for text in told]

    def _name(self) -> str:
        return device_name(device_id(self._board.public_key()))

    def _say(self, kind: int, value: int) -> None:
        self._tell(packet(kind, bytes([value])))

    def _tell(self, data: bytes) -> None:
        self._console.write(data)
