"""The invariant "measured is what the chip had": every reading at the gateway against what the
models on the board's buses were set to when it was taken, within the part's resolution.

When a sample was taken is known from the board's edge (micropython_tap.py), in the world's time:
the message's own time is the board's, whose clock may have been set late. It knows the shape of
readings (spec/protocol.md section 6), and neither drivers nor registers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from simulator.counterpart import SentReadings
from simulator.ledger import Failure
from simulator.micropython.host import Happening
from simulator.micropython_sensors import FROZEN, PARTS, ChipState, Desk, Part
from simulator.micropython_tap import SAMPLED
from simulator.watch import SLOT_MS

INVARIANT = "measured is what the chip had"
EXPONENTS = {0: -2}
EXPONENT = -1
STUCK, WARMING = 4, 6
NEAR_MS = 1_000
# A board that connects within a slot takes its begin for the present.
LATE_MS = SLOT_MS + NEAR_MS
# From the begin of a sample to its last reading: a serial part is waited for for 5 s.
TAKES_MS = 8_000
WARM_MS = 38_000
# So many equal frames before a driver says that its part hangs.
FROZEN_SAMPLES = 16


class Reading(NamedTuple):
    """One entry of one column; at_ms by the board's clock, None: it knew no time."""

    at_ms: int | None
    quantity: int
    channel: int
    exponent: int
    value: int | None
    fault: int


@dataclass(frozen=True, slots=True)
class Measured:
    """values: how many readings agreed with what the chips had; faults: by code, likewise."""

    values: int
    faults: dict[str, int]
    failures: list[Failure]


class Samples:
    """When every station's samples began and its boots were, from what happened."""

    def __init__(self, stations: int) -> None:
        self.taken: list[list[int]] = [[] for _ in range(stations)]
        self.boots: list[list[int]] = [[] for _ in range(stations)]

    def take(self, happenings: Iterable[Happening]) -> None:
        for one in happenings:
            if one.kind == "up":
                self.boots[one.board].append(one.at_ms)
            elif one.kind == "report" and one.values["code"] == SAMPLED:
                self.taken[one.board].append(one.at_ms)


def judge(
    desks: Sequence[Desk],
    samples: Samples,
    devices: Sequence[bytes],
    sent: Iterable[SentReadings],
) -> Measured:
    """Compare everything that arrived."""
    stations = {device: index for index, device in enumerate(devices)}
    agreed, faults = 0, Counter[str]()
    wrong: dict[tuple[int, int, int], list[str]] = {}
    for message in sent:
        station = stations[message.device]
        judge_one = _Judge(desks[station], samples.taken[station], samples.boots[station])
        for reading in readings_of(message):
            if not judge_one.agrees(reading):
                key = station, reading.quantity, reading.channel
                wrong.setdefault(key, []).append(judge_one.explained(reading))
            elif reading.value is None:
                faults[str(reading.fault)] += 1
            else:
                agreed += 1
    failures = [
        Failure(INVARIANT, f"station {s} quantity {q} channel {c}, {len(said)} times: {said[0]}")
        for (s, q, c), said in sorted(wrong.items())
    ]
    return Measured(agreed, dict(sorted(faults.items())), failures)


@dataclass(frozen=True, slots=True)
class _Judge:
    desk: Desk
    taken: Sequence[int]
    boots: Sequence[int]

    def agrees(self, reading: Reading) -> bool:
        return any(
            self._could(reading, taken_ms, part, state)
            for taken_ms in self._moments(reading)
            for part, state in self._fitting(reading, taken_ms)
        )

    def explained(self, reading: Reading) -> str:
        had = [
            (state.values.get(reading.quantity), state.fail)
            for taken_ms in self._moments(reading)
            for _, state in self._fitting(reading, taken_ms)
        ]
        return f"{tuple(reading)}, the chip had {had}"

    def _moments(self, reading: Reading) -> list[int]:
        """When it may have been taken: at its time, or later if nothing was then."""
        at_ms = reading.at_ms
        if at_ms is None:
            return list(self.taken)
        first = bisect_left(self.taken, at_ms - NEAR_MS)
        last = bisect_right(self.taken, at_ms + NEAR_MS)
        if first == last:
            last = bisect_right(self.taken, at_ms + LATE_MS)
        return list(self.taken[first:last])

    def _fitting(self, reading: Reading, taken_ms: int) -> Iterator[tuple[Part, ChipState]]:
        """The part that gives this quantity, and its states while the sample was taken."""
        last = (taken_ms + TAKES_MS) // SLOT_MS
        for slot in range(taken_ms // SLOT_MS, last + 1):
            had = self.desk.had.get(slot) or ()
            for entry, state in zip(self.desk.sensors, had, strict=False):
                part = PARTS[entry[0]]
                if entry[1] == reading.channel and reading.quantity in part.tolerance:
                    yield part, state

    def _could(self, reading: Reading, taken_ms: int, part: Part, state: ChipState) -> bool:
        """Whether a chip in this state gives that reading."""
        if state.fail == part.silence:
            return reading.value is None and reading.fault in part.as_told
        if reading.value is not None:
            exponent = EXPONENTS.get(reading.quantity, EXPONENT)
            off = abs(reading.value - state.values[reading.quantity])
            return reading.exponent == exponent and off <= part.tolerance[reading.quantity]
        if reading.fault == STUCK:
            since_ms = taken_ms if self.desk.stuck_ms is None else self.desk.stuck_ms
            lasted = taken_ms - since_ms >= FROZEN_SAMPLES * self.desk.interval_ms
            return state.fail == FROZEN and lasted
        if reading.fault == WARMING:
            return part.warms and any(0 <= taken_ms - up <= WARM_MS for up in self.boots)
        return False


def readings_of(message: SentReadings) -> Iterator[Reading]:
    """Every entry of every column with its time."""
    age_ms, steps, columns = message.body
    step_ms, back = 0, [0]
    for change in steps:
        step_ms += change
        back.append(back[-1] + step_ms)
    times = [
        message.time_ms - age_ms - (back[-1] - past) if message.timed else None for past in back
    ]
    for quantity, channel, exponent, values, *faults in columns:
        codes = dict(faults[0]) if faults else {}
        value = 0
        for index, (at_ms, change) in enumerate(zip(times, values, strict=True)):
            value += change or 0
            found = None if change is None else value
            yield Reading(at_ms, quantity, channel, exponent, found, codes.get(index, 0))
