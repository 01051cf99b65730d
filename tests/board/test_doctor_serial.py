"""What the doctor hears on a cable: blank chips, chips that start again, reports, a port that goes
away with a reset and comes back. The prompt itself is tested against virtual boards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gateway.board import doctor_serial
from gateway.board.doctor_serial import SerialBoard
from gateway.shell.errors import Code, OperatorFault

PORT = "/dev/ttyTEST0"
RESET = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x8 (TG1WDT_SYS_RESET),boot:0x13\r\n"


class Time:
    """Goes on by a tenth of a second with each read, and by every sleep."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Cable:
    """Gives its pieces, one a read; an exception among them is raised. Then silence."""

    def __init__(self, time: Time, *pieces: bytes | Exception) -> None:
        self._time = time
        self._pieces = list(pieces)
        self.timeout: float | None = None
        self.in_waiting = 0

    def read(self, _size: int) -> bytes:
        self._time.now_s += 0.1
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


class Repl:
    """A prompt that is there at once."""

    made: "list[Repl]"

    def __init__(self, connection: Cable) -> None:
        self.connection = connection
        self.calls: list[str] = []
        Repl.made.append(self)

    def enter(self) -> None:
        self.calls.append("enter")

    def leave(self, *, restart: bool) -> None:
        assert restart
        self.calls.append("restart")


class Console:
    def __init__(self, repl: Repl) -> None:
        self.repl = repl

    def open(self) -> None:
        self.repl.calls.append("open")


Plug = Callable[..., list[str]]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    passing = Time()
    monkeypatch.setattr(doctor_serial, "time", passing)
    monkeypatch.setattr(doctor_serial, "Repl", Repl)
    monkeypatch.setattr(doctor_serial, "Console", Console)
    Repl.made = []
    return passing


@pytest.fixture
def plug(time: Time, monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Plug in cables: each opening gets the next; a fault among them is raised."""

    def plug_in(*cables: Cable | OperatorFault) -> list[str]:
        left, log = list(cables), []

        @contextmanager
        def opened(port: str) -> Iterator[Cable]:
            assert port == PORT
            cable = left.pop(0)
            if isinstance(cable, OperatorFault):
                log.append("refused")
                raise cable
            log.append("opened")
            yield cable
            log.append("closed")

        monkeypatch.setattr(doctor_serial, "opened", opened)
        return log

    return plug_in


def entered(*, fault: bool = False) -> SerialBoard | OperatorFault:
    board = SerialBoard(lambda: PORT)
    try:
        board.enter()
    except OperatorFault as found:
        assert fault
        board.close()
        return found
    assert not fault
    return board


@pytest.mark.parametrize(
    "said", [b"invalid header: 0xffffffff\r\n", b"flash read err, 1000\r\n", b"No bootable app"]
)
def test_a_chip_without_a_program_is_not_waited_for(plug: Plug, time: Time, said: bytes):
    log = plug(Cable(time, RESET, said[:5], said[5:]))
    fault = entered(fault=True)
    assert fault.code is Code.BOARD_BLANK
    # Nothing was interrupted, so nothing has to be started again.
    assert Repl.made == []
    assert log == ["opened", "closed"]


@pytest.mark.parametrize("panic", [b"", b"Guru Meditation Error: Core 0 panic'ed\r\n"])
def test_a_chip_that_starts_again_and_again(plug: Plug, time: Time, panic: bytes):
    silence = [b""] * 9
    plug(Cable(time, RESET, *silence, panic, RESET, *silence, RESET))
    fault = entered(fault=True)
    assert fault.code is Code.BOARD_CRASHING
    assert ("panic" in fault.why) == bool(panic)


def test_a_board_that_has_just_started_is_no_crash(plug: Plug, time: Time):
    plug(Cable(time, RESET, b"", RESET))
    board = entered()
    assert Repl.made[0].calls == ["enter", "open"]
    # It was watched for longer than a silent one.
    assert time.now_s > 4
    board.close()


def test_a_silent_board_is_asked_soon(plug: Plug, time: Time):
    plug(Cable(time))
    entered().close()
    assert time.now_s < 2


def test_what_was_interrupted_is_started_again(plug: Plug, time: Time):
    log = plug(Cable(time))
    entered().close()
    assert Repl.made[0].calls == ["enter", "open", "restart"]
    assert log == ["opened", "closed"]


def test_it_is_started_once(plug: Plug, time: Time):
    plug(Cable(time))
    board = entered()
    board.restart()
    board.close()
    assert Repl.made[0].calls == ["enter", "open", "restart"]


def test_reports_are_kept_and_lines_are_handed_on(plug: Plug, time: Time):
    lines = []
    pieces = [b"cairn: wifi.pass", b"word: status 202\r\nhello \x1b[31m", b"\r\n>>> "]
    plug(Cable(time, *[b""] * 12, *pieces, b"\r\ncairn: restart: x\r\n"))
    board = SerialBoard(lambda: PORT, heard=lines.append)
    board.enter()
    board.restart()
    board.listen(1)
    assert lines == [
        "cairn: wifi.password: status 202",
        "hello �[31m",
        ">>> ",
        "cairn: restart: x",
    ]
    assert board.said() == [("wifi.password", "status 202"), ("restart", "x")]
    board.close()


def test_a_line_without_an_end_takes_no_memory(plug: Plug, time: Time):
    plug(Cable(time, *[b""] * 12, *[b"x" * 10_000] * 5))
    board = entered()
    board.restart()
    board.listen(2)
    assert len(board._line) <= 1_024
    assert board.said() == []
    board.close()


def test_a_port_that_goes_with_a_reset_is_opened_again(plug: Plug, time: Time):
    """A native USB port: the chip is the port, and takes a moment to come back."""
    absent = OperatorFault("There is no port.", "Gone.", "Wait.", Code.PORT_ABSENT)
    before = Cable(time, *[b""] * 12, OSError(5, "Input/output error"))
    after = Cable(time, b"cairn: config.spare: mended\r\n")
    log = plug(before, absent, absent, after)
    board = entered()
    board.restart()
    board.listen(5)
    assert log == ["opened", "closed", "refused", "refused", "opened"]
    assert board.said() == [("config.spare", "mended")]
    board.close()
    assert log[-1] == "closed"


def test_a_cable_that_is_pulled_at_once(plug: Plug, time: Time):
    plug(Cable(time, b"", OSError(5, "Input/output error")))
    assert entered(fault=True).code is Code.PORT_LOST


def test_a_bug_is_no_lost_port(plug: Plug, time: Time):
    plug(Cable(time, *[b""] * 12, ValueError("ours")))
    board = entered()
    board.restart()
    with pytest.raises(ValueError, match="ours"):
        board.listen(5)
    board.close()
