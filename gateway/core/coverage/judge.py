"""What a day's coverage evidence comes to: place, path, verifiability and usefulness by station.

spec/coverage.md sections 5 to 10. Nothing here depends on the order of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from gateway.core.coverage.evidence import HOURS, Evidence, proven_hours
from gateway.core.coverage.findings import co_located, refused_rows, with_findings
from gateway.core.coverage.independence import best_weights, path_levels, weighed
from gateway.core.coverage.links import Distances, build_links
from gateway.core.coverage.model import (
    Coverage,
    Heard,
    Link,
    Member,
    PlaceResult,
    Sent,
    StationCoverage,
)
from gateway.core.coverage.placing import by_beaconer, judge_places
from gateway.core.coverage.radio import RadioTables
from gateway.core.coverage.rows import LORA
from gateway.core.epoch_inputs import Finding
from gateway.core.geometry import Point
from gateway.core.rules import PPM, Rules
from gateway.core.slots import StationClass
from gateway.core.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Extras:
    """What is known beside links. share_ppm: the part of the day that lies behind a late commit;
    findings: on commits, reveals and refused rows; both by station.
    """

    share_ppm: Mapping[bytes, int] = field(default_factory=dict)
    findings: Mapping[bytes, Sequence[Finding]] = field(default_factory=dict)


NO_EXTRAS = Extras()


@dataclass(frozen=True, slots=True)
class _Day:
    """What a station's row is taken from. heard_of: LoRa links that heard a station; partners:
    how many stand beside it; the rest as judge_links takes it.
    """

    members: Mapping[bytes, Member]
    heard_of: Mapping[bytes, Sequence[Link]]
    places: Mapping[bytes, PlaceResult]
    levels: Mapping[bytes, int]
    partners: Mapping[bytes, int]
    expected: Mapping[bytes, int]
    heard_beacons: Mapping[bytes, Mapping[int, frozenset[bytes]]]
    hours: Mapping[bytes, int]
    unrevealed: AbstractSet[bytes]
    extras: Extras
    rules: Rules


def judge_evidence(
    members: Sequence[Member],
    evidence: Evidence,
    distance_m: Callable[[Point, Point], int],
    rules: Rules,
    tables: RadioTables,
) -> Coverage:
    """Return what a day's collected evidence comes to."""
    return judge_coverage(
        members,
        evidence.sent,
        evidence.heard,
        evidence.listening,
        evidence.unrevealed,
        distance_m,
        rules,
        tables,
        extras=Extras(evidence.share_ppm, evidence.findings),
    )


def judge_coverage(  # noqa: PLR0917 - the parts of a day's evidence
    members: Sequence[Member],
    sent_by: Mapping[bytes, Sequence[Sent]],
    heard: Sequence[Heard],
    listening: Mapping[bytes, int],
    unrevealed: AbstractSet[bytes],
    distance_m: Callable[[Point, Point], int],
    rules: Rules,
    tables: RadioTables,
    *,
    extras: Extras = NO_EXTRAS,
) -> Coverage:
    """Return what beacons, judged rows and claimed hours (as bits) come to."""
    by_device = {member.device: member for member in members}
    proven = proven_hours(heard, listening)
    distances = Distances(by_device, distance_m)
    links = build_links(
        by_device, sent_by, heard, proven=proven, distances=distances, rules=rules.place
    )
    findings = {device: list(found) for device, found in extras.findings.items()}
    for device, refused in refused_rows(heard).items():
        findings.setdefault(device, []).extend(refused)
    return judge_links(
        members,
        links,
        {device: len(sent) for device, sent in sent_by.items()},
        _heard_beacons(heard),
        {device: hours.bit_count() for device, hours in proven.items()},
        unrevealed,
        rules,
        tables,
        extras=Extras(extras.share_ppm, findings),
    )


