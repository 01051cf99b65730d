"""What every Board, Files, Event, Stream and Link must do; the contract is cairn/boards/base.py.

A case is a function; a suite of a board parametrises over the lists at the end of each section:

    @pytest.mark.parametrize("case", conformance.FILES)
    def test_files(case): case(MyFiles)

Cases of Event, Board, Stream and Link are coroutines; the caller drives them on the board's own
loop. They use small times, so that a real clock stays cheap.
"""

from collections.abc import Callable
from typing import Any

from cairn.boards.base import Board, Files, Link, Stream
from cairn.limits import RETAINED_BYTES

from gateway.core.verify import signature_valid

# Files: each case takes a function that makes an empty store.


def absent_file_reads_none(make: Callable[[], Files]) -> None:
    files = make()
    assert files.read("chain") is None
    files.remove("chain")
    assert files.names("") == []


def write_replaces(make: Callable[[], Files]) -> None:
    files = make()
    files.write("chain", b"old and longer")
    files.write("chain", b"new")
    assert files.read("chain") == b"new"
    files.write("chain", b"")
    assert files.read("chain") == b""


def append_makes_and_adds(make: Callable[[], Files]) -> None:
    files = make()
    files.append("outbox/00000001", b"one")
    files.append("outbox/00000001", b"two")
    assert files.read("outbox/00000001") == b"onetwo"
    files.write("outbox/00000001", b"three")
    files.append("outbox/00000001", b"four")
    assert files.read("outbox/00000001") == b"threefour"


def remove_forgets(make: Callable[[], Files]) -> None:
    files = make()
    files.write("outbox/00000001", b"x")
    files.remove("outbox/00000001")
    files.remove("outbox/00000001")
    assert files.read("outbox/00000001") is None
    files.append("outbox/00000001", b"y")
    assert files.read("outbox/00000001") == b"y"


def names_are_sorted_and_filtered(make: Callable[[], Files]) -> None:
    files = make()
    for name in ("outbox/00000010", "chain", "outbox/00000009", "config", "outbox/00000100"):
        files.write(name, b"")
    assert files.names("outbox/") == ["outbox/00000009", "outbox/00000010", "outbox/00000100"]
    assert files.names("") == ["chain", "config", *files.names("outbox/")]
    assert files.names("none") == []
    assert files.names("outbox/00000010") == ["outbox/00000010"]


def content_is_the_callers_no_more(make: Callable[[], Files]) -> None:
    files = make()
    data = bytearray(b"abc")
    files.write("chain", bytes(data))
    data[0] = 0
    first = files.read("chain")
    files.append("chain", b"d")
    assert first == b"abc"
    assert files.read("chain") == b"abcd"


def every_byte_is_kept(make: Callable[[], Files]) -> None:
    files = make()
    data = bytes(range(256)) * 40
    files.write("keys", data)
    files.append("outbox/00000001", data)
    assert files.read("keys") == data
    assert files.read("outbox/00000001") == data


FILES = [
    absent_file_reads_none,
    write_replaces,
    append_makes_and_adds,
    remove_forgets,
    names_are_sorted_and_filtered,
    content_is_the_callers_no_more,
    every_byte_is_kept,
]

# Event: each case takes a board.


async def event_times_out(board: Board) -> None:
    event = board.event()
    before = board.ticks()
    assert not await event.wait(20)
    assert board.ticks() - before >= 19
    assert not await event.wait(0)


async def event_that_is_up_does_not_wait(board: Board) -> None:
    event = board.event()
    event.set()
    assert await event.wait(0)
    assert await event.wait(None)
    event.clear()
    assert not await event.wait(1)


async def event_wakes_every_waiter(board: Board) -> None:
    event, done = board.event(), board.event()
    woken: list[bool] = []

    async def waiter(timeout_ms: int | None) -> None:
        woken.append(await event.wait(timeout_ms))
        if len(woken) == 3:
            done.set()

    for timeout_ms in (None, 5_000, None):
        board.spawn(waiter(timeout_ms))
    await board.sleep(5)
    assert woken == []
    event.set()
    assert await done.wait(5_000)
    assert woken == [True, True, True]


