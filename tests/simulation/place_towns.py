"""Towns of stations on a plane, with honest radio, liars, colluders and griefers, for calibrating
the place test. One town is one seed; physics is drawn here in floats, the judging is the core's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.core.coverage.model import Link, Observation, PlaceResult
from gateway.core.coverage.place import judge_place, witness_offsets
from gateway.core.coverage.radio import RadioTables
from gateway.core.rules import PlaceRules
from gateway.core.verdicts import Verdict

Floats = npt.NDArray[np.float64]

ORIGIN = (45_000_000, 5_000_000)
NORTH_M, EAST_M = 0.111195, 0.111195 * 0.70710678  # per millionth of a degree
EIRP_DBM, SENSITIVITY_DBM = 16.0, -129.5
BEACONS = 12
STEP_DB = 3.0
CELL_EDGE_M = 200.0
LOST = 0.02  # collisions


class Physics(NamedTuple):
    """What differs from town to town; decibels are standard deviations, clutter a mean loss."""

    exponent: float
    shadow_db: float
    correlation_m: float
    antenna_db: float
    clutter_db: float
    fading_db: float = 3.0


@dataclass(frozen=True)
class Town:
    """claims: (n, 2) cell centres in metres; gain_db: (n, n) from beaconer (row) to witness,
    offsets by witness as the core finds them; excess, heard: (n, n) of the day.
    """

    physics: Physics
    places: Floats
    claims: Floats
    antennas: Floats
    kernel: Floats
    gain_db: Floats
    excess: Floats
    heard: npt.NDArray[np.int64]
    offsets: dict[bytes, int]


def name(index: int) -> bytes:
    return int(index).to_bytes(16, "big")


def point(place: Floats) -> tuple[int, int]:
    """The place as millionths of a degree; east is right to 1 % within 100 km."""
    return ORIGIN[0] + round(place[1] / NORTH_M), ORIGIN[1] + round(place[0] / EAST_M)


# What the core expects before it has seen anything: what a colluder reports.
MEAN_MODEL = Physics(2.7, 0.0, 1.0, 0.0, 0.0)


def some_physics(rng: np.random.Generator) -> Physics:
    exponent = rng.uniform(2.3, 3.4)
    return Physics(
        exponent,
        shadow_db=rng.uniform(6, 9),
        correlation_m=rng.uniform(50, 100),
        antenna_db=rng.uniform(2, 3),
        clutter_db=0.0,
    )


def loss_db(physics: Physics, distance_m: Floats) -> Floats:
    """Mean path loss."""
    apart = np.maximum(distance_m, 10.0)
    return 31.2 + physics.clutter_db + 10 * physics.exponent * np.log10(apart)


def apart_m(a: Floats, b: Floats) -> Floats:
    """(len(a), len(b)) distances."""
    return np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])


def build_town(  # noqa: PLR0917 - what a town may differ in
    seed: int,
    rules: PlaceRules,
    tables: RadioTables,
    stations: int = 100,
    radius_m: float | None = None,
    physics: Physics | None = None,
) -> Town:
    """A town of honest stations in their cells and one day of their beacons."""
    rng = np.random.default_rng((seed, 0))
    physics = physics or some_physics(rng)
    radius = radius_m or rng.uniform(3_000, 8_000)
    claims = _disc(rng, stations, radius)
    # Uniform in a disc of a hexagon's area and so nearly of its moments.
    places = claims + _disc(rng, stations, CELL_EDGE_M * 0.909)
    antennas = rng.normal(0, physics.antenna_db, stations)
    kernel = np.exp(-apart_m(places, places) / physics.correlation_m)
    root = np.linalg.cholesky(kernel + 1e-9 * np.eye(stations))
    noise = rng.normal(0, 1, (stations, stations))
    shadow = physics.shadow_db * (root @ ((noise + noise.T) / np.sqrt(2)) @ root.T)
    gain = antennas[:, None] + antennas - loss_db(physics, apart_m(places, places)) - shadow
    excess, heard = hear(rng, gain, physics.fading_db)
    np.fill_diagonal(heard, 0)
    distance = apart_m(claims, claims)
    links = [
        Link(
            *(name(b), name(w), 0, int(heard[b, w]), BEACONS - int(heard[b, w])),
            *(int(excess[b, w]), int(distance[b, w]), Verdict.HEARD, 1_000_000),
        )
        for b, w in zip(*np.nonzero(heard), strict=True)
    ]
    offsets = witness_offsets(links, rules, tables)
    return Town(physics, places, claims, antennas, root, gain, excess, heard, offsets)


def _disc(rng: np.random.Generator, count: int, radius: float) -> Floats:
    angle, reach = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.uniform(0, 1, count))
    return np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1)


def hear(
    rng: np.random.Generator, gain_db: Floats, fading_db: float, boost_db: float = 0.0
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Excess in cdB (floor of the mean; of links not heard 0) and heard beacons of each link."""
    power = EIRP_DBM - STEP_DB * rng.integers(0, 4, BEACONS)
    shape = (*gain_db.shape, BEACONS)
    rssi = gain_db[..., None] + power + boost_db + rng.normal(0, fading_db, shape)
    arrived = (rssi >= SENSITIVITY_DBM) & (rng.random(shape) >= LOST)
    heard = arrived.sum(axis=-1)
    total = np.where(arrived, 100 * (np.round(rssi) - power), 0).sum(axis=-1)
    return np.floor(total / np.maximum(heard, 1)), heard


