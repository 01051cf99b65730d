"""What stands around boards on MicroPython, without one: the tap, the news, the cuts, the air."""

import asyncio
import dataclasses

import cbor2
import pytest
from cairn import mqtt, segment

from simulator.ledger import Ledger, Stored
from simulator.medium import LORA_RADIO, Antenna
from simulator.micropython.host import Happening
from simulator.micropython_air import Air
from simulator.micropython_faults import PARTS, Cuts
from simulator.micropython_fleet import check_boards_can
from simulator.micropython_news import News
from simulator.micropython_tap import DOWN, ONLINE, SAMPLED, SIGNED, UP, tap
from simulator.network import Faults
from simulator.radio import PRESETS, lora_airtime_ms
from simulator.run import Course
from simulator.scenario import Scenario, ScenarioInvalid, load_scenario
from simulator.watch import SLOT_MS, Watch

DEVICE = b"d" * 16
READINGS, GAP = 1, 7


class Stream:
    """A stream of a board: what was written, and what will be read, piece by piece."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.written = b""
        self.closed = False

    async def read(self, _size: int) -> bytes:
        return self.pieces.pop(0)

    async def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


class Board:
    """What a tap sees of a board."""

    def __init__(self, stream: Stream) -> None:
        self.told: list[tuple[str, str]] = []
        self._stream = stream

    async def stream(self, _host: str, _port: int, _tls: bytes | None) -> Stream:
        return self._stream

    async def sample(self) -> list[tuple[int, int, int, int | None, int]]:
        return [(0, 0, -2, 2_100, 0)]

    def sign(self, message: bytes) -> bytes:
        return b"signature of " + message

    def report(self, code: str, detail: str) -> None:
        self.told.append((code, detail))


def tapped(stream: Stream) -> tuple[Board, "Stream"]:
    board = Board(stream)
    tap(board)
    return board, asyncio.run(board.stream("host", 1, None))


def published(topic: bytes, payload: bytes, qos: int) -> bytes:
    packet_id = b"\0\1" if qos else b""
    body = len(topic).to_bytes(2, "big") + topic + packet_id + payload
    size, length = bytearray(), len(body)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([0x30 | qos << 1]) + bytes(size) + bytes([length]) + body


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 200])
@pytest.mark.parametrize("qos", [0, 1])
def test_tap_tells_what_passes_and_changes_nothing(cut, qos):
    suback = b"\x90\x03\0\1\1"
    down = suback + published(b"a/all/tick", bytes(range(250)), qos) + b"\xd0\0"
    pieces = [down[at : at + cut] for at in range(0, len(down), cut)]
    board, stream = tapped(Stream(*pieces))
    read = b"".join(asyncio.run(stream.read(1_024)) for _ in pieces)
    assert read == down
    assert board.told == [(ONLINE, ""), (DOWN, "a/all/tick " + bytes(range(250)).hex())]
    up = mqtt.connect(b"c", b"c", b"p", 60) + published(b"a/up", b"message", 1) + b"\xc0\0"
    for at in range(0, len(up), cut):
        asyncio.run(stream.write(up[at : at + cut]))
    assert board._stream.written == up
    assert board.told[2:] == [(UP, b"message".hex())]
    assert board.sign(b"x") == b"signature of x"
    assert board.told[3:] == [(SIGNED, b"x".hex())]
    assert asyncio.run(board.sample()) == [(0, 0, -2, 2_100, 0)]
    assert board.told[4:] == [(SAMPLED, "")]
    stream.close()
    assert board._stream.closed


def message(seq: int, kind: int = READINGS) -> bytes:
    payload = cbor2.dumps([1, kind, 1, seq, bytes(16), 0, [0, 0], []])
    return cbor2.dumps(cbor2.CBORTag(18, [b"", {}, payload, b""]))


def happening(kind: str, **values) -> Happening:
    return Happening(0, kind, 0, values)


def written(operation: str, name: str, data: bytes = b"", to: str = "") -> Happening:
    return happening("flash", operation=operation, name=name, to=to, data=data)


def record(seq: int) -> bytes:
    return segment.encode(READINGS, 0, seq, message(seq))


@pytest.fixture
def news():
    ledger = Ledger()
    ledger.open_account(DEVICE, "station 0")
    return News([DEVICE], ledger, Watch(), None)


def stored(seq: int, covers: tuple[int, int, int] | None = None) -> Stored:
    kind = READINGS if covers is None else GAP
    return Stored(bytes([seq]) * 32, DEVICE, kind, seq, covers)


def lost(news: News, *entries: Stored) -> list[str]:
    return [one.detail for one in news.lost_messages(entries)]


def test_what_was_on_flash_must_be_in_the_store(news):
    torn = record(3)[:-1]
    news.take([written("append", "outbox/00000001", record(1) + record(2) + torn)])
    assert news.kept == 2
    assert lost(news, stored(1), stored(2)) == []
    assert lost(news, stored(1)) == ["station 0 seq 2"]


def test_what_left_must_be_in_the_store(news):
    news.take([happening("report", code=UP, detail=message(5).hex())])
    assert lost(news) == ["station 0 seq 5"]
    assert lost(news, stored(5)) == []


def test_only_the_gap_of_a_full_outbox_excuses_what_was_on_flash(news):
    news.take([written("append", "outbox/00000001", record(1))])
    assert lost(news, stored(2, (1, 1, 1))) == []
    assert lost(news, stored(2, (1, 1, 0))) == ["station 0 seq 1"]
    assert lost(news, stored(3, (2, 2, 1))) == ["station 0 seq 1"]


def test_a_file_counts_when_it_has_its_name(news):
    news.take([written("store", "outbox/00000001.new", record(1))])
    assert news.kept == 0
    news.take([written("rename", "outbox/00000001.new", to="outbox/00000001")])
    assert news.kept == 1
    news.take([written("store", "chain", record(2))])
    assert news.kept == 1


def test_a_restart_that_nobody_asked_for_is_a_failure(news):
    news.take([happening("up", boot=1, cause=1), happening("off", why="cut", operation="x")])
    assert news.unasked_restarts() == []
    assert news.off == {0}
    news.take([happening("restart", reason="station.failed")])
    assert [one.detail for one in news.unasked_restarts()] == ["1 times: restart"]


def test_who_lost_its_connection_is_waited_for_no_longer(news):
    news.take([happening("report", code=ONLINE, detail="")])
    assert news.online == news.known == {0}
    news.take([happening("lost", host="h", port=1, error="end")])
    assert news.online == set()
    assert news.known == {0}


def course(minutes: int) -> Course:
    faults = Faults(power_off_s=90)
    return Course(seed=7, start_ms=0, end_ms=minutes * 60_000, faults=faults, lead_ms=0)


def test_every_board_gets_its_cuts_one_after_the_other():
    plan = Cuts(course(100), 2, 3)
    assert plan.left() == 6
    seen = []
    for slot in range(100):
        now_ms = slot * SLOT_MS
        cut = plan.due(0, now_ms)
        if cut is None:
            continue
        assert plan.due(0, now_ms) is None
        assert cut.part in PARTS
        back = plan.struck(0, now_ms + 10)
        assert slot < back <= slot + 3
        seen.append(slot)
    assert len(seen) == 3
    assert plan.done == 3
    assert plan.left() == 3
    assert seen[-1] <= 85


def air() -> Air:
    near = [Antenna(0.0, 0.0, (LORA_RADIO,)), Antenna(300.0, 0.0, (LORA_RADIO,))]
    return Air(0, 1, near, PRESETS["town"], 1_000_000)


def sending(at_ms: int) -> dict[str, object]:
    return {"radio": LORA_RADIO, "channel": 1, "power_cdbm": 1_400, "frame": bytes(20)}


def test_frames_are_heard_when_they_end_whatever_order_boards_tell_in():
    made = air()
    made.sent(0, 50_000, sending(50_000))
    made.tuned(1, 10_000, LORA_RADIO, 1)
    [heard] = made.play(58_000)
    assert heard.station == 1
    assert heard.at_ms == 50_000 + lora_airtime_ms(20)
    assert list(made.play(60_000)) == []


def test_who_is_off_or_tuned_elsewhere_hears_nothing():
    made = air()
    made.tuned(1, 10_000, LORA_RADIO, 1)
    made.went_off(1, 50_100)
    made.sent(0, 50_000, sending(50_000))
    assert list(made.play(58_000)) == []
    made.tuned(1, 60_000, LORA_RADIO, 2)
    made.sent(0, 110_000, sending(110_000))
    assert list(made.play(118_000)) == []


def test_scenarios_that_real_boards_cannot_play_are_refused():
    quiet = load_scenario("micropython")
    check_boards_can(quiet)

    def refused(scenario: Scenario) -> str:
        with pytest.raises(ScenarioInvalid) as caught:
            check_boards_can(scenario)
        return str(caught.value)

    for key in ("drop_ppm", "duplicate_ppm", "reorder_ppm", "corrupt_ppm"):
        faults = dataclasses.replace(quiet.faults, **{key: 1})
        assert f"faults.{key}" in refused(dataclasses.replace(quiet, faults=faults))
    faults = dataclasses.replace(quiet.faults, power_cut_ppm_per_day=1)
    assert "boards.power_cuts" in refused(dataclasses.replace(quiet, faults=faults))
    liars = dataclasses.replace(quiet.liars, frozen=1)
    assert "liars.frozen" in refused(dataclasses.replace(quiet, liars=liars))
