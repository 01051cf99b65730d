"""Samples on their way into readings messages. Pure: ticks and times are arguments."""

from . import cbor, limits, wire

TYPE_CHECKING = False  # there is no typing module on the board
if TYPE_CHECKING:
    from collections.abc import Sequence

    # quantity, channel, exponent, value or None, fault code
    Reading = tuple[int, int, int, int | None, int]
    Now = tuple[int, int, int]


class Batch:
    """Collects samples of the declared (quantity, channel) pairs; others are left out. thinned:
    samples that were not taken because of a stride.
    """

    def __init__(self, quantities: "Sequence[tuple[int, int, int]]") -> None:
        self._pairs = [(quantity, channel) for quantity, channel, _ in quantities]
        self._samples: "list[tuple[int, list[Reading]]]" = []
        self._passed = 0
        self._kept_ticks = 0
        self.thinned = 0

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, ticks: int, readings: "list[Reading]", stride: int = 1) -> None:
        """One sample, taken at ticks. Of stride samples in a row only one is kept, and more if it
        would be too long after the last: the message then says so by its times, which lie further
        apart than the declared interval, while its seq leaves no gap.
        """
        self._passed += 1
        if self._passed < stride and ticks - self._kept_ticks < limits.THINNED_APART_MS_MAX:
            self.thinned += 1
            return
        self._passed = 0
        self._kept_ticks = ticks
        self._samples.append((ticks, readings))

    def close(self, now: "Now", ticks: int) -> "list[tuple[list[object], Now]]":
        """Empty the batch into (body, (time_ms, source, uncertainty_ms)), one for each UTC day.

        now is the time at ticks. Usually that is one message; more when the clock was set or
        midnight passed behind the first sample, or when one would be too long. A message whose
        day is over by now gets the time of its last sample.
        """
        samples, self._samples = self._samples, []
        made = []
        start = 0
        for index in range(1, len(samples) + 1):
            if index < len(samples) and (
                _day(samples[index][0], now, ticks) == _day(samples[start][0], now, ticks)
            ):
                continue
            made += self._messages(samples[start:index], now, ticks)
            start = index
        return made

    def _messages(
        self, samples: "list[tuple[int, list[Reading]]]", now: "Now", ticks: int
    ) -> "list[tuple[list[object], Now]]":
        made = self._message(samples, now, ticks)
        if len(cbor.encode(made[0])) <= limits.BODY_BYTES_MAX or len(samples) == 1:
            return [made]
        # Many quantities or wild values: what one message cannot hold, two can.
        half = len(samples) // 2
        first = self._messages(samples[:half], now, ticks)
        return first + self._messages(samples[half:], now, ticks)

    def _message(
        self, samples: "list[tuple[int, list[Reading]]]", now: "Now", ticks: int
    ) -> "tuple[list[object], Now]":
        last = samples[-1][0]
        age = ticks - last
        if _day(last, now, ticks) != _day(ticks, now, ticks):
            now, age = (now[0] - age, now[1], now[2]), 0
        steps = [samples[i + 1][0] - samples[i][0] for i in range(len(samples) - 1)]
        columns = [self._column(pair, samples) for pair in self._pairs]
        return wire.readings_body(age, steps, columns), now

    def _column(
        self, pair: "tuple[int, int]", samples: "list[tuple[int, list[Reading]]]"
    ) -> "wire.Column":
        rows = [_reading_of(pair, readings) for _, readings in samples]
        # One exponent serves the column: the finest, so that rescaling stays exact.
        exponents = [row[2] for row in rows if row[3] is not None]
        exponent = min(exponents) if exponents else 0
        values: "list[int | None]" = []
        faults = []
        for index, (_, _, scale, value, fault) in enumerate(rows):
            values.append(None if value is None else value * 10 ** (scale - exponent))
            if value is None and fault:
                faults.append((index, fault))
        return pair[0], pair[1], exponent, values, faults


def _day(sample_ticks: int, now: "Now", ticks: int) -> int:
    if now[1] == wire.SOURCE_NONE:
        return 0
    return (now[0] - ticks + sample_ticks) // limits.DAY_MS


def _reading_of(pair: "tuple[int, int]", readings: "list[Reading]") -> "Reading":
    for reading in readings:
        if (reading[0], reading[1]) == pair:
            return reading
    return pair[0], pair[1], 0, None, wire.FAULT_ABSENT
