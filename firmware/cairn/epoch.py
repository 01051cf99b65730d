"""A board's own clock counts seconds since 2000 or since 1970; everything here counts ms of UTC.

Integers only: a float of an ESP32 has 24 bits, and UTC in seconds needs 31.
"""

UNIX_2000_S = 946_684_800
# Before this firmware was written. A clock that was never set starts at its epoch and counts from
# there: 24 years of running without being set are not believed.
_NEVER_BEFORE_S = 1_704_067_200


def unix_ms(seconds: int, first_year: int) -> "int | None":
    """UTC in ms of a clock that counts seconds since the start of first_year (gmtime(0)[0]: 2000
    or 1970); None as long as it was never set.
    """
    unix_s = seconds + _offset_s(first_year)
    return None if unix_s < _NEVER_BEFORE_S else unix_s * 1000


def board_seconds(utc_ms: int, first_year: int) -> int:
    """The other way, rounded down."""
    return utc_ms // 1000 - _offset_s(first_year)


def _offset_s(first_year: int) -> int:
    if first_year == 1970:
        return 0
    if first_year == 2000:
        return UNIX_2000_S
    # A third epoch would make every time wrong by years, and nobody would see why.
    raise ValueError("this clock's epoch is the year %d" % first_year)