async def event_set_before_the_deadline_wins(board: Board) -> None:
    event = board.event()

    async def setter() -> None:
        await board.sleep(5)
        event.set()

    board.spawn(setter())
    before = board.ticks()
    assert await event.wait(10_000)
    assert board.ticks() - before < 5_000


EVENTS = [
    event_times_out,
    event_that_is_up_does_not_wait,
    event_wakes_every_waiter,
    event_set_before_the_deadline_wins,
]

# Board: each case takes a board that has just booted.


async def ticks_never_go_back(board: Board) -> None:
    last = board.ticks()
    assert 0 <= last < 60_000
    for _ in range(20):
        await board.sleep(1)
        now = board.ticks()
        assert now >= last
        last = now


async def sleep_lasts(board: Board) -> None:
    before = board.ticks()
    await board.sleep(30)
    # Two clocks that are both read in whole milliseconds may differ by one.
    assert board.ticks() - before >= 29
    await board.sleep(0)


async def sleep_zero_lets_others_run(board: Board) -> None:
    ran: list[int] = []

    async def other() -> None:
        ran.append(1)

    board.spawn(other())
    for _ in range(3):
        await board.sleep(0)
    assert ran == [1]


async def entropy_has_the_size_and_varies(board: Board) -> None:
    assert [len(board.entropy(size)) for size in (0, 1, 2, 32, 100)] == [0, 1, 2, 32, 100]
    assert len({board.entropy(16) for _ in range(50)}) == 50


async def signature_verifies(board: Board) -> None:
    key = board.public_key()
    assert key == board.public_key()
    assert len(key) == 32
    for message in (b"", b"cairn", bytes(1000)):
        assert signature_valid(key, board.sign(message), message)
    assert not signature_valid(key, board.sign(b"one"), b"other")


async def utc_is_an_int_or_none(board: Board) -> None:
    now = board.now_ms()
    assert now is None or (type(now) is int and now > 1_500_000_000_000)


async def sample_has_the_shape(board: Board) -> None:
    readings = await board.sample()
    assert readings
    for quantity, channel, exponent, value, fault in readings:
        whole = [quantity, channel, exponent, fault] + ([] if value is None else [value])
        assert all(type(number) is int for number in whole)
        assert quantity >= 0
        assert channel >= 0
        assert -9 <= exponent <= 6
        assert 0 <= fault <= 9
        assert fault == 0 or value is None


async def info_has_the_shape(board: Board) -> None:
    heap_free_bytes, reset_cause, battery_mv, rssi_dbm = board.info()
    assert heap_free_bytes >= 0
    assert reset_cause >= 0
    assert battery_mv is None or battery_mv >= 0
    assert rssi_dbm is None or rssi_dbm <= 0
    board.feed()


async def radios_answer_and_absent_ones_say_none(board: Board) -> None:
    radios = board.radios()
    for radio in range(3):
        for channel in (2, 0):
            board.radio_listen(radio, channel)
    assert list(radios) == sorted(set(radios))
    assert set(radios) <= {0, 1, 2}
    for radio in range(3):
        sent = board.radio_send(radio, 0, 1400, bytes(20))
        assert isinstance(sent, bool) if radio in radios else sent is None
    if not radios:
        assert await board.radio_receive() is None


async def memory_keeps_what_it_got(board: Board) -> None:
    before = board.retained()
    assert before is None or isinstance(before, bytes)
    if not board.retain(b"\x00one"):
        # No such memory: then there never is.
        assert before is None
        assert not board.retain(b"")
        assert board.retained() is None
        return
    assert board.retained() == b"\x00one"
    longest = bytes(range(250)) * 8
    assert len(longest) == RETAINED_BYTES
    assert board.retain(longest)
    assert not board.retain(longest + b"x")
    assert board.retained() == longest
    assert board.retain(b"")
    assert board.retained() is None


