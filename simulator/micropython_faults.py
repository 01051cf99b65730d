"""When boards on MicroPython lose their power: inside a change of the flash, as often as asked.

A cut is armed at a drawn time and strikes in one of the next operations, which is done wholly, in
part, or not at all. It knows no board; the run arms, and says when the power went.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulator.run import MINUTE_MS, Course
from simulator.seeds import stream
from simulator.watch import SLOT_MS

PARTS = ("none", "torn", "whole")
AFTER_MAX = 4
# Boards shall be known before they lose anything, and done with it before the end.
FIRST_MS = 5 * MINUTE_MS
LAST_MS = 15 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Cut:
    """after: so many operations of the flash go well; part: how much of the next one is done."""

    after: int
    part: str


class Cuts:
    """The cuts of a run, `each` for every station; done: how many there have been."""

    def __init__(self, course: Course, stations: int, each: int) -> None:
        self.done = 0
        self._power_off_ms = course.faults.power_off_s * 1_000
        self._random = [stream(course.seed, "flash cuts", one) for one in range(stations)]
        first_ms = course.begin_ms + FIRST_MS
        span_ms = max(course.end_ms - LAST_MS - first_ms, 0)
        self._due_ms = [_times(random, first_ms, span_ms, each) for random in self._random]
        self._armed: set[int] = set()

    def due(self, station: int, now_ms: int) -> Cut | None:
        """The cut that is to be armed now."""
        due_ms = self._due_ms[station]
        if station in self._armed or not due_ms or due_ms[0] > now_ms:
            return None
        self._armed.add(station)
        random = self._random[station]
        return Cut(random.randrange(AFTER_MAX), random.choice(PARTS))

    def struck(self, station: int, at_ms: int) -> int:
        """The power went at at_ms; the slot with which it comes back."""
        self._armed.discard(station)
        self._due_ms[station].pop(0)
        self.done += 1
        off_ms = self._random[station].randrange(1_000, self._power_off_ms + 1_001)
        return -(-(at_ms + off_ms) // SLOT_MS)

    def left(self) -> int:
        """How many are still to come."""
        return sum(map(len, self._due_ms))


def _times(random: Random, first_ms: int, span_ms: int, each: int) -> list[int]:
    """One time in every part of the span."""
    part_ms = span_ms // max(each, 1)
    return [first_ms + n * part_ms + random.randrange(part_ms + 1) for n in range(each)]