def observe(
    town: Town, excess: Floats, heard: npt.NDArray[np.int64], without: int | None = None
) -> list[Observation]:
    """What the town's stations say of one beaconer; (n,) each."""
    return [
        Observation(
            *(name(w), point(town.claims[w]), int(excess[w]), int(heard[w])),
            *(BEACONS - int(heard[w]), town.offsets.get(name(w), 0)),
        )
        for w in range(len(town.claims))
        if w != without
    ]


def judge_honest(town: Town, station: int, rules: PlaceRules, tables: RadioTables) -> PlaceResult:
    seen = observe(town, town.excess[station], town.heard[station], without=station)
    return judge_place(point(town.claims[station]), seen, rules, tables)


@dataclass(frozen=True)
class Lie:
    """A liar at `place` that claims `claim`, and the gain of its links to the town's stations."""

    claim: Floats
    place: Floats
    gain_db: Floats


def tell_lie(  # noqa: PLR0917 - what a lie may differ in
    town: Town,
    rng: np.random.Generator,
    distance_m: float,
    near: int = 5,
    inside: bool = False,  # noqa: FBT001, FBT002
    tries: int = 500,
) -> Lie | None:
    """A lie of that size with at least `near` stations within 1 km of the claim; inside: the liar
    itself has a station within 1 km, else it may be anywhere, outside the town too.
    """
    spread = np.abs(town.claims).max()
    for _ in range(tries):
        claim = _disc(rng, 1, spread)[0]
        angle = rng.uniform(0, 2 * np.pi)
        place = claim + distance_m * np.array([np.cos(angle), np.sin(angle)])
        around = (apart_m(np.stack([claim, place]), town.claims) < 1_000).sum(axis=1)
        if around[0] >= near and (around[1] or not inside):
            return Lie(claim, place, _gain(town, rng, place))
    return None


def _gain(town: Town, rng: np.random.Generator, place: Floats) -> Floats:
    physics = town.physics
    count = len(town.places)
    shadow = physics.shadow_db * (town.kernel @ rng.normal(0, 1, count))
    own = rng.normal(0, physics.antenna_db)
    distance = apart_m(place[None], town.places)[0]
    return own + town.antennas - loss_db(physics, distance) - shadow


def observe_lie(  # noqa: PLR0917 - what a lie may differ in
    town: Town,
    lie: Lie,
    rng: np.random.Generator,
    boost_db: float,
    colluders: int = 0,
    only_near: int | None = None,
) -> list[Observation]:
    """What is said of the liar. Colluders are stations nearest to the claim, who report what an
    honest station at the claim would give; only_near: no others than the nearest so many exist.
    """
    excess, heard = hear(rng, lie.gain_db, town.physics.fading_db, boost_db)
    order = np.argsort(apart_m(lie.claim[None], town.claims)[0], kind="stable")
    if colluders:
        # Spread among the nearest: every other one of them.
        forged = order[: 2 * colluders : 2]
        distance = np.maximum(apart_m(lie.claim[None], town.claims)[0][forged], 100.0)
        excess[forged] = -100 * loss_db(MEAN_MODEL, distance)
        excess[forged] += [town.offsets.get(name(w), 0) for w in forged]
        heard[forged] = BEACONS
    seen = observe(town, excess, heard)
    return [seen[w] for w in order[:only_near]]


def griefs(town: Town, station: int, griefer: int) -> list[list[Observation]]:
    """What is said of an honest station when one witness forges: from very loud to silent."""
    seen = observe(town, town.excess[station], town.heard[station])
    values = [(-7_000, BEACONS), (-9_500, BEACONS), (-12_000, BEACONS), (-14_500, 3), (0, 0)]
    return [
        [
            one._replace(excess_cdb=level, heard=heard, silent=BEACONS - heard)
            if w == griefer
            else one
            for w, one in enumerate(seen)
            if w != station
        ]
        for level, heard in values
    ]
