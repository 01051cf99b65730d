"""What models of sensors are set to, and whether a judge of readings finds what is wrong."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from cairn import wire

from simulator.counterpart import SentReadings
from simulator.fleet import plan_stations
from simulator.micropython.host import Happening
from simulator.micropython_measured import INVARIANT, Measured, Samples, judge, readings_of
from simulator.micropython_sensors import (
    FROZEN,
    PARTS,
    PROFILES,
    ChipState,
    Desk,
    Sensors,
    declared,
    dust_at,
    profile_of,
)
from simulator.micropython_tap import SAMPLED
from simulator.run import Course
from simulator.scenario import Scenario, load_scenario
from simulator.sensors import ErrorShares, Sample
from simulator.watch import SLOT_MS

# As cairn.wire has it: quantity, channel, exponent, values, faults.
Column = tuple[int, int, int, list[int | None], list[tuple[int, int]]]
DEVICE = b"d" * 16
START_MS = 1_000 * SLOT_MS
# Quantities, and faults of spec/protocol.md section 6.
TEMPERATURE, HUMIDITY, PRESSURE, PM2_5 = 0, 1, 2, 3
BUS, STUCK, RANGE, WARMING = 1, 4, 5, 6


class Nothing:
    async def sample(self) -> list[Sample]:
        raise NotImplementedError


def desk(sensors: Sequence[tuple[int, ...]], *states: list[ChipState] | None) -> Desk:
    """One with these states in the slots from START_MS on."""
    made = Desk(tuple(sensors), SLOT_MS, Nothing(), (0, 0.0))
    made.had = {START_MS // SLOT_MS + slot: state for slot, state in enumerate(states)}
    return made


BME = ChipState({TEMPERATURE: 2_000, HUMIDITY: 500, PRESSURE: 10_100})
COLD = ChipState({TEMPERATURE: -510, HUMIDITY: 900, PRESSURE: 10_050})
PLUG_OUT = replace(BME, fail="nak")
HANGING = replace(BME, fail=FROZEN)


def happened(kind: str, at_ms: int, **values: Any) -> Happening:
    return Happening(0, kind, START_MS + at_ms, values)


def column(quantity: int, *values: int | None, fault: int = 0, exponent: int = -1) -> Column:
    faults = [(index, fault) for index, value in enumerate(values) if value is None]
    return quantity, 0, exponent, list(values), faults


def sent(columns: Sequence[Column], *, late_ms: int = 0, samples: int = 1) -> SentReadings:
    """A message 20 s after the last of samples a minute apart, the first 10 s after START_MS."""
    body = wire.readings_body(20_000, [SLOT_MS] * (samples - 1), list(columns))
    last_ms = START_MS + 10_000 + (samples - 1) * SLOT_MS
    return SentReadings(DEVICE, last_ms + 20_000 - late_ms, timed=True, body=body)


def judged(
    one: Desk, message: SentReadings, taken: Sequence[int] = (10_000,), up_ms: int = -SLOT_MS
) -> Measured:
    samples = Samples(1)
    samples.take([happened("up", up_ms, boot=1, cause=1)])
    samples.take([happened("report", at_ms, code=SAMPLED, detail="") for at_ms in taken])
    return judge([one], samples, [DEVICE], [message])


def centi(*values: int | None, fault: int = 0) -> Column:
    return column(TEMPERATURE, *values, fault=fault, exponent=-2)


WHOLE = [centi(2_001), column(HUMIDITY, 499), column(PRESSURE, 10_102)]


def test_readings_within_the_parts_resolution_agree() -> None:
    found = judged(desk([(1, 0, 0)], [BME]), sent(WHOLE))
    assert (found.values, found.faults, found.failures) == (3, {}, [])


@pytest.mark.parametrize(
    "wrong",
    [
        centi(2_003),
        centi(-2_000),
        column(TEMPERATURE, 2_000, exponent=-1),
        column(HUMIDITY, 502),
        column(PRESSURE, 10_097),
        centi(None, fault=BUS),
        centi(None, fault=STUCK),
        centi(None, fault=RANGE),
        centi(None, fault=WARMING),
        (TEMPERATURE, 0, -2, [None], []),
        column(PM2_5, 100),
        (TEMPERATURE, 1, -2, [2_000], []),
    ],
)
def test_what_the_chip_did_not_have_is_a_failure(wrong: Column) -> None:
    found = judged(desk([(1, 0, 0)], [BME]), sent([wrong]))
    [failure] = found.failures
    assert failure.invariant == INVARIANT
    assert failure.detail.startswith(f"station 0 quantity {wrong[0]} channel {wrong[1]}, 1 times")
    assert (found.values, found.faults) == (0, {})


def test_each_sample_is_held_against_its_own_slot() -> None:
    one = desk([(1, 0, 0)], [BME], [COLD], [BME])
    taken = [10_000, 10_000 + SLOT_MS, 10_000 + 2 * SLOT_MS]
    right = judged(one, sent([centi(2_000, -510, 2_000)], samples=3), taken)
    assert (right.values, right.failures) == (3, [])
    wrong = judged(one, sent([centi(2_000, 2_000, 2_000)], samples=3), taken)
    assert wrong.values == 2
    assert "1 times" in wrong.failures[0].detail


def test_a_late_clock_excuses_no_other_value() -> None:
    """The board believed it was 40 s ago, which was another slot; the sample was taken when it was
    taken.
    """
    one = desk([(1, 0, 0)], [COLD], [BME])
    right = judged(one, sent([centi(2_000)], late_ms=-20_000), [SLOT_MS + 10_000])
    assert right.failures == []
    assert judged(one, sent([centi(-510)], late_ms=-20_000), [SLOT_MS + 10_000]).failures != []


def test_a_reading_of_no_sample_is_a_failure() -> None:
    assert judged(desk([(1, 0, 0)], [BME]), sent([centi(2_000)]), []).failures != []
    assert judged(desk([(1, 0, 0)], [BME]), sent([centi(2_000)]), [200_000]).failures != []


def test_a_board_without_a_clock_is_held_against_all_its_samples() -> None:
    message = replace(sent([centi(2_000)]), time_ms=20_000, timed=False)
    assert judged(desk([(1, 0, 0)], [BME]), message).failures == []
    assert judged(desk([(1, 0, 0)], [COLD]), message).failures != []


def test_a_loose_plug_gives_its_fault_and_nothing_else() -> None:
    one = desk([(1, 0, 0)], [PLUG_OUT])
    found = judged(one, sent([centi(None, fault=BUS)]))
    assert (found.faults, found.failures) == ({"1": 1}, [])
    assert judged(one, sent([centi(2_000)])).failures != []
    assert judged(one, sent([centi(None, fault=STUCK)])).failures != []


def test_a_sample_over_a_slots_end_may_meet_either_state() -> None:
    one = desk([(1, 0, 0)], [PLUG_OUT], [BME])
    for told in (centi(None, fault=BUS), centi(2_000)):
        assert judged(one, sent([told], late_ms=-45_000), [55_000]).failures == []


def test_a_frozen_part_is_found_out_after_sixteen_samples() -> None:
    one = desk([(1, 0, 0)], [HANGING])
    told = sent([centi(None, fault=STUCK)])
    assert judged(one, told).failures != []
    one.stuck_ms = START_MS - 10 * SLOT_MS
    assert judged(one, told).failures != []
    one.stuck_ms = START_MS - 16 * SLOT_MS
    assert judged(one, told).failures == []


def test_dust_warms_up_after_a_boot() -> None:
    dusty = desk([(5, 0, 1)], [ChipState({PM2_5: 127, 4: 203})])
    told = sent([column(PM2_5, None, fault=WARMING)])
    assert judged(dusty, told, up_ms=0).faults == {"6": 1}
    assert judged(dusty, told, up_ms=-40_000).failures != []
    # Whole micrograms.
    assert judged(dusty, sent([column(PM2_5, 120), column(4, 200)])).failures == []
    assert judged(dusty, sent([column(PM2_5, 140)])).failures != []


def test_readings_of_a_message_are_taken_apart_as_the_firmware_packs_them() -> None:
    columns = [centi(2_000, None, 1_990, fault=BUS), column(HUMIDITY, 500, 501, 499)]
    body = wire.readings_body(5_000, [60_000, 61_000], columns)
    found = list(readings_of(SentReadings(DEVICE, 1_000_000, timed=True, body=body)))
    assert found == [
        (874_000, 0, 0, -2, 2_000, 0),
        (934_000, 0, 0, -2, None, BUS),
        (995_000, 0, 0, -2, 1_990, 0),
        (874_000, 1, 0, -1, 500, 0),
        (934_000, 1, 0, -1, 501, 0),
        (995_000, 1, 0, -1, 499, 0),
    ]


class Bench:
    """A runner's end of what sensors are set to."""

    def __init__(self) -> None:
        self.told: dict[int, list[dict[str, Any]] | None] = {}
        self.calls = 0

    def set_chips(self, board: int, states: list[dict[str, Any]] | None) -> None:
        self.told[board] = states
        self.calls += 1


