"""The board's regions are those of spec/regions.toml, and it counts air time like the gateway."""

import tomllib
from pathlib import Path

import pytest
from cairn import regions

from gateway.core.coverage.regions import airtime_us, parse_regions

TABLES = Path(__file__).parents[3] / "spec" / "regions.toml"


def test_the_same_regions_as_the_specification() -> None:
    listed = {one["code"]: one for one in tomllib.loads(TABLES.read_text())["region"]}
    assert set(listed) == set(regions.REGIONS)
    for code, region in regions.REGIONS.items():
        spec = listed[code]
        assert region.name == spec["name"]
        assert list(region.channels_khz) == spec["frequencies_khz"]
        assert region.eirp_cdbm == spec["eirp_cdbm"]
        assert spec["spreading_factor"] == regions.SPREADING_FACTOR
        assert spec["bandwidth_khz"] == regions.BANDWIDTH_KHZ
        assert spec["coding_rate"] + 4 == regions.CODING_RATE
        # A share of the time is counted over an hour; a dwell time as it is.
        if spec["dwell_ms"]:
            limit = (spec["dwell_window_ms"], spec["dwell_ms"] * 1_000)
        else:
            limit = (3_600_000, 3_600 * spec["duty_ppm"])
        assert (region.window_ms, region.air_us_max) == limit


@pytest.mark.parametrize("size", range(65))
def test_the_same_air_time_as_the_gateway(size: int) -> None:
    for region in parse_regions(TABLES.read_bytes()).values():
        assert regions.airtime_us(size) == airtime_us(region, size)


def test_air_time_of_a_beacon() -> None:
    # AN1200.13 by hand: 12.25 symbols of preamble and 33 of payload, 4.096 ms each.
    assert regions.airtime_us(20) == 185_344
    assert regions.airtime_us(20) < 400_000
