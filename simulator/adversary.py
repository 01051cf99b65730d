"""The attackers of a fleet: each one says what it is after, and how it is built into the plans.

A liar is a station with unchanged firmware and a key like any other; what lies is the claim that
its owner entered, the hardware under it (lying_boards.py), its sensors or its link
(lying_sensors.py). So every attack reaches the gateway as real signed messages.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from simulator.liars import Liars
from simulator.lying_boards import (
    ForgingBoard,
    GriefingBoard,
    ReplayingBoard,
    RingBoard,
    WormholeBoard,
)
from simulator.lying_sensors import WithholdingLink, clone, forecast, frozen
from simulator.medium import Antenna
from simulator.places import Place, Town, place_at, scoring_cell
from simulator.radio import Propagation
from simulator.run import StationPlan, place_commitment
from simulator.seeds import derive, stream
from simulator.sensors import Quantity, WeatherStation
from simulator.weather import Weather

# Beyond every radio of the town.
AWAY_M = 60_000.0
BENCH_M = 10.0
RING_KEYS = 10
RING_SPACING_M = 700.0
PAIR_SPACING_M = 1_500.0
TUNNEL_M = 2_500.0
EMPTY_FROM_M, EMPTY_TO_M = 2_000.0, 30_000.0
# A liar who moves chooses one power for good; he does not know what would fit.
OFFSET_DB_MAX = 10.0
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class TooManyLiars(ValueError):  # noqa: N818 - says what is wrong
    """A fleet has too few ordinary stations for its liars."""


@dataclass(slots=True)
class Draft:
    """A fleet whose liars are not cast yet. Lists are by station; plans are replaced in place."""

    seed: int
    town: Town
    places: list[Place]
    plans: list[StationPlan]
    sensors: list[WeatherStation]
    field: Weather
    quantities: dict[str, Quantity]
    propagation: Propagation

    def claim(self, index: int, east_m: float, north_m: float) -> None:
        """Let a station say that it stands elsewhere."""
        place = place_at(self.town, east_m, north_m, self.places[index].height_m)
        salt = derive(self.seed, "salt", index)
        self.plans[index] = replace(
            self.plans[index],
            scoring_cell=scoring_cell(place.lat_deg, place.lon_deg),
            place_commitment=place_commitment(salt, place.lat_deg, place.lon_deg),
        )

    def stand(self, index: int, east_m: float, north_m: float, power_db: float = 0.0) -> None:
        """Move a station's radios, and nothing else."""
        plan = self.plans[index]
        antenna = replace(plan.antenna, east_m=east_m, north_m=north_m, power_db=power_db)
        self.plans[index] = replace(plan, antenna=antenna)


@dataclass(frozen=True, slots=True)
class Cast:
    """One instance of an attack: number counts those of its name; members are station numbers."""

    number: int
    members: tuple[int, ...]
    generator: random.Random


@dataclass(frozen=True, slots=True)
class Attack:
    """tries: what it is after, for people. stations: how many one instance takes. radio: it needs
    a network with beacons. direct: it cannot be carried over MQTT.
    """

    name: str
    tries: str
    enlist: Callable[[Draft, Cast], None]
    stations: int = 1
    radio: bool = True
    direct: bool = False


def choose(liars: Liars, candidates: range, seed: int) -> list[tuple[str, Cast]]:
    """Draw the stations of every instance of every attack from the candidates. TooManyLiars if
    they are too few.
    """
    wanted = [(ATTACKS[name], count) for name, count in liars.counts()]
    needed = sum(attack.stations * count for attack, count in wanted)
    if needed > len(candidates):
        raise TooManyLiars(f"the liars take {needed} stations, {len(candidates)} may lie")
    left = list(candidates)
    stream(seed, "liars").shuffle(left)
    chosen = []
    for attack, count in wanted:
        for number in range(count):
            members = tuple(left.pop() for _ in range(attack.stations))
            generator = stream(seed, "liar", attack.name, number)
            chosen.append((attack.name, Cast(number, members, generator)))
    return chosen


def enlist(draft: Draft, chosen: list[tuple[str, Cast]]) -> None:
    """Turn the chosen stations into liars."""
    for name, cast in chosen:
        attack = ATTACKS[name]
        attack.enlist(draft, cast)
        for index in cast.members:
            draft.plans[index] = replace(draft.plans[index], attack=name, tries=attack.tries)


# ---- place


