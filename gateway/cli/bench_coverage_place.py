"""The place test alone, as an attacker can run it beforehand: it is public, like its inputs.

So a liar can choose the constant power at which his claim looks best, and a claim can be judged
by any part of its witnesses.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gateway.cli.bench_coverage_attacks import POWERS_DB, World, lie_world
from gateway.cli.bench_coverage_forgery import vouch
from gateway.cli.bench_coverage_judge import Bench, Case
from gateway.cli.bench_coverage_world import Air, Array, Flags, Keys, copy_air, point
from gateway.core.coverage.evidence import HOUR_SLOTS, HOURS
from gateway.core.coverage.model import Coverage, Observation, PlaceResult
from gateway.core.coverage.place import judge_place, witness_offsets
from gateway.core.coverage.rows import LORA
from gateway.core.rules import PlaceRules
from gateway.core.verdicts import Verdict


class Listeners(NamedTuple):
    """An honest town as the place test reads it.

    proven: (n, 24), hours in which each station was provably listening; offsets: by station.
    """

    proven: Flags
    offsets: Mapping[bytes, int]


def listeners_of(air: Air, coverage: Coverage, bench: Bench) -> Listeners:
    """What the town's own day says of its stations as witnesses."""
    proven = np.zeros((len(air.slots), HOURS), dtype=bool)
    beaconers, witnesses, beacons = np.nonzero(air.heard)
    proven[witnesses, air.slots[beaconers, beacons] // HOUR_SLOTS] = True
    independent = [
        link for link in coverage.links if link.radio == LORA and link.weight_ppm and link.heard
    ]
    return Listeners(proven, witness_offsets(independent, bench.rules.place, bench.tables))


def place_of(
    case: Case, row: int, witnesses: Sequence[int], known: Listeners, bench: Bench
) -> PlaceResult:
    """The place test of one station by these witnesses of the town."""
    keys, air = case.keys, case.air
    slots = air.slots[row]
    used = slots >= 0
    observations = []
    for witness in witnesses:
        heard = air.heard[row, witness]
        count = int(heard.sum())
        silent = int((used & ~heard & known.proven[witness, slots // HOUR_SLOTS]).sum())
        excess = air.rssi_cdbm[row, witness] - air.power_cdbm[row]
        observations.append(
            Observation(
                witness=keys.names[witness],
                centre=point(keys.claim_m[witness]),
                excess_cdb=int(excess[heard].sum()) // count if count else 0,
                heard=count,
                silent=silent,
                offset_cdb=known.offsets.get(keys.names[witness], 0),
            )
        )
    return judge_place(point(keys.claim_m[row]), observations, bench.rules.place, bench.tables)


def score_of(place: PlaceResult | None, rules: PlaceRules) -> float | None:
    """The odds against a place, which odds_limit_milli of the rules is held against.

    None if it was not tested; infinite where the second-largest |z| refuses it whatever the odds.
    """
    if place is None or place.verdict is Verdict.PLACE_UNPROVEN:
        return None
    if place.second_z_milli > rules.second_z_limit_milli:
        return float("inf")
    return float(place.odds_milli)


def worlds_by_power(town: Keys, lying: Keys, bench: Bench) -> dict[float, World]:
    """The town's day with these liars, for each power that all of them may choose."""
    return {power: lie_world(town, lying, bench, power) for power in POWERS_DB}


def best_powers(
    worlds: Mapping[float, World], town: Keys, known: Listeners, bench: Bench
) -> Array:
    """The power by which each liar looks best while enough witnesses hear him to be tested."""
    count = len(next(iter(worlds.values())).groups["liars"])
    chosen, lowest = np.zeros(count), np.full(count, np.inf)
    for power, world in worlds.items():
        for i, row in enumerate(world.groups["liars"]):
            place = place_of(world.case, row, range(len(town)), known, bench)
            score = score_of(place, bench.rules.place)
            if score is not None and score < lowest[i]:
                chosen[i], lowest[i] = power, score
    return chosen


def colluders_scores(
    worlds: Mapping[float, World],
    town: Keys,
    known: Listeners,
    bench: Bench,
    *,
    colluders: int,
    alone: bool,
) -> list[float | None]:
    """Scores of liars of whose five nearest listeners some are their own.

    alone: the five are all the witnesses there are, else the whole town listens. Each liar
    chooses among the worlds' powers, knowing what his accomplices will say.
    """
    best: list[float | None] = [None] * len(next(iter(worlds.values())).groups["liars"])
    for world in worlds.values():
        case = Case(world.case.keys, copy_air(world.case.air))
        for i, row in enumerate(world.groups["liars"]):
            five = nearest(town, case.keys.claim_m[row])
            vouch(case.keys, case.air, row, five[:colluders], bench)
            witnesses = five if alone else range(len(town))
            score = score_of(place_of(case, row, witnesses, known, bench), bench.rules.place)
            lower = best[i]
            if score is not None and (lower is None or score < lower):
                best[i] = score
    return best


def honest_scores_by_five(case: Case, known: Listeners, bench: Bench) -> list[float | None]:
    """Scores of the town's stations, each judged by its five nearest listeners alone."""
    return [
        score_of(
            place_of(case, row, nearest(case.keys, case.keys.claim_m[row], row), known, bench),
            bench.rules.place,
        )
        for row in range(len(case.keys))
    ]


def nearest(town: Keys, claim_m: Array, but: int | None = None, count: int = 5) -> list[int]:
    """The stations nearest to a claim, in an order that does not tell which is nearest."""
    apart = np.hypot(*(town.claim_m - claim_m).T)
    near = [int(one) for one in np.argsort(apart, kind="stable") if one != but][:count]
    return sorted(near, key=lambda one: town.names[one])
