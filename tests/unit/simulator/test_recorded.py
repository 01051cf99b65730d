"""CSV of real readings: exact values, exact conversions, and mistakes named by line and column."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.recorded import CONVERSIONS, CsvInvalid, accepted_units, read_csv
from simulator.sensors import Quantity

QUANTITIES = {
    "temperature": Quantity(0, "Cel", -2),
    "humidity": Quantity(1, "%RH", -1),
    "pressure": Quantity(2, "hPa", -1),
    "wind_speed": Quantity(7, "m/s", -1),
}
HEADING = "station,unix_time,lat,lon,temperature[Cel]"


def read(*lines):
    return read_csv([line + "\n" for line in lines], QUANTITIES)


def test_rows_become_samples_without_losing_a_digit():
    [one, two] = read(
        "station,unix_time,lat,lon,pressure[Pa],temperature[Cel]",
        "a,1484000000,52.5,13.4,101325,5.30",
        "b,1484000000,52.6,13.5,,-0.1",
        "a,1484003600,52.5,13.4,101330,",
        "a,1484007200.5,52.5,13.4,101340.5,-7",
    )
    assert (one.name, one.lat_deg, one.lon_deg, one.interval_ms) == ("a", 52.5, 13.4, 3_600_250)
    assert one.times_ms == (1_484_000_000_000, 1_484_003_600_000, 1_484_007_200_500)
    assert one.samples == (
        ((0, 0, -2, 530, 0), (2, 0, -3, 1_013_250, 0)),
        ((0, 0, -2, None, 0), (2, 0, -3, 1_013_300, 0)),
        ((0, 0, -2, -700, 0), (2, 0, -3, 1_013_405, 0)),
    )
    assert two.samples == (((0, 0, -2, -10, 0), (2, 0, -3, None, 0)),)


@given(st.lists(st.decimals(-1000, 1000, places=4), min_size=1, max_size=20))
def test_every_decimal_comes_out_as_it_went_in(values):
    rows = [f"a,{60 * i},1,2,{value}" for i, value in enumerate(values)]
    [station] = read(HEADING, *rows)
    sent = [Decimal(value).scaleb(e) for ((_, _, e, value, _),) in station.samples]
    assert sent == values


@given(st.sampled_from(sorted(CONVERSIONS)), st.integers(-(10**6), 10**6), st.integers(0, 4))
def test_conversions_are_exact(units, digits, places):
    own, given_unit = units
    value = Decimal(digits).scaleb(-places)
    power, offset = CONVERSIONS[units]
    [station] = read_csv(
        [f"station,unix_time,lat,lon,x[{given_unit}]\n", f"a,0,1,2,{value:f}\n"],
        {"x": Quantity(0, own, 0)},
    )
    [[(_, _, exponent, integer, _)]] = station.samples
    expected = value * Decimal(10) ** power + offset
    assert Decimal(integer).scaleb(exponent) == expected


@pytest.mark.parametrize(
    "lines, message",
    [
        ([], "line 1: the columns must be station, unix_time"),
        (["time,station,lat,lon,temperature[Cel]"], "line 1: the columns must be"),
        (["station,unix_time,lat,lon"], "line 1: the columns must be"),
        ([HEADING], "line 2: there are no rows"),
        (["station,unix_time,lat,lon,temperature"], "column 5: 'temperature' has no unit"),
        (["station,unix_time,lat,lon,temprature[Cel]"], "unknown quantity 'temprature'; known"),
        (
            ["station,unix_time,lat,lon,temperature[degF]"],
            "cannot be taken in 'degF' without rounding; accepted are Cel, K",
        ),
        (["station,unix_time,lat,lon,wind_speed[km/h]"], r"accepted are m/s, cm/s"),
        ([HEADING + ",temperature[K]"], "a quantity has two columns"),
        ([HEADING, "a,0,1,2"], "line 2: 4 cells, 5 wanted"),
        ([HEADING, "a,0,1,2,3,4"], "line 2: 6 cells"),
        ([HEADING, ",0,1,2,3"], "line 2, column station"),
        ([HEADING, "a,yesterday,1,2,3"], "line 2, column unix_time: 'yesterday'"),
        (
            [HEADING, "a,1484000000000,1,2,3"],
            "'1484000000000' is not in seconds",
        ),
        ([HEADING, "a,0.0001,1,2,3"], "finer than a millisecond"),
        ([HEADING, "a,0,91,2,3"], "line 2, column lat: '91' is not within"),
        ([HEADING, "a,0,1,nan,3"], "line 2, column lon: 'nan'"),
        ([HEADING, "a,0,1,2,3", "a,60,1,2,warm"], r"line 3, column temperature\[Cel\]: 'warm'"),
        ([HEADING, "a,0,1,2,NaN"], r"'NaN' is not a number"),
        ([HEADING, "a,0,1,2,1e400"], r"'1e400' is not a number"),
        ([HEADING, "a,0,1,2,1_000"], r"'1_000' is not a number"),
        ([HEADING, "a,0,1,2,3", "a,0,1,2,3"], "line 3, column unix_time: not later"),
        ([HEADING, "a,0,1,2,3", "a,60,1,3,3"], "line 3, columns lat and lon: station 'a' has m"),
        ([HEADING, "a,0,1,2,0.0000000001"], "has 10 decimals, at most 9"),
        ([HEADING, "a,0,1,2,0.00000001", "b,0,1,2,123456789"], "does not fit into 2"),
        ([HEADING, 'a,0,1,2,"3'], "line 2: unexpected end of data"),
    ],
)
def test_mistakes_are_named(lines, message):
    with pytest.raises(CsvInvalid, match=message):
        read(*lines)


def test_unit_lists_start_with_the_own_unit():
    assert accepted_units("hPa") == ["hPa", "mbar", "Pa", "kPa"]
