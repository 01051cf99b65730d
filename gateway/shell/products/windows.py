"""What one station measured of one quantity within ten minutes, judged.

Flags are those of the self checks (`gateway.core.quality.judge`), in the order of time, each
window taking up where the one before it stood. Nothing that comes after the release is judged: it
is counted as late, so that a window never changes its value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import cbor2

from gateway.core.quality import Flag, Judged, Reading, Standing, judge
from gateway.core.quantities import Quantity
from gateway.core.rules import Rules
from gateway.shell.products.robust import mean_direction

# A battery says how a board is, not how the place is.
NOT_OF_A_PLACE = frozenset({"battery"})
_DIRECTION = "deg"


class Window(NamedTuple):
    """value: mean of the readings that passed, in the quantity's unit; None if none did.

    passed, suspect, failed, missing: readings by flag; late: readings after the release.
    """

    quantity: int
    value: float | None
    passed: int
    suspect: int
    failed: int
    missing: int
    late: int


class Sampled(NamedTuple):
    """One sample of a station, as it waits for its window's release. position: in the log."""

    quantity: int
    time_ms: int
    position: int
    place: int
    value: int | None
    exponent: int
    fault: int
    recv_ms: int


Standings = Mapping[int, Standing]


def is_direction(quantity: Quantity) -> bool:
    """Whether values are a circle: the mean of 350 and 10 degrees is 0, not 180."""
    return quantity.ucum == _DIRECTION


def judge_window(
    samples: Iterable[Sampled],
    late: Mapping[int, int],
    standings: Standings,
    quantities: Mapping[int, Quantity],
    rules: Rules,
) -> tuple[list[Window], dict[int, Standing]]:
    """The windows of one station's ten minutes by quantity, and how its sensors stand then."""
    by_quantity: dict[int, list[Reading]] = {code: [] for code in late}
    for one in samples:
        by_quantity.setdefault(one.quantity, []).append(_reading(one))
    windows, after = [], dict(standings)
    for code, readings in sorted(by_quantity.items()):
        quantity = quantities[code]
        judged, standing = judge(quantity, readings, standings.get(code), rules)
        if standing is not None:
            after[code] = standing
        windows.append(_window(quantity, judged, late.get(code, 0)))
    return windows, after


def _reading(one: Sampled) -> Reading:
    # Of equal times the earlier in the log comes first.
    order = one.position.to_bytes(8, "big")
    return Reading(
        one.time_ms, order, one.place, one.value, one.exponent, one.fault, one.recv_ms, None
    )


def _window(quantity: Quantity, judged: Sequence[Judged], late: int) -> Window:
    counts = dict.fromkeys(Flag, 0)
    passed = []
    for one in judged:
        counts[one.flag] += 1
        if one.flag is Flag.PASS:
            passed.append(one.reading)
    return Window(
        quantity.code,
        _mean(quantity, passed),
        counts[Flag.PASS],
        counts[Flag.SUSPECT],
        counts[Flag.FAIL],
        counts[Flag.MISSING],
        late,
    )


def _mean(quantity: Quantity, readings: Sequence[Reading]) -> float | None:
    """The mean, rounded once."""
    if not readings:
        return None
    exponent = min(reading.exponent for reading in readings)
    scaled = [_scaled(reading, exponent) for reading in readings]
    unit: int = 10 ** abs(exponent)
    if is_direction(quantity):
        return mean_direction(sorted(v * unit if exponent > 0 else v / unit for v in scaled))
    # A quotient of integers is rounded once, whatever the order of the readings.
    total, count = sum(scaled), len(scaled)
    return total * unit / count if exponent > 0 else total / (count * unit)


def _scaled(reading: Reading, exponent: int) -> int:
    assert reading.value is not None
    unit: int = 10 ** (reading.exponent - exponent)
    return reading.value * unit


def mean_of_windows(quantity: Quantity, values: Sequence[float]) -> float:
    """One station's mean over a period: its windows weigh the same, however often it sampled."""
    if is_direction(quantity):
        return mean_direction(sorted(values))
    return math.fsum(values) / len(values)


def pack(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Rows of numbers as bytes, for a file that nobody else reads."""
    return cbor2.dumps([list(row) for row in rows])


def unpack_windows(data: bytes) -> list[Window]:
    return [Window(*row) for row in cbor2.loads(data)]


def unpack_samples(data: bytes) -> list[Sampled]:
    return [Sampled(*row) for row in cbor2.loads(data)]


def pack_standings(standings: Standings) -> bytes:
    return pack((code, *standing) for code, standing in sorted(standings.items()))


def unpack_standings(data: bytes) -> dict[int, Standing]:
    return {code: Standing(*rest) for code, *rest in cbor2.loads(data)}
