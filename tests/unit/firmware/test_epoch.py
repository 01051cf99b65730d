"""Seconds since 2000 or 1970, as a board counts them, and UTC."""

import pytest
from cairn import epoch
from hypothesis import given
from hypothesis import strategies as st


def test_the_difference_is_thirty_years() -> None:
    # 2026-11-24 12:00:00 UTC.
    assert epoch.unix_ms(848_836_800, 2000) == 1_795_521_600_000
    assert epoch.unix_ms(1_795_521_600, 1970) == 1_795_521_600_000
    assert epoch.board_seconds(1_795_521_600_999, 2000) == 848_836_800
    assert epoch.board_seconds(1_795_521_600_999, 1970) == 1_795_521_600


@pytest.mark.parametrize("first_year", [1970, 2000])
@pytest.mark.parametrize("uptime_s", [0, 5, 86_400 * 365 * 3])
def test_a_clock_that_was_never_set_is_not_believed(first_year: int, uptime_s: int) -> None:
    assert epoch.unix_ms(uptime_s, first_year) is None


def test_another_epoch_is_an_error() -> None:
    with pytest.raises(ValueError, match="1904"):
        epoch.unix_ms(3_000_000_000, 1904)


@given(st.integers(1_704_067_200_000, 1 << 52), st.sampled_from([1970, 2000]))
def test_both_ways(utc_ms: int, first_year: int) -> None:
    seconds = epoch.board_seconds(utc_ms, first_year)
    assert epoch.unix_ms(seconds, first_year) == utc_ms // 1000 * 1000
