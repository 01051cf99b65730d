"""What one seed of the coverage bench gives: counts and scores of one town and its attackers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from gateway.cli.bench_coverage_attacks import (
    HARMS,
    World,
    far_world,
    harm_world,
    liars,
    lie_world,
    mixed_world,
)
from gateway.cli.bench_coverage_baselines import BASELINES, refused_share
from gateway.cli.bench_coverage_judge import (
    Bench,
    Case,
    Paid,
    Verifiable,
    by_device,
    judge,
    open_bench,
    pay,
    pool_of,
    verifiable,
)
from gateway.cli.bench_coverage_place import (
    Listeners,
    best_powers,
    colluders_scores,
    honest_scores_by_five,
    listeners_of,
    score_of,
    worlds_by_power,
)
from gateway.cli.bench_coverage_world import Keys, day_of, town
from gateway.core.coverage.model import Coverage, Heard, StationCoverage
from gateway.core.rules import PPM
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict
from gateway.shell.spec_files import read_spec

Pay = Mapping[bytes, Paid]

OURS = "cairn"
EMPTY_KEYS = 1_000
LISTENERS_KEPT = 3
COLLUDERS = (1, 2, 3)
POWER_BY_RULE_DB = 0.0
FIVE_ALONE = "five_alone"
IN_TOWN = "in_town_free_power"
FIVE_FREE_POWER = "five_alone_free_power_2"


class Lie(NamedTuple):
    """So many liars of one kind: how far their claim is, and whether it is where others listen."""

    distance_km: int
    amid: bool
    number: int

    @property
    def name(self) -> str:
        return f"lie_{self.distance_km}km{'' if self.amid else '_into_the_void'}"


BAR_LIE = Lie(3, amid=True, number=8)
# Lies of one line share a town.
LIE_WORLDS = (
    (BAR_LIE,),
    (Lie(1, amid=True, number=4), Lie(10, amid=True, number=4)),
    (Lie(50, amid=True, number=4), Lie(10, amid=False, number=4), Lie(50, amid=False, number=4)),
)
LIES = tuple(lie for world in LIE_WORLDS for lie in world)


@dataclass(slots=True)
class LieCounts:
    """Of the liars of one world: scores of those who were tested, in order; how many were not,
    how many were refused and how many passed as proven; and the town's own scores beside them.

    refused: by baseline, the share of each liar's reports that it refuses; town_refused alike.
    """

    scores: list[float] = field(default_factory=list)
    untested: int = 0
    implausible: int = 0
    proven: int = 0
    pay_ratio: float = 0.0
    town_scores: list[float] = field(default_factory=list)
    town_implausible: int = 0
    refused: list[float] = field(default_factory=list)
    town_refused: list[float] = field(default_factory=list)


@dataclass(slots=True)
class SeedCounts:
    """Everything that one seed gives; pay ratios are against an honest station's in that place.

    rules: SHA-256 of those that judged.
    """

    rules: str = ""
    lies: dict[str, LieCounts] = field(default_factory=dict)
    pay_ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    pool_shares: dict[str, float] = field(default_factory=dict)
    colluders: dict[str, list[float | None]] = field(default_factory=dict)
    five_scores: list[float] = field(default_factory=list)
    kept: tuple[float, float] = (0.0, 0.0)
    harmed: dict[str, tuple[float, float]] = field(default_factory=dict)
    rows_replayed: int = 0
    rows_replayed_heard: int = 0


def measure_seed(seed: int, stations: int, empty: int = EMPTY_KEYS) -> SeedCounts:
    """One town of so many stations, its liars, its rings and its griefers."""
    bench = open_bench(seed)
    counts = SeedCounts(rules=sha256(read_spec("rules/0001.toml")).hexdigest())
    honest = town(seed, stations)
    air = day_of(honest, bench.setting, seed)
    case = Case(honest, air)
    coverage, _ = judge(case, bench)
    known = listeners_of(air, coverage, bench)
    counts.kept = _kept(case, coverage, bench)
    for together in LIE_WORLDS:
        _lies(counts, honest, known, bench, together)
    counts.five_scores = _known(honest_scores_by_five(case, known, bench))
    _far(counts, honest, bench, empty)
    _mixed(counts, honest, bench)
    _harm(counts, case, coverage, bench)
    return counts


def _lies(
    counts: SeedCounts,
    honest: Keys,
    known: Listeners,
    bench: Bench,
    together: Sequence[Lie],
) -> None:
    lying: Keys | None = None
    of: list[str] = []
    for lie in together:
        taken = () if lying is None else tuple(lying.claim_m)
        metres = lie.distance_km * 1_000.0
        more = liars(honest, bench, metres, lie.number, amid=lie.amid, taken=taken)
        lying = more if lying is None else lying.with_rows(more)
        of += [lie.name] * lie.number
    assert lying is not None
    worlds = worlds_by_power(honest, lying, bench)
    if BAR_LIE in together:
        _collude(counts, worlds, honest, known, bench)
    chosen = best_powers(worlds, honest, known, bench)
    world = lie_world(honest, lying, bench, chosen)
    coverage, _ = judge(world.case, bench)
    ours = verifiable(world.case, coverage, bench)
    paid = pay(world.case, ours, bench, coverage.co_located)
    as_honest = _pay_as_honest(world, ours, ("liars",), bench)
    for lie in together:
        rows = [
            row for row, name in zip(world.groups["liars"], of, strict=True) if name == lie.name
        ]
        names = [world.case.keys.names[row] for row in rows]
        one = _lie_counts(coverage, names, honest.names, bench)
        one.pay_ratio = _mean(paid, names) / _mean(as_honest, names)
        one.refused = _known(_least_refused(worlds, row, bench) for row in rows)
        one.town_refused = _known(
            refused_share(world.case, row, bench) for row in range(len(honest))
        )
        counts.lies[lie.name] = one


def _lie_counts(
    coverage: Coverage, names: Sequence[bytes], honest: Sequence[bytes], bench: Bench
) -> LieCounts:
    stations, rules, counts = by_device(coverage), bench.rules.place, LieCounts()
    for name in names:
        score = score_of(stations[name].place, rules)
        if score is None:
            counts.untested += 1
        else:
            counts.scores.append(score)
        counts.implausible += _is_implausible(stations[name])
        counts.proven += stations[name].station_class is StationClass.WITNESSED
    counts.town_scores = _known(score_of(stations[one].place, rules) for one in honest)
    counts.town_implausible = sum(_is_implausible(stations[one]) for one in honest)
    return counts


def _collude(
    counts: SeedCounts,
    worlds: Mapping[float, World],
    honest: Keys,
    known: Listeners,
    bench: Bench,
) -> None:
    by_rule = {POWER_BY_RULE_DB: worlds[POWER_BY_RULE_DB]}

    def scores(colluders: int, of: Mapping[float, World], *, alone: bool) -> list[float | None]:
        return colluders_scores(of, honest, known, bench, colluders=colluders, alone=alone)

    for colluders in COLLUDERS:
        counts.colluders[f"{FIVE_ALONE}_{colluders}"] = scores(colluders, by_rule, alone=True)
        counts.colluders[f"{IN_TOWN}_{colluders}"] = scores(colluders, worlds, alone=False)
    counts.colluders[FIVE_FREE_POWER] = scores(2, worlds, alone=True)


def _least_refused(worlds: Mapping[float, World], row: int, bench: Bench) -> float | None:
    """The smallest share that Helium's rules refuse of a liar, who chooses his power for them."""
    shares = _known(refused_share(world.case, row, bench) for world in worlds.values())
    return min(shares, default=None)


