"""How a pool is divided over slot holders, exactly. spec/rewards.md sections 4 and 5.

It knows u, cells and weights, not what they stand for: coverage and data pools call it alike.
Everything is an integer; each payment is one floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.rules import PPM, AllocationRules
from gateway.core.verdicts import Verdict


class Share(NamedTuple):
    """A slot holder: `cell` is its reward cell, `weight` that cell's, `u_ppm` within 0..10**6."""

    station: bytes
    cell: int
    weight: int
    u_ppm: int
    unproven: bool


class Allocation(NamedTuple):
    """What a station is paid, and everything that explain needs to show why.

    The terms are A, B (None for a proven station) and R of spec/rewards.md, in base units;
    `bound` is the PAID_ verdict of the one that decided; then U_c, g(U_c) and Z.
    """

    pay: int
    bound: Verdict
    pool_share: int
    unproven_share: int | None
    rate_cap: int
    cell_u_ppm: int
    cell_points: int
    all_points: int


class _CellTerms(NamedTuple):
    """A cell's fractions: a station's term is numerator * u_ppm // divisor."""

    pool: tuple[int, int]
    unproven: tuple[int, int]
    cap: tuple[int, int]
    u_ppm: int
    points: int


class _Cell:
    """A cell's weight and the sums over its holders."""

    __slots__ = ("u_ppm", "unproven_u_ppm", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.u_ppm = 0
        self.unproven_u_ppm = 0


def points(u_ppm: int, rules: AllocationRules) -> int:
    """Return g(u_ppm): concave, piecewise linear, 0 at 0, flat behind the last segment."""
    total, rest, segment = 0, u_ppm, rules.slope_segment_ppm
    for slope in rules.slopes:
        if rest <= segment:
            return total + slope * max(rest, 0)
        total += slope * segment
        rest -= segment
    return total


def allocate(
    pool: int, shares: Sequence[Share], rules: AllocationRules
) -> dict[bytes, Allocation]:
    """Return each station's allocation of `pool` base units; the sum never exceeds the pool.

    A negative pool, u outside 0..10**6, a station given twice or a cell with two weights is a
    caller's bug: ValueError.
    """
    cells = _sum_cells(pool, shares)
    terms, all_points = _cell_terms(pool, cells, rules)
    allocations = {
        share.station: _allocation(share, terms[share.cell], all_points) for share in shares
    }
    if len(allocations) != len(shares):
        raise ValueError("a station is given twice")
    paid = sum(allocation.pay for allocation in allocations.values())
    if paid > pool:
        raise AssertionError(f"{paid} paid of a pool of {pool}")
    return allocations


def offered(emission: int, carry: int, rules: AllocationRules) -> int:
    """Return the pool of an epoch: its emission and a bounded part of the carry."""
    return emission + carry // rules.carry_reentry_divisor


def carry_after(emission: int, carry: int, paid: int, rules: AllocationRules) -> int:
    """Return what the next epoch inherits; more paid than offered is a bug: ValueError."""
    if not 0 <= paid <= offered(emission, carry, rules):
        raise ValueError(f"{paid} paid of {offered(emission, carry, rules)} offered")
    return carry + emission - paid


def _sum_cells(pool: int, shares: Sequence[Share]) -> dict[int, _Cell]:
    if pool < 0:
        raise ValueError(f"a pool of {pool}")
    cells: dict[int, _Cell] = {}
    for _, cell, weight, u_ppm, unproven in shares:
        sums = cells.get(cell)
        if sums is None:
            sums = cells[cell] = _Cell(weight)
        if not 0 <= u_ppm <= PPM or weight != sums.weight or weight < 0:
            raise ValueError(f"cell {cell:x}: u of {u_ppm} ppm, weight {weight}")
        sums.u_ppm += u_ppm
        if unproven:
            sums.unproven_u_ppm += u_ppm
    return cells


def _cell_terms(
    pool: int, cells: dict[int, _Cell], rules: AllocationRules
) -> tuple[dict[int, _CellTerms], int]:
    """Return every cell's fractions, and Z."""
    all_points = sum(c.weight * points(c.u_ppm, rules) for c in cells.values())
    unproven_points = sum(c.weight * points(c.unproven_u_ppm, rules) for c in cells.values())
    unproven_pool = pool // rules.unproven_pool_divisor
    full_points = rules.default_cell_weight * rules.slopes[0] * rules.slope_segment_ppm
    terms = {}
    for cell, sums in cells.items():
        u_ppm, unproven_u_ppm = sums.u_ppm, sums.unproven_u_ppm
        cell_points = points(u_ppm, rules)
        weighted = sums.weight * cell_points
        unproven_weighted = sums.weight * points(unproven_u_ppm, rules)
        # Where a divisor would be 0, so is the numerator: 0 // 1.
        terms[cell] = _CellTerms(
            (pool * weighted, all_points * u_ppm or 1),
            (unproven_pool * unproven_weighted, unproven_points * unproven_u_ppm or 1),
            (rules.rate_cap * weighted, full_points * u_ppm or 1),
            u_ppm,
            cell_points,
        )
    return terms, all_points


def _allocation(share: Share, terms: _CellTerms, all_points: int) -> Allocation:
    u_ppm = share.u_ppm
    numerator, divisor = terms.pool
    pay = pool_share = numerator * u_ppm // divisor
    bound = Verdict.PAID_POOL_SHARE
    unproven_share = None
    if share.unproven:
        numerator, divisor = terms.unproven
        unproven_share = numerator * u_ppm // divisor
        if unproven_share < pay:
            pay, bound = unproven_share, Verdict.PAID_UNPROVEN_SHARE
    numerator, divisor = terms.cap
    rate_cap = numerator * u_ppm // divisor
    if rate_cap < pay:
        pay, bound = rate_cap, Verdict.PAID_RATE_CAP
    return Allocation(
        pay, bound, pool_share, unproven_share, rate_cap, terms.u_ppm, terms.points, all_points
    )
