"""Improv-serial: frames in a stream of anything, and a board that answers well or badly."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.board.improv import (
    Command,
    Frame,
    Frames,
    Improv,
    Kind,
    State,
    command,
    result,
)
from gateway.board.provision import Wifi
from gateway.shell.errors import Code, OperatorFault
from tests.unit.gateway.board.fake_repl import Clock, Wire

FRAMES = st.builds(Frame, st.integers(0, 255), st.binary(max_size=255))
# No header can begin in it, so what follows it is found.
NOISE = st.binary(max_size=20).filter(lambda data: b"I" not in data)
HOME = Wifi("home", "secret12")


def fault_of(act) -> OperatorFault:
    with pytest.raises(OperatorFault) as caught:
        act()
    return caught.value


@given(st.lists(st.tuples(NOISE, FRAMES), max_size=6), st.lists(st.integers(1, 40), max_size=40))
def test_frames_are_found_in_any_noise_cut_anywhere(parts, cuts: list[int]) -> None:
    stream = b"".join(noise + frame.encode() for noise, frame in parts)
    frames, found = Frames(), []
    while stream:
        cut = cuts.pop() if cuts else len(stream)
        found += frames.feed(stream[:cut])
        stream = stream[cut:]
    assert found == [frame for _, frame in parts]


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.just(b"IMPROV\x01"), FRAMES.map(Frame.encode)))
)
def test_any_bytes_are_frames_with_a_right_sum_or_none(pieces: list[bytes]) -> None:
    frames = Frames()
    for piece in pieces:
        for frame in frames.feed(piece):
            assert Frames().feed(frame.encode()) == [frame]


@given(FRAMES, st.integers(0, 8_000), st.integers(1, 255))
def test_a_damaged_frame_does_not_hide_the_next(frame: Frame, place: int, change: int) -> None:
    data = bytearray(frame.encode()[:-1])
    data[place % len(data)] ^= change
    good = Frame(Kind.STATE, b"\x02")
    frames = Frames()
    # A wrong length may make it wait for more than comes: a board says its state again.
    found = frames.feed(bytes(data)) + frames.feed(good.encode() * 60)
    assert good in found


def test_the_bytes_are_those_of_the_specification() -> None:
    sent = command(Command.WIFI, "home", "secret12").encode()
    data = b"\x01\x0e\x04home\x08secret12"
    body = b"IMPROV\x01\x03" + bytes((len(data),)) + data
    assert sent == body + bytes((sum(body) & 0xFF,)) + b"\n"
    assert command(Command.STATE).encode() == b"IMPROV\x01\x03\x02\x02\x00\xe5\n"
    with pytest.raises(ValueError, match="do not fit"):
        Frame(3, bytes(256)).encode()


def test_a_result_is_read_or_refused_whole() -> None:
    good = Frame(Kind.RESULT, b"\x03\x08\x05cairn\x01a")
    assert result(good) == (3, ["cairn", "a"])
    assert result(Frame(Kind.RESULT, b"\x04\x00")) == (4, [])
    for data in (b"", b"\x03", b"\x03\x02\x01a\x00", b"\x03\x02\x05a", b"\x03\x09\x05cairn\x01a"):
        assert result(Frame(Kind.RESULT, data)) is None
    assert result(Frame(Kind.STATE, good.data)) is None


def answered(which: int, *texts: str) -> bytes:
    data = b"".join(bytes((len(one),)) + one.encode() for one in texts)
    return Frame(Kind.RESULT, bytes((which, len(data))) + data).encode()


def state(value: int) -> bytes:
    return Frame(Kind.STATE, bytes((value,))).encode()


class Board:
    """Serves Improv; what it says to the Wi-Fi is given. deaf: so many frames are not heard."""

    def __init__(self, to_wifi: bytes, *, deaf: int = 0) -> None:
        self._frames, self._to_wifi, self._deaf = Frames(), to_wifi, deaf
        self.joined: list[str] = []

    def __call__(self, data: bytes) -> bytes:
        return b"cairn: link.up\r\n" + b"".join(map(self._one, self._frames.feed(data)))

    def _one(self, frame: Frame) -> bytes:
        assert frame.kind == Kind.COMMAND
        if self._deaf:
            self._deaf -= 1
            return b""
        which, texts = result(Frame(Kind.RESULT, frame.data)) or (0, [])
        if which == Command.STATE:
            return state(State.READY)
        if which == Command.INFO:
            return answered(3, "cairn", "0.1.0", "esp32", "abc")
        if which == Command.SCAN:
            rows = [("home", "-50", "YES"), ("odd", "?", "NO")]
            return b"".join(answered(4, *row) for row in rows) + answered(4)
        self.joined = texts
        return self._to_wifi


def improv(answer: Callable[[bytes], bytes]) -> tuple[Improv, Clock]:
    clock = Clock()
    return Improv(Wire(answer, clock), clock=clock), clock


def test_a_board_joins_and_names_its_page() -> None:
    url = "http://192.0.2.7:8080/flash#station=abc"
    board = Board(state(3) + b"noise" + state(4) + answered(1, url), deaf=2)
    told = improv(board)[0].join(HOME)
    assert told.url == url
    assert told.info == ("cairn", "0.1.0", "esp32", "abc")
    assert board.joined == ["home", "secret12"]
    assert improv(Board(answered(1)))[0].join(HOME).url == ""


def test_a_board_says_what_it_sees() -> None:
    assert improv(Board(b""))[0].scan() == [("home", -50), ("odd", 0)]


@pytest.mark.parametrize(
    "error,code",
    [(3, Code.WIFI_NOT_CONNECTED), (1, Code.IMPROV_FAILED), (77, Code.IMPROV_FAILED)],
)
def test_what_it_refuses_is_said(error: int, code: Code) -> None:
    answer = Frame(Kind.ERROR, b"\x00").encode() + Frame(Kind.ERROR, bytes((error,))).encode()
    fault = fault_of(lambda: improv(Board(answer))[0].join(HOME))
    assert fault.code == code
    assert "secret12" not in f"{fault}"


def test_silence_ends() -> None:
    silent, clock = improv(lambda _data: b">>> ")
    assert fault_of(lambda: silent.join(HOME)).code == Code.IMPROV_SILENT
    assert clock.now < 30
    forgetful, clock = improv(Board(state(3)))
    assert fault_of(lambda: forgetful.join(HOME)).code == Code.WIFI_NOT_CONNECTED
    assert clock.now < 120


@given(st.lists(st.one_of(st.binary(max_size=12), FRAMES.map(Frame.encode)), max_size=20))
def test_no_answers_make_it_hang_or_fail_otherwise(pieces: list[bytes]) -> None:
    answers = iter(pieces)
    client, clock = improv(lambda _data: next(answers, b""))
    try:
        client.join(HOME)
    except OperatorFault as fault:
        assert fault.code in {  # noqa: PT017 - either outcome is right
            Code.IMPROV_SILENT,
            Code.IMPROV_FAILED,
            Code.WIFI_NOT_CONNECTED,
        }
    assert clock.now < 120
