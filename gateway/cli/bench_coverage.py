"""`cairn bench coverage`: how the coverage rules fare against liars, rings, forgers and griefers.

Bars at "1 % FPR" are the worse of two operating points: the limits of the committed rules, which
decide pay, and the limit that 1 % of the honest stations of the same towns exceed. So neither
loose rules nor a limit that nobody uses can meet one. The rules' own false alarms have a bar too.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from math import isfinite
from typing import Any

from gateway.cli.bench_coverage_attacks import HARMS
from gateway.cli.bench_coverage_baselines import BASELINES
from gateway.cli.bench_coverage_forgery import GRIEF_FAINT, GRIEF_LOUD, GRIEF_SILENT
from gateway.cli.bench_coverage_measure import (
    BAR_LIE,
    EMPTY_KEYS,
    FIVE_ALONE,
    IN_TOWN,
    LIES,
    OURS,
    SeedCounts,
    measure_seed,
)
from gateway.cli.bench_coverage_stats import (
    Estimate,
    Statistic,
    bar,
    estimate,
    least,
    quantile_limit,
    ratio,
    share_above,
)
from gateway.core.rules import parse_rules
from gateway.shell.spec_files import read_spec

SEEDS = 20
STATIONS = 100
WORKERS = 2
FALSE_ALARMS = 0.01
SYSTEMS = (OURS, *BASELINES)
GRIEFS = (GRIEF_LOUD, GRIEF_FAINT, GRIEF_SILENT)

Document = dict[str, Any]


def measure_coverage(
    seeds: int, stations: int, progress: Callable[[int, int], None], empty: int = EMPTY_KEYS
) -> Document:
    """Bars and figures over seeds 1..seeds as one JSON-able object; about half a minute each.

    progress(done, total) is told of every seed that is done.
    """
    counts: dict[int, SeedCounts] = {}
    # Spawned: a fork would copy the thread that draws the progress bar. Ctrl-C ends them silently.
    with ProcessPoolExecutor(
        min(WORKERS, seeds),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_DFL),
    ) as workers:
        waiting = {
            workers.submit(measure_seed, seed, stations, empty): seed
            for seed in range(1, seeds + 1)
        }
        progress(0, seeds)
        for done in as_completed(waiting):
            counts[waiting[done]] = done.result()
            progress(len(counts), seeds)
    return document([counts[seed] for seed in sorted(counts)], stations)


def document(counts: Sequence[SeedCounts], stations: int) -> Document:
    """All figures of these seeds, with 95 % bootstrap intervals over seeds.

    ValueError if the rules changed between two seeds: then nothing was measured.
    """
    (rules,) = {one.rules for one in counts}
    figures = _Figures(counts)
    return {
        "bars": _bars(figures),
        "seeds": len(counts),
        "stations": stations,
        "rules": rules,
        "pay_against_an_honest_station": {
            attack: {system: figures.pay_ratio(system, attack).as_json() for system in SYSTEMS}
            for attack in counts[0].pay_ratios[OURS]
        },
        "pool_share_of_1000_unproven": {
            system: figures.pool_share(system).as_json() for system in SYSTEMS
        },
        "odds_limit_milli": figures.limits(),
        "lies": {lie.name: figures.lie(lie.name) for lie in LIES},
        "colluders": {kind: figures.colluders(kind) for kind in counts[0].colluders},
        "harm": {harm: figures.harm(harm).as_json() for harm in HARMS},
        "replayed_rows_counted": sum(one.rows_replayed_heard for one in counts),
        "replayed_rows": sum(one.rows_replayed for one in counts),
    }


def _bars(figures: "_Figures") -> list[dict[str, object]]:
    lie = BAR_LIE.name
    return [
        bar("unproven_1000_pool_share", figures.pool_share(OURS), "<=", 0.05),
        bar("lone_pair_coverage_pay_ratio", figures.pay_ratio(OURS, "pair"), "<=", 0.05),
        bar("ring_10_coverage_pay_ratio", figures.pay_ratio(OURS, "ring"), "<=", 0.05),
        bar("bench_of_10_in_town_pay_ratio", figures.pay_ratio(OURS, "bench_in_town"), "<=", 1.2),
        bar("lie_3km_tpr", figures.caught(lie), ">=", 0.95),
        bar("false_alarms_at_rule_limits", figures.false_alarms(lie), "<=", FALSE_ALARMS),
        bar("colluders_2_of_5_tpr", figures.colluders_caught(f"{FIVE_ALONE}_2"), ">=", 0.9),
        bar(
            "colluders_2_of_5_in_town_tpr",
            figures.colluders_caught(f"{IN_TOWN}_2"),
            ">=",
            0.9,
        ),
        bar("griefing_cost", figures.worst_harm(GRIEFS), "<=", 0.02),
        bar("honest_kept", figures.kept(), ">=", 0.99),
    ]


class _Figures:
    """Figures over all seeds. A score above a limit is a place refused."""

    def __init__(self, counts: Sequence[SeedCounts]) -> None:
        self._counts = counts
        rules = parse_rules(read_spec("rules/0001.toml"))
        self._limit = float(rules.place.odds_limit_milli)

    def pay_ratio(self, system: str, attack: str) -> Estimate:
        """Coverage pay of all keys of an attack against one honest station's in their place."""
        ratios = [one.pay_ratios[system][attack] for one in self._counts]
        return self._of(ratio(ratios, [1.0] * len(ratios)))

    def pool_share(self, system: str) -> Estimate:
        """What the keys in empty cells took of both pools."""
        shares = [one.pool_shares[system] for one in self._counts]
        return self._of(ratio(shares, [1.0] * len(shares)))

    def harm(self, name: str) -> Estimate:
        """Which share of its worth a victim lost."""
        return self._of(self._harm(name))

    def worst_harm(self, names: Sequence[str]) -> Estimate:
        """The same of whichever way cost most, seeds resampled for each."""
        return max((self.harm(name) for name in names), key=lambda one: one.value or 0.0)

    def kept(self) -> Estimate:
        """Worth of honest stations with three listeners, against that of as many proven ones."""
        return self._of(
            ratio([one.kept[0] for one in self._counts], [one.kept[1] for one in self._counts])
        )

    def caught(self, lie: str) -> Estimate:
        """Of the liars who were tested, how many are refused: at the worse operating point."""
        return self._of(least([self._at_rules(lie), self._at_false_alarms(lie)]))

    def false_alarms(self, lie: str) -> Estimate:
        """The town's stations that the rules' limits call implausible, of those tested."""
        towns = [one.lies[lie] for one in self._counts]
        refused = [float(town.town_implausible) for town in towns]
        return self._of(ratio(refused, [float(len(town.town_scores)) for town in towns]))

    def limits(self) -> dict[str, float | None]:
        """The odds above which a place is refused: by the rules, and at 1 % false alarms.

        None where 1 % of honest stations are refused whatever the odds.
        """
        every = range(len(self._counts))
        town = [one.lies[BAR_LIE.name].town_scores for one in self._counts]
        five = [one.five_scores for one in self._counts]
        limits = {
            "rules": self._limit,
            "town_1pct": quantile_limit(town, FALSE_ALARMS)(every),
            "by_five_1pct": quantile_limit(five, FALSE_ALARMS)(every),
        }
        return {name: limit if isfinite(limit) else None for name, limit in limits.items()}

    def lie(self, lie: str) -> Document:
        """Everything about one kind of lie."""
        of = [one.lies[lie] for one in self._counts]
        liars = [float(len(one.scores) + one.untested) for one in of]
        helium = share_above(
            [one.refused for one in of],
            quantile_limit([one.town_refused for one in of], FALSE_ALARMS),
        )
        return {
            "liars": int(sum(liars)),
            "tpr_at_rule_limits": self._json(self._at_rules(lie)),
            "fpr_at_rule_limits": self.false_alarms(lie).as_json(),
            "tpr_at_1pct_fpr": self._json(self._at_false_alarms(lie)),
            "untested": self._json(ratio([float(one.untested) for one in of], liars)),
            "passed_as_proven": self._json(ratio([float(one.proven) for one in of], liars)),
            "pay_ratio": self._json(ratio([one.pay_ratio for one in of], [1.0] * len(of))),
            "helium_2026_tpr_at_1pct_fpr": self._json(helium),
        }

    def colluders(self, kind: str) -> Document:
        """Everything about liars with accomplices."""
        of = [one.colluders[kind] for one in self._counts]
        untested = [float(sum(score is None for score in one)) for one in of]
        at_rules, at_false_alarms = self._colluders(kind)
        return {
            "tpr_at_rule_limits": self._json(at_rules),
            "tpr_at_1pct_fpr": self._json(at_false_alarms),
            "untested": self._json(ratio(untested, [float(len(one)) for one in of])),
        }

    def colluders_caught(self, kind: str) -> Estimate:
        """As `caught`."""
        return self._of(least(self._colluders(kind)))

    def _colluders(self, kind: str) -> tuple[Statistic, Statistic]:
        scores = [
            [score for score in one.colluders[kind] if score is not None] for one in self._counts
        ]
        honest = (
            [one.lies[BAR_LIE.name].town_scores for one in self._counts]
            if kind.startswith(IN_TOWN)
            else [one.five_scores for one in self._counts]
        )
        limit = quantile_limit(honest, FALSE_ALARMS)
        return share_above(scores, self._limit), share_above(scores, limit)

    def _at_rules(self, lie: str) -> Statistic:
        return share_above([one.lies[lie].scores for one in self._counts], self._limit)

    def _at_false_alarms(self, lie: str) -> Statistic:
        of = [one.lies[lie] for one in self._counts]
        limit = quantile_limit([one.town_scores for one in of], FALSE_ALARMS)
        return share_above([one.scores for one in of], limit)

    def _harm(self, name: str) -> Statistic:
        return ratio(
            [one.harmed[name][0] for one in self._counts],
            [one.harmed[name][1] for one in self._counts],
        )

    def _of(self, statistic: Statistic) -> Estimate:
        return estimate(len(self._counts), statistic)

    def _json(self, statistic: Statistic) -> dict[str, object]:
        return self._of(statistic).as_json()
