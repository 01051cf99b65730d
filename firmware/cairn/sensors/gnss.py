"""A GNSS receiver (NMEA 0183 over a serial line at 9600 baud): UTC and whether it has a fix.

Positions are not read: exact coordinates never enter a message, and the scoring cell is chosen
when a station is provisioned, not by a driver. It measures no quantity; `time` is its product.
Sentences: NMEA 0183 version 4.11, as in u-blox 8 / M8 Receiver description, section 31 (RMC, GGA;
the check sum is the exclusive or of what stands between $ and *).
"""

from . import frames, part
from .part import SensorError

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from . import Sleep

_BAUD = 9_600
_LOOK_MS = 50
# Two bursts of one a second.
_WAIT_MS = 2_200
_LINE_BYTES_MAX = 120
# A burst comes within the second after the one that it names.
_LATE_MS = 500
_UNCERTAINTY_MS = _LATE_MS + 2 * _LOOK_MS
# GGA: autonomous, differential, PPS, RTK fixed, RTK float; not estimated, manual or simulated.
_QUALITIES = (b"1", b"2", b"3", b"4", b"5")
# A receiver whose week counter rolled over says a date 19.6 years ago.
_YEAR_MIN = 26
_MONTH_DAYS = b"\x00\x1f\x3b\x5a\x78\x97\xb5\xd4\xf3\x11\x30\x4e"


class Gnss(part.Part):
    """time: (utc_ms, at ticks, uncertainty_ms) of the last read(), None without a fix."""

    tries = 1

    async def measure(self, sleep: "Sleep") -> "list[int | None]":
        self.time = None
        uart = self.buses.uart(self.entry[2], _BAUD, self.option(3), self.option(4))
        frames.drain(uart)
        kept = b""
        heard = good = False
        dated = fixed = -1
        for _ in range(_WAIT_MS // _LOOK_MS):
            await sleep(_LOOK_MS)
            new = frames.take(uart)
            heard = heard or bool(new)
            lines = (kept + new).split(b"\n")
            kept = lines.pop()[-_LINE_BYTES_MAX:]
            for line in lines:
                fields = sentence(line)
                good = good or bool(fields)
                if len(fields) > 9 and fields[0][2:] == b"RMC":
                    dated = dated_ms(fields)
                elif len(fields) > 7 and fields[0][2:] == b"GGA":
                    fixed = second(fields[1]) if fields[6] in _QUALITIES else -1
            if dated >= 0 and dated // 1_000 % 86_400 == fixed:
                self.time = (dated + _LATE_MS, self.buses.ticks(), _UNCERTAINTY_MS)
                return []
        if not heard:
            raise SensorError(part.BUS)
        raise SensorError(part.WARMING if good else part.CHECKSUM)


def sentence(line: bytes) -> "list[bytes]":
    """Its fields, the first one being talker and type; [] if it is damaged."""
    line = line.strip()
    at = len(line) - 3
    if at < 6 or line[:1] != b"$" or line[at : at + 1] != b"*":
        return []
    total = 0
    for byte in line[1:at]:
        total ^= byte
    if line[at + 1 :].upper() != ("%02X" % total).encode():
        return []
    return line[1:at].split(b",")


def dated_ms(fields: "list[bytes]") -> int:
    """UTC in ms since 1970 out of a valid RMC sentence; -1: it says that it does not know."""
    seconds = second(fields[1])
    date = number(fields[9], 0, 6) if len(fields[9]) == 6 else -1
    day, month, year = date // 10_000, date // 100 % 100, date % 100
    if fields[2] != b"A" or seconds < 0 or date < 0 or year < _YEAR_MIN:
        return -1
    # Positioning mode: autonomous, differential, precise, RTK.
    if len(fields) > 12 and fields[12] not in (b"A", b"D", b"F", b"P", b"R"):
        return -1
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return -1
    # 2000-01-01 is day 10957. Every fourth year of this century is a leap year.
    days = 10_957 + year * 365 + (year + 3) // 4
    days += _MONTH_DAYS[month - 1] + (256 if month >= 10 else 0) + day - 1
    if month > 2 and year % 4 == 0:
        days += 1
    return (days * 86_400 + seconds) * 1_000


def second(field: bytes) -> int:
    """hhmmss.sss as second of the day; -1: it is no time, or not a whole second."""
    clock = number(field, 0, 6)
    hours, minutes, seconds = clock // 10_000, clock // 100 % 100, clock % 100
    if clock < 0 or hours > 23 or minutes > 59 or seconds > 59:
        return -1
    if len(field) > 6 and (field[6:7] != b"." or field[7:].strip(b"0")):
        return -1
    return (hours * 60 + minutes) * 60 + seconds


def number(field: bytes, first: int, last: int) -> int:
    """The digits field[first:last]; -1: they are none, or too few."""
    if len(field) < last:
        return -1
    found = 0
    for byte in field[first:last]:
        if not 48 <= byte <= 57:
            return -1
        found = found * 10 + byte - 48
    return found
