"""What the attackers of the coverage bench do to an honest town.

An attacker knows the rules, all places and the propagation of the world itself; he has any number
of keys, each with an owner and a connection of its own. He does not know a tag that nobody of his
heard. Several attacks share one world where they cannot help each other.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gateway.cli.bench_coverage_forgery import (
    GRIEF_FAINT,
    GRIEF_LOUD,
    GRIEF_SILENT,
    also_from,
    forge_as_witness,
    made_up,
    replayed,
    speak_ill,
    vouch,
)
from gateway.cli.bench_coverage_judge import Bench, Case
from gateway.cli.bench_coverage_world import (
    SPACING_M,
    TOWN_RADIUS_M,
    TOWN_STATIONS,
    Air,
    Array,
    Keys,
    centre_of_cell,
    copy_air,
    day_of,
    plain_keys,
    with_power,
)
from gateway.core.coverage.model import Row
from simulator.radio import generator_of

LISTENERS_MIN = 5
LISTENERS_WITHIN_M = 1_000.0
POWERS_DB = (-18.0, -12.0, -6.0, 0.0, 6.0, 12.0, 18.0)
ACCOMPLICES = 3
RING = 10
PAIR = 2
RELAYED = "relayed"
HARMS = (GRIEF_LOUD, GRIEF_FAINT, GRIEF_SILENT, RELAYED)

_FAR_M = 200_000.0
_EMPTY_FROM_M = 60_000.0
_EMPTY_STEP_M = 3_200.0
_TRIES_MAX = 5_000
_TESTED = 40
_RELAY_M = 5_000.0
_CLONE_M = 3_000.0
_EDGE = 1.25

Groups = dict[str, tuple[int, ...]]


class World(NamedTuple):
    """A world, and by attack which rows of its keys are the attacker's (or his victims).

    more: reports like those of case.extra, for which our own place test would only be repeated.
    """

    case: Case
    groups: Groups
    more: tuple[Row, ...] = ()


class _Group(NamedTuple):
    """Keys that join the town, and what they do to its day once it is drawn."""

    name: str
    keys: Keys
    edit: Callable[[Keys, Air, Sequence[int]], None]


def _nothing(_keys: Keys, _air: Air, _rows: Sequence[int]) -> None:
    """A group that only sends and listens."""


def _compose(town: Keys, groups: Sequence[_Group], bench: Bench, name: str) -> World:
    keys, placed = town, {}
    for group in groups:
        placed[group.name] = tuple(range(len(keys), len(keys) + len(group.keys)))
        keys = keys.with_rows(group.keys)
    air = day_of(keys, bench.setting, bench.seed, name)
    for group in groups:
        group.edit(keys, air, placed[group.name])
    return World(Case(keys, air), placed)


# ---- lies about a place


def liars(
    town: Keys,
    bench: Bench,
    distance_m: float,
    count: int,
    *,
    amid: bool,
    taken: Sequence[Array] = (),
) -> Keys:
    """Keys whose claim is so far from their place.

    amid: the claim has at least five of the town's stations within 1 km of it, and the place is
    anywhere; else the place is in the town, and the claim where fewer than five are.
    """
    rng = generator_of(bench.seed, "bench", "lie", int(distance_m), int(amid))
    places, claims = [], list(taken)
    for _ in range(count):
        place, claim = _lie(town, rng, distance_m, claims, amid=amid)
        places.append(place)
        claims.append(claim)
    own = np.array(claims[len(taken) :])
    return plain_keys(bench.seed, f"liar {distance_m:.0f} {amid}", np.array(places), own)


def _lie(
    town: Keys, rng: np.random.Generator, distance_m: float, taken: Sequence[Array], *, amid: bool
) -> tuple[Array, Array]:
    for tried in range(_TRIES_MAX):
        inside = centre_of_cell(_somewhere(town, rng))
        angle = rng.uniform(0, 2 * np.pi)
        outside = inside + distance_m * np.array([np.cos(angle), np.sin(angle)])
        place, claim = (outside, inside) if amid else (inside, centre_of_cell(outside))
        apart = np.hypot(*(town.claim_m - claim).T)
        enough = int((apart <= LISTENERS_WITHIN_M).sum()) >= LISTENERS_MIN
        # A full town has no slot left among so many listeners; the lie itself is the same.
        full = tried > _TRIES_MAX // 2
        if enough == amid and (full or _is_free(claim, [*town.claim_m, *taken])):
            return place, claim
    raise AssertionError("no such place in this town")


def lie_world(town: Keys, lying: Keys, bench: Bench, power_db: Array | float) -> World:
    """The town's day with liars who radiate so much more than the rules say.

    As witnesses they write levels that fit their claims, of beacons that they did hear.
    """

    def edit(keys: Keys, air: Air, rows: Sequence[int]) -> None:
        forge_as_witness(keys, air, rows, bench)

    strong = with_power(lying, range(len(lying)), power_db)
    return _compose(town, [_Group("liars", strong, edit)], bench, "lies")


# ---- keys far from everybody


def far_world(town: Keys, bench: Bench, empty: int) -> World:
    """A pair and a ring of ten that hear only themselves, and keys alone in empty cells.

    Pair and ring stand on one bench each and vouch for made-up places. The keys in empty cells
    have no radio; they vouch for each other by twos. Twenty of these twos are brought before the
    place test, which says the same of all: it takes as long as for honest stations.
    """
    groups = [
        _Group(name, _on_one_bench(bench, name, count, side * _FAR_M), edit)
        for name, count, side in (("pair", PAIR, 1), ("ring", RING, -1))
        for edit in [_vouching(bench)]
    ]
    world = _compose(town, groups, bench, "far")
    side = int(np.ceil(np.sqrt(empty)))
    index = np.arange(empty)
    grid = np.stack([index % side, index // side], axis=1).astype(np.float64)
    grid = grid * _EMPTY_STEP_M + _EMPTY_FROM_M
    first = len(world.case.keys)
    keys = world.case.keys.with_rows(plain_keys(bench.seed, "empty", grid, grid))
    sent, reports = made_up(keys, range(first, len(keys)), _EMPTY_STEP_M, bench)
    tested = set(keys.names[first : first + _TESTED])
    shown = tuple(row for row in reports if row.witness in tested)
    rest = tuple(row for row in reports if row.witness not in tested)
    case = Case(keys, world.case.air, extra=shown, extra_sent=sent)
    return World(case, {**world.groups, "empty": tuple(range(first, len(keys)))}, rest)


def _on_one_bench(bench: Bench, name: str, count: int, east_m: float) -> Keys:
    """Keys half a metre apart whose claims lie on a circle, 1.5 slot distances from each other."""
    angles = 2 * np.pi * np.arange(count) / count
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radius = 1.5 * SPACING_M / (2 * np.sin(np.pi / count))
    centre = np.array([east_m, 0.0])
    true_m = centre + np.arange(count)[:, None] * np.array([0.5, 0.0])
    return plain_keys(bench.seed, name, true_m, centre + radius * around)


def _vouching(bench: Bench) -> Callable[[Keys, Air, Sequence[int]], None]:
    def edit(keys: Keys, air: Air, rows: Sequence[int]) -> None:
        for row in rows:
            vouch(keys, air, row, [other for other in rows if other != row], bench)

    return edit


# ---- keys in the town


def mixed_world(town: Keys, bench: Bench) -> World:
    """All attacks that work from inside the town: see the functions that they are made by."""
    rng = generator_of(bench.seed, "bench", "mixed")
    taken: list[Array] = []

    def spot() -> Array:
        taken.append(_free_spot(town, rng, taken))
        return taken[-1]

    for _ in range(2):
        taken.append(_lie(town, rng, _FAR_M, taken, amid=True)[1])
    ghost_m, replay_m = taken
    clone_m, relay_m = spot(), spot()
    spots = np.array([spot() for _ in range(RING)])
    at_bench = spots[0] + np.arange(RING)[:, None] * np.array([0.5, 0.0])
    away = np.array([0.0, _FAR_M])
    groups = [
        _Group("bench_in_town", plain_keys(bench.seed, "bench", at_bench, spots), _forging(bench)),
        _Group(
            "ghost",
            plain_keys(bench.seed, "ghost", ghost_m[None] + away, ghost_m[None]),
            _vouched_by_town(town, bench),
        ),
        _Group(
            "clone",
            plain_keys(bench.seed, "clone", clone_m[None], clone_m[None]),
            _on_a_second_board(bench),
        ),
        # A box at the claimed place sends what the board at home sends: radio cannot tell.
        _Group(
            "relayed_claim",
            plain_keys(bench.seed, "relay", relay_m[None], relay_m[None]),
            _nothing,
        ),
        _Group(
            "replay",
            plain_keys(bench.seed, "replay", replay_m[None] + 2 * away, replay_m[None]),
            _nothing,
        ),
    ]
    world = _compose(town, groups, bench, "mixed")
    rows = replayed(world.case, world.groups["replay"][0], town, bench)
    return World(Case(world.case.keys, world.case.air, extra=rows), world.groups)


def _forging(bench: Bench) -> Callable[[Keys, Air, Sequence[int]], None]:
    return lambda keys, air, rows: forge_as_witness(keys, air, rows, bench)


def _vouched_by_town(town: Keys, bench: Bench) -> Callable[[Keys, Air, Sequence[int]], None]:
    """A claim without any radio, vouched for by the three nearest stations without an audit."""

    def edit(keys: Keys, air: Air, rows: Sequence[int]) -> None:
        for row in rows:
            near = np.argsort(np.hypot(*(town.claim_m - keys.claim_m[row]).T), kind="stable")
            real = [int(one) for one in near if not town.anchored[one]]
            vouch(keys, air, row, real[:ACCOMPLICES], bench)

    return edit


def _on_a_second_board(bench: Bench) -> Callable[[Keys, Air, Sequence[int]], None]:
    """The same key 3 km away: it sends the same beacons, and witnesses note the louder copy."""

    def edit(keys: Keys, air: Air, rows: Sequence[int]) -> None:
        angle = generator_of(bench.seed, "bench", "clone angle").uniform(0, 2 * np.pi)
        for row in rows:
            second = keys.true_m[row] + _CLONE_M * np.array([np.cos(angle), np.sin(angle)])
            also_from(keys, air, row, second, bench, louder=True)

    return edit


# ---- harm to others


def harm_world(town: Keys, bench: Bench) -> World:
    """Every fourth station of the town suffers one kind of harm, once.

    Three stations near the middle that were not audited speak ill of theirs: as loud as free
    space allows, as faint as sensitivity allows, or not at all while they report others. Of the
    last fourth, a box 5 km away repeats what they send within 2 s.
    """
    air = copy_air(day_of(town, bench.setting, bench.seed))
    middle = np.argsort(np.hypot(*town.claim_m.T) + 1e9 * town.anchored, kind="stable")[:3]
    groups: dict[str, list[int]] = {name: [] for name in HARMS}
    for victim in range(len(town)):
        kind = victim % len(HARMS)
        if kind == len(middle):
            box = town.true_m[victim] + np.array([_RELAY_M, 0.0])
            also_from(town, air, victim, box, bench, louder=False)
        else:
            witness = int(middle[kind])
            if witness == victim or not air.heard[victim, witness].any():
                continue
            speak_ill(town, air, (victim, witness), HARMS[kind], bench)
        groups[HARMS[kind]].append(victim)
    return World(Case(town, air), {name: tuple(rows) for name, rows in groups.items()})


# ---- places


def _free_spot(town: Keys, rng: np.random.Generator, taken: Sequence[Array]) -> Array:
    """A place in town or at its edge that is a slot's distance from everybody."""
    for _ in range(_TRIES_MAX):
        spot = centre_of_cell(_EDGE * _somewhere(town, rng))
        if _is_free(spot, [*town.claim_m, *taken]):
            return spot
    raise AssertionError("the town is full")


def _is_free(spot: Array, others: Sequence[Array]) -> bool:
    return bool((np.hypot(*(np.array(others) - spot).T) >= SPACING_M).all())


def _somewhere(town: Keys, rng: np.random.Generator) -> Array:
    radius = TOWN_RADIUS_M * np.sqrt(len(town) / TOWN_STATIONS)
    distance, angle = radius * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return np.asarray(distance * np.array([np.cos(angle), np.sin(angle)]))
