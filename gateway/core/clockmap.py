"""Which UTC day a message belongs to: boots mapped to UTC, messages ahead of their arrival.

Set-based: the order in which clock messages arrived decides nothing. Protocol sections 4 (clock)
and 10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.core.model import (
    ClockMap,
    Commit,
    DeviceMessage,
    Reveal,
    TimeSource,
    WitnessReport,
)
from gateway.core.rules import Rules
from gateway.core.verdicts import Verdict

# A board that never learns the time would add a row with every boot; older boots are forgotten.
BOOTS_KEPT = 64


class BootClock(NamedTuple):
    """The best mapping of one boot; the order of fields is the order of preference."""

    uncertainty_ms: int
    message_id: bytes
    utc_at_boot_ms: int


BootClocks = Mapping[tuple[bytes, int], BootClock]


class Placed(NamedTuple):
    """Where a message belongs: its UTC time, its epoch, and FUTURE or UNMAPPED if that is a guess.

    With such a fault utc_ms is the time of arrival: it is listed in the epoch of its arrival.
    """

    utc_ms: int
    epoch: int
    fault: Verdict | None


def boot_clocks(known: BootClocks, messages: Iterable[DeviceMessage]) -> BootClocks:
    """Return the best mapping of every (device, boot): least uncertain, then smallest id."""
    best = dict(known)
    for message in messages:
        body = message.body
        if not isinstance(body, ClockMap):
            continue
        key = (message.device, body.boot)
        clock = BootClock(body.uncertainty_ms, message.message_id, body.utc_at_boot_ms)
        if key not in best or clock < best[key]:
            best[key] = clock
    return best


def newest_boots(clocks: BootClocks) -> dict[tuple[bytes, int], BootClock]:
    """Return the mappings of each device's BOOTS_KEPT highest boots."""
    boots: dict[bytes, list[int]] = {}
    for device, boot in clocks:
        boots.setdefault(device, []).append(boot)
    return {
        (device, boot): clocks[device, boot]
        for device, own in boots.items()
        for boot in sorted(own)[-BOOTS_KEPT:]
    }


def place(message: DeviceMessage, recv_ms: int, clocks: BootClocks, rules: Rules) -> Placed:
    """Return when `message`, received at recv_ms, was made, and the epoch that it belongs to."""
    length_ms = rules.epoch.length_ms
    arrived = recv_ms // length_ms
    utc_ms = message.time_ms
    if message.time_source is TimeSource.NONE:
        clock = clocks.get((message.device, message.boot))
        if clock is None:
            return Placed(recv_ms, arrived, Verdict.UNMAPPED)
        utc_ms += clock.utc_at_boot_ms
    epoch = utc_ms // length_ms
    if isinstance(message.body, Commit | Reveal | WitnessReport):
        epoch = message.body.day
    ahead_ms_max = rules.slot_clock.future_slots_max * rules.slot_clock.slot_ms
    # A commit is for tomorrow; a day further off would keep its message pending for years.
    if utc_ms > recv_ms + ahead_ms_max or epoch > arrived + 1:
        return Placed(recv_ms, arrived, Verdict.FUTURE)
    return Placed(utc_ms, epoch, None)