def _far(counts: SeedCounts, honest: Keys, bench: Bench, empty: int) -> None:
    world = far_world(honest, bench, empty)
    coverage, heard = judge(world.case, bench)
    groups = ("pair", "ring")
    for name, (paid, as_honest) in _paid_by(world, groups, coverage, heard, bench).items():
        ratios = counts.pay_ratios.setdefault(name, {})
        for group in groups:
            ratios[group] = _total_ratio(paid, as_honest, world, group)
        keys = [world.case.keys.names[row] for row in world.groups["empty"]]
        taken = sum(paid[key].coverage + paid[key].data for key in keys)
        counts.pool_shares[name] = taken / pool_of(bench)


def _mixed(counts: SeedCounts, honest: Keys, bench: Bench) -> None:
    world = mixed_world(honest, bench)
    coverage, heard = judge(world.case, bench)
    groups = tuple(world.groups)
    for name, (paid, as_honest) in _paid_by(world, groups, coverage, heard, bench).items():
        ratios = counts.pay_ratios.setdefault(name, {})
        for group in groups:
            ratios[group] = _total_ratio(paid, as_honest, world, group)
    replayer = world.case.keys.names[world.groups["replay"][0]]
    rows = [one for one in heard if one.row.witness == replayer]
    counts.rows_replayed = len(rows)
    counts.rows_replayed_heard = sum(one.verdict is Verdict.HEARD for one in rows)


