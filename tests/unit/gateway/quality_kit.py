"""Stations with series by the hour, judged as at a close, for tests of neighbours."""

from gateway.core.geometry import Sphere
from gateway.core.model import Declared
from gateway.core.neighbour import Neighbour
from gateway.core.quality import JudgedKey, Reading, judge
from gateway.core.quantities import parse_quantities
from gateway.core.rules import parse_rules
from gateway.core.station_day import JudgedDay
from gateway.core.tables import parse_trig
from tests.unit.gateway.epoch_kit import (
    DAY,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    QUANTITIES,
    RULES,
    TABLES,
    TEMPERATURE,
)

RULES_1 = parse_rules(RULES)
KNOWN = parse_quantities(QUANTITIES)
SPHERE = Sphere(parse_trig(TABLES["trig"]))
# One kilometre of latitude in millionths of a degree.
KM_E6 = 8_993


def place(east_km, north_km):
    """Around 0 N 0 E, where a kilometre is as long in both directions."""
    return round(north_km * KM_E6), round(east_km * KM_E6)


def hourly(values, *, epoch=DAY, delay_ms=1_000, every_ms=HOUR_MS, name=b"m"):
    """Readings in units of 0.01 degC at five past; None: no reading."""
    return [
        Reading(
            (time_ms := epoch * DAY_MS + number * every_ms + 5 * MINUTE_MS),
            name + number.to_bytes(31, "big"),
            0,
            value,
            -2,
            0,
            time_ms + delay_ms,
            None,
        )
        for number, value in enumerate(values)
        if value is not None
    ]


def judged_key(readings, quantity=TEMPERATURE, channel=0, interval_ms=HOUR_MS, rules=RULES_1):
    judged, standing = judge(KNOWN[quantity], readings, None, rules)
    declared = Declared(quantity, channel, interval_ms)
    return JudgedKey(declared, KNOWN[quantity], tuple(judged), standing)


def neighbour(
    number, values, *, at=(0, 0), owner=b"", trusted=True, senior=0, peers=(), epoch=DAY, **how
):
    """Station `number` with one thermometer."""
    key = judged_key(hourly(values, epoch=epoch, **how))
    device = number.to_bytes(16, "big")
    return Neighbour(device, owner, at, trusted, senior, (key,), peers)


def as_day(station, epoch=DAY):
    readings = sum(len(key.judged) for key in station.keys)
    return JudgedDay(epoch * DAY_MS, DAY_MS, station.keys, (), readings)
