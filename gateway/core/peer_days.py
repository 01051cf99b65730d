"""One day of a series by the hour, as the state keeps it for some days.

Values and not sums: who a station's peers are changes from day to day, and with the values
themselves any two stations can be compared over all days that both have. peers.py makes them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.core.canonical import MalformedError, row, rows, sint, uint

# More bins than minutes of a day, or a value beyond every quantity's range, is no honest state;
# the bounds also keep the sums of copies.py and peers.py within 64 bits.
BINS_MAX = 1_440
VALUE_MAX = 1 << 20
_FIELDS = 5

Series = tuple[int | None, ...]


class PeerDay(NamedTuple):
    """One station, one UTC day, one quantity: the means of its bins and of its region's.

    own, region: by bin, in units of the quantity's resolution, None where there is none.
    """

    epoch: int
    quantity: int
    channel: int
    own: Series
    region: Series


def peer_day_fields(day: PeerDay) -> list[Any]:
    """Return the row of the state."""
    return list(day)


def parse_peer_day(value: Any) -> PeerDay:
    """Return the day in a decoded row, or raise MalformedError."""
    fields = row(value, _FIELDS, "a day of peers")
    epoch, quantity, channel = (uint(item, "a day of peers") for item in fields[:3])
    own, region = _series(fields[3]), _series(fields[4])
    if len(own) != len(region):
        raise MalformedError("a day of peers has two lengths")
    return PeerDay(epoch, quantity, channel, own, region)


def _series(value: Any) -> Series:
    items = rows(value, "a day of peers")
    if len(items) > BINS_MAX:
        raise MalformedError(f"a day of {len(items)} bins")
    for item in items:
        if item is not None and abs(sint(item, "a mean")) > VALUE_MAX:
            raise MalformedError(f"{item} is no mean of a bin")
    return tuple(items)
