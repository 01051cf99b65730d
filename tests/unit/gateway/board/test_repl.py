"""The raw REPL client against MicroPython's own on a pty, and against a bad board."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from gateway.board.repl import OUTPUT_BYTES_MAX, Repl
from gateway.shell.errors import Code, OperatorFault
from tests.unit.gateway.board.fake_repl import BANNER, Clock, FakeRepl, Wire
from tests.unit.gateway.board.ptys import Interpreter


@pytest.fixture(scope="module")
def interpreter(micropython: Path, tmp_path_factory) -> Iterator[Interpreter]:
    found = Interpreter(micropython, tmp_path_factory.mktemp("board"))
    yield found
    found.close()


@pytest.fixture
def real(interpreter: Interpreter) -> Iterator[Repl]:
    with serial.serial_for_url(interpreter.path, baudrate=115_200, timeout=1) as connection:
        repl = Repl(connection)
        repl.enter()
        yield repl
        repl.leave(restart=False)


def fake(answer, clock: Clock | None = None) -> tuple[Repl, Wire]:
    clock = clock or Clock()
    wire = Wire(answer, clock)
    return Repl(wire, clock=clock, sleep=clock.sleep), wire


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


def test_a_program_runs_on_micropython(real: Repl) -> None:
    assert real.run("print('a\\nb')\nprint(6 * 7)", 5) == "a\nb\n42\n"
    assert real.run("", 5) == ""
    assert real.run("print('\\xe9\\u20ac')", 5) == "\xe9\u20ac\n"


@pytest.mark.parametrize("pastes", [True, False])
def test_a_program_longer_than_any_window_arrives_whole(real: Repl, *, pastes: bool) -> None:
    real._pastes = pastes
    text = "".join(chr(33 + number % 90) for number in range(9_000)).replace("\\", "/")
    printed = real.run(f"text = {text!r}\nprint(len(text), sum(text.encode()))", 10)
    assert printed == f"9000 {sum(text.encode())}\n"


def test_an_exception_is_shown_and_the_prompt_stays(real: Repl) -> None:
    fault = fault_of(lambda: real.run("def deep():\n 1 / 0\ndeep()", 5))
    assert fault.code == Code.BOARD_RAISED
    assert "ZeroDivisionError" in fault.why
    assert "line 2, in deep" in fault.why
    assert fault_of(lambda: real.run("a b", 5)).code == Code.BOARD_RAISED
    assert real.run("print(1)", 5) == "1\n"


def test_a_soft_reset_forgets_what_was(interpreter: Interpreter, real: Repl) -> None:
    real.run("kept = 1", 5)
    fault = fault_of(lambda: real.run("import time\ntime.sleep(0.5)", 0.1))
    assert fault.code == Code.REPL_SILENT
    before = interpreter.resets
    real.enter()
    assert interpreter.resets == before + 1
    assert fault_of(lambda: real.run("print(kept)", 5)).code == Code.BOARD_RAISED


@pytest.mark.parametrize("paste", ["yes", "refused", "old"])
@pytest.mark.parametrize("size", [1, 127, 128, 129, 256, 3_000])
def test_every_kind_of_board_gets_all_of_a_program(paste: str, size: int) -> None:
    board = FakeRepl(paste=paste)
    repl, _ = fake(board)
    repl.enter()
    source = "#" * size
    assert repl.run(source, 5) == source
    assert repl.run("b", 5) == "b"
    assert board.sources == [source, "b"]
    assert board.resets == 1
    assert not board.overflowed


@pytest.mark.parametrize("paste", ["yes", "refused", "old"])
def test_an_empty_program_is_no_reset(paste: str) -> None:
    board = FakeRepl(paste=paste)
    repl, _ = fake(board)
    repl.enter()
    assert repl.run("", 5) == "\n"
    assert board.resets == 1


def test_leaving_resets_the_chip_or_gives_the_prompt_back() -> None:
    board = FakeRepl(lambda _source: ("", ""))
    repl, wire = fake(board)
    repl.enter()
    repl.leave(restart=False)
    assert wire.written.endswith(b"\x02")
    repl.enter(reset=False)
    repl.leave(restart=True)
    assert board.sources == ["import machine\nmachine.reset()\n"]


def test_leaving_a_board_that_is_busy_still_resets_it() -> None:
    """What is typed while a program runs may be lost: the reset is asked for at a prompt."""
    board = FakeRepl(lambda _source: ("", ""))
    repl, _ = fake(board)
    repl.enter()
    board._deaf = 5
    repl.leave(restart=True)
    assert board.sources == ["import machine\nmachine.reset()\n"]
    repl.enter()
    # It says that it is busy, and gives no prompt.
    board._deaf = 1_000_000
    assert fault_of(lambda: repl.leave(restart=True)).code == Code.REPL_REFUSED


def test_what_a_board_prints_on_its_own_is_passed_over() -> None:
    board = FakeRepl(lambda _source: ("cairn> 1\n", ""), noise=b"I (12) wifi: up\r\n")
    repl, _ = fake(board)
    repl.enter()
    assert "cairn> 1" in repl.run("x", 5)


def test_a_board_that_is_busy_is_interrupted_again() -> None:
    repl, _ = fake(FakeRepl(deaf_interrupts=5))
    repl.enter()
    assert repl.run("1", 5) == "1"


def test_silence_and_babble_are_told_apart() -> None:
    clock = Clock()
    repl, _ = fake(lambda _data: b"", clock)
    assert fault_of(repl.enter).code == Code.REPL_SILENT
    assert clock.now < 60
    repl, _ = fake(lambda _data: b"rst:0x10 (RTCWDT_RTC_RESET)\r\n")
    assert fault_of(repl.enter).code == Code.REPL_REFUSED


def test_a_port_that_goes_away_is_a_fault_of_its_own() -> None:
    board = FakeRepl()
    repl, wire = fake(board)
    repl.enter()
    wire.broken = serial.SerialException("device disconnected")
    assert fault_of(lambda: repl.run("1", 5)).code == Code.PORT_LOST
    repl.leave(restart=True)
    assert fault_of(lambda: repl.leave(restart=False)).code == Code.PORT_LOST
    wire.broken = serial.SerialTimeoutException("Write timeout")
    assert fault_of(lambda: repl.run("1", 5)).code == Code.REPL_SILENT


def test_a_flood_ends() -> None:
    repl, _ = fake(FakeRepl(lambda _source: ("x" * (OUTPUT_BYTES_MAX + 1), "")))
    repl.enter()
    # All of it lies there at once, end mark included: only what has no end is a flood.
    assert len(repl.run("1", 5)) > OUTPUT_BYTES_MAX
    repl, wire = fake(FakeRepl())
    repl.enter()
    wire._answer = lambda _data: b"R\x01\x80\x00" + b"x" * 3 * OUTPUT_BYTES_MAX
    assert fault_of(lambda: repl.run("1", 5)).code == Code.REPL_REFUSED


def test_a_window_of_nothing_and_an_unknown_word_are_refused() -> None:
    repl, wire = fake(FakeRepl())
    for answer in (b"R\x01\x00\x00", b"R\x01\x80\x00Q"):
        wire._answer = FakeRepl()
        repl.enter()
        wire._answer = lambda _data, answer=answer: answer
        assert fault_of(lambda: repl.run("1", 5)).code == Code.REPL_REFUSED


def test_a_board_that_gives_up_on_a_program_is_heard() -> None:
    repl, wire = fake(FakeRepl())
    repl.enter()
    parts = iter([b"R\x01\x80\x00", b"\x04", b"\x04MemoryError\x04>"])
    wire._answer = lambda _data: next(parts, b"")
    assert "MemoryError" in fault_of(lambda: repl.run("#" * 1_000, 5)).why


def test_a_traceback_steers_no_terminal() -> None:
    repl, _ = fake(FakeRepl(lambda _source: ("", "\x1b[2J\x9bBad: \r\nError")))
    repl.enter()
    why = fault_of(lambda: repl.run("1", 5)).why
    assert "\x1b" not in why
    assert "\x9b" not in why
    assert "Error" in why


EXPECTED = {Code.REPL_SILENT, Code.REPL_REFUSED, Code.BOARD_RAISED}
PIECES = st.sampled_from(
    [
        *(BANNER, BANNER[:9], b"OK", b"\x04", b"\x04\x04>", b">", b"R\x01\x80\x00", b"R\x00"),
        *(b"R\x01", b"\x01", b"soft reboot\r\n", b"", b"ra", b"Traceback\r\n"),
    ]
)


@given(st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40))
def test_no_answers_make_it_hang_or_fail_otherwise(pieces: list[bytes]) -> None:
    clock, answers = Clock(), iter(pieces)
    repl, _ = fake(lambda _data: next(answers, b""), clock)
    try:
        repl.enter()
        assert isinstance(repl.run("print(1)\n" * 40, 5), str)
    except OperatorFault as fault:
        assert fault.code in EXPECTED  # noqa: PT017 - either outcome is right
    assert clock.now < 240


@given(st.integers(0, 400), st.integers(0, 255), st.sampled_from(["lost", "changed", "doubled"]))
def test_one_damaged_byte_is_no_hang(place: int, byte: int, how: str) -> None:
    clock, board, seen = Clock(), FakeRepl(), [0]

    def answer(data: bytes) -> bytes:
        out = bytearray(board(data))
        here = place - seen[0]
        seen[0] += len(out)
        if 0 <= here < len(out):
            out[here : here + 1] = {
                "lost": b"",
                "changed": bytes((byte,)),
                "doubled": bytes(out[here : here + 1] * 2),
            }[how]
        return bytes(out)

    repl, _ = fake(answer, clock)
    try:
        repl.enter()
        repl.run("print(1)" * 40, 5)
    except OperatorFault as fault:
        assert fault.code in EXPECTED  # noqa: PT017
    assert clock.now < 240
