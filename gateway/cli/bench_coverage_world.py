"""Worlds of the coverage bench: who stands where, says what, and what the radio brings.

A place is metres east and north of the town's centre. Radio truth is the simulator's; what
stations say of it is edited by the attackers afterwards, as they could do it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple

import h3
import numpy as np
import numpy.typing as npt

from gateway.core.geometry import Point
from simulator.radio import PRESETS, Propagation, distances_m, generator_of, path_loss_db, receive

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DAY_SLOTS = 1_440
POWER_STEPS = 4
POWER_STEP_DB = 3.0
ANCHOR_SHARE = 10
SCORING_RESOLUTION = 9
SPACING_M = 510.0
# A hundred stations on 50 km2: near six of them are within 1 km of any place of the town.
TOWN_RADIUS_M = 4_000.0
TOWN_STATIONS = 100
# Antenna, cable and site of an honest station against the nominal one, one standard deviation.
SITE_DB = 2.0

_CENTRE = (48_000_000, 11_000_000)
_METRES_PER_E6 = 0.111195
_COS_CENTRE = float(np.cos(np.radians(48.0)))
_TRIES_MAX = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """Stations, one per row of every array.

    true_m, claim_m: (n, 2); power_db: what is radiated beyond what the rules say; gain_db: of the
    receiver; anchored, listens: (n,) flags. Owners and network tags are all different unless an
    attack is about them.
    """

    names: tuple[bytes, ...]
    true_m: Array
    claim_m: Array
    power_db: Array
    gain_db: Array
    anchored: Flags
    listens: Flags

    def __len__(self) -> int:
        return len(self.names)

    def with_rows(self, other: "Keys") -> "Keys":
        """These stations, then those."""
        return Keys(
            self.names + other.names,
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("true_m", "claim_m", "power_db", "gain_db", "anchored", "listens")
            ),
        )


class Air(NamedTuple):
    """A day of beacons: axes are beaconer, witness, beacon; unused beacons have slot -1.

    slots: (n, b); power_cdbm: (n, b), as the rules say; heard, rssi_cdbm: (n, n, b), as the
    witness says.
    """

    slots: Ints
    power_cdbm: Ints
    heard: Flags
    rssi_cdbm: Ints


class Setting(NamedTuple):
    """What is the same in all worlds of one bench."""

    propagation: Propagation
    eirp_dbm: float
    beacon_every_slots: int
    sensitivity_cdbm: int


def preset(name: str) -> Propagation:
    """Surroundings by the simulator's name for them."""
    return PRESETS[name]