async def datagram_that_nobody_answers_is_an_os_error(board: Board) -> None:
    before = board.ticks()
    try:
        # TEST-NET-1 (RFC 5737): nobody has this address.
        await board.datagram("192.0.2.1", 123, bytes(48), 50)
    except OSError:
        assert board.ticks() - before < 2_000
        return
    raise AssertionError("an answer out of nowhere")


async def calls_that_need_no_hardware_return(board: Board) -> None:
    assert await board.recover(1) is None
    assert await board.recover(2) is None
    assert board.report("fault.code", "detail") is None
    assert board.set_clock(1_700_000_000_000) is None
    held = board.now_ms()
    # A board that keeps time keeps this one, to the second that its clock may count in.
    assert held is None or abs(held - 1_700_000_000_000) <= 1_000 or held > 1_704_067_200_000


BOARDS = [
    memory_keeps_what_it_got,
    datagram_that_nobody_answers_is_an_os_error,
    calls_that_need_no_hardware_return,
    ticks_never_go_back,
    sleep_lasts,
    sleep_zero_lets_others_run,
    entropy_has_the_size_and_varies,
    signature_verifies,
    utc_is_an_int_or_none,
    sample_has_the_shape,
    info_has_the_shape,
    radios_answer_and_absent_ones_say_none,
]

# Stream: each case takes a board, a host and a port where somebody sends back every byte that
# it gets, and ends the connection after b"bye".


async def stream_carries_bytes(board: Board, host: str, port: int) -> None:
    stream = await board.stream(host, port, None)
    data = bytes(range(256)) * 8
    await stream.write(data)
    assert await _read_exactly(stream, len(data)) == data
    stream.close()
    stream.close()


async def stream_ends_with_nothing(board: Board, host: str, port: int) -> None:
    stream = await board.stream(host, port, None)
    await stream.write(b"bye")
    assert await _read_exactly(stream, 3) == b"bye"
    assert await stream.read(10) == b""
    stream.close()


async def closed_stream_refuses(board: Board, host: str, port: int) -> None:
    stream = await board.stream(host, port, None)
    stream.close()
    for use in (stream.read(1), stream.write(b"x")):
        try:
            assert await use in (b"", None)
        except OSError:
            continue
        assert use.__name__ == "read", "a write after close went through"


async def _read_exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.read(size - len(data))
        assert 0 < len(part) <= size - len(data)
        data += part
    return data


STREAMS = [stream_carries_bytes, stream_ends_with_nothing, closed_stream_refuses]

# Link: each case takes a board, a link that is up, the list in which published messages turn up
# at the far end, and a function that sends (topic tail, bytes) down to this board.

Far = list[bytes]
Send = Callable[[str, bytes], None]


async def link_publishes_in_order(board: Board, link: Link, far: Far, send: Send) -> None:
    assert link.state() == "up"
    messages = [bytes([number]) * 50 for number in range(5)]
    for message in messages:
        assert await link.publish(message)
    await board.sleep(2_000)
    assert far == messages


async def link_receives(board: Board, link: Link, far: Far, send: Send) -> None:
    send("down/receipt", b"one")
    send("all/tick", b"two")
    got = [await link.receive(), await link.receive()]
    assert sorted(got) == [("all/tick", b"two"), ("down/receipt", b"one")]


async def link_receive_waits(board: Board, link: Link, far: Far, send: Send) -> None:
    got: list[Any] = []
    done = board.event()

    async def receiver() -> None:
        got.append(await link.receive())
        done.set()

    board.spawn(receiver())
    await board.sleep(50)
    assert got == []
    send("down/receipt", b"late")
    assert await done.wait(5_000)
    assert got == [("down/receipt", b"late")]


LINKS = [link_publishes_in_order, link_receives, link_receive_waits]
