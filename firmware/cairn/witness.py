"""Beacons of others: rows on their way into witness messages, and when the board listened.

Pure: times are arguments. RAM: at most 48 rows a radio, of 25 bytes each; as tuples they would
take six times as much.
"""

import struct

from . import limits

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    # slot, tag, rssi_cdbm, snr_cdb, channel, delay_ms
    Row = tuple[int, bytes, int, int | None, int, int]
    # day, radio, rows
    Batch = tuple[int, int, list[Row]]

_OWN_TAGS_MAX = 4
_HOURS_SLOTS = 60
# Minute of the day, tag; RSSI, SNR, channel, delay.
_FORM = ">H16shhBH"
_ROW_BYTES = 25
_KEY_BYTES = 18
_NO_SNR = -(1 << 15)
_CDB_MAX = (1 << 15) - 1


class Witness:
    """dropped: rows that were heard and will not be reported."""

    def __init__(self) -> None:
        self._days: "dict[int, int]" = {}
        self._rows: "dict[int, bytearray]" = {}
        self._own: "list[bytes]" = []
        self._hour = -1
        self._in_hour = 0
        self.dropped = 0

    def sent(self, tag: bytes) -> None:
        """A tag of our own, which is not to be reported when it comes back."""
        self._own = (self._own + [tag])[-_OWN_TAGS_MAX:]

    def hear(self, radio: int, row: "Row") -> "list[Batch]":
        """Take a row; batches that have to be written now."""
        slot, tag, rssi_cdbm, snr_cdb, channel, delay_ms = row
        if tag in self._own:
            return []
        day, minute = divmod(slot, limits.SLOTS_A_DAY)
        done = self._close(radio) if self._days.get(radio, day) != day else []
        rows = self._rows.get(radio)
        if rows is None:
            rows = self._rows[radio] = bytearray()
            self._days[radio] = day
        snr = _NO_SNR if snr_cdb is None else _within(snr_cdb)
        packed = struct.pack(_FORM, minute, tag, _within(rssi_cdbm), snr, channel & 255, delay_ms)
        if _holds(bytes(rows), packed[:_KEY_BYTES]):
            # The same frame played again says nothing new, however often.
            return done
        hour = slot // _HOURS_SLOTS
        if hour != self._hour:
            self._hour, self._in_hour = hour, 0
        if self._in_hour == limits.WITNESS_ROWS_AN_HOUR_MAX:
            # Anybody can send frames that look like beacons: they must not fill the outbox.
            self.dropped += 1
            return done
        self._in_hour += 1
        rows.extend(packed)
        if len(rows) == limits.WITNESS_ROWS_MAX * _ROW_BYTES:
            done += self._close(radio)
        return done

    def flush(self) -> "list[Batch]":
        """Everything that waits."""
        done = []
        for radio in sorted(self._rows):
            done += self._close(radio)
        return done

    def _close(self, radio: int) -> "list[Batch]":
        data, day = bytes(self._rows.pop(radio)), self._days.pop(radio)
        rows: "list[Row]" = []
        for start in range(0, len(data), _ROW_BYTES):
            minute, tag, rssi, snr, channel, delay_ms = struct.unpack(
                _FORM, data[start : start + _ROW_BYTES]
            )
            slot = day * limits.SLOTS_A_DAY + minute
            rows.append((slot, tag, rssi, None if snr == _NO_SNR else snr, channel, delay_ms))
        return [(day, radio, rows)] if rows else []


class Listening:
    """In which hours of a day the receiver ran from the hour's start on without a break."""

    def __init__(self) -> None:
        self._since: "int | None" = None
        self._day = -1
        self._whole = 0

    def begin(self, ticks: int) -> None:
        """From now on it listens."""
        self._since = ticks

    def stop(self, now_ms: int, ticks: int) -> None:
        """It does not listen any more; hours that are over stay claimed."""
        self.claim(now_ms, ticks)
        self._since = None

    def claim(self, now_ms: int, ticks: int) -> "tuple[int, int]":
        """(day, bit per hour) at ticks, which is now_ms UTC. The present hour counts as long as no
        break has come.
        """
        day, in_day_ms = divmod(now_ms, limits.DAY_MS)
        if day != self._day:
            self._day, self._whole = day, 0
        if self._since is None:
            return day, self._whole
        first = max(0, -(-(in_day_ms - (ticks - self._since)) // limits.HOUR_MS))
        present = in_day_ms // limits.HOUR_MS
        for hour in range(first, present):
            self._whole |= 1 << hour
        return day, self._whole | (1 << present if first <= present else 0)


def _holds(rows: bytes, key: bytes) -> bool:
    at = rows.find(key)
    while at % _ROW_BYTES and at > 0:
        at = rows.find(key, at + 1)
    return at >= 0


def _within(value_cdb: int) -> int:
    return max(-_CDB_MAX, min(value_cdb, _CDB_MAX))