def town(seed: int, stations: int) -> Keys:
    """Honest stations in a round town, at least 510 m apart, one in ten of them audited."""
    rng = generator_of(seed, "bench", "town")
    radius = TOWN_RADIUS_M * np.sqrt(stations / TOWN_STATIONS)
    places: list[Array] = []
    for _ in range(_TRIES_MAX):
        if len(places) == stations:
            break
        place = centre_of_cell(_in_disc(rng, radius))
        if all(np.hypot(*(place - other)) >= SPACING_M for other in places):
            places.append(place)
    assert len(places) == stations, "the town is full"
    claim = np.array(places).reshape(-1, 2)
    anchored = np.zeros(stations, dtype=bool)
    anchored[rng.choice(stations, max(1, stations // ANCHOR_SHARE), replace=False)] = True
    return Keys(
        tuple(name_of(seed, "honest", i) for i in range(stations)),
        # Somewhere in the cell whose centre is all that the network knows.
        claim + rng.uniform(-100, 100, (stations, 2)),
        claim,
        rng.normal(0, SITE_DB, stations),
        rng.normal(0, SITE_DB, stations),
        anchored,
        np.ones(stations, dtype=bool),
    )


def plain_keys(
    seed: int, kind: str, true_m: Array, claim_m: Array, power_db: Array | float = 0.0
) -> Keys:
    """Keys without an audit, with mean receivers that always listen."""
    count = len(true_m)
    claims = np.array([centre_of_cell(place) for place in claim_m]).reshape(-1, 2)
    return Keys(
        tuple(name_of(seed, kind, i) for i in range(count)),
        np.asarray(true_m, dtype=float).reshape(-1, 2),
        claims,
        np.broadcast_to(np.asarray(power_db, dtype=float), (count,)).copy(),
        np.zeros(count),
        np.zeros(count, dtype=bool),
        np.ones(count, dtype=bool),
    )


def name_of(seed: int, kind: str, number: int) -> bytes:
    """The device id of a key: 16 bytes."""
    return sha256(f"{seed} {kind} {number}".encode()).digest()[:16]


def day_of(keys: Keys, setting: Setting, seed: int, *names: str | int) -> Air:
    """One day of beacons from all keys, and who hears them. The same names give the same draws."""
    rng = generator_of(seed, "bench", "slots")
    count = len(keys)
    numbers = rng.binomial(DAY_SLOTS, 1 / setting.beacon_every_slots, count)
    width = max(1, int(numbers.max(initial=0)))
    slots = np.sort(rng.integers(0, DAY_SLOTS, (count, width)), axis=1)
    # Two beacons of one station never share a slot.
    slots = np.where(np.diff(slots, prepend=-1, axis=1) == 0, -1, slots)
    slots[np.arange(width)[None, :] >= numbers[:, None]] = -1
    steps = rng.integers(0, POWER_STEPS, (count, width))
    declared = setting.eirp_dbm - POWER_STEP_DB * steps
    loss = path_loss_db(setting.propagation, keys.true_m, seed)
    air = receive(
        setting.propagation,
        np.broadcast_to(loss[:, :, None], (count, count, width)),
        (declared + keys.power_db[:, None])[:, None, :],
        generator_of(seed, "bench", "fading", *names),
        gain_db=keys.gain_db[None, :, None],
    )
    heard = air.heard & (slots >= 0)[:, None, :] & keys.listens[None, :, None]
    heard[np.arange(count), np.arange(count)] = False
    return Air(
        slots, _cdb(declared), heard, np.maximum(_cdb(air.rssi_dbm), setting.sensitivity_cdbm)
    )


def forged_rssi(
    setting: Setting, power_cdbm: Ints, distance_m: float, rng: np.random.Generator
) -> tuple[Flags, Ints]:
    """What a witness would hear in the middle of all odds at this distance: the best forgery.

    power_cdbm: of each beacon, as the rules say. The forger knows the propagation of the world
    itself, and draws fading as the radio does. Answers whether each is audible, and its level.
    """
    air = setting.propagation
    loss = air.reference_db + 10 * air.exponent * np.log10(max(distance_m, 1.0))
    drawn = rng.normal(0, air.fading_db, power_cdbm.shape)
    rssi = power_cdbm + _cdb(drawn - loss)
    return rssi >= setting.sensitivity_cdbm, rssi


def copy_air(air: Air) -> Air:
    """The same day, for an attacker to edit."""
    return Air(air.slots, air.power_cdbm, air.heard.copy(), air.rssi_cdbm.copy())


def with_power(keys: Keys, chosen: Sequence[int], power_db: Array | float) -> Keys:
    """The same keys, these of them radiating so much more than the rules say."""
    power = keys.power_db.copy()
    power[list(chosen)] = power_db
    return replace(keys, power_db=power)


def claimed_distances_m(keys: Keys) -> Array:
    """(n, n) distances between claimed places."""
    return distances_m(keys.claim_m)


def point(place_m: Array) -> Point:
    """Millionths of a degree of a place on the plane."""
    east, north = float(place_m[0]), float(place_m[1])
    return (
        _CENTRE[0] + round(north / _METRES_PER_E6),
        _CENTRE[1] + round(east / _METRES_PER_E6 / _COS_CENTRE),
    )


def cell_of(place_m: Array, resolution: int = SCORING_RESOLUTION) -> int:
    """The H3 cell of a place."""
    latitude, longitude = point(place_m)
    return int(h3.latlng_to_cell(latitude / 1e6, longitude / 1e6, resolution), 16)


def centre_of_cell(place_m: Array) -> Array:
    """The centre of a place's scoring cell, on the plane."""
    latitude, longitude = h3.cell_to_latlng(h3.int_to_str(cell_of(place_m)))
    return np.array(
        [
            (longitude * 1e6 - _CENTRE[1]) * _METRES_PER_E6 * _COS_CENTRE,
            (latitude * 1e6 - _CENTRE[0]) * _METRES_PER_E6,
        ]
    )


def _in_disc(rng: np.random.Generator, radius_m: float) -> Array:
    distance, angle = radius_m * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    return np.asarray(distance * np.array([np.cos(angle), np.sin(angle)]))


def _cdb(decibels: npt.ArrayLike) -> Ints:
    return np.round(np.asarray(decibels, dtype=np.float64) * 100).astype(np.int64)