def _location_lie(distance_m: float, draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    place = draft.places[index]
    # Towards the middle, so that there are stations around the claimed place too.
    away = math.hypot(place.east_m, place.north_m) or 1.0
    east = place.east_m - distance_m * place.east_m / away
    north = place.north_m - distance_m * place.north_m / away
    draft.claim(index, east, north)
    offset_db = cast.generator.uniform(-OFFSET_DB_MAX, OFFSET_DB_MAX)
    draft.stand(index, place.east_m, place.north_m, offset_db)


def _lone_pair(draft: Draft, cast: Cast) -> None:
    turn = cast.generator.uniform(0, 2 * math.pi)
    east, north = AWAY_M * math.cos(turn), AWAY_M * math.sin(turn)
    # On one bench, through attenuators that make up for the distance that they claim.
    decades = math.log10(PAIR_SPACING_M / BENCH_M)
    damping_db = 10 * draft.propagation.exponent * decades
    for side, index in enumerate(cast.members):
        draft.claim(index, east + side * PAIR_SPACING_M, north)
        draft.stand(index, east + side * BENCH_M, north, -damping_db)


def _ring(draft: Draft, cast: Cast) -> None:
    turn = cast.generator.uniform(0, 2 * math.pi)
    radius_m = draft.town.radius_m + 3 * RING_SPACING_M
    columns = math.ceil(math.sqrt(RING_KEYS))
    for place, index in enumerate(cast.members):
        row, column = divmod(place, columns)
        east = radius_m * math.cos(turn) + column * RING_SPACING_M
        north = radius_m * math.sin(turn) + row * RING_SPACING_M
        draft.claim(index, east, north)
        draft.stand(index, AWAY_M, AWAY_M)
        draft.plans[index] = replace(
            draft.plans[index],
            hardware=partial(
                RingBoard,
                ring=f"ring {cast.number}",
                claimed=Antenna(east, north),
                propagation=draft.propagation,
            ),
        )


def _unproven_key(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    # A sunflower around the town: even, and every key in a cell of its own.
    turn = cast.number * GOLDEN_ANGLE
    inner_m = draft.town.radius_m + EMPTY_FROM_M
    outer_m = draft.town.radius_m + EMPTY_TO_M
    share = (cast.number % 1_000 + 0.5) / 1_000
    radius_m = math.sqrt(inner_m**2 + share * (outer_m**2 - inner_m**2))
    draft.claim(index, radius_m * math.cos(turn), radius_m * math.sin(turn))
    draft.stand(index, AWAY_M, AWAY_M)
    plan = draft.plans[index]
    draft.plans[index] = replace(plan, region=0, antenna=replace(plan.antenna, radios=()))


# ---- radio


def _wormhole(draft: Draft, cast: Cast) -> None:
    near, far = cast.members
    place = draft.places[near]
    turn = cast.generator.uniform(0, 2 * math.pi)
    draft.claim(
        far,
        place.east_m + TUNNEL_M * math.cos(turn),
        place.north_m + TUNNEL_M * math.sin(turn),
    )
    draft.stand(far, AWAY_M, -AWAY_M)
    for index in cast.members:
        hardware = partial(WormholeBoard, tunnel=f"wormhole {cast.number}", near=index == near)
        draft.plans[index] = replace(draft.plans[index], hardware=hardware)


def _rssi_forgery(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    draft.stand(index, -AWAY_M, AWAY_M)
    draft.plans[index] = replace(draft.plans[index], hardware=ForgingBoard)


def _replayed_reports(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    hardware = partial(ReplayingBoard, copied=_nearest(draft, index))
    draft.plans[index] = replace(draft.plans[index], hardware=hardware)


def _griefing_witness(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    draft.plans[index] = replace(draft.plans[index], hardware=GriefingBoard)


def _key_clone(draft: Draft, cast: Cast) -> None:
    original, copy = cast.members
    draft.plans[copy] = replace(draft.plans[copy], key_seed=draft.plans[original].key_seed)


# ---- readings


def _forecast_copy(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    plan = draft.plans[index]
    sampler = partial(forecast, plan, draft.field, cast.generator, draft.quantities)
    draft.plans[index] = replace(plan, sampler=sampler)


def _frozen(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    plan = draft.plans[index]
    draft.plans[index] = replace(plan, sampler=partial(frozen, plan))


def _clone_neighbour(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    plan = draft.plans[index]
    neighbour = draft.sensors[_nearest(draft, index)]
    sampler = partial(clone, plan, neighbour, cast.generator, draft.quantities)
    draft.plans[index] = replace(plan, sampler=sampler, carriage=WithholdingLink)


def _backfill(draft: Draft, cast: Cast) -> None:
    [index] = cast.members
    draft.plans[index] = replace(draft.plans[index], carriage=WithholdingLink)


def _nearest(draft: Draft, index: int) -> int:
    """The station that stands nearest."""
    own = draft.places[index]
    others = (i for i in range(len(draft.places)) if i != index)
    return min(
        others,
        key=lambda i: math.hypot(
            draft.places[i].east_m - own.east_m, draft.places[i].north_m - own.north_m
        ),
    )


def _lie(distance_km: int) -> Attack:
    return Attack(
        f"location_lie_{distance_km}km",
        f"be paid for a place {distance_km} km from where it stands",
        partial(_location_lie, distance_km * 1_000.0),
    )


_ALL = (
    _lie(1),
    _lie(3),
    _lie(10),
    _lie(50),
    Attack("lone_pair", "two on one bench prove each other in empty country", _lone_pair, 2),
    Attack("ring", "ten keys on one bench prove ten places to each other", _ring, RING_KEYS),
    Attack("unproven_keys", "be paid for an empty cell without any radio", _unproven_key),
    Attack(
        "wormhole", "be heard in a town where it does not stand, through a relay", _wormhole, 2
    ),
    Attack("rssi_forgery", "witness what it never heard, with made-up levels", _rssi_forgery),
    Attack("replayed_reports", "witness what it or another heard before", _replayed_reports),
    Attack("key_clone", "run two stations on one key", _key_clone, 2, radio=False, direct=True),
    Attack("griefing_witness", "make its neighbours look misplaced", _griefing_witness),
    Attack("forecast_copy", "sell a forecast as measurements", _forecast_copy, radio=False),
    Attack("frozen", "be paid for values that never change", _frozen, radio=False),
    Attack(
        "clone_neighbour",
        "copy a neighbour's readings once they are out, under an older time",
        _clone_neighbour,
        radio=False,
    ),
    Attack("backfill", "deliver its readings after everybody's are out", _backfill, radio=False),
)
ATTACKS: Mapping[str, Attack] = {attack.name: attack for attack in _ALL}
