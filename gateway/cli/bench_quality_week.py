"""One week of a network of thermometers, judged by the same functions as an epoch's close.

Series by the hour go in; what comes out is what the gateway would make of every station: credits,
correlation with peers, pay. Nothing of it is re-implemented here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.core.allocator import Share, allocate
from gateway.core.emission import emission
from gateway.core.geometry import Point, Sphere
from gateway.core.model import Declared
from gateway.core.neighbour import Neighbour, NeighbourOutcome
from gateway.core.neighbourhood import check_neighbours
from gateway.core.peer_days import PeerDay
from gateway.core.quality import JudgedKey, Reading, Standing, judge
from gateway.core.quantities import Quantity
from gateway.core.rules import PPM, Rules
from gateway.core.station_day import JudgedDay, StationDay, score_day
from gateway.core.verdicts import Verdict

TEMPERATURE = 0
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_EXPONENT = -1
# A board samples inside its hour, not on its edge.
_INSIDE_MS = 120_000
_KEY = (TEMPERATURE, 0)
# What a detector may count against a station; a missing reading is bad luck.
_SUSPICIOUS = frozenset(
    {Verdict.OUT_OF_RANGE, Verdict.STEP, Verdict.FLAT_LINE, Verdict.BUDDY, Verdict.COPIED}
)


class Ground(NamedTuple):
    """What every week is judged with."""

    rules: Rules
    quantities: dict[int, Quantity]
    sphere: Sphere


@dataclass(slots=True)
class Member:
    """A station of the bench: its place and series (hours, degC, NaN where missing).

    delay_ms: from the sample to the gateway. After a week: scores and outcomes are
    those of its days.
    """

    device: bytes
    centre: Point
    degrees: npt.NDArray[np.float64]
    delay_ms: int
    trusted: bool
    senior_epoch: int = 0
    peers: tuple[PeerDay, ...] = ()
    standing: Standing | None = None
    scores: list[StationDay] = field(default_factory=list)
    outcomes: list[NeighbourOutcome] = field(default_factory=list)


def live(members: Sequence[Member], first_epoch: int, days: int, ground: Ground) -> None:
    """Close `days` epochs in a row; fills scores and outcomes of every member."""
    for day in range(days):
        epoch = first_epoch + day
        judged = {member.device: _judge(member, epoch, day, ground) for member in members}
        neighbours = [
            Neighbour(
                member.device,
                b"",
                member.centre,
                member.trusted,
                member.senior_epoch,
                judged[member.device].keys,
                member.peers,
            )
            for member in members
        ]
        rules = ground.rules
        outcomes = check_neighbours(epoch, neighbours, ground.quantities, ground.sphere, rules)
        for member in members:
            outcome = outcomes[member.device]
            member.outcomes.append(outcome)
            member.peers = outcome.peers
            member.standing = judged[member.device].keys[0].standing
            member.scores.append(score_day(judged[member.device], outcome, rules))


def _judge(member: Member, epoch: int, day: int, ground: Ground) -> JudgedDay:
    """The member's readings of a day, judged by themselves."""
    start_ms = epoch * DAY_MS
    readings = []
    for hour, degree in enumerate(member.degrees[24 * day : 24 * day + 24]):
        if not np.isnan(degree):
            time_ms = start_ms + hour * HOUR_MS + _INSIDE_MS
            name = member.device + time_ms.to_bytes(16, "big")
            value = round(float(degree) * 10)
            arrives_ms = time_ms + member.delay_ms
            readings.append(Reading(time_ms, name, 0, value, _EXPONENT, 0, arrives_ms, None))
    quantity = ground.quantities[TEMPERATURE]
    judged, standing = judge(quantity, readings, member.standing, ground.rules)
    declared = Declared(*_KEY, HOUR_MS)
    key = JudgedKey(declared, quantity, tuple(judged), standing)
    return JudgedDay(start_ms, DAY_MS, (key,), (), len(readings))


def suspicion(member: Member) -> float:
    """How suspicious a week is: what verdicts took of its windows, and what its peers say.

    One number for a curve; what a station is paid does not come from it.
    """
    taken = sum(
        penalty.lost_ppm
        for day in member.scores
        for quantity in day.quantities
        for penalty in quantity.penalties
        if penalty.verdict in _SUSPICIOUS
    )
    windows = sum(quantity.expected for day in member.scores for quantity in day.quantities)
    correlation_ppm = member.outcomes[-1].correlation_ppm
    # Nobody's opinion is no evidence: it counts as that of a middling honest station.
    follows = 500_000 if correlation_ppm is None else correlation_ppm
    return (taken / windows + PPM - follows) / PPM


def pay(members: Sequence[Member], v_ppm: Sequence[int], ground: Ground) -> list[int]:
    """Return what each member earns in the week in base units, each in a cell of its own."""
    totals = [0] * len(members)
    rules = ground.rules
    pool = emission(0, rules.emission.schedule)
    for day in range(len(members[0].scores)):
        shares = []
        for number, member in enumerate(members):
            quality_ppm = member.scores[day].quality_ppm
            if quality_ppm >= rules.quality.threshold_ppm:
                u_ppm = quality_ppm * v_ppm[number] // PPM
                weight = rules.allocation.default_cell_weight
                unproven = v_ppm[number] == rules.verifiability.unproven_ppm
                shares.append(Share(member.device, number, weight, u_ppm, unproven))
        paid = allocate(pool, shares, rules.allocation)
        for number, member in enumerate(members):
            if member.device in paid:
                totals[number] += paid[member.device].pay
    return totals
