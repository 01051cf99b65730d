"""One seed of `cairn bench quality`: a random week, a network, every attack and every detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.cli.bench_quality_week import DAY_MS, HOUR_MS, Ground, Member, live, pay, suspicion
from gateway.core.buddy import Limits, buddy_check, find_near, to_positions
from gateway.core.verdicts import Verdict
from simulator.baselines import titan_buddy, wxm_qod
from simulator.fabricated import Carriers, downburst, fabricate, front, gross

STATIONS = 250
TARGETS = 25
DAYS = 7
DETECTORS = ("none", "wxm_qod", "titan_buddy", "ours")
NEIGHBOUR_VERDICTS = frozenset({Verdict.BUDDY, Verdict.PEERS_DISAGREE, Verdict.COPIED})

Floats = npt.NDArray[np.float64]


class Seed(NamedTuple):
    """Scores by attack and detector, honest scores alike; pay by attack over an honest station's.

    pay_by_class: the same if peers decide between peer-checked and unproven; taken: what neighbour
    verdicts took of honest stations' credit; agreeing, disagreeing: the share that peers agree and
    disagree with at the week's end, by attack, and "honest".
    """

    honest: Mapping[str, Mapping[str, list[float]]]
    attackers: Mapping[str, Mapping[str, list[float]]]
    pay: Mapping[str, float]
    pay_by_class: Mapping[str, float]
    taken: float
    agreeing: Mapping[str, float]
    disagreeing: Mapping[str, float]


def draw_network(
    carriers: Carriers, generator: np.random.Generator
) -> tuple[Carriers, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return a week of STATIONS stations and more, the network's rows and the targets' rows.

    Targets are no stations of the network: an attacker's honest twin would stand beside it.
    """
    last = len(carriers.degrees) // 24 - DAYS
    week = carriers.week(int(generator.integers(0, last + 1)), DAYS)
    network = min(STATIONS, len(week) * 4 // 5)
    week = week.some(generator.permutation(len(week))[: network + 3 * TARGETS])
    spare = np.flatnonzero(~gross(week))
    return week, np.arange(network), spare[spare >= network][:TARGETS]


def run_seed(carriers: Carriers, number: int, ground: Ground) -> Seed:
    """Measure one seed. Deterministic in (carriers, number)."""
    generator = np.random.default_rng(number)
    week, network, targets = draw_network(carriers, generator)
    honest = [_member(b"h", row, week, week.degrees[:, row]) for row in network.tolist()]
    attacks = fabricate(generator, week, targets, network)
    crews = {
        attack.name: [
            _member(attack.name.encode(), row, week, attack.degrees[:, place], attack.delay_ms)
            for place, row in enumerate(targets.tolist())
        ]
        for attack in attacks
    }
    everybody = [*honest, *(member for crew in crews.values() for member in crew)]
    live(everybody, week.first_hour * HOUR_MS // DAY_MS, DAYS, ground)
    good = np.flatnonzero(~gross(week)[network])
    fair = [honest[row] for row in good.tolist()]
    scores = {
        attack.name: _scores(week, network, targets, attack.degrees, good, ground)
        for attack in attacks
    }
    ours = [suspicion(member) for member in fair]
    equal, by_class = _pay(fair, crews, ground)
    groups = {"honest": fair, **crews}
    return Seed(
        {name: {**both[0], "ours": ours} for name, both in scores.items()},
        {
            name: {**both[1], "ours": [suspicion(member) for member in crews[name]]}
            for name, both in scores.items()
        },
        equal,
        by_class,
        taken(fair),
        {name: _agreeing(crew) for name, crew in groups.items()},
        {name: _disagreeing(crew) for name, crew in groups.items()},
    )


def run_extremes(carriers: Carriers, number: int, ground: Ground) -> dict[str, float]:
    """Return by kind of honest extreme what neighbour verdicts took of the stations it touched."""
    generator = np.random.default_rng(number)
    week, network, _ = draw_network(carriers, generator)
    week = week.some(network)
    good = ~gross(week)
    centre = int(generator.choice(np.flatnonzero(good)))
    hour = int(generator.integers(24, 24 * (DAYS - 1)))
    inside = week.distances_km()[centre] < 8.0
    cases = {
        "front": (front(week, hour, 10.0, 50.0), good),
        "slow_front": (front(week, hour, 10.0, 10.0), good),
        "downburst": (downburst(week, hour, 12.0, 8.0, centre), good & inside),
    }
    lost = {}
    for name, (degrees, touched) in cases.items():
        members = [_member(b"h", row, week, degrees[:, row]) for row in range(len(week))]
        live(members, week.first_hour * HOUR_MS // DAY_MS, DAYS, ground)
        lost[name] = taken([members[row] for row in np.flatnonzero(touched).tolist()])
    return lost


def taken(members: Sequence[Member]) -> float:
    """Return the share of all windows' credit that neighbour verdicts took."""
    lost = sum(
        penalty.lost_ppm
        for member in members
        for day in member.scores
        for quantity in day.quantities
        for penalty in quantity.penalties
        if penalty.verdict in NEIGHBOUR_VERDICTS
    )
    windows = sum(q.expected for m in members for day in m.scores for q in day.quantities)
    return lost / 1e6 / windows if windows else 0.0


def _agreeing(members: Sequence[Member]) -> float:
    return sum(member.outcomes[-1].agrees for member in members) / len(members)


def _disagreeing(members: Sequence[Member]) -> float:
    limits = [member.outcomes[-1].limits.values() for member in members]
    verdict = Verdict.PEERS_DISAGREE
    return sum(any(one.verdict is verdict for one in each) for each in limits) / len(members)


def titan_check(week: Carriers, ground: Ground) -> titan_buddy.Check:
    """Return TITAN's buddy check over these places, as our own function computes it."""
    positions = to_positions([ground.sphere.position_cm(place) for place in places(week)])
    near = find_near(positions, 100 * titan_buddy.RADIUS_M)
    limits = Limits(
        titan_buddy.NEIGHBOURS_MIN,
        titan_buddy.THRESHOLD_MILLI,
        titan_buddy.SD_MIN_HUNDREDTHS,
        titan_buddy.ITERATIONS,
    )
    return lambda values, there: buddy_check(values, there, near, limits).flags


def places(week: Carriers) -> list[tuple[int, int]]:
    """Return (latitude, longitude) of every station in millionths of a degree."""
    return list(zip(week.lat_e6.tolist(), week.lon_e6.tolist(), strict=True))


def _scores(  # noqa: PLR0917 - who is honest, who is not
    week: Carriers,
    network: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    made_up: Floats,
    good: npt.NDArray[np.int64],
    ground: Ground,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """The baselines' scores of honest stations and attackers; the higher, the more suspicious."""
    scene = week.some(np.concatenate((network, targets)))
    scene.degrees[:, len(network) :] = made_up
    scores = {
        "none": np.zeros(len(scene)),
        "wxm_qod": 1.0 - wxm_qod.score(scene.degrees),
        "titan_buddy": titan_buddy.flagged_share(scene.degrees, titan_check(scene, ground)),
    }
    honest = {name: score[good].tolist() for name, score in scores.items()}
    attackers = {name: score[len(network) :].tolist() for name, score in scores.items()}
    return honest, attackers


def _pay(
    fair: Sequence[Member], crews: Mapping[str, Sequence[Member]], ground: Ground
) -> tuple[dict[str, float], dict[str, float]]:
    """Attackers' mean pay over an honest station's: in one class, and in the class peers give."""
    worth = ground.rules.verifiability
    everybody = [*fair, *(member for crew in crews.values() for member in crew)]
    equal = pay(everybody, [worth.witnessed_ppm] * len(everybody), ground)
    classes = [
        worth.peer_checked_ppm if member.outcomes[-1].agrees else worth.unproven_ppm
        for member in everybody
    ]
    by_class = pay(everybody, classes, ground)
    return _ratios(equal, len(fair), crews), _ratios(by_class, len(fair), crews)


def _ratios(
    paid: Sequence[int], honest: int, crews: Mapping[str, Sequence[Member]]
) -> dict[str, float]:
    mean = sum(paid[:honest]) / honest
    ratios, first = {}, honest
    for name, crew in crews.items():
        ratios[name] = sum(paid[first : first + len(crew)]) / len(crew) / mean
        first += len(crew)
    return ratios


def _member(
    label: bytes, row: int, week: Carriers, degrees: Floats, delay_ms: int | None = None
) -> Member:
    """A station at a row's place; attackers (those with a delay) are nobody's witness."""
    device = label[:12].ljust(12, b".") + row.to_bytes(4, "big")
    centre = (int(week.lat_e6[row]), int(week.lon_e6[row]))
    honest = delay_ms is None
    late_ms = 2_000 if delay_ms is None else delay_ms
    return Member(device, centre, degrees, late_ms, trusted=honest, senior_epoch=0)
