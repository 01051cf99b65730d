"""Sensors of boards on MicroPython: which parts a station has, and what their models are set to.

The firmware's own drivers measure, over buses and registers (simulator/chips), inside the
interpreter. From outside the models are set anew at every slot's begin, to the air at the station
as its sensors would show it; what they were set to is kept, for micropython_measured.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.micropython.host import Runner
from simulator.run import Course, StationPlan
from simulator.seeds import stream
from simulator.sensors import Sample, Sampler
from simulator.watch import SLOT_MS
from simulator.weather import HOUR_MS
from simulator.world import World

TEMPERATURE, HUMIDITY, PRESSURE, PM2_5, PM10 = range(5)
# What parts can show, less than which none of those below can.
SHOWN = {TEMPERATURE: (-3_900, 7_900), HUMIDITY: (0, 1_000), PRESSURE: (3_010, 10_990)}
FROZEN = "frozen"
DUST_PERIOD_H = 5.0

Entry = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """tolerance: how far a reading may be off what its model has, by quantity, in the quantity's
    resolution. silence: the model's fault of a loose plug, and as_told: by which codes of
    spec/protocol.md section 6 a driver tells it. freezes: its bus can repeat a frame for ever,
    which the driver finds out. warms: it does not count at once.
    """

    tolerance: Mapping[int, int]
    silence: str
    as_told: frozenset[int]
    freezes: bool = False
    warms: bool = False


# By the codes of config.sensors (docs/sensors.md). A BME280's converter has steps of 0.005 degC,
# 0.01 %RH and 0.026 hPa and two steps of noise; an SHT's noise is 0.02 degC and 0.03 %RH; a DHT22
# has tenths, cut off; a DS18B20 sixteenths; a PMS5003 whole ug/m3, cut off.
PARTS = {
    1: Part({TEMPERATURE: 2, HUMIDITY: 1, PRESSURE: 2}, "nak", frozenset({1}), freezes=True),
    2: Part({TEMPERATURE: 3, HUMIDITY: 1}, "nak", frozenset({1}), freezes=True),
    3: Part({TEMPERATURE: 3, HUMIDITY: 1}, "nak", frozenset({1}), freezes=True),
    5: Part({PM2_5: 9, PM10: 9}, "silent", frozenset({1}), warms=True),
    6: Part({PM2_5: 0, PM10: 0}, "silent", frozenset({1}), warms=True),
    10: Part({TEMPERATURE: 9, HUMIDITY: 0}, "silent", frozenset({3})),
    11: Part({TEMPERATURE: 4}, "silent", frozenset({1, 9})),
}
# config.sensors of stations, in turn: part, channel, bus or pin.
PROFILES: tuple[tuple[Entry, ...], ...] = (
    ((1, 0, 0),),
    ((3, 0, 0),),
    ((1, 0, 0), (5, 0, 1)),
    ((10, 0, 4),),
    ((1, 0, 0), (11, 1, 5)),
    ((2, 0, 0), (6, 0, 1)),
)


def profile_of(station: int) -> tuple[Entry, ...]:
    """The config.sensors of a station."""
    return PROFILES[station % len(PROFILES)]


def declared(sensors: Sequence[Entry], interval_ms: int) -> tuple[tuple[int, int, int], ...]:
    """The config.quantities of a station with these sensors."""
    return tuple(
        sorted((q, entry[1], interval_ms) for entry in sensors for q in PARTS[entry[0]].tolerance)
    )


@dataclass(frozen=True, slots=True)
class ChipState:
    """What one model is set to: values by quantity, and its fault or None."""

    values: Mapping[int, int]
    fail: str | None = None

    def as_options(self) -> dict[str, Any]:
        return {"values": dict(self.values), "fail": None if self.fail is None else [self.fail]}


@dataclass(slots=True)
class Desk:
    """One station's sensors over a run. had: what they were set to, by slot; None: nobody asked
    them, as before the first slot; told: what the models were told last. stuck_ms: since when they
    show the same for ever.
    """

    sensors: tuple[Entry, ...]
    interval_ms: int
    sampler: Sampler
    dust: tuple[int, float]
    had: dict[int, list[ChipState] | None] = field(default_factory=dict)
    told: list[ChipState] | None = None
    stuck_ms: int | None = None


class Sensors:
    """All of a fleet, from the plans' own samplers."""

    def __init__(self, course: Course, plans: Sequence[StationPlan]) -> None:
        self._world = World(course.begin_ms, course.seed)
        self.desks = [
            Desk(
                profile_of(index),
                plan.sample_interval_ms,
                plan.sampler(self._world),
                _dust(course.seed, index),
            )
            for index, plan in enumerate(plans)
        ]

    def show(self, runner: Runner, at_ms: int) -> None:
        """Set every model to what the air is at at_ms; also of boards that are off, which find it
        when they come on.
        """
        self._world.run(at_ms)
        for index, desk in enumerate(self.desks):
            states = _states(desk, read_now(desk.sampler), at_ms)
            desk.had[at_ms // SLOT_MS] = states
            if states != desk.told:
                desk.told = states
                told = None if states is None else [state.as_options() for state in states]
                runner.set_chips(index, told)


def read_now(sampler: Sampler) -> list[Sample]:
    """What sensors show; nothing where they would never answer."""
    reading = sampler.sample()
    try:
        reading.send(None)
    except StopIteration as answer:
        samples: list[Sample] = answer.value
        return samples
    reading.close()
    return []


def _states(desk: Desk, rows: Sequence[Sample], at_ms: int) -> list[ChipState] | None:
    if not rows:
        return None
    # Samplers of weather know this; others never are stuck.
    if getattr(desk.sampler, "stuck", False) and desk.stuck_ms is None:
        desk.stuck_ms = at_ms
    air = {quantity: value for quantity, _, _, value, _ in rows if value is not None}
    silent = not air
    held_ms = at_ms if desk.stuck_ms is None else desk.stuck_ms
    air |= dust_at(desk.dust, held_ms)
    states = []
    for entry in desk.sensors:
        part = PARTS[entry[0]]
        values = {q: _shown(q, air[q]) for q in part.tolerance if q in air}
        fail = part.silence if silent else None
        if fail is None and desk.stuck_ms is not None and part.freezes:
            fail = FROZEN
        states.append(ChipState(values, fail))
    return states


def _shown(quantity: int, value: int) -> int:
    low, high = SHOWN.get(quantity, (0, 9_999))
    return min(max(value, low), high)


def _dust(seed: int, station: int) -> tuple[int, float]:
    generator = stream(seed, "dust", station)
    return generator.randrange(60, 400), generator.random()


def dust_at(dust: tuple[int, float], at_ms: int) -> dict[int, int]:
    """PM2.5 and PM10 in 0.1 ug/m3: made up, a slow wave of each station's own."""
    mean, phase = dust
    wave = math.sin(2 * math.pi * (at_ms / HOUR_MS / DUST_PERIOD_H + phase))
    fine = round(mean * (1 + 0.4 * wave))
    return {PM2_5: fine, PM10: fine * 8 // 5}
