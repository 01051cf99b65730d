"""A station's beacons: the secret of each day, what it decides, and what was sent.

The secret x is committed to before its day and revealed after it, so nobody can choose it for
what it decides, and nobody else can send the beacon. It must be in flash before its commitment is
signed: a commitment without its x can never be revealed.
"""

from hashlib import sha256

from . import cbor, limits, sealed
from .hmac256 import Hmac256

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Callable

    from .boards.base import Files

FILE = "beacons"
SENT_PREFIX = "sent/"
FRAME_BYTES = 20
FRAME_VERSION = 1

DELAY_MS_MIN = 30_000
_DELAY_STEP_MS = 100
DELAY_MS_MAX = DELAY_MS_MIN + 255 * _DELAY_STEP_MS
_CHANNEL_BYTE = 31
_RECORD_BYTES = 8
_CHECKED = 6
_POWER_ZERO = 1 << 15


def channel_of(entropy: bytes, channels: int) -> int:
    """The LoRa channel of a slot, the same for all: most boards hear one at a time."""
    return entropy[_CHANNEL_BYTE] % channels


def beacon_of(
    mac: Hmac256, head: bytes, slot: int, entropy: bytes, *, every: int, channels: int
) -> "tuple[int, int, int, bytes] | None":
    """(delay_ms, power step, channel, tag) if a beacon is due in slot, else None.

    mac: keyed with the day's x; head: see message_head(); entropy: of the slot, 32 bytes; one slot
    in `every` is due.
    """
    r = mac.digest(head + slot.to_bytes(8, "big") + entropy)
    if int.from_bytes(r[:8], "big") % every:
        return None
    delay_ms = DELAY_MS_MIN + r[8] * _DELAY_STEP_MS
    return delay_ms, r[9] & 3, channel_of(entropy, channels), r[16:32]


def message_head(network_id: bytes, device: bytes) -> bytes:
    """What every message of a station's beacon HMAC begins with."""
    return b"cairn/beacon" + network_id + device


def frame_of(network_id: bytes, tag: bytes) -> bytes:
    """The 20 bytes on the air."""
    return bytes([FRAME_VERSION]) + network_id[:3] + tag


def tag_in(frame: bytes, network_id: bytes) -> "bytes | None":
    """The tag, if frame is a beacon of this network."""
    if len(frame) != FRAME_BYTES or frame[:4] != frame_of(network_id, b""):
        return None
    return frame[4:]


def awake(slot: int, duty: "tuple[int, int, int]") -> bool:
    """Whether a station of this (class, wake period ms, wake phase ms) wakes in the slot."""
    if not duty[1]:
        return True
    start = slot * limits.SLOT_MS
    return (duty[2] - start) % duty[1] < limits.SLOT_MS


