"""Every station of an epoch evaluated: registration, chain, quality, class. Not yet its pay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.core import h3bits
from gateway.core.chain import NOTHING_BEFORE, Before, ChainFindings, ChainLink, chain_findings
from gateway.core.epoch_inputs import EpochError, Finding
from gateway.core.epoch_setting import Setting
from gateway.core.geometry import Point
from gateway.core.listing import DeviceMessages, Item, Listing
from gateway.core.model import Readings
from gateway.core.rules import PPM
from gateway.core.slots import StationClass
from gateway.core.state import StationState
from gateway.core.station_day import StationDay, evaluate_day
from gateway.core.stations import (
    Registration,
    class_of,
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

    proven: the station with this epoch's class and seniority; later: as the next epoch finds it.
    """

    proven: StationState
    later: StationState
    moved: bool
    owner: bytes
    centre: Point
    day: StationDay
    v_ppm: int
    u_ppm: int
    qualifies: bool
    listed: tuple[bytes, ...]
    findings: tuple[Finding, ...]


class Evaluation(NamedTuple):
    """stations: ascending by device; delivered: of every device that ever sent a message."""

    stations: tuple[Evaluated, ...]
    delivered: Mapping[bytes, Before]


_NOTHING = DeviceMessages()


def evaluate_stations(epoch: int, setting: Setting, listing: Listing) -> Evaluation:
    """Return all stations that are registered when the epoch ends, and what was delivered."""
    opening = setting.opening
    quarantined = setting.operator.quarantined()
    delivered = dict(opening.delivered)
    stations = []
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
            ranges = quarantined.get(device, [])
            stations.append(_evaluate(epoch, setting, registration, messages, chain, ranges))
    return Evaluation(tuple(stations), delivered)


def _links(items: Iterable[Item]) -> list[ChainLink]:
    return [ChainLink(item.message, item.entry.net_tag) for item in items]


def _evaluate(  # noqa: PLR0917 - the six parts of a station's epoch
    epoch: int,
    setting: Setting,
    registration: Registration,
    messages: DeviceMessages,
    chain: ChainFindings,
    quarantined: list[tuple[int, int]],
) -> Evaluated:
    station, rules = registration.now, setting.rules
    unpaid = _unpaid(messages.listed, chain, quarantined)
    day = evaluate_day(
        station,
        epoch,
        messages.listed,
        unpaid,
        quantities=setting.quantities,
        rules=rules,
    )
    anchored = station.device in setting.operator.anchored
    v_ppm = rules.verifiability.anchored_ppm if anchored else rules.verifiability.unproven_ppm
    qualifies = day.quality_ppm >= rules.quality.threshold_ppm
    follow = with_evidence if qualifies else without_evidence
    proven = follow(station, epoch, class_of(anchored=anchored), rules.slots.class_lapse_epochs)
    findings = (*_findings(messages, chain, unpaid), *day.findings, *_coarse(proven))
    return Evaluated(
        proven=proven,
        later=next_station(registration, proven, day.standings),
        moved=registration.moved,
        owner=setting.operator.owners.get(station.device, station.owner),
        centre=_centre(setting, station.scoring_cell),
        day=day,
        v_ppm=v_ppm,
        u_ppm=day.quality_ppm * v_ppm // PPM,
        qualifies=qualifies,
        listed=tuple(item.entry.message_id for item in messages.listed),
        findings=tuple(sorted(findings, key=lambda finding: finding.verdict)),
    )


def _unpaid(
    items: Iterable[Item], chain: ChainFindings, quarantined: list[tuple[int, int]]
) -> dict[bytes, Verdict]:
    """Return FORKED or QUARANTINED by id, for readings alone."""
    unpaid = {}
    for item in items:
        message = item.message
        if not isinstance(message.body, Readings):
            continue
        if message.message_id in chain.unpaid:
            unpaid[message.message_id] = Verdict.FORKED
        elif any(first <= message.seq <= last for first, last in quarantined):
            unpaid[message.message_id] = Verdict.QUARANTINED
    return unpaid


def _findings(
    messages: DeviceMessages, chain: ChainFindings, unpaid: Mapping[bytes, Verdict]
) -> Iterable[Finding]:
    """Yield what the messages and the chain show; ids in ascending order."""
    groups: dict[Verdict, list[bytes]] = {}
    for item in messages.listed:
        if item.entry.verdict is Verdict.NOT_EVALUATED:
            groups.setdefault(Verdict.NOT_EVALUATED, []).append(item.entry.message_id)
        if item.placed is not None and item.placed.fault is not None:
            groups.setdefault(item.placed.fault, []).append(item.entry.message_id)
    groups[Verdict.AFTER_CLOSE] = [item.entry.message_id for item in messages.late]
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
