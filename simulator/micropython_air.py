"""The air between boards on MicroPython: what they sent in a stretch of time, and who heard it.

Boards run ahead to the end of a stretch and tell what their radios did; then the medium of the
other fleets (medium.py) plays these moments in their order, on a clock of its own, and what was
heard is given to the boards with the time at which it was heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from simulator.medium import AirCounts, Antenna, Medium, Sound
from simulator.radio import PRESETS, Propagation
from simulator.run import Course, StationPlan
from simulator.world import World


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame that ended at a station's antenna at at_ms."""

    station: int
    at_ms: int
    sound: Sound


class _Ear:
    def __init__(self, air: Air, station: int) -> None:
        self.listening_ms: int | None = None
        self._air = air
        self._station = station

    def hear(self, sound: Sound) -> None:
        self._air.heard.append(Heard(self._station, self._air.world.now_ms, sound))


class Air:
    """All radios of a fleet. heard: what was heard and not yet taken."""

    def __init__(
        self,
        begin_ms: int,
        seed: int,
        antennas: Sequence[Antenna],
        surroundings: Propagation,
        closes_ms: int,
    ) -> None:
        self.world = World(begin_ms, seed)
        self.heard: list[Heard] = []
        self._medium = Medium(self.world, antennas, surroundings, closes_ms)
        self._ears = [_Ear(self, station) for station in range(len(antennas))]
        for station, ear in enumerate(self._ears):
            self._medium.attach(station, ear)

    @property
    def counts(self) -> AirCounts:
        return self._medium.counts

    def sent(self, station: int, at_ms: int, values: dict[str, Any]) -> None:
        """A board sent a frame: a happening of kind `radio`."""
        told = (values["radio"], values["channel"], values["power_cdbm"], values["frame"])
        self.world.call_at(at_ms, partial(self._send, station, *told))

    def tuned(self, station: int, at_ms: int, radio: int, channel: int) -> None:
        """A board's receiver was tuned; since its first time in a boot the board listens."""
        self.world.call_at(at_ms, partial(self._listen, station, radio, channel))

    def went_off(self, station: int, at_ms: int) -> None:
        """A board hears nothing from now on."""
        self.world.call_at(at_ms, partial(self._deafen, station))

    def play(self, until_ms: int) -> Iterable[Heard]:
        """Let the air's time go on; what was heard meanwhile, in the order in which it ended."""
        self.world.run(until_ms)
        heard, self.heard = self.heard, []
        return heard

    def _send(self, station: int, radio: int, channel: int, power_cdbm: int, frame: bytes) -> None:
        self._medium.send(station, radio, channel, power_cdbm, frame)

    def _listen(self, station: int, radio: int, channel: int) -> None:
        ear = self._ears[station]
        if ear.listening_ms is None:
            ear.listening_ms = self.world.now_ms
        self._medium.tune(station, radio, channel)

    def _deafen(self, station: int) -> None:
        self._ears[station].listening_ms = None


def make_air(course: Course, plans: Sequence[StationPlan]) -> Air | None:
    """The air of a run; None: nobody has a radio."""
    if not any(plan.region for plan in plans):
        return None
    antennas = [plan.antenna for plan in plans]
    surroundings = PRESETS[course.surroundings]
    # After the last day the air is silent: nobody measures that day any more.
    return Air(course.begin_ms, course.seed, antennas, surroundings, course.end_ms)
