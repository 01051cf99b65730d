import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.coverage.regions import RegionsError, airtime_us, parse_regions
from tests.unit.gateway.coverage.coverage_kit import REGIONS_TEXT

REGIONS = parse_regions(REGIONS_TEXT)


def test_both_regions_are_there_with_their_codes_and_channels():
    assert {name: region.code for name, region in REGIONS.items()} == {"EU868": 1, "US915": 2}
    assert REGIONS["EU868"].frequencies_khz == (868_100, 868_300, 868_500)
    assert REGIONS["US915"].frequencies_khz == tuple(902_300 + 200 * n for n in range(8))
    assert REGIONS["EU868"].eirp_cdbm == 1_600
    assert REGIONS["US915"].eirp_cdbm == 3_000
    assert REGIONS["US915"].frequency_khz == 902_300


@pytest.mark.parametrize("name", ["EU868", "US915"])
def test_sensitivity_is_the_noise_floor_and_the_modem_s_floor(name):
    region = REGIONS[name]
    assert region.sensitivity_cdbm == region.noise_floor_cdbm + region.snr_floor_cdb


@pytest.mark.parametrize(
    "factor, frame, microseconds",
    # Semtech's LoRa calculator, 125 kHz, 4/5, explicit header, CRC, preamble 8.
    [(7, 20, 56_576), (9, 20, 185_344), (12, 20, 1_318_912), (9, 1, 103_424)],
)
def test_airtime_is_that_of_the_vendor_s_calculator(factor, frame, microseconds):
    from dataclasses import replace

    assert airtime_us(replace(REGIONS["EU868"], spreading_factor=factor), frame) == microseconds


def test_a_beacon_fits_the_dwell_time_and_a_day_of_them_the_duty_cycle():
    us = REGIONS["US915"]
    assert airtime_us(us, 20) < us.dwell_ms * 1000
    eu = REGIONS["EU868"]
    # 12 a day on average; 40 is beyond any day that will be seen.
    assert 40 * airtime_us(eu, 20) < 86_400_000_000 * eu.duty_ppm // 1_000_000


@pytest.mark.parametrize(
    "old, new",
    [
        (b"code = 2", b"code = 1"),
        (b'name = "US915"', b'name = "EU868"'),
        (b"code = 1", b"code = 0"),
        (b"eirp_cdbm = 1_600", b"eirp_cdbm = 4_001"),
        (b"eirp_cdbm = 1_600", b"eirp_cdbm = 16.0"),
        (b"eirp_cdbm = 1_600", b"eirp_cdbm = true"),
        (b"eirp_cdbm = 1_600", b"eirp = 1_600"),
        (b"868_300", b"868_100"),
        (b"868_300", b"99_999"),
        (b"[868_100, 868_300, 868_500]", b"[]"),
        (b"dwell_ms = 400", b"dwell_ms = 0"),
        (b'name = "EU868"', b'name = ""'),
        (b"[[region]]", b"[[regions]]"),
        (b"[[region]]", b"x = 1\n[[region]]"),
        (b"# What", b"\xff# What"),
    ],
)
def test_a_file_that_says_anything_else_is_refused(old, new):
    assert old in REGIONS_TEXT
    with pytest.raises(RegionsError):
        parse_regions(REGIONS_TEXT.replace(old, new, 1))


@given(st.integers(0, len(REGIONS_TEXT) - 1), st.integers(0, 255))
def test_changed_bytes_are_read_or_refused_and_never_raise_anything_else(position, byte):
    data = bytearray(REGIONS_TEXT)
    data[position] = byte
    try:
        regions = parse_regions(bytes(data))
    except RegionsError:
        return
    assert len(regions) == 2