def shown(scenario: Scenario, minutes: Sequence[int]) -> tuple[Sensors, Bench]:
    course = Course(
        seed=7, start_ms=scenario.start_ms, end_ms=scenario.end_ms, faults=scenario.faults
    )
    sensors, bench = Sensors(course, plan_stations(scenario, 7)), Bench()
    for minute in minutes:
        sensors.show(bench, scenario.start_ms + minute * SLOT_MS)  # type: ignore[arg-type]
    return sensors, bench


def sick(**shares: int) -> Scenario:
    return replace(load_scenario("micropython"), errors=ErrorShares(**shares))


def test_every_station_is_asked_for_what_it_declares() -> None:
    _, bench = shown(sick(), [0])
    for index, sensors in enumerate(PROFILES):
        states = bench.told[index]
        assert states is not None
        assert profile_of(index + len(PROFILES)) == sensors
        given = [
            (q, entry[1]) for entry, s in zip(sensors, states, strict=True) for q in s["values"]
        ]
        assert [one[:2] for one in declared(sensors, 60_000)] == sorted(given)
        assert len(set(given)) == len(given)
        assert {state["fail"] for state in states} == {None}


def test_nobody_is_asked_after_the_last_day() -> None:
    sensors, bench = shown(sick(), [0, 85, 86, 87])
    # What has not changed is not said again.
    assert bench.calls == 2 * len(sensors.desks)
    assert set(bench.told.values()) == {None}
    assert all(next(iter(one.had.values())) is not None for one in sensors.desks)


