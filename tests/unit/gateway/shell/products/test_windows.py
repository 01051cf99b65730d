"""Ten minutes of one station, and several stations' periods put together."""

from fractions import Fraction

import pytest

from gateway.core.quality import Flag, Standing
from gateway.core.quantities import parse_quantities
from gateway.core.rules import parse_rules
from gateway.shell.products.periods import DAY, HOUR, TEN_MINUTES, WINDOW_MS
from gateway.shell.products.product import Promise, combine, number, step
from gateway.shell.products.windows import (
    Sampled,
    Window,
    judge_window,
    mean_of_windows,
    pack,
    pack_standings,
    unpack_samples,
    unpack_standings,
    unpack_windows,
)
from gateway.shell.spec_files import read_spec

QUANTITIES = parse_quantities(read_spec("quantities.toml"))
RULES = parse_rules(read_spec("rules/0001.toml"))
TEMPERATURE, DIRECTION = 0, 8
MINUTE_MS = 60_000


def sample(minute: int, value: int | None, exponent: int = -2, quantity: int = 0, fault: int = 0):
    time_ms = minute * MINUTE_MS
    return Sampled(quantity, time_ms, minute, 0, value, exponent, fault, time_ms)


def judged(samples, late=None, standings=None):
    return judge_window(samples, late or {}, standings or {}, QUANTITIES, RULES)


def test_the_mean_is_of_what_passed_and_rounded_once():
    samples = [sample(0, 2150), sample(1, 21_531, -3), sample(2, 9_999), sample(3, None, fault=4)]
    [window], standings = judged(samples)
    assert window.value == float((Fraction(2150, 100) + Fraction(21_531, 1_000)) / 2)
    counts = (window.passed, window.suspect, window.failed, window.missing, window.late)
    assert counts == (2, 0, 1, 1, 0)
    assert standings[TEMPERATURE].value == 21_531


def test_a_step_is_suspect_and_left_out():
    [window], _ = judged([sample(0, 2000), sample(1, 4000)])
    assert (window.value, window.passed, window.suspect) == (20.0, 1, 1)


def test_the_next_window_takes_up_where_the_sensor_stood():
    _, standings = judged([sample(9, 2000)])
    [window], _ = judged([sample(10, 4000)], standings=standings)
    assert (window.value, window.suspect) == (None, 1)
    assert unpack_standings(pack_standings(standings)) == standings
    stuck = Standing(2000, -2, 0, 99, 9 * MINUTE_MS)
    [window], _ = judged([sample(60 * 24, 2000)], standings={TEMPERATURE: stuck})
    assert window.failed == 1


def test_what_is_late_is_only_counted():
    [window], standings = judged([], late={TEMPERATURE: 3})
    assert window == Window(TEMPERATURE, None, 0, 0, 0, 0, 3)
    assert standings == {}


def test_what_is_kept_comes_back():
    windows, _ = judged([sample(0, 2150), sample(0, 90, 0, DIRECTION)])
    assert unpack_windows(pack(windows)) == windows
    samples = [sample(0, 2150), sample(1, None, fault=2)]
    assert unpack_samples(pack(samples)) == samples


def test_large_exponents_are_not_lost():
    [window], _ = judged([sample(0, 1, 2, 2), sample(1, 7, 2, 2)])
    assert (window.value, window.failed) == (700.0, 1)


def window(value: float | None, passed: int = 2, quantity: int = TEMPERATURE, **counts) -> Window:
    zero = Window(quantity, value, passed, 0, 0, 0, 0)
    return zero._replace(**counts)


def one(name: int) -> bytes:
    return bytes([name]) * 16


def made(windows, promises=(), period=TEN_MINUTES, quantity=TEMPERATURE):
    return combine(QUANTITIES[quantity], period, windows, promises)


def promise(name: int, interval_ms: int = 300_000) -> Promise:
    return Promise(one(name), TEMPERATURE, interval_ms)


def test_stations_weigh_the_same_however_much_they_send():
    windows = [(one(1), window(10.0, passed=100)), (one(2), window(20.0, passed=1))]
    content = made(windows)
    assert number(QUANTITIES[TEMPERATURE], content.mean) == 15.0
    assert (content.stations, content.readings) == (2, 101)


def test_windows_of_a_station_weigh_the_same():
    windows = [(one(1), window(10.0, passed=60)), (one(1), window(20.0, passed=1))]
    content = made(windows, period=HOUR)
    assert number(QUANTITIES[TEMPERATURE], content.mean) == 15.0
    assert content.stations == 1
    assert (content.spread, content.error) == (None, None)
    assert mean_of_windows(QUANTITIES[DIRECTION], [350.0, 10.0]) % 360 == pytest.approx(
        0, abs=1e-9
    )


def test_coverage_is_the_share_of_what_was_promised():
    windows = [(one(1), window(10.0))] * 6
    content = made(windows, [promise(1), promise(2)], HOUR)
    assert (content.stations, content.expected, content.coverage) == (1, 2, 5_000)
    # Once an hour is all that this one promised.
    hourly = [(one(1), window(10.0))]
    assert made(hourly, [promise(1, 3_600_000)], HOUR).coverage == 10_000
    assert made(hourly, [promise(1)], HOUR).coverage == 10_000 // 6
    assert made(hourly * 3, [promise(1, 3_600_000)], DAY).coverage == 10_000 * 3 // 24
    # Somebody who promised nothing here is asked for every window.
    assert made(hourly, [], HOUR).coverage == 10_000 // 6


@pytest.mark.parametrize(
    "counts, flag",
    [
        ({}, Flag.PASS),
        ({"suspect": 2}, Flag.PASS),
        ({"suspect": 2, "missing": 1}, Flag.SUSPECT),
        ({"value": None, "passed": 0, "failed": 1}, Flag.FAIL),
        ({"value": None, "passed": 0, "late": 1}, Flag.MISSING),
    ],
)
def test_the_flag_says_whether_most_passed(counts, flag):
    content = made([(one(1), window(10.0)._replace(**counts))])
    assert content.flag == flag
    assert (content.mean is None) == (content.readings == 0)


def test_numbers_are_kept_two_places_finer_than_sensors_send():
    temperature = QUANTITIES[TEMPERATURE]
    assert step(temperature) == -4
    thirds = [(one(n), window(n / 3)) for n in (1, 2, 4)]
    content = made(thirds)
    assert number(temperature, content.mean) == round(number(temperature, content.mean), 4)
    assert number(temperature, None) is None
    assert number(temperature, 123_456) == 12.3456
    assert TEN_MINUTES.length_ms == WINDOW_MS
