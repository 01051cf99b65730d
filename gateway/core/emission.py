"""How much an epoch may pay before carry: a closed set of schedules. spec/rewards.md section 5.

It knows nothing of stations, rules files or time; an epoch is an index counted from genesis.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """`amount` per epoch for `epochs` epochs, then nothing."""

    amount: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Halving:
    """`initial` per epoch, halved (shifted) every `period_epochs`."""

    initial: int
    period_epochs: int


@dataclass(frozen=True, slots=True)
class Geometric:
    """`initial`, times numerator/denominator after every `period_epochs`; numerator is smaller."""

    initial: int
    numerator: int
    denominator: int
    period_epochs: int


@dataclass(frozen=True, slots=True)
class LinearTaper:
    """From `initial` in a straight line to 0 at index `epochs`."""

    initial: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Table:
    """One amount per period of `period_epochs`, then nothing."""

    amounts: tuple[int, ...]
    period_epochs: int


Schedule = Constant | Halving | Geometric | LinearTaper | Table


def emission(epoch_index: int, schedule: Schedule) -> int:
    """Return the base units that epoch `epoch_index` (genesis is 0) adds to the pool.

    An epoch before the genesis is a caller's bug: ValueError.
    """
    if epoch_index < 0:
        raise ValueError(f"epoch {epoch_index} lies before the genesis")
    match schedule:
        case Constant(amount, epochs):
            return amount if epoch_index < epochs else 0
        case Halving(initial, period):
            return initial >> (epoch_index // period)
        case Geometric(initial, numerator, denominator, period):
            k = epoch_index // period
            return int(initial * numerator**k // denominator**k)
        case LinearTaper(initial, epochs):
            return initial * (epochs - epoch_index) // epochs if epoch_index < epochs else 0
        case Table(amounts, period):
            k = epoch_index // period
            return amounts[k] if k < len(amounts) else 0


def supply_bound(schedule: Schedule) -> int:
    """Return base units that the sum over all epochs never exceeds.

    Exact for constant, halving and table; for the others the sum without its floors.
    """
    match schedule:
        case Constant(amount, epochs):
            return amount * epochs
        case Halving(initial, period):
            return period * sum(initial >> k for k in range(initial.bit_length()))
        case Geometric(initial, numerator, denominator, period):
            return period * initial * denominator // (denominator - numerator)
        case LinearTaper(initial, epochs):
            return initial * (epochs + 1) // 2
        case Table(amounts, period):
            return period * sum(amounts)
