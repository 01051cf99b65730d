"""From a day's messages to coverage evidence: what was due, who reported what, who listened.

spec/coverage.md sections 3 and 4. It judges rows one by one; what they come to is judge.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from gateway.core.coverage.beacon import beacon_plan, beacons_of_day
from gateway.core.coverage.entropy import DAY_SLOTS
from gateway.core.coverage.model import Heard, Row, Sent
from gateway.core.coverage.reveals import Bound, bind
from gateway.core.coverage.rows import LORA, Ground, RowJudge
from gateway.core.epoch_inputs import Finding
from gateway.core.genesis import DAY_MS
from gateway.core.listing import DeviceMessages, Item, Listing
from gateway.core.model import Status, WitnessReport
from gateway.core.rules import PPM
from gateway.core.verdicts import Verdict

HOURS = 24
HOUR_SLOTS = 60
_NO_MESSAGES = DeviceMessages()


class Evidence(NamedTuple):
    """Everything that the radio says of a day.

    sent: beacons in slots that count, by beaconer, ascending by slot (no entry without any);
    heard: every row that named the day, in the order of rows.row_key; listening: claimed hours,
    bit h for hour h; unrevealed: who was bound and did not reveal; share_ppm: of the day's slots
    that count, how many lie behind a station's commit, where that is not all; findings: on
    commits and reveals.
    """

    sent: Mapping[bytes, tuple[Sent, ...]]
    heard: tuple[Heard, ...]
    listening: Mapping[bytes, int]
    unrevealed: frozenset[bytes]
    share_ppm: Mapping[bytes, int]
    findings: Mapping[bytes, tuple[Finding, ...]]


def collect(
    epoch: int,
    listing: Listing,
    entropy: Mapping[int, bytes],
    network_id: bytes,
    ground: Ground,
    *,
    left_out: AbstractSet[bytes] = frozenset(),
) -> Evidence:
    """Return the evidence of day `epoch`.

    entropy: of the slots that count (entropy.open_entropy); left_out: ids of messages that count
    nothing, forked or quarantined ones.
    """
    bound: dict[bytes, Bound] = {}
    listening: dict[bytes, int] = {}
    rows: list[Row] = []
    for device in sorted(ground.members):
        messages = listing.devices.get(device, _NO_MESSAGES)
        items = _of_day(messages.listed, left_out)
        bound[device] = bind(epoch, items, ground.rules.coverage)
        hours = _hours(epoch, messages, left_out, ground)
        if hours and ground.members[device].mains:
            listening[device] = hours
        rows.extend(row for item in items for row in _rows(item))
    sent, share_ppm = _sent(bound, entropy, network_id, ground)
    every = (beacon for beacons in sent.values() for beacon in beacons)
    return Evidence(
        sent,
        RowJudge(epoch, every, ground).judge_all(rows),
        listening,
        frozenset(device for device, one in bound.items() if one.unrevealed),
        share_ppm,
        _findings(bound, entropy),
    )


def _findings(
    bound: Mapping[bytes, Bound], entropy: Mapping[int, bytes]
) -> dict[bytes, tuple[Finding, ...]]:
    """Return what there is to say of commits and reveals; nothing on a day without entropy."""
    return {device: one.findings for device, one in bound.items() if one.findings and entropy}


def _sent(
    bound: Mapping[bytes, Bound],
    entropy: Mapping[int, bytes],
    network_id: bytes,
    ground: Ground,
) -> tuple[dict[bytes, tuple[Sent, ...]], dict[bytes, int]]:
    """Return the beacons of the revealed secrets, and the shares of late commits in ppm."""
    plan = beacon_plan(ground.rules.coverage, ground.region)
    sent: dict[bytes, tuple[Sent, ...]] = {}
    share_ppm: dict[bytes, int] = {}
    for device, one in bound.items():
        if not one.x:
            continue
        slots = {slot: entropy[slot] for slot in entropy if slot >= one.first_slot}
        if len(slots) < len(entropy):
            share_ppm[device] = PPM * len(slots) // len(entropy)
        beacons = beacons_of_day(one.x, network_id, device, slots, plan)
        if beacons:
            sent[device] = tuple(beacons)
    return sent, share_ppm


def proven_hours(heard: Iterable[Heard], listening: Mapping[bytes, int]) -> dict[bytes, int]:
    """Return the hours, as bits, in which each station was provably listening.

    It claims the hour, and in it has heard a beacon that was sent: a silence of a receiver that
    is off proves nothing.
    """
    heard_in: dict[bytes, int] = {}
    for one in heard:
        if one.verdict is Verdict.HEARD and one.row.radio == LORA:
            bit = 1 << hour_of(one.row.slot)
            heard_in[one.row.witness] = heard_in.get(one.row.witness, 0) | bit
    return {device: hours & listening.get(device, 0) for device, hours in heard_in.items()}


def hour_of(slot: int) -> int:
    """Return the UTC hour of a slot."""
    return slot % DAY_SLOTS // HOUR_SLOTS


def _of_day(items: Iterable[Item], left_out: AbstractSet[bytes]) -> list[Item]:
    """Return the listed messages that are of the day: `future` and `unmapped` ones are not."""
    return [
        item
        for item in items
        if item.placed is not None
        and item.placed.fault is None
        and item.entry.message_id not in left_out
    ]


def _rows(item: Item) -> Iterable[Row]:
    body = item.message.body
    if not isinstance(body, WitnessReport):
        return
    columns = (
        body.slots,
        body.tags,
        body.rssi_cdbm,
        body.snr_cdb,
        body.channels,
        body.delays_ms,
    )
    entry = item.entry
    for slot, tag, rssi_cdbm, snr_cdb, channel, delay_ms in zip(*columns, strict=True):
        yield Row(
            item.message.device,
            entry.message_id,
            entry.recv_ms,
            body.radio,
            slot,
            tag,
            rssi_cdbm,
            snr_cdb,
            channel,
            delay_ms,
        )


def _hours(
    epoch: int, messages: DeviceMessages, left_out: AbstractSet[bytes], ground: Ground
) -> int:
    """Return the hours of the day that a station claims to have listened in, as bits.

    The last hour is claimed after midnight, by a message of the next day: it waits, but counts.
    """
    ends_ms = (epoch + 1) * DAY_MS + ground.rules.coverage.witness_until_ms
    hours = 0
    for item in (*messages.listed, *messages.waiting):
        body = item.message.body
        if (
            isinstance(body, Status)
            and body.listening is not None
            and body.listening[0] == epoch
            and item.entry.recv_ms < ends_ms
            and item.entry.message_id not in left_out
        ):
            hours |= body.listening[1]
    return hours
