"""One product: what a cell's stations say of one quantity in one period, and how surely.

docs/products.md says what each number means. Numbers are kept as integers, in steps a hundred
times finer than the sensors', so that every format tells the same ones.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.core.quality import Flag
from gateway.core.quantities import Quantity
from gateway.shell.products.periods import WINDOW_MS, Period
from gateway.shell.products.robust import Estimate, estimate, estimate_direction
from gateway.shell.products.windows import Window, is_direction, mean_of_windows

COVERAGE_UNIT = 10_000
# Decimal places that a product has beyond its sensors.
_FINER = 2


class Content(NamedTuple):
    """mean, spread, error: in 10**step(quantity); coverage: in 1/10,000; see docs/products.md."""

    mean: int | None
    spread: int | None
    error: int | None
    stations: int
    expected: int
    readings: int
    suspect: int
    failed: int
    missing: int
    late: int
    coverage: int
    flag: int


class Product(NamedTuple):
    """A content with its name; revision: 1 as first released, one more for every change."""

    cell: int
    period_ms: int
    quantity: int
    start_ms: int
    revision: int
    made_ms: int
    content: Content


class Promise(NamedTuple):
    """What a station of the cell promised: one reading of a quantity every interval_ms."""

    device: bytes
    quantity: int
    interval_ms: int


def step(quantity: Quantity) -> int:
    """The exponent of ten in which a product's numbers are kept."""
    return quantity.resolution - _FINER


def number(quantity: Quantity, kept: int | None) -> float | None:
    """A kept number in the quantity's unit: the float nearest to its decimal text."""
    if kept is None:
        return None
    exponent = step(quantity)
    return kept / 10**-exponent if exponent < 0 else float(kept * 10**exponent)


def combine(
    quantity: Quantity,
    period: Period,
    windows: Iterable[tuple[bytes, Window]],
    promises: Iterable[Promise],
) -> Content:
    """The content from the stations' windows of the period, of which there is one at least."""
    by_device: dict[bytes, list[Window]] = {}
    for device, window in windows:
        by_device.setdefault(device, []).append(window)
    everything = [window for own in by_device.values() for window in own]
    values = {
        device: [window.value for window in own if window.value is not None]
        for device, own in by_device.items()
    }
    means = [mean_of_windows(quantity, own) for own in values.values() if own]
    found = _estimate(quantity, means)
    counts = [sum(each) for each in zip(*(one[2:] for one in everything), strict=True)]
    passed, suspect, failed, missing, late = counts
    heard = {device: len(own) for device, own in values.items()}
    expected, coverage = _coverage(period, heard, promises)
    return Content(
        mean=_kept(quantity, found.mean),
        spread=_kept(quantity, found.spread),
        error=_kept(quantity, found.error),
        stations=len(means),
        expected=expected,
        readings=passed,
        suspect=suspect,
        failed=failed,
        missing=missing,
        late=late,
        coverage=coverage,
        flag=_flag(passed, suspect + failed + missing),
    )


def _estimate(quantity: Quantity, means: list[float]) -> Estimate:
    unit = 10.0**quantity.resolution
    return (estimate_direction if is_direction(quantity) else estimate)(means, unit)


def _kept(quantity: Quantity, value: float | None) -> int | None:
    if value is None:
        return None
    exponent = step(quantity)
    unit: int = 10 ** abs(exponent)
    return round(value * unit if exponent < 0 else value / unit)


def _coverage(
    period: Period, heard: Mapping[bytes, int], promises: Iterable[Promise]
) -> tuple[int, int]:
    """How many stations should have spoken, and the share of what they should have said.

    A station that promises less than a reading per window is asked for no more than it promised.
    """
    intervals = dict.fromkeys(heard, WINDOW_MS)
    for promise in sorted(promises):
        intervals[promise.device] = max(promise.interval_ms, WINDOW_MS)
    given_ms = sum(
        min(heard.get(device, 0) * interval_ms, period.length_ms)
        for device, interval_ms in intervals.items()
    )
    wanted_ms = len(intervals) * period.length_ms
    return len(intervals), given_ms * COVERAGE_UNIT // wanted_ms


def _flag(passed: int, others: int) -> int:
    """QARTOD's flag of the whole: whether its readings in time mostly passed."""
    if not passed:
        return int(Flag.FAIL if others else Flag.MISSING)
    return int(Flag.PASS if passed >= others else Flag.SUSPECT)
