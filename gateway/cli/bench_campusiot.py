"""The place test on the real links of simulator.campusiot, beside Helium's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.coverage.model import Link, Observation, PlaceResult
from gateway.core.coverage.place import judge_place, witness_offsets
from gateway.core.coverage.radio import RadioTables
from gateway.core.rules import PlaceRules
from gateway.core.verdicts import Verdict
from simulator import campusiot
from simulator.campusiot import Hearing, Judge, Place, StationDay

# Most frames are SF12, heard down to -137 dBm.
_AUDIBLE_CDB = -15_100
# The published positions are geohashes of 6 characters: 1.2 km x 0.6 km, 390 m off (rms).
_CELL_M = 390


def calibrated(training: Sequence[StationDay], rules: PlaceRules, tables: RadioTables) -> Judge:
    """Return our judge, its witnesses' offsets known from the training alone."""
    real = campus_rules(rules)
    offsets = witness_offsets(_links(training), real, tables)

    def refuses(claim: Place, day: StationDay) -> bool:
        result = judge_hearings(claim, day.hearings, offsets, real, tables)
        return result.verdict is Verdict.PLACE_IMPLAUSIBLE

    return refuses


def campus_rules(rules: PlaceRules) -> PlaceRules:
    """The rules for this data's modulation and for how vague its positions are."""
    return replace(rules, audible_cdb=_AUDIBLE_CDB, cell_m=_CELL_M)


def judge_hearings(
    claim: Place,
    hearings: Sequence[Hearing],
    offsets: dict[bytes, int],
    rules: PlaceRules,
    tables: RadioTables,
) -> PlaceResult:
    """Return what the place test says; gateways without an offset of their own have the mean."""
    common = sorted(offsets.values())[len(offsets) // 2] if offsets else 0
    observations = [
        Observation(
            one.gateway.encode(),
            one.place,
            _excess_cdb(one),
            one.heard,
            one.silent,
            offsets.get(one.gateway.encode(), common),
        )
        for one in hearings
    ]
    return judge_place(claim, observations, rules, tables)


def _links(days: Sequence[StationDay]) -> list[Link]:
    return [
        Link(
            day.transmitter.encode(),
            one.gateway.encode(),
            radio=0,
            heard=one.heard,
            silent=one.silent,
            excess_cdb=_excess_cdb(one),
            distance_m=round(campusiot.apart_m(day.place, one.place)),
            verdict=Verdict.HEARD,
            weight_ppm=1_000_000,
        )
        for day in days
        for one in day.hearings
    ]


def _excess_cdb(one: Hearing) -> int:
    return round(100 * (one.rssi_dbm - campusiot.EIRP_DBM))