class Secrets:
    """x of at most three days, in the file "beacons": CBOR [[day, x, first slot or null], ...].

    first slot: from where on the commitment can count; null while it is not signed.
    """

    def __init__(self, files: "Files", draw: "Callable[[int], bytes]") -> None:
        self._files = files
        self._draw = draw
        self._days: "dict[int, tuple[bytes, int | None]]" = {}
        self._mac_day = -1
        self._mac: "Hmac256 | None" = None
        stored = sealed.read(files, FILE)
        for day, x, first in cbor.decode(stored) if stored else ():
            self._days[day] = (x, first)

    def days(self) -> "list[int]":
        """Days whose x is held, ascending."""
        return sorted(self._days)

    def x_of(self, day: int) -> bytes:
        """The secret of a day that is held."""
        return self._days[day][0]

    def committed(self, day: int) -> bool:
        """Whether the day's commitment is signed."""
        held = self._days.get(day)
        return held is not None and held[1] is not None

    def holds(self, day: int, commitment: bytes) -> bool:
        """Whether the commitment is to the x that is held for the day."""
        return day in self._days and sha256(self._days[day][0]).digest() == commitment

    def commitment(self, day: int, today: int) -> bytes:
        """SHA-256(x); x is drawn and stored if the day has none yet."""
        if day not in self._days:
            self._days[day] = (self._draw(32), None)
            self._limit(today)
            self._store()
        return sha256(self._days[day][0]).digest()

    def count_from(self, day: int, first_slot: int) -> None:
        """The commitment is signed and can count from first_slot on."""
        self._days[day] = (self._days[day][0], first_slot)
        self._store()

    def forget(self, day: int) -> None:
        """Its reveal is written, or it never had a commitment."""
        del self._days[day]
        self._store()

    def mac_for(self, slot: int) -> "Hmac256 | None":
        """Keyed with the x of the slot's day; None if no commitment of ours can count there."""
        day = slot // limits.SLOTS_A_DAY
        x, first = self._days.get(day, (b"", None))
        if first is None or slot < first:
            return None
        if day != self._mac_day:
            self._mac_day, self._mac = day, Hmac256(x)
        return self._mac

    def _limit(self, today: int) -> None:
        # Yesterday, today and tomorrow. More only after the clock was far off: the farthest goes.
        while len(self._days) > limits.SECRET_DAYS_MAX:
            distance, farthest = 0, today
            for day in sorted(self._days):
                if abs(day - today) >= distance:
                    distance, farthest = abs(day - today), day
            del self._days[farthest]

    def _store(self) -> None:
        fields = [[day, self._days[day][0], self._days[day][1]] for day in sorted(self._days)]
        sealed.write(self._files, FILE, cbor.encode(fields))


class SentLog:
    """Beacons sent, in one file a day, so that a restart loses none of the report's rows.

    Record (8 bytes, big endian): slot of the day (2), radio (1), channel (1), EIRP in cdBm plus
    2^15 (2), the start of a SHA-256 over the file's name and what is before (2).
    """

    def __init__(self, files: "Files") -> None:
        self._files = files

    def append(self, slot: int, radio: int, channel: int, power_cdbm: int) -> None:
        """Durable when it returns."""
        day, minute = divmod(slot, limits.SLOTS_A_DAY)
        name = _sent_name(day)
        record = minute.to_bytes(2, "big") + bytes([radio, channel])
        record += (power_cdbm + _POWER_ZERO).to_bytes(2, "big")
        self._files.append(name, record + _check(name, record))

    def rows(self, day: int) -> "list[tuple[int, int, int, int]]":
        """(slot, radio, channel, power_cdbm) in the order in which they were sent."""
        name = _sent_name(day)
        data = self._files.read(name) or b""
        rows = []
        for start in range(0, len(data) - _RECORD_BYTES + 1, _RECORD_BYTES):
            record = data[start : start + _RECORD_BYTES]
            # A torn or worn record costs its own row, no other.
            if record[_CHECKED:] == _check(name, record[:_CHECKED]):
                slot = day * limits.SLOTS_A_DAY + int.from_bytes(record[:2], "big")
                power = int.from_bytes(record[4:6], "big") - _POWER_ZERO
                rows.append((slot, record[2], record[3], power))
        return rows

    def full(self, day: int) -> bool:
        """Whether the day has as many rows as are kept."""
        data = self._files.read(_sent_name(day)) or b""
        return len(data) >= limits.SENT_ROWS_MAX * _RECORD_BYTES

    def remove(self, day: int) -> None:
        """Forget a day."""
        self._files.remove(_sent_name(day))

    def tidy(self, days: "list[int]") -> None:
        """Once a boot, mend what a power cut left: the file of a day that is told (none of these
        days), or a torn record, behind which no other may stand.
        """
        for name in self._files.names(SENT_PREFIX):
            data = self._files.read(name) or b""
            torn = len(data) % _RECORD_BYTES
            if int(name[len(SENT_PREFIX) :]) not in days:
                self._files.remove(name)
            elif torn:
                self._files.write(name, data[: len(data) - torn])


def _sent_name(day: int) -> str:
    return SENT_PREFIX + "%08d" % day


def _check(name: str, record: bytes) -> bytes:
    return sha256(name.encode() + b"\0" + record).digest()[: _RECORD_BYTES - _CHECKED]
