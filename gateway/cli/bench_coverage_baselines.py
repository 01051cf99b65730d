"""What others would make of the same worlds: belief in every claim, and Helium's last rules."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gateway.cli.bench_coverage_attacks import World
from gateway.cli.bench_coverage_judge import Bench, Case, Verifiable, sent_by
from gateway.cli.bench_coverage_world import Array, Flags, Ints
from gateway.core.coverage.model import Heard, Row, Sent
from gateway.core.rules import PPM
from gateway.core.slots import StationClass
from simulator.baselines.helium_2026 import DISTANCE_KM_MAX, LIGHT_M_PER_S

NONE = "none"
HELIUM = "helium_2026"
# Eight cells of H3 resolution 11.
_NEAR_M = 350.0

# From a world, its judged rows and the bench to what every key is believed.
Believe = Callable[[World, Iterable[Heard], Bench], dict[bytes, Verifiable]]

_FULL = Verifiable(StationClass.WITNESSED, PPM, PPM)
_NOTHING = Verifiable(StationClass.UNPROVEN, 0, 0)


class _Reception(NamedTuple):
    """One report as Helium's rules see it."""

    sent: Sent
    refused: bool


def believe_all(world: World, _heard: Iterable[Heard], _bench: Bench) -> dict[bytes, Verifiable]:
    """Every claim is true."""
    return dict.fromkeys(world.case.keys.names, _FULL)


def believe_helium(world: World, heard: Iterable[Heard], bench: Bench) -> dict[bytes, Verifiable]:
    """A key with one valid witness is paid in full for every beacon that has one."""
    rows = [*(one.row for one in heard), *world.more]
    valid: dict[bytes, set[int]] = {}
    for reception in _receptions(world.case, rows, bench):
        if not reception.refused:
            valid.setdefault(reception.sent.beaconer, set()).add(reception.sent.slot)
    expected = {name: len(sent) for name, sent in sent_by(world.case, bench).items()}
    return {
        name: Verifiable(StationClass.WITNESSED, PPM, PPM * len(valid[name]) // expected[name])
        if valid.get(name)
        else _NOTHING
        for name in world.case.keys.names
    }


BASELINES: Mapping[str, Believe] = {NONE: believe_all, HELIUM: believe_helium}


def refused_share(case: Case, row: int, bench: Bench) -> float | None:
    """Which share of the reports about a station Helium's rules refuse; None without any."""
    heard = case.air.heard[row]
    apart = np.hypot(*(case.keys.claim_m[: len(heard)] - case.keys.claim_m[row]).T)
    refused = _are_refused(
        case.air.rssi_cdbm[row], case.air.power_cdbm[row][None, :], apart[:, None], bench
    )
    return float(refused[heard].mean()) if heard.any() else None


def _receptions(case: Case, rows: Iterable[Row], bench: Bench) -> Iterator[_Reception]:
    sent = {one.tag: one for beacons in sent_by(case, bench).values() for one in beacons}
    places = dict(zip(case.keys.names, case.keys.claim_m, strict=True))
    known = [(row, sent[row.tag]) for row in rows if row.tag in sent]
    if not known:
        return
    apart = [places[one.beaconer] - places[row.witness] for row, one in known]
    refused = _are_refused(
        np.array([row.rssi_cdbm for row, _ in known]),
        np.array([one.power_cdbm for _, one in known]),
        np.hypot(*np.array(apart).T),
        bench,
    )
    for (_, one), is_refused in zip(known, refused.tolist(), strict=True):
        yield _Reception(one, is_refused)


def _are_refused(rssi_cdbm: Ints, power_cdbm: Ints, apart_m: Array, bench: Bench) -> Flags:
    """Helium's witness rules that a sound radio can fail: too near, too far, or too loud.

    simulator/baselines/helium_2026.py has all of its rules, one report at a time; these are the
    three for arrays, antennas of 0 dBi. Levels lose their fraction of a dB, as there.
    """
    frequency_hz = bench.region.frequency_khz * 1e3
    loss_db = 20 * np.log10(4 * np.pi * np.maximum(apart_m, 1.0) * frequency_hz / LIGHT_M_PER_S)
    too_loud = np.trunc(rssi_cdbm / 100) > power_cdbm / 100 - loss_db
    too_far = apart_m >= (DISTANCE_KM_MAX + 1) * 1_000
    return np.asarray((apart_m < _NEAR_M) | too_far | too_loud)
