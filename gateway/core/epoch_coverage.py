"""The coverage of an epoch: its stations and messages brought before the coverage rules.

It knows stations and messages; what is heard, and what that proves, coverage/ decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core import h3bits
from gateway.core.coverage.evidence import Evidence, collect
from gateway.core.coverage.judge import judge_evidence
from gateway.core.coverage.model import Coverage, Member
from gateway.core.coverage.rows import Ground
from gateway.core.epoch_setting import Setting
from gateway.core.geometry import Point
from gateway.core.listing import DeviceMessages, Listing
from gateway.core.state import StationState

_FINE_RESOLUTION = 9
_MAINS = 0


def member_of(
    setting: Setting, station: StationState, centre: Point, messages: DeviceMessages
) -> Member:
    """Return a station of the epoch as coverage sees it."""
    tags = {item.entry.net_tag for item in messages.listed} - {b""}
    return Member(
        device=station.device,
        owner=setting.operator.owners.get(station.device, station.owner),
        net_tags=frozenset(tags),
        centre=centre,
        fine=h3bits.resolution(station.scoring_cell) == _FINE_RESOLUTION,
        mains=station.duty_class == _MAINS,
        anchored=station.device in setting.operator.anchored,
    )


def epoch_evidence(
    epoch: int,
    setting: Setting,
    listing: Listing,
    members: Sequence[Member],
    unpaid: frozenset[bytes],
) -> Evidence:
    """Return what was sent and heard on the day; unpaid: ids of messages that count nothing."""
    ground = Ground(
        {member.device: member for member in members},
        setting.region,
        setting.radio,
        setting.sphere.distance_m,
        setting.rules,
    )
    return collect(epoch, listing, setting.entropy, setting.network_id, ground, left_out=unpaid)


def epoch_coverage(setting: Setting, members: Sequence[Member], evidence: Evidence) -> Coverage:
    """Return the coverage of the members."""
    return judge_evidence(
        members, evidence, setting.sphere.distance_m, setting.rules, setting.radio
    )
