"""How far a station can be contradicted: its class and verifiability, from the evidence of days.

spec/rewards.md section 11. Evidence comes from coverage and from peers; what it is worth in pay is
decided here, what it is made of is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from gateway.core.coverage.model import StationCoverage
from gateway.core.rules import Rules
from gateway.core.slots import StationClass
from gateway.core.state import StationState
from gateway.core.verdicts import Verdict


class Proof(NamedTuple):
    """station_class and v_ppm of the epoch; station: with what the next epochs need to know."""

    station_class: StationClass
    v_ppm: int
    station: StationState


def prove(
    station: StationState,
    epoch: int,
    rules: Rules,
    coverage: StationCoverage | None,
    *,
    anchored: bool,
    agrees: bool,
) -> Proof:
    """Return what the epoch's evidence makes of a station.

    anchored: audited by hand; agrees: its peers do. A class outlives its evidence by fewer than
    slots.class_lapse_epochs epochs, unless the evidence contradicts the station's place.
    """
    station = _remember(station, epoch, coverage, rules)
    if anchored:
        # The audit stands for itself: when it is withdrawn, nothing older takes its place.
        station = replace(station, proof_class=StationClass.UNPROVEN, proof_epoch=None)
        return Proof(StationClass.WITNESSED, rules.verifiability.anchored_ppm, station)
    if _contradicted(coverage):
        station = replace(station, proof_class=StationClass.UNPROVEN, proof_epoch=None)
        return Proof(StationClass.UNPROVEN, rules.verifiability.unproven_ppm, station)
    today = _today(coverage, agrees=agrees)
    # The better class (the smaller number) counts, and evidence for it makes it last anew.
    if today is not StationClass.UNPROVEN and today <= _kept(station, epoch, rules):
        station = replace(station, proof_class=today, proof_epoch=epoch)
    held = _kept(station, epoch, rules)
    return Proof(held, _v_ppm(held, station, rules), station)


def _today(coverage: StationCoverage | None, *, agrees: bool) -> StationClass:
    """The class of this day's evidence alone.

    Peers lift only a station that somebody heard: data alone can be made up for any number of
    keys, a beacon at a witness's antenna takes a radio in that place.
    """
    if coverage is None:
        return StationClass.UNPROVEN
    if coverage.station_class is StationClass.WITNESSED:
        return StationClass.WITNESSED
    if agrees and coverage.near_proof:
        return StationClass.PEER_CHECKED
    return StationClass.UNPROVEN


def _contradicted(coverage: StationCoverage | None) -> bool:
    place = None if coverage is None else coverage.place
    return place is not None and place.verdict is Verdict.PLACE_IMPLAUSIBLE


def _kept(station: StationState, epoch: int, rules: Rules) -> StationClass:
    """The class that evidence of late still holds up."""
    last = station.proof_epoch
    if last is None or epoch - last >= rules.slots.class_lapse_epochs:
        return StationClass.UNPROVEN
    return station.proof_class


def _v_ppm(held: StationClass, station: StationState, rules: Rules) -> int:
    verifiability = rules.verifiability
    v_ppm = {
        StationClass.WITNESSED: verifiability.witnessed_ppm,
        StationClass.PEER_CHECKED: verifiability.peer_checked_ppm,
        StationClass.UNPROVEN: verifiability.unproven_ppm,
    }[held]
    if len(station.unrevealed) >= rules.coverage.unrevealed_days:
        v_ppm = min(v_ppm, verifiability.peer_checked_ppm)
    return v_ppm


def _remember(
    station: StationState, epoch: int, coverage: StationCoverage | None, rules: Rules
) -> StationState:
    """The days of late without a reveal, this one included."""
    first = epoch - rules.coverage.unrevealed_within + 1
    days = [day for day in station.unrevealed if day >= first]
    if coverage is not None and coverage.unrevealed:
        days.append(epoch)
    return replace(station, unrevealed=tuple(days))
