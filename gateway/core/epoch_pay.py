"""Who is paid what in an epoch: slots, allocation, owners' balances, and each station's row.

It knows evaluated stations, not messages. spec/rewards.md sections 2 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway.core import h3bits
from gateway.core.allocator import Allocation, Share, allocate, carry_after, offered, points
from gateway.core.emission import emission
from gateway.core.epoch_inputs import StationRow, Terms, Totals
from gateway.core.epoch_setting import Setting
from gateway.core.epoch_stations import Evaluated, Evaluation
from gateway.core.rules import PPM, REWARD_RESOLUTION, AllocationRules
from gateway.core.slots import SlotCandidate, SlotDecision, StationClass, assign_slots
from gateway.core.verdicts import Verdict

_SAMPLES = 3


class Pay(NamedTuple):
    """rows in the order of the stations; cumulative by owner, held by device, after the epoch."""

    rows: tuple[StationRow, ...]
    totals: Totals
    cumulative: Mapping[bytes, int]
    held: Mapping[bytes, int]


class _Part(NamedTuple):
    """One pool's allocations and their terms, by device."""

    allocations: Mapping[bytes, Allocation]
    terms: Mapping[bytes, Terms]

    def pay(self, device: bytes) -> int:
        allocation = self.allocations.get(device)
        return 0 if allocation is None else allocation.pay


def pay_stations(setting: Setting, evaluation: Evaluation) -> Pay:
    """Return what every station is paid; conservation is asserted.

    Data and coverage have a pool each, the same slot holders and the same arithmetic.
    """
    rules, opening, stations = setting.rules, setting.opening, evaluation.stations
    emitted = emission(setting.epoch_index, rules.emission.schedule)
    pool = offered(emitted, opening.carry, rules.allocation)
    coverage_pool = pool * rules.coverage.pool_ppm // PPM
    candidates = {s.proven.device: s for s in stations if s.qualifies}
    decisions = _slots(setting, candidates, evaluation.coverage.co_located)
    holders = [one for device, one in candidates.items() if decisions[device].holder]
    data = _part(pool - coverage_pool, holders, rules.allocation, lambda one: one.u_ppm)
    coverage = _part(
        coverage_pool,
        holders,
        replace(rules.allocation, rate_cap=rules.coverage.rate_cap),
        lambda one: one.coverage_u_ppm,
    )
    paid = {device: data.pay(device) + coverage.pay(device) for device in data.allocations}
    total = sum(paid.values())
    totals = Totals(
        emission=emitted,
        offered=pool,
        coverage_offered=coverage_pool,
        paid=total,
        coverage_paid=sum(map(coverage.pay, paid)),
        carry_before=opening.carry,
        carry_after=carry_after(emitted, opening.carry, total, rules.allocation),
    )
    cumulative, held = _balances(setting, stations, paid)
    rows = tuple(
        _row(
            station,
            decisions.get(station.proven.device),
            data,
            coverage,
            held=held.get(station.proven.device, 0),
            cumulative=cumulative.get(station.owner, 0),
        )
        for station in stations
    )
    return Pay(rows, totals, cumulative, held)


def reward_cell(scoring_cell: int) -> int:
    """Return the cell in which a station with this scoring cell is paid."""
    return h3bits.parent(scoring_cell, REWARD_RESOLUTION)


def _slots(
    setting: Setting,
    candidates: Mapping[bytes, Evaluated],
    co_located: frozenset[tuple[bytes, bytes]],
) -> dict[bytes, SlotDecision]:
    walk = []
    for device, station in candidates.items():
        since_epoch = station.proven.since_epoch
        assert since_epoch is not None, "who qualifies has just given evidence"
        walk.append(
            SlotCandidate(device, station.centre, station.proven.station_class, since_epoch)
        )
    slots = setting.rules.slots
    return assign_slots(walk, slots.distance_min_m, setting.sphere.distance_m, co_located)


def _part(
    pool: int,
    holders: Sequence[Evaluated],
    rules: AllocationRules,
    u_ppm: Callable[[Evaluated], int],
) -> _Part:
    """Divide one pool over the holders by the usefulness that counts in it."""
    shares = [_share(station, u_ppm(station), rules) for station in holders]
    allocations = allocate(pool, shares, rules)
    return _Part(allocations, _terms(shares, allocations, rules))


