"""Stations at a close: which hello, owner, class and seniority count, and what is left for later.

Order-free: of several messages the seq decides, and forked ones change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from gateway.core.model import Claim, DeviceMessage, Hello
from gateway.core.peer_days import PeerDay
from gateway.core.quality import Standing
from gateway.core.slots import StationClass
from gateway.core.state import StationState

Standings = tuple[tuple[int, int, Standing], ...]


class Registration(NamedTuple):
    """A station in this epoch, and as its newest hello makes it from the next one on."""

    now: StationState
    later: StationState

    @property
    def moved(self) -> bool:
        """Say whether the station has another scoring cell from the next epoch on."""
        return self.now.scoring_cell != self.later.scoring_cell


def register(
    epoch: int,
    known: StationState | None,
    messages: Iterable[DeviceMessage],
    forked: frozenset[bytes],
) -> Registration | None:
    """Return the registration of one device, None while it has sent no hello.

    messages: its listed and late ones. A first hello counts at once (of several the lowest seq), a
    later one from the next epoch on (the highest seq); a claim counts at once (the highest seq).
    """
    messages = sorted(messages, key=lambda message: (message.seq, message.message_id))
    hellos = [(message, message.body) for message in messages if isinstance(message.body, Hello)]
    unforked = [pair for pair in hellos if pair[0].message_id not in forked]
    if known is None:
        if not hellos:
            return None
        known = _first(epoch, *(unforked or hellos)[0])
    now = later = _claimed(known, messages, forked)
    if unforked and unforked[-1][0].seq > known.hello_seq:
        message, hello = unforked[-1]
        later = replace(
            now,
            hello_seq=message.seq,
            declared=hello.declared,
            scoring_cell=hello.scoring_cell,
            duty_class=hello.duty_class,
        )
    return Registration(now, later)


def with_evidence(
    station: StationState, epoch: int, station_class: StationClass, lapse_epochs: int
) -> StationState:
    """Return the station after an epoch in which it proved its class at sufficient quality.

    Its membership goes on if it is the same class and the last evidence is at most lapse_epochs
    epochs old; else it begins anew.
    """
    last = station.evidence_epoch
    unbroken = (
        station.station_class is station_class
        and last is not None
        and epoch - last - 1 < lapse_epochs
    )
    return replace(
        station,
        station_class=station_class,
        since_epoch=station.since_epoch if unbroken else epoch,
        evidence_epoch=epoch,
    )


def without_evidence(
    station: StationState, epoch: int, station_class: StationClass, lapse_epochs: int
) -> StationState:
    """Return the station after an epoch below the threshold; its membership may lapse."""
    last = station.evidence_epoch
    if last is not None and station.station_class is station_class and epoch - last < lapse_epochs:
        return station
    return replace(station, station_class=station_class, since_epoch=None, evidence_epoch=None)


def next_station(
    registration: Registration,
    proven: StationState,
    standings: Standings,
    peers: tuple[PeerDay, ...] = (),
) -> StationState:
    """Return the station as the next epoch finds it.

    A move resets what belongs to the place: proof, seniority, the values that stood still, and
    what peers said. Days without a reveal belong to the key, and stay.
    """
    if registration.moved:
        return replace(
            registration.later,
            station_class=StationClass.UNPROVEN,
            since_epoch=None,
            evidence_epoch=None,
            standings=(),
            proof_class=StationClass.UNPROVEN,
            proof_epoch=None,
            unrevealed=proven.unrevealed,
            peers=(),
        )
    declared = {(d.quantity, d.channel) for d in registration.later.declared}
    return replace(
        registration.later,
        station_class=proven.station_class,
        since_epoch=proven.since_epoch,
        evidence_epoch=proven.evidence_epoch,
        standings=tuple(standing for standing in standings if standing[:2] in declared),
        proof_class=proven.proof_class,
        proof_epoch=proven.proof_epoch,
        unrevealed=proven.unrevealed,
        peers=tuple(day for day in peers if (day.quantity, day.channel) in declared),
    )


def _first(epoch: int, message: DeviceMessage, hello: Hello) -> StationState:
    return StationState(
        message.device,
        hello.public_key,
        epoch,
        message.seq,
        hello.declared,
        hello.scoring_cell,
        duty_class=hello.duty_class,
    )


def _claimed(
    station: StationState, messages: Iterable[DeviceMessage], forked: frozenset[bytes]
) -> StationState:
    claims = sorted(
        (message.seq, message.body.owner)
        for message in messages
        if isinstance(message.body, Claim)
        and message.body.scheme <= 1
        and message.message_id not in forked
    )
    if claims and claims[-1][0] > station.claim_seq:
        seq, owner = claims[-1]
        return replace(station, owner=owner, claim_seq=seq)
    return station
