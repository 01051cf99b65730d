"""Refused arrivals that wait to be counted in the store.

A stranger must not be able to make us write to the disk as often as he sends. So refusals are
written with the next batch that is written anyway, or when somebody asks for it now and then; in
between this holds one number and the newest few samples per verdict, whatever comes. What a crash
takes away is a count of messages that nobody was promised anything about.
"""

from collections import deque
from dataclasses import replace

from gateway.core.admission import Rejected
from gateway.core.cose import MESSAGE_BYTES_MAX
from gateway.core.verdicts import Verdict
from gateway.shell.store.base import Refused

SAMPLES_HELD_MAX = 16


class Refusals:
    """Counts per verdict with the newest SAMPLES_HELD_MAX arrivals of each."""

    def __init__(self) -> None:
        self._counts: dict[Verdict, int] = {}
        self._samples: dict[Verdict, deque[Refused]] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, one: Rejected, now_ms: int) -> None:
        # A stranger must not choose how much is kept either.
        data = one.arrival.data[:MESSAGE_BYTES_MAX]
        sample = Refused(one.verdict, now_ms, one.arrival.device or b"", data)
        self._counts[one.verdict] = self._counts.get(one.verdict, 0) + 1
        self._samples.setdefault(one.verdict, deque(maxlen=SAMPLES_HELD_MAX)).append(sample)

    def rows(self) -> tuple[Refused, ...]:
        """What the store is to write; the oldest sample of a verdict stands for the lost ones."""
        rows: list[Refused] = []
        for verdict, samples in self._samples.items():
            first, *others = samples
            rows.append(replace(first, stands_for=self._counts[verdict] - len(others)))
            rows += others
        return tuple(rows)

    def clear(self) -> None:
        """They are durable."""
        self._counts.clear()
        self._samples.clear()
