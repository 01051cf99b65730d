"""SNTP packets: what is believed, in which era, and that no bytes do harm."""

import struct

import pytest
from cairn import sntp
from cairn.boards.host import MemoryFiles
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import START_MS, BenchBoard
from tests.unit.firmware.bench_world import Wait, World

NONCE = bytes(range(1, 9))
NTP_UNIX_S = 2_208_988_800


def stamp(unix_ms: int) -> bytes:
    seconds, milliseconds = divmod(unix_ms, 1000)
    # Rounded up, so that cutting to ms gives the same ms back.
    fraction = -(-(milliseconds << 32) // 1000)
    return struct.pack(">II", (seconds + NTP_UNIX_S) % (1 << 32), fraction)


def answer(
    *,
    first: int = 0x24,
    stratum: int = 2,
    delay: int = 0x0000_0800,
    dispersion: int = 0x0000_0400,
    reference: bytes = b"\x0a\x00\x00\x01",
    nonce: bytes = NONCE,
    received_ms: int = START_MS,
    sent_ms: int = START_MS,
    tail: bytes = b"",
) -> bytes:
    head = struct.pack(">BBbbII", first, stratum, 6, -20, delay, dispersion) + reference
    return head + bytes(8) + nonce + stamp(received_ms) + stamp(sent_ms) + tail


def test_request_tells_nothing_but_its_nonce() -> None:
    made = sntp.request(NONCE)
    # RFC 4330 section 5: version 4, mode 3, everything else may be 0.
    assert made == b"\x23" + bytes(39) + NONCE


def test_answer_of_rfc_5905_fields() -> None:
    # Root delay 2048/65536 s, dispersion 1024/65536 s: 31.25 ms / 2 + 15.625 ms, rounded up.
    assert sntp.parse(answer(), NONCE, START_MS) == (START_MS, START_MS, 32)
    later = answer(received_ms=START_MS + 5, sent_ms=START_MS + 9)
    assert sntp.parse(later, NONCE, START_MS - 10**9) == (START_MS + 5, START_MS + 9, 32)
    assert sntp.parse(answer(first=0x1C), NONCE, START_MS) == (START_MS, START_MS, 32)
    assert sntp.parse(answer(first=0x64, stratum=15), NONCE, START_MS) != "sntp.packet"
    assert sntp.parse(answer(tail=bytes(20)), NONCE, START_MS) == (START_MS, START_MS, 32)


@pytest.mark.parametrize(
    "packet,code",
    [
        (b"", "sntp.packet"),
        (answer()[:47], "sntp.packet"),
        (answer(first=0x23), "sntp.packet"),
        (answer(first=0x25), "sntp.packet"),
        (answer(first=0x14), "sntp.packet"),
        (answer(first=0x2C), "sntp.packet"),
        (answer(nonce=bytes(8)), "sntp.origin"),
        (answer(nonce=NONCE[::-1], stratum=0, reference=b"DENY"), "sntp.origin"),
        (answer(stratum=0, reference=b"DENY"), "sntp.denied"),
        (answer(stratum=0, reference=b"RSTR"), "sntp.denied"),
        (answer(stratum=0, reference=b"RATE"), "sntp.rate"),
        (answer(stratum=0, reference=b"INIT"), "sntp.kiss"),
        (answer(first=0xE4), "sntp.unsynchronised"),
        (answer(stratum=16), "sntp.unsynchronised"),
        (answer(stratum=255), "sntp.unsynchronised"),
        (answer()[:32] + bytes(8) + stamp(START_MS), "sntp.times"),
        (answer()[:40] + bytes(8), "sntp.times"),
        (answer(received_ms=START_MS + 1), "sntp.times"),
        (answer(dispersion=0x0001_0001), "sntp.distance"),
        (answer(delay=0x0002_0001, dispersion=0), "sntp.distance"),
        (answer(delay=0xFFFF_FFFF), "sntp.distance"),
    ],
)
def test_refusals(packet: bytes, code: str) -> None:
    assert sntp.parse(packet, NONCE, START_MS) == code


@pytest.mark.parametrize(
    "unix_ms",
    [
        2_085_978_495_999,  # the last ms of era 0: 2036-02-07 06:28:15
        2_085_978_496_000,
        2_085_978_496_001,
        2_524_608_000_000,  # 2050
        6_380_945_792_000,  # the first second of era 2: 2172
        1_700_000_000_123,
    ],
)
def test_eras(unix_ms: int) -> None:
    for off_ms in (0, -60 * 365 * 86_400_000, 60 * 365 * 86_400_000):
        assert sntp.unix_ms(stamp(unix_ms), unix_ms + off_ms) == unix_ms


@given(st.integers(0, 10**13), st.integers(-(2**31) + 1, 2**31 - 1))
def test_a_stamp_comes_back_from_any_time_within_68_years(unix_ms: int, off_s: int) -> None:
    assert sntp.unix_ms(stamp(unix_ms), unix_ms + off_s * 1000) == unix_ms


@given(st.binary(max_size=120), st.binary(min_size=8, max_size=8), st.integers(0, 2**53))
def test_noise_is_refused_with_a_code(packet: bytes, nonce: bytes, near_ms: int) -> None:
    result = sntp.parse(packet, nonce, near_ms)
    if packet[24:32] != nonce:
        assert result in {"sntp.packet", "sntp.origin"}
    assert isinstance(result, tuple) or result.startswith("sntp.")


@given(st.integers(0, 47), st.integers(0, 255))
def test_one_wrong_byte_is_a_code_or_an_honest_answer(place: int, byte: int) -> None:
    packet = bytearray(answer())
    packet[place] = byte
    result = sntp.parse(bytes(packet), NONCE, START_MS)
    if isinstance(result, tuple):
        received_ms, sent_ms, distance_ms = result
        assert received_ms <= sent_ms
        assert 0 <= distance_ms <= 1_000
        assert not 24 <= place < 32 or bytes(packet) == answer()


class Server:
    """there_ms and back_ms on the way, works_ms between; wrong_ms: of its clock."""

    def __init__(self, there_ms: int, back_ms: int, works_ms: int = 0, wrong_ms: int = 0) -> None:
        self.world = World()
        self.board = BenchBoard(self.world, MemoryFiles())
        self.ways = (there_ms, works_ms, back_ms)
        self.wrong_ms = wrong_ms
        self.asked: list[tuple[str, int, bytes, int]] = []
        self.board.datagram = self._datagram  # type: ignore[method-assign]

    async def _datagram(self, host: str, port: int, data: bytes, timeout_ms: int) -> bytes:
        self.asked.append((host, port, data, timeout_ms))
        there_ms, works_ms, back_ms = self.ways
        await Wait(there_ms, None)
        received_ms = START_MS + self.world.now + self.wrong_ms
        await Wait(works_ms, None)
        sent_ms = START_MS + self.world.now + self.wrong_ms
        await Wait(back_ms, None)
        return answer(nonce=data[40:], received_ms=received_ms, sent_ms=sent_ms)

    def fetch(self) -> tuple[int, int, int] | str:
        found: list[tuple[int, int, int] | str] = []

        async def run() -> None:
            found.append(await sntp.fetch(self.board, "time.test", START_MS))

        self.world.spawn(run())
        self.world.run(self.world.now + 60_000)
        return found[0]


@given(st.integers(0, 3_000), st.integers(0, 3_000), st.integers(0, 3_000))
def test_the_error_is_within_what_is_claimed(there_ms: int, back_ms: int, works_ms: int) -> None:
    server = Server(there_ms, back_ms, works_ms)
    result = server.fetch()
    assert not isinstance(result, str)
    utc_ms, at_ticks, uncertainty_ms = result
    assert at_ticks == there_ms + works_ms + back_ms
    assert abs(utc_ms - START_MS - at_ticks) <= uncertainty_ms
    # Half of both ways, the server's own 32 ms, and rounding: what it took does not count.
    assert uncertainty_ms <= (there_ms + back_ms + 1) // 2 + 34


def test_the_request_is_fresh_each_time() -> None:
    server = Server(10, 10)
    server.fetch()
    server.fetch()
    (host, port, one, timeout_ms), (_, _, two, _) = server.asked
    assert (host, port) == ("time.test", 123)
    assert 0 < timeout_ms <= 10_000
    assert one[:40] == two[:40]
    assert one[40:] != two[40:]


def test_a_server_that_claims_to_have_worked_longer_than_we_waited() -> None:
    server = Server(10, 10)

    async def early(_host: str, _port: int, data: bytes, _timeout_ms: int) -> bytes:
        return answer(nonce=data[40:], sent_ms=START_MS + 500)

    server.board.datagram = early  # type: ignore[method-assign]
    assert server.fetch() == "sntp.times"


def test_nobody_answers() -> None:
    # The board's own default: it has no datagrams.
    board = BenchBoard(World(), MemoryFiles())
    found: list[object] = []

    async def run() -> None:
        found.append(await sntp.fetch(board, "time.test", START_MS))

    board.world.spawn(run())
    board.world.run(10)
    assert found == ["sntp.unreachable"]