def judge_links(  # noqa: PLR0917 - the parts of a day's evidence
    members: Sequence[Member],
    links: Iterable[Link],
    expected: Mapping[bytes, int],
    heard_beacons: Mapping[bytes, Mapping[int, frozenset[bytes]]],
    hours: Mapping[bytes, int],
    unrevealed: AbstractSet[bytes],
    rules: Rules,
    tables: RadioTables,
    *,
    extras: Extras = NO_EXTRAS,
) -> Coverage:
    """Return what links come to; weights and verdicts are set here, but for BEYOND_FREE_SPACE.

    By station, expected: beacons due; heard_beacons: by slot, who heard it over LoRa; hours: in
    how many it was provably listening.
    """
    by_device = {member.device: member for member in members}
    all_links = weighed(links, by_device, rules.coverage)
    lora = [link for link in all_links if link.radio == LORA]
    independent = [link for link in lora if link.weight_ppm]
    coarse = frozenset(member.device for member in members if not member.fine)
    at_first = path_levels(independent, by_device, coarse, rules.coverage)
    places = judge_places(by_device, independent, at_first, rules.place, tables)
    # Once, and not again for those whose witnesses this takes away: a lie must not spread.
    implausible = frozenset(
        device for device, place in places.items() if place.verdict is Verdict.PLACE_IMPLAUSIBLE
    )
    levels = path_levels(independent, by_device, coarse | implausible, rules.coverage)
    pairs = co_located(all_links, rules.coverage)
    day = _Day(
        members=by_device,
        heard_of=by_beaconer(link for link in lora if link.heard),
        places=places,
        levels=levels,
        partners=_partners(pairs),
        expected=expected,
        heard_beacons=heard_beacons,
        hours=hours,
        unrevealed=unrevealed,
        extras=extras,
        rules=rules,
    )
    return Coverage(
        tuple(_station(by_device[device], day) for device in sorted(by_device)),
        tuple(_with_path(link, levels) for link in all_links),
        pairs,
    )


def _heard_beacons(heard: Iterable[Heard]) -> dict[bytes, dict[int, frozenset[bytes]]]:
    """Return who heard each beacon over LoRa, by beaconer and slot."""
    slots: dict[bytes, dict[int, set[bytes]]] = {}
    for row, beaconer, _, verdict in heard:
        if verdict is Verdict.HEARD and row.radio == LORA:
            slots.setdefault(beaconer, {}).setdefault(row.slot, set()).add(row.witness)
    return {
        beaconer: {slot: frozenset(witnesses) for slot, witnesses in by_slot.items()}
        for beaconer, by_slot in slots.items()
    }


def _partners(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, int]:
    partners: dict[bytes, int] = {}
    for pair in pairs:
        for device in pair:
            partners[device] = partners.get(device, 0) + 1
    return partners


def _with_path(link: Link, levels: Mapping[bytes, int]) -> Link:
    if link.weight_ppm and link.heard and link.witness not in levels:
        return link._replace(verdict=Verdict.NO_ANCHOR_PATH)
    return link


def _station(member: Member, day: _Day) -> StationCoverage:
    device, rules = member.device, day.rules
    heard_of = day.heard_of.get(device, ())
    counting = [link for link in heard_of if link.weight_ppm and link.witness in day.levels]
    weights = best_weights(counting, day.members)
    witness_ppm = sum(weights.values())
    place, hops = day.places.get(device), day.levels.get(device)
    sound = member.fine and (place is None or place.verdict is not Verdict.PLACE_IMPLAUSIBLE)
    full = sound and hops is not None and witness_ppm >= rules.coverage.witnesses_full * PPM
    verifiability = rules.verifiability
    station = StationCoverage(
        device=device,
        expected=day.expected.get(device, 0),
        heard=_heard_count(device, {link.witness for link in counting}, day),
        witnesses=len(weights),
        witness_ppm=witness_ppm,
        listening_hours=day.hours.get(device, 0),
        hops=hops,
        place=place,
        v_ppm=verifiability.witnessed_ppm if full else verifiability.unproven_ppm,
        u_ppm=0,
        station_class=StationClass.WITNESSED if full else StationClass.UNPROVEN,
        near_proof=sound and bool(counting),
        unrevealed=device in day.unrevealed,
        findings=(),
    )
    if sound and hops is not None:
        station = station._replace(u_ppm=_u_ppm(station, day))
    given = day.extras.findings.get(device, ())
    return with_findings(station, given, heard_of, day.partners.get(device, 0), rules.coverage)


def _heard_count(device: bytes, witnesses: set[bytes], day: _Day) -> int:
    """Count the beacons that one of `witnesses` heard; never more than were due."""
    by_slot = day.heard_beacons.get(device, {})
    heard = sum(not witnesses.isdisjoint(heard_by) for heard_by in by_slot.values())
    return min(heard, day.expected.get(device, 0))


def _u_ppm(station: StationCoverage, day: _Day) -> int:
    rules = day.rules.coverage
    listened_ppm = rules.listening_part_ppm * station.listening_hours // HOURS
    if station.unrevealed or not station.expected:
        return listened_ppm
    share_ppm = day.extras.share_ppm.get(station.device, PPM)
    due = station.expected * PPM
    return listened_ppm + rules.beacon_part_ppm * station.heard * share_ppm // due