def _share(station: Evaluated, u_ppm: int, rules: AllocationRules) -> Share:
    cell = reward_cell(station.proven.scoring_cell)
    unproven = station.proven.station_class is StationClass.UNPROVEN
    return Share(station.proven.device, cell, rules.weight(cell), u_ppm, unproven)


def _terms(
    shares: Sequence[Share], allocations: Mapping[bytes, Allocation], rules: AllocationRules
) -> dict[bytes, Terms]:
    """Return the terms of every holder, with the sums over unproven holders that B is made of."""
    unproven_u: dict[int, int] = {}
    for share in shares:
        unproven_u[share.cell] = unproven_u.get(share.cell, 0) + share.u_ppm * share.unproven
    unproven_points = {cell: points(u_ppm, rules) for cell, u_ppm in unproven_u.items()}
    all_unproven = sum(rules.weight(cell) * own for cell, own in unproven_points.items())
    terms = {}
    for share in shares:
        allocation = allocations[share.station]
        terms[share.station] = Terms(
            allocation.pool_share,
            allocation.unproven_share,
            allocation.rate_cap,
            share.weight,
            allocation.cell_u_ppm,
            allocation.cell_points,
            allocation.all_points,
            unproven_u[share.cell],
            unproven_points[share.cell],
            all_unproven,
        )
    return terms


def _balances(
    setting: Setting, stations: Sequence[Evaluated], paid: Mapping[bytes, int]
) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Return balances by owner and by ownerless station; what was held goes to a known owner."""
    cumulative, held = dict(setting.opening.cumulative), dict(setting.opening.held)
    before = sum(cumulative.values()) + sum(held.values())
    for station in stations:
        device = station.proven.device
        due = paid.get(device, 0) + held.pop(device, 0)
        if due and station.owner:
            cumulative[station.owner] = cumulative.get(station.owner, 0) + due
        elif due:
            held[device] = due
    if sum(cumulative.values()) + sum(held.values()) != before + sum(paid.values()):
        raise AssertionError("balances do not add up to what was paid")
    return cumulative, held


def _row(
    station: Evaluated,
    decision: SlotDecision | None,
    data: _Part,
    coverage: _Part,
    *,
    held: int,
    cumulative: int,
) -> StationRow:
    proven, device = station.proven, station.proven.device
    return StationRow(
        device=device,
        owner=station.owner,
        scoring_cell=proven.scoring_cell,
        reward_cell=reward_cell(proven.scoring_cell),
        centre=station.centre,
        station_class=proven.station_class,
        since_epoch=proven.since_epoch,
        proof_epoch=proven.proof_epoch,
        quality_ppm=station.day.quality_ppm,
        v_ppm=station.v_ppm,
        u_ppm=station.u_ppm,
        coverage_u_ppm=station.coverage_u_ppm,
        blocked_by=None if decision is None else decision.blocked_by,
        distance_m=None if decision is None else decision.distance_m,
        terms=data.terms.get(device),
        coverage_terms=coverage.terms.get(device),
        paid=data.pay(device) + coverage.pay(device),
        coverage_paid=coverage.pay(device),
        held=held,
        cumulative=cumulative,
        reason=_reason(station, data.allocations.get(device), coverage.allocations.get(device)),
        messages=len(station.listed),
        samples=station.listed[:_SAMPLES],
        quantities=station.day.quantities,
        findings=station.findings,
    )


def _reason(station: Evaluated, data: Allocation | None, coverage: Allocation | None) -> Verdict:
    """Return the one verdict that says best why the station got what it got."""
    if not station.day.readings:
        return Verdict.NO_READINGS
    if not station.qualifies:
        return Verdict.LOW_QUALITY
    if data is None or coverage is None:
        return Verdict.STANDBY_DISTANCE
    if not data.pay and not coverage.pay:
        return Verdict.DUST
    if not station.owner:
        return Verdict.NO_OWNER
    return data.bound if data.pay else coverage.bound