def _harm(counts: SeedCounts, case: Case, before: Coverage, bench: Bench) -> None:
    """What the victims' evidence was worth before, and how much of it the harm took."""
    world = harm_world(case.keys, bench)
    after, _ = judge(world.case, bench)
    was, now = _worth(case, before, bench), _worth(world.case, after, bench)
    for harm in HARMS:
        names = [case.keys.names[row] for row in world.groups[harm]]
        lost = sum(max(was[name] - now[name], 0) for name in names)
        counts.harmed[harm] = (float(lost), float(sum(was[name] for name in names)))


def _paid_by(
    world: World,
    groups: Sequence[str],
    coverage: Coverage,
    heard: Sequence[Heard],
    bench: Bench,
) -> dict[str, tuple[Pay, Pay]]:
    """By system, our rules first: what all keys are paid, and what they would be paid if those of
    the groups were honest.
    """
    ours = verifiable(world.case, coverage, bench)
    paid: dict[str, tuple[Pay, Pay]] = {
        OURS: (
            pay(world.case, ours, bench, coverage.co_located),
            _pay_as_honest(world, ours, groups, bench),
        )
    }
    for name, believe in BASELINES.items():
        believed = believe(world, heard, bench)
        paid[name] = (
            pay(world.case, believed, bench),
            _pay_as_honest(world, believed, groups, bench),
        )
    return paid


def _kept(case: Case, coverage: Coverage, bench: Bench) -> tuple[float, float]:
    """Worth of the stations that three others heard: as judged, and if all were as proven."""
    worth, stations = _worth(case, coverage, bench), by_device(coverage)
    rules, kept, full = bench.rules, 0.0, 0.0
    for i, name in enumerate(case.keys.names):
        if int(case.air.heard[i].any(axis=1).sum()) < LISTENERS_KEPT:
            continue
        used = case.air.slots[i] >= 0
        beacons = int((case.air.heard[i].any(axis=0) & used).sum())
        station = stations[name]
        part = rules.coverage.beacon_part_ppm * beacons / max(int(used.sum()), 1)
        part += rules.coverage.listening_part_ppm * station.listening_hours / 24
        kept += worth[name]
        full += part * rules.verifiability.witnessed_ppm / PPM
    return kept, full


def _worth(case: Case, coverage: Coverage, bench: Bench) -> dict[bytes, float]:
    """u times v of every station: what its coverage is paid by, whatever others do."""
    proven: Mapping[bytes, Verifiable] = verifiable(case, coverage, bench)
    return {name: one.u_ppm * one.v_ppm / PPM for name, one in proven.items()}


def _pay_as_honest(
    world: World, proven: Mapping[bytes, Verifiable], groups: Sequence[str], bench: Bench
) -> dict[bytes, Paid]:
    """What all would be paid if the keys of these groups were proven stations at their claims.

    So an attack is held against honest stations in the same places: what a place is worth, who
    else shares its cell included, is not the attacker's doing.
    """
    full_ppm = bench.rules.verifiability.witnessed_ppm
    honest = Verifiable(StationClass.WITNESSED, full_ppm, PPM)
    names = {world.case.keys.names[row] for group in groups for row in world.groups[group]}
    return pay(world.case, {**proven, **dict.fromkeys(names, honest)}, bench)


def _total_ratio(
    paid: Mapping[bytes, Paid], as_honest: Mapping[bytes, Paid], world: World, group: str
) -> float:
    names = [world.case.keys.names[row] for row in world.groups[group]]
    return sum(paid[name].coverage for name in names) / _mean(as_honest, names)


def _mean(paid: Mapping[bytes, Paid], names: Iterable[bytes]) -> float:
    return float(np.mean([paid[name].coverage for name in names]))


def _is_implausible(station: StationCoverage) -> bool:
    place = station.place
    return place is not None and place.verdict is Verdict.PLACE_IMPLAUSIBLE


def _known(scores: Iterable[float | None]) -> list[float]:
    return [score for score in scores if score is not None]
