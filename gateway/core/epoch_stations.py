"""Every station of an epoch evaluated: registration, chain, quality, class. Not yet its pay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.core import h3bits
from gateway.core.chain import NOTHING_BEFORE, Before, ChainFindings, ChainLink, chain_findings
from gateway.core.coverage.evidence import Evidence
from gateway.core.coverage.model import Coverage, Member, StationCoverage
from gateway.core.epoch_coverage import epoch_coverage, epoch_evidence, member_of
from gateway.core.epoch_inputs import EpochError, Finding
from gateway.core.epoch_setting import Setting
from gateway.core.geometry import Point
from gateway.core.listing import DeviceMessages, Item, Listing
from gateway.core.model import Readings
from gateway.core.neighbour import Neighbour, NeighbourOutcome
from gateway.core.neighbourhood import check_neighbours
from gateway.core.proof import Proof, prove
from gateway.core.rules import PPM
from gateway.core.slots import StationClass
from gateway.core.state import StationState
from gateway.core.station_day import JudgedDay, StationDay, judge_day, score_day
from gateway.core.stations import (
    Registration,
    next_station,
    register,
    with_evidence,
    without_evidence,
)
from gateway.core.verdicts import Verdict

_COARSE_RESOLUTION = 7
_EXAMPLES = 2


class Evaluated(NamedTuple):
    """A registered station's epoch before pay. owner: b"" while nobody is known.

    proven: the station with this epoch's class and seniority; later: as the next epoch finds it;
    u_ppm: of its data, coverage_u_ppm: of its coverage, v_ppm counted in both.
    """

    proven: StationState
    later: StationState
    moved: bool
    owner: bytes
    centre: Point
    day: StationDay
    v_ppm: int
    u_ppm: int
    coverage_u_ppm: int
    qualifies: bool
    listed: tuple[bytes, ...]
    findings: tuple[Finding, ...]


class Evaluation(NamedTuple):
    """stations: ascending by device; delivered: of every device that ever sent a message."""

    stations: tuple[Evaluated, ...]
    coverage: Coverage
    delivered: Mapping[bytes, Before]


class Present(NamedTuple):
    """A station that is registered when the epoch ends, and its messages; nothing is judged."""

    registration: Registration
    messages: DeviceMessages
    chain: ChainFindings
    centre: Point


_NOTHING = DeviceMessages()


def evaluate_stations(epoch: int, setting: Setting, listing: Listing) -> Evaluation:
    """Return all stations that are registered when the epoch ends, and what was delivered.

    What the radio says comes first: who may speak about others hangs on it. Then each station's
    readings are judged by themselves, then beside those of its neighbours.
    """
    present, delivered = present_stations(epoch, setting, listing)
    coverage = judge_radio(epoch, setting, listing, present)
    heard = {one.device: one for one in coverage.stations}
    judged = [
        _judge(epoch, setting, one, heard.get(one.registration.now.device)) for one in present
    ]
    said = check_neighbours(
        epoch,
        [_neighbour(setting, one) for one in judged],
        setting.quantities,
        setting.sphere,
        setting.rules,
    )
    stations = tuple(
        _evaluate(epoch, setting, one, said[one.present.registration.now.device]) for one in judged
    )
    return Evaluation(stations, coverage, delivered)


def present_stations(
    epoch: int, setting: Setting, listing: Listing
) -> tuple[list[Present], dict[bytes, Before]]:
    """Return the registered stations, ascending by device, and what every device delivered."""
    opening = setting.opening
    delivered = dict(opening.delivered)
    present = []
    for device in sorted({*opening.stations, *listing.devices}):
        messages = listing.devices.get(device, _NOTHING)
        links = _links((*messages.listed, *messages.late, *messages.refused))
        chain = chain_findings(
            links, delivered.get(device, NOTHING_BEFORE), _links(messages.waiting)
        )
        if links:
            delivered[device] = chain.after
        registration = register(
            epoch,
            opening.stations.get(device),
            (item.message for item in messages.known()),
            chain.unpaid,
        )
        if registration is not None:
            centre = _centre(setting, registration.now.scoring_cell)
            present.append(Present(registration, messages, chain, centre))
    return present, delivered


def judge_radio(
    epoch: int, setting: Setting, listing: Listing, present: Sequence[Present]
) -> Coverage:
    """Return the coverage of the stations that are present."""
    members = coverage_members(setting, present)
    return epoch_coverage(
        setting, members, coverage_evidence(epoch, setting, listing, present, members)
    )


def coverage_members(setting: Setting, present: Sequence[Present]) -> list[Member]:
    """Return the stations as coverage sees them."""
    return [member_of(setting, one.registration.now, one.centre, one.messages) for one in present]


def coverage_evidence(
    epoch: int,
    setting: Setting,
    listing: Listing,
    present: Sequence[Present],
    members: Sequence[Member],
) -> Evidence:
    """Return what was sent and heard; forked messages and those in quarantine count nothing."""
    quarantined = setting.operator.quarantined()
    unpaid = {message_id for one in present for message_id in one.chain.unpaid}
    unpaid |= {
        item.entry.message_id
        for one in present
        for item in one.messages.listed
        if _in_ranges(item, quarantined.get(item.message.device, ()))
    }
    return epoch_evidence(epoch, setting, listing, members, frozenset(unpaid))


def _links(items: Iterable[Item]) -> list[ChainLink]:
    return [ChainLink(item.message, item.entry.net_tag) for item in items]


class _Judged(NamedTuple):
    """A station after its own readings were judged. alone: its proof if no peer agrees."""

    present: Present
    coverage: StationCoverage | None
    unpaid: Mapping[bytes, Verdict]
    day: JudgedDay
    alone: Proof


def _judge(
    epoch: int, setting: Setting, present: Present, coverage: StationCoverage | None
) -> _Judged:
    station, messages = present.registration.now, present.messages
    quarantined = setting.operator.quarantined().get(station.device, ())
    unpaid = _unpaid(messages.listed, present.chain, quarantined)
    day = judge_day(
        station,
        epoch,
        messages.listed,
        unpaid,
        quantities=setting.quantities,
        rules=setting.rules,
    )
    return _Judged(
        present, coverage, unpaid, day, _prove(epoch, setting, station, coverage, agrees=False)
    )


def _prove(
    epoch: int,
    setting: Setting,
    station: StationState,
    coverage: StationCoverage | None,
    *,
    agrees: bool,
) -> Proof:
    anchored = station.device in setting.operator.anchored
    return prove(station, epoch, setting.rules, coverage, anchored=anchored, agrees=agrees)


def _neighbour(setting: Setting, judged: _Judged) -> Neighbour:
    """Return the station as its neighbours see it: trusted is who is proven without them."""
    station = judged.present.registration.now
    since_epoch = station.since_epoch
    return Neighbour(
        device=station.device,
        owner=setting.operator.owners.get(station.device, station.owner),
        centre=judged.present.centre,
        trusted=judged.alone.station_class is StationClass.WITNESSED,
        senior_epoch=station.registered_epoch if since_epoch is None else since_epoch,
        keys=judged.day.keys,
        peers=station.peers,
    )


def _evaluate(epoch: int, setting: Setting, judged: _Judged, said: NeighbourOutcome) -> Evaluated:
    registration, messages, chain, centre = judged.present
    station, rules, coverage = registration.now, setting.rules, judged.coverage
    day = score_day(judged.day, said, rules)
    proof = _prove(epoch, setting, station, coverage, agrees=said.agrees)
    qualifies = day.quality_ppm >= rules.quality.threshold_ppm
    follow = with_evidence if qualifies else without_evidence
    proven = follow(proof.station, epoch, proof.station_class, rules.slots.class_lapse_epochs)
    heard = () if coverage is None else coverage.findings
    findings = (
        *_findings(messages, chain, judged.unpaid, epoch - setting.epoch_index),
        *day.findings,
        *_coarse(proven),
        *heard,
    )
    return Evaluated(
        proven=proven,
        later=next_station(registration, proven, day.standings, said.peers),
        moved=registration.moved,
        owner=setting.operator.owners.get(station.device, station.owner),
        centre=centre,
        day=day,
        v_ppm=proof.v_ppm,
        u_ppm=day.quality_ppm * proof.v_ppm // PPM,
        coverage_u_ppm=0 if coverage is None else coverage.u_ppm * proof.v_ppm // PPM,
        qualifies=qualifies,
        listed=tuple(item.entry.message_id for item in messages.listed),
        findings=tuple(sorted(findings, key=lambda finding: finding.verdict)),
    )


def _unpaid(
    items: Iterable[Item], chain: ChainFindings, quarantined: Sequence[tuple[int, int]]
) -> dict[bytes, Verdict]:
    """Return FORKED or QUARANTINED by id, for readings alone."""
    unpaid = {}
    for item in items:
        message = item.message
        if not isinstance(message.body, Readings):
            continue
        if message.message_id in chain.unpaid:
            unpaid[message.message_id] = Verdict.FORKED
        elif _in_ranges(item, quarantined):
            unpaid[message.message_id] = Verdict.QUARANTINED
    return unpaid


def _in_ranges(item: Item, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= item.message.seq <= last for first, last in ranges)


def _findings(
    messages: DeviceMessages,
    chain: ChainFindings,
    unpaid: Mapping[bytes, Verdict],
    first_epoch: int,
) -> Iterable[Finding]:
    """Yield what the messages and the chain show; ids in ascending order."""
    groups: dict[Verdict, list[bytes]] = {}
    for item in messages.listed:
        if item.entry.verdict is Verdict.NOT_EVALUATED:
            groups.setdefault(Verdict.NOT_EVALUATED, []).append(item.entry.message_id)
        if item.placed is not None and item.placed.fault is not None:
            groups.setdefault(item.placed.fault, []).append(item.entry.message_id)
    # What boards said before the network's first day came too late for nothing.
    groups[Verdict.AFTER_CLOSE] = [
        item.entry.message_id
        for item in messages.late
        if item.placed is None or item.placed.epoch >= first_epoch
    ]
    groups[Verdict.QUARANTINED] = [
        message_id for message_id, verdict in unpaid.items() if verdict is Verdict.QUARANTINED
    ]
    for verdict, ids in groups.items():
        if ids:
            yield Finding(verdict, len(ids), tuple(sorted(ids)[:_EXAMPLES]))
    if chain.forks:
        evidence = chain.forks[0].ids[:_EXAMPLES]
        yield Finding(Verdict.FORKED, len(chain.unpaid), evidence)
        if chain.is_clone:
            yield Finding(Verdict.CLONE, 1, evidence)
    if chain.holes:
        yield Finding(Verdict.HOLE, sum(last - first + 1 for first, last in chain.holes), ())


def _coarse(station: StationState) -> tuple[Finding, ...]:
    coarse = h3bits.resolution(station.scoring_cell) == _COARSE_RESOLUTION
    if coarse and station.station_class is StationClass.UNPROVEN:
        return (Finding(Verdict.CELL_TOO_COARSE, 1, ()),)
    return ()


def _centre(setting: Setting, cell: int) -> Point:
    if cell not in setting.centres:
        raise EpochError(
            f"The centre of cell {cell:x} is not known",
            "it is fixed when the first hello that names it is admitted",
            "Restore the store from a backup, or take the bundle from its source again",
            "epoch_centre",
        )
    return setting.centres[cell]
