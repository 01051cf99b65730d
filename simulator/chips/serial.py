"""PMS5003, SDS011 and a GNSS receiver: parts that talk on a serial line without being asked."""

from .chip import SerialChip

TYPE_CHECKING = False  # there is no typing module on MicroPython
if TYPE_CHECKING:
    from collections.abc import Callable

_PLACE = "4717.11437,N,00833.91522,E"


class Dust(SerialChip):
    """values 3 and 4: PM2.5 and PM10 in 0.1 ug/m3."""

    period_ms = 1_000

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.values = {3: 120, 4: 250}

    def produce(self, since_ms: int, now_ms: int) -> bytes:
        sent = b""
        period = self.period_ms
        for _ in range(now_ms // period - since_ms // period):
            sent += self.frame_sent(self.frame())
        return sent

    def frame(self) -> bytes:
        raise NotImplementedError


class Pms5003(Dust):
    """Whole ug/m3 only, as the part has it."""

    period_ms = 920

    def frame(self) -> bytes:
        fine, coarse = self.values[3] // 10, self.values[4] // 10
        # Standard particle, then atmospheric environment, then counts by size, then version.
        words = [fine // 2, fine * 4 // 3, coarse * 4 // 3, fine // 2, fine, coarse]
        words += [900 + self.random(60), 260, 80, 12, 3, 1, 0x9100]
        body = b"BM\x00\x1c" + b"".join([word.to_bytes(2, "big") for word in words])
        return body + sum(body).to_bytes(2, "big")


class Sds011(Dust):
    def frame(self) -> bytes:
        data = self.values[3].to_bytes(2, "little") + self.values[4].to_bytes(2, "little")
        data += b"\xa1\x60"
        return b"\xaa\xc0" + data + bytes([sum(data) & 0xFF]) + b"\xab"


class GnssReceiver(SerialChip):
    """utc_ms: the time at ticks 0. fix: GGA's quality, 0 for none. A burst comes 300 ms late."""

    def __init__(self, ticks: "Callable[[], int]") -> None:
        super().__init__(ticks)
        self.utc_ms = 1_795_000_000_000
        self.fix = 1
        self.mode = "A"

    def produce(self, since_ms: int, now_ms: int) -> bytes:
        sent = b""
        first = (self.utc_ms + since_ms - 300) // 1_000
        last = (self.utc_ms + now_ms - 300) // 1_000
        for second in range(first + 1, last + 1):
            sent += self._burst(second)
        return sent

    def _burst(self, second: int) -> bytes:
        clock, date = stamped(second)
        status = "A" if self.fix else "V"
        texts = [
            f"GNRMC,{clock}.00,{status},{_PLACE},0.004,77.52,{date},,,{self.mode},V",
            f"GNGGA,{clock}.00,{_PLACE},{self.fix},08,1.01,499.6,M,48.0,M,,",
            f"GNZDA,{clock}.00,{date[:2]},{date[2:4]},20{date[4:]},00,00",
        ]
        return b"".join([self.frame_sent(sealed(text)) for text in texts])


def sealed(text: str) -> bytes:
    """A sentence with $, check sum and line end."""
    total = 0
    for letter in text:
        total ^= ord(letter)
    return f"${text}*{total:02X}\r\n".encode()


def stamped(second: int) -> "tuple[str, str]":
    """hhmmss and ddmmyy of a second since 1970, by counting years and months."""
    day, clock = second // 86_400, second % 86_400
    year = 1970
    while day >= 365 + leap(year):
        day -= 365 + leap(year)
        year += 1
    month = 1
    for length in (31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31):
        if day < length:
            break
        day -= length
        month += 1
    hours, minutes = clock // 3_600, clock // 60 % 60
    return (
        f"{hours:02d}{minutes:02d}{clock % 60:02d}",
        f"{day + 1:02d}{month:02d}{year % 100:02d}",
    )


def leap(year: int) -> int:
    return 1 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 0
