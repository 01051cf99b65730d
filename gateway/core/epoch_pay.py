"""Who is paid what in an epoch: slots, allocation, owners' balances, and each station's row.

It knows evaluated stations, not messages. spec/rewards.md sections 2 to 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.core import h3bits
from gateway.core.allocator import Allocation, Share, allocate, carry_after, offered, points
from gateway.core.emission import emission
from gateway.core.epoch_inputs import StationRow, Terms, Totals
from gateway.core.epoch_setting import Setting
from gateway.core.epoch_stations import Evaluated
from gateway.core.rules import REWARD_RESOLUTION, AllocationRules
from gateway.core.slots import SlotCandidate, SlotDecision, StationClass, assign_slots
from gateway.core.verdicts import Verdict

_SAMPLES = 3


class Pay(NamedTuple):
    """rows in the order of the stations; cumulative by owner, held by device, after the epoch."""

    rows: tuple[StationRow, ...]
    totals: Totals
    cumulative: Mapping[bytes, int]
    held: Mapping[bytes, int]


def pay_stations(setting: Setting, stations: Sequence[Evaluated]) -> Pay:
    """Return what every station is paid; conservation is asserted."""
    rules, opening = setting.rules, setting.opening
    emitted = emission(setting.epoch_index, rules.emission.schedule)
    pool = offered(emitted, opening.carry, rules.allocation)
    candidates = {s.proven.device: s for s in stations if s.qualifies}
    decisions = _slots(setting, candidates)
    shares = [
        _share(station, rules.allocation)
        for device, station in candidates.items()
        if decisions[device].holder
    ]
    allocations = allocate(pool, shares, rules.allocation)
    terms = _terms(shares, allocations, rules.allocation)
    paid = {device: allocation.pay for device, allocation in allocations.items()}
    total = sum(paid.values())
    carried = carry_after(emitted, opening.carry, total, rules.allocation)
    cumulative, held = _balances(setting, stations, paid)
    rows = tuple(
        _row(
            station,
            decisions.get(station.proven.device),
            allocations.get(station.proven.device),
            terms.get(station.proven.device),
            held=held.get(station.proven.device, 0),
            cumulative=cumulative.get(station.owner, 0),
        )
        for station in stations
    )
    return Pay(rows, Totals(emitted, pool, total, opening.carry, carried), cumulative, held)


def reward_cell(scoring_cell: int) -> int:
    """Return the cell in which a station with this scoring cell is paid."""
    return h3bits.parent(scoring_cell, REWARD_RESOLUTION)


def _slots(setting: Setting, candidates: Mapping[bytes, Evaluated]) -> dict[bytes, SlotDecision]:
    walk = []
    for device, station in candidates.items():
        since_epoch = station.proven.since_epoch
        assert since_epoch is not None, "who qualifies has just given evidence"
        walk.append(
            SlotCandidate(device, station.centre, station.proven.station_class, since_epoch)
        )
    return assign_slots(walk, setting.rules.slots.distance_min_m, setting.sphere.distance_m)


def _share(station: Evaluated, rules: AllocationRules) -> Share:
    cell = reward_cell(station.proven.scoring_cell)
    unproven = station.proven.station_class is StationClass.UNPROVEN
    return Share(station.proven.device, cell, rules.weight(cell), station.u_ppm, unproven)


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
    allocation: Allocation | None,
    terms: Terms | None,
    *,
    held: int,
    cumulative: int,
) -> StationRow:
    proven = station.proven
    return StationRow(
        device=proven.device,
        owner=station.owner,
        scoring_cell=proven.scoring_cell,
        reward_cell=reward_cell(proven.scoring_cell),
        centre=station.centre,
        station_class=proven.station_class,
        since_epoch=proven.since_epoch,
        quality_ppm=station.day.quality_ppm,
        v_ppm=station.v_ppm,
        u_ppm=station.u_ppm,
        blocked_by=None if decision is None else decision.blocked_by,
        distance_m=None if decision is None else decision.distance_m,
        terms=terms,
        paid=0 if allocation is None else allocation.pay,
        held=held,
        cumulative=cumulative,
        reason=_reason(station, allocation),
        messages=len(station.listed),
        samples=station.listed[:_SAMPLES],
        quantities=station.day.quantities,
        findings=station.findings,
    )


def _reason(station: Evaluated, allocation: Allocation | None) -> Verdict:
    """Return the one verdict that says best why the station got what it got."""
    if not station.day.readings:
        return Verdict.NO_READINGS
    if not station.qualifies:
        return Verdict.LOW_QUALITY
    if allocation is None:
        return Verdict.STANDBY_DISTANCE
    if not allocation.pay:
        return Verdict.DUST
    return allocation.bound if station.owner else Verdict.NO_OWNER
