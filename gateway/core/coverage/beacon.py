"""When a station beacons, how strong, where and with which tag: spec/coverage.md section 2.

Firmware computes the same from the same inputs; here it is done after the reveal, to check.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from gateway.core.coverage.model import Sent
from gateway.core.coverage.regions import Region
from gateway.core.rules import CoverageRules

SECRET_BYTES = 32
TAG_BYTES = 16
DELAY_FIRST_MS = 30_000
DELAY_STEP_MS = 100
POWER_STEP_CDB = 300
POWER_STEPS = 4
FRAME_VERSION = b"\x01"
FRAME_NETWORK_BYTES = 3
FRAME_BYTES = 20
_CHANNEL_BYTE = 31
_LABEL = b"cairn/beacon"


class BeaconPlan(NamedTuple):
    """What of a beacon depends on rules and region: how rare it is, its channels, its EIRP."""

    every_slots: int
    channels: int
    eirp_cdbm: int


def beacon_plan(rules: CoverageRules, region: Region) -> BeaconPlan:
    return BeaconPlan(rules.beacon_every_slots, len(region.frequencies_khz), region.eirp_cdbm)


def commitment(x: bytes) -> bytes:
    """Return what a commit says of the secret of a day."""
    return sha256(x).digest()


def slot_channel(entropy: bytes, channels: int) -> int:
    """Return the LoRa channel of a slot, the same for every station: most hear one at a time.

    entropy: the slot's, 32 bytes; channels: how many the region has, at least 1.
    """
    return entropy[_CHANNEL_BYTE] % channels


def beacon_of(  # noqa: PLR0917 - what a beacon is made of
    x: bytes, network_id: bytes, device: bytes, slot: int, entropy: bytes, plan: BeaconPlan
) -> Sent | None:
    """Return the beacon of `device` in `slot`, None if none is due.

    x: the day's secret; entropy: 32 bytes, of a slot that counts.
    """
    message = _LABEL + network_id + device + slot.to_bytes(8, "big") + entropy
    r = hmac.digest(x, message, "sha256")
    if int.from_bytes(r[:8], "big") % plan.every_slots:
        return None
    return Sent(
        beaconer=device,
        slot=slot,
        delay_ms=DELAY_FIRST_MS + r[8] * DELAY_STEP_MS,
        channel=slot_channel(entropy, plan.channels),
        power_cdbm=plan.eirp_cdbm - POWER_STEP_CDB * (r[9] % POWER_STEPS),
        tag=r[16:32],
    )


def beacons_of_day(
    x: bytes, network_id: bytes, device: bytes, entropy: Mapping[int, bytes], plan: BeaconPlan
) -> list[Sent]:
    """Return the beacons due in the slots of `entropy` (slot to entropy), ascending by slot."""
    beacons = (
        beacon_of(x, network_id, device, slot, entropy[slot], plan) for slot in sorted(entropy)
    )
    return [beacon for beacon in beacons if beacon is not None]


def air_frame(network_id: bytes, tag: bytes) -> bytes:
    """Return the 20 bytes that go on the air, the same on every radio."""
    return FRAME_VERSION + network_id[:FRAME_NETWORK_BYTES] + tag
