"""The periods that products stand for, and when one is released.

A period never crosses midnight UTC, so one day's rules say all of its releases.
"""

from typing import NamedTuple

WINDOW_MS = 600_000


class Period(NamedTuple):
    """name: as in collections and files; iso: ISO 8601 duration."""

    name: str
    length_ms: int
    iso: str

    def start(self, time_ms: int) -> int:
        """Beginning of the period that a time lies in."""
        return time_ms // self.length_ms * self.length_ms


TEN_MINUTES = Period("10min", WINDOW_MS, "PT10M")
HOUR = Period("1h", 3_600_000, "PT1H")
DAY = Period("1d", 86_400_000, "P1D")
PERIODS = (TEN_MINUTES, HOUR, DAY)


def period_of(length_ms: int) -> Period:
    """The period of this length; KeyError if there is none."""
    return {period.length_ms: period for period in PERIODS}[length_ms]
