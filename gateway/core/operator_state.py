"""What the operator's events come to at the close of an epoch: a fold over their log.

An event counts from the epoch by whose end it was made; until then it waits, signed, in the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gateway.core.epoch_inputs import EpochError
from gateway.core.genesis import Genesis
from gateway.core.operator import (
    Anchor,
    Appeal,
    OperatorEvent,
    Quarantine,
    RulesChange,
    SetOwner,
    VoidSlots,
    open_operator_event,
)
from gateway.core.state import EpochState
from gateway.core.statements import KeyStatement
from gateway.core.verdicts import Verdict


@dataclass(slots=True)
class OperatorState:
    """Owners, anchors, quarantines and rules in force; later: signed events that are not yet.

    voids: ranges of slots, first and last; they count from when they are logged, since a gateway
    that was down over midnight can name the last slots of a day only on the next.
    """

    owners: dict[bytes, bytes]
    anchored: set[bytes]
    quarantines: set[tuple[bytes, int, int]]
    rules: list[tuple[int, bytes]]
    later: list[bytes]
    voids: list[tuple[int, int]]

    def quarantined(self) -> dict[bytes, list[tuple[int, int]]]:
        """Return the quarantined ranges of seqs by device."""
        ranges: dict[bytes, list[tuple[int, int]]] = {}
        for device, first, last in self.quarantines:
            ranges.setdefault(device, []).append((first, last))
        return ranges


def operator_state(
    opening: EpochState,
    events: Iterable[bytes],
    network_id: bytes,
    statements: tuple[KeyStatement, ...],
    ends_ms: int,
) -> OperatorState:
    """Return the operator's state for the epoch that ends at ends_ms, by serial.

    EpochError if an event is none, is not signed by an operator key in force, is dated before the
    one that it follows, or brings rules for a day that had begun.
    """
    state = OperatorState(
        dict(opening.operator_owners),
        set(opening.anchored),
        set(opening.quarantines),
        list(opening.rules),
        [],
        [],
    )
    waiting = [(_open(data, network_id, statements), data) for data in opening.later_events]
    logged = [(_open(data, network_id, statements), data) for data in events]
    for event, _ in logged:
        _check_announced(event, opening.epoch)
    opened = sorted((*waiting, *logged), key=lambda pair: pair[0].serial)
    _check_times([event for event, _ in opened])
    for event, data in opened:
        if isinstance(event.body, VoidSlots):
            state.voids += event.body.ranges
        if event.time_ms >= ends_ms:
            state.later.append(data)
        else:
            _apply(state, event)
    return state


def rules_in_force(
    genesis: Genesis, changes: Iterable[tuple[int, bytes]], epoch: int
) -> tuple[int, bytes]:
    """Return the serial and the hash of the rules of an epoch.

    Serial 1 are the rules that the genesis names; `changes` are (first epoch, hash) from serial
    2 on. Of several that have begun the latest to begin counts, of equal ones the higher serial.
    """
    begun = [(0, 1, genesis.rules_hash)]
    for serial, (first_epoch, digest) in enumerate(changes, start=2):
        if first_epoch <= epoch:
            begun.append((first_epoch, serial, digest))
    _, serial, digest = max(begun)
    return serial, digest


def _open(data: bytes, network_id: bytes, statements: tuple[KeyStatement, ...]) -> OperatorEvent:
    event = open_operator_event(data, network_id, statements)
    if isinstance(event, Verdict):
        raise _fault(f"it is {event.name.lower()}: {data[:24].hex()}")
    return event


def _check_announced(event: OperatorEvent, closed_epoch: int) -> None:
    """Refuse rules for a day of which the operator may have seen everything.

    The time of an event is its signer's word. What the log adds is that the event was not in it
    when closed_epoch closed (-1: none has), and by then the day behind that had begun.
    """
    body = event.body
    if closed_epoch < 0 or not isinstance(body, RulesChange):
        return
    if body.first_epoch <= closed_epoch + 1:
        why = f"epoch {body.first_epoch} had begun when they were logged"
        raise _fault(f"event {event.serial} brings rules too late: {why}")


def _check_times(events: Sequence[OperatorEvent]) -> None:
    for before, event in pairwise(events):
        if event.time_ms < before.time_ms:
            raise _fault(f"event {event.serial} is dated before the one that it follows")


def _fault(why: str) -> EpochError:
    return EpochError(
        "An operator event cannot be applied",
        why,
        "Restore the operator log and its key statements",
        "epoch_operator_event",
    )


def _apply(state: OperatorState, event: OperatorEvent) -> None:
    match event.body:
        case SetOwner(device, owner):
            state.owners[device] = owner
        case Anchor(device, True):
            state.anchored.add(device)
        case Anchor(device, False):
            state.anchored.discard(device)
        case Quarantine(device, first, last, _):
            state.quarantines.add((device, first, last))
        case Appeal(device, first, last, True):
            state.quarantines.discard((device, first, last))
        case RulesChange(first_epoch, digest):
            state.rules.append((first_epoch, digest))
        case _:
            # Approvals act at admission; the others are not evaluated in 1.0.
            pass