def test_a_loose_plug_is_the_buss_fault_of_every_part() -> None:
    sensors, _ = shown(sick(dropout_ppm=1_000_000), range(80))
    for one in sensors.desks[2:]:  # two are anchored
        silent = [states for states in one.had.values() if states and states[0].fail]
        for states in silent:
            assert [s.fail for s in states] == [PARTS[e[0]].silence for e in one.sensors]
    assert sum(bool(s and s[0].fail) for one in sensors.desks for s in one.had.values()) > 20


def test_a_stuck_station_shows_the_same_for_ever_and_its_bus_freezes() -> None:
    long = replace(sick(stuck_ppm=1_000_000), minutes=400)
    sensors, _ = shown(long, range(300))
    for index, one in enumerate(sensors.desks[2:], 2):
        assert one.stuck_ms is not None, index
        since = one.stuck_ms // SLOT_MS
        after = [states for slot, states in one.had.items() if slot >= since]
        assert after[0] is not None
        assert all(states == after[0] for states in after)
        fails = [FROZEN if PARTS[entry[0]].freezes else None for entry in one.sensors]
        assert [state.fail for state in after[0]] == fails


def test_dust_stays_within_what_the_parts_show() -> None:
    for hour in range(24):
        told = dust_at((399, 0.25), hour * 3_600_000)
        assert 0 < told[PM2_5] < told[4] < 9_999
