"""No invented number: a value that a driver reports from a damaged line is one that decoders of
this file, which share nothing with the driver, find in the bytes that really were on it.
"""

import binascii
import re
from functools import reduce
from operator import xor

from cairn.sensors import rack
from cairn.sensors.part import SensorError
from hypothesis import given
from hypothesis import strategies as st

from simulator.chips.clock import HandClock, finished
from simulator.chips.sensirion import with_crc
from simulator.chips.serial import GnssReceiver, Pms5003, Sds011, sealed

Readings = list[tuple[int, int, int, int | None, int]]


class FixedI2c:
    """A part that acknowledges everything and answers with the given bytes."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.given: list[bytes] = []

    def ticks(self) -> int:
        return 0

    def i2c(self, *_: int | None) -> "FixedI2c":
        return self

    def writeto(self, _address: int, data: bytes) -> int:
        return len(data)

    def readfrom_into(self, _address: int, buffer: bytearray) -> None:
        answer = self.answers[len(self.given) % len(self.answers)]
        buffer[:] = (answer + bytes(len(buffer)))[: len(buffer)]
        self.given.append(bytes(buffer))


class FixedUart:
    """A line on which the given bytes arrive, so many in every 50 ms, once the driver listens."""

    def __init__(self, clock: HandClock, stream: bytes, rate: int = 48) -> None:
        self._rate = rate
        self.ticks = clock.ticks
        self.stream = stream
        self._taken = 0
        self._begin = clock.now

    def uart(self, *_: int | None) -> "FixedUart":
        return self

    def any(self) -> int:
        arrived = min(len(self.stream), self._rate * ((self.ticks() - self._begin) // 50))
        return arrived - self._taken

    def read(self, size: int) -> bytes | None:
        taken = self.stream[self._taken : self._taken + size]
        self._taken += len(taken)
        return taken or None


def read_once(entry: list[int], buses: object, clock: HandClock) -> Readings:
    (made,) = rack.Rack([entry], buses).parts
    # As if it had been switched on long ago.
    clock.now += 40_000
    if isinstance(buses, FixedUart):
        buses._begin = clock.now
    return finished(made.read(clock.sleep))


def burst(frame: bytes, bit: int, length: int) -> bytes:
    """A run of inverted bits."""
    number = int.from_bytes(frame, "big") ^ (((1 << length) - 1) << bit) % (1 << 8 * len(frame))
    return number.to_bytes(len(frame), "big")


words = st.integers(0, 0xFFFF).map(with_crc)
frames_of_words = st.one_of(
    st.binary(min_size=9, max_size=9),
    st.lists(words, min_size=3, max_size=3).map(b"".join),
    st.builds(
        burst,
        st.lists(words, min_size=3, max_size=3).map(b"".join),
        st.integers(0, 71),
        st.integers(1, 9),
    ),
)


def crc_word(three: bytes) -> int | None:
    """The word, if its CRC is right: by the table of CRC-8/NRSC-5 (0x31, start 0xFF)."""
    crc = 0xFF
    for byte in three[:2]:
        crc = TABLE[crc ^ byte]
    return int.from_bytes(three[:2], "big") if crc == three[2] else None


def _table_entry(index: int) -> int:
    for _ in range(8):
        index = (index << 1 ^ 0x31) & 0xFF if index & 0x80 else index << 1
    return index


TABLE = [_table_entry(index) for index in range(256)]


answers_of_words = st.lists(frames_of_words, min_size=1, max_size=4)


@given(st.sampled_from([rack.SHT3X, rack.SHT4X]), answers_of_words)
def test_sht(code: int, answers: list[bytes]) -> None:
    buses = FixedI2c(answers)
    readings = read_once([code, 0, 0], buses, HandClock())
    low, span = (0.0, 100.0) if code == rack.SHT3X else (-6.0, 125.0)
    right = []
    for frame in buses.given:
        first, second = crc_word(frame[:3]), crc_word(frame[3:6])
        if first is not None and second is not None:
            percent = min(100.0, max(0.0, low + span * second / 65535.0))
            right.append((-45.0 + 175.0 * first / 65535.0, percent))
    celsius, percent = readings[0][3], readings[1][3]
    if celsius is not None:
        assert any(abs(celsius / 100 - one[0]) < 0.0051 for one in right)
    if percent is not None:
        assert any(abs(percent / 10 - one[1]) < 0.0501 for one in right)
    if not right:
        assert {reading[4] for reading in readings} <= {2, 4}


@given(answers_of_words)
def test_scd4x(answers: list[bytes]) -> None:
    buses = FixedI2c(answers)
    readings = read_once([rack.SCD4X, 0, 0], buses, HandClock())
    whole = []
    for frame in buses.given[1:]:
        found = [crc_word(frame[at : at + 3]) for at in range(0, len(frame), 3)]
        if len(found) == 3 and None not in found:
            whole.append(found)
    if readings[0][3] is not None:
        assert readings[0][3] in [one[0] for one in whole]
    if readings[1][3] is not None:
        temperatures = [-45.0 + 175.0 * one[1] / 65535.0 for one in whole]
        assert any(abs(readings[1][3] / 100 - one) < 0.0051 for one in temperatures)


def model_frame(kind: type[Pms5003] | type[Sds011], fine: int, coarse: int) -> bytes:
    chip = kind(lambda: 0)
    chip.values = {3: fine, 4: coarse}
    return chip.frame()


figures = st.integers(0, 990).map(lambda value: 10 * value)
noise = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"B", b"BM", b"BM\x00\x1c", b"\xaa", b"\xaa\xc0"])
)


@st.composite
def streams(draw: st.DrawFn, kind: type[Pms5003] | type[Sds011]) -> bytes:
    """Garbage, whole frames, damaged frames and halves of frames, in any order."""
    pieces = []
    for _ in range(draw(st.integers(0, 6))):
        pieces.append(draw(noise))
        frame = model_frame(kind, draw(figures), draw(figures))
        match draw(st.integers(0, 3)):
            case 0:
                pieces.append(frame)
            case 1:
                pieces.append(burst(frame, draw(st.integers(0, 79)), draw(st.integers(1, 16))))
            case 2:
                pieces.append(frame[: draw(st.integers(0, len(frame)))])
            case 3:
                at = draw(st.integers(0, len(frame)))
                pieces.append(frame[:at] + draw(noise) + frame[at:])
    return b"".join(pieces)


def pms_in(stream: bytes) -> list[tuple[int, int]]:
    """By a regular expression at every place of the stream: all frames that are whole in it."""
    found = []
    for match in re.finditer(rb"(?=BM\x00\x1c(.{26})(..))", stream, re.DOTALL):
        total = sum(b"BM\x00\x1c" + match[1])
        if total == int.from_bytes(match[2], "big"):
            data = [int.from_bytes(match[1][at : at + 2], "big") for at in range(0, 26, 2)]
            found.append((10 * data[4], 10 * data[5]))
    return found


def sds_in(stream: bytes) -> list[tuple[int, int]]:
    found = []
    for match in re.finditer(rb"(?=\xaa\xc0(.{6})(.)\xab)", stream, re.DOTALL):
        if sum(match[1]) % 256 == match[2][0]:
            low, high = match[1][:2], match[1][2:4]
            found.append((int.from_bytes(low, "little"), int.from_bytes(high, "little")))
    return found


def judge_dust(readings: Readings, present: list[tuple[int, int]], highest: int) -> None:
    """Nothing but a whole frame, and the first one: garbage costs no frame that follows it."""
    values = tuple(reading[3] for reading in readings)
    if not present:
        assert values == (None, None)
        assert {reading[4] for reading in readings} <= {1, 2, 3, 4}
    else:
        assert values == tuple(one if one <= highest else None for one in present[0])


# The whole stream arrives while the driver listens, and heads are cut in two by its looks.
rates = st.integers(9, 48)


@given(streams(Pms5003), rates)
def test_pms5003(stream: bytes, rate: int) -> None:
    clock = HandClock()
    readings = read_once([rack.PMS5003, 0, 1], FixedUart(clock, stream, rate), clock)
    judge_dust(readings, pms_in(stream), 10_000)


@given(streams(Sds011), rates)
def test_sds011(stream: bytes, rate: int) -> None:
    clock = HandClock()
    readings = read_once([rack.SDS011, 0, 1], FixedUart(clock, stream, rate), clock)
    judge_dust(readings, sds_in(stream), 9_999)


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=3),
    st.sampled_from([0, 1, 2, 6]),
)
def test_gnss(seconds: int, damage: list[tuple[int, int]], fix: int) -> None:
    """Damaged bytes in two bursts: no time but one of theirs."""
    clock = HandClock()
    receiver = GnssReceiver(clock.ticks)
    receiver.fix = fix
    receiver.utc_ms = 1_770_000_000_000 + seconds * 1_000
    stream = bytearray(receiver.produce(0, 2_000))
    for at, byte in damage:
        stream[at % len(stream)] = byte
    buses = FixedUart(clock, bytes(stream))
    (made,) = rack.Rack([[rack.GNSS, 0, 1]], buses).parts
    try:
        assert finished(made.measure(clock.sleep)) == []
    except SensorError as error:
        assert error.code in {2, 6}  # noqa: PT017 - both ways out are judged
        assert made.time is None
        return
    assert fix in {1, 2}
    assert made.time is not None
    assert nmea_whole(bytes(stream))
    stamped = made.time[0] - 500
    assert stamped in (receiver.utc_ms, receiver.utc_ms + 1_000)


def test_gnss_wants_date_and_fix_of_one_second() -> None:
    place = "4717.11437,N,00833.91522,E"
    for clock_rmc, clock_gga, expected in (
        ("120001", "120001", True),
        ("120001", "120002", False),
        ("120001", "000001", False),
    ):
        stream = sealed(f"GNRMC,{clock_rmc}.00,A,{place},0.004,77.52,241126,,,A,V")
        stream += sealed(f"GNGGA,{clock_gga}.00,{place},1,08,1.01,499.6,M,48.0,M,,")
        clock = HandClock()
        (made,) = rack.Rack([[rack.GNSS, 0, 1]], FixedUart(clock, stream)).parts
        assert finished(made.read(clock.sleep)) == []
        assert (made.time is not None) is expected


def nmea_whole(stream: bytes) -> bool:
    """A pair of sentences with right sums is in it."""
    kinds = set()
    for match in re.finditer(rb"\$(G.(RMC|GGA)[^*$]*)\*([0-9A-Fa-f]{2})", stream):
        if reduce(xor, match[1]) == binascii.unhexlify(match[3])[0]:
            kinds.add(match[2])
    return kinds == {b"RMC", b"GGA"}
