"""A station's row of a closed epoch in words and as JSON: for the command line and the API alike.

Pure: it knows the row and nothing of who reads it.
"""

from __future__ import annotations

from typing import Any

from gateway.core.epoch_inputs import StationRow
from gateway.core.ids import device_name
from gateway.core.slots import StationClass

CLASS_NAMES = ("anchored", "witnessed", "peer_checked", "unproven")


def station_json(row: StationRow) -> dict[str, Any]:
    """One station of an epoch; amounts in base units as decimal strings."""
    return {
        "station": device_name(row.device),
        "owner": f"0x{row.owner.hex()}" if row.owner else None,
        "cell": f"{row.scoring_cell:x}",
        "reward_cell": f"{row.reward_cell:x}",
        "class": class_name(row),
        "quality_ppm": row.quality_ppm,
        "verifiability_ppm": row.v_ppm,
        "proof_epoch": row.proof_epoch,
        "usefulness_ppm": row.u_ppm,
        "coverage_usefulness_ppm": row.coverage_u_ppm,
        "slot": slot(row),
        "blocked_by": None if row.blocked_by is None else device_name(row.blocked_by),
        "distance_m": row.distance_m,
        "paid": str(row.paid),
        "coverage_paid": str(row.coverage_paid),
        "held": str(row.held),
        "cumulative": str(row.cumulative),
        "reason": row.reason.name.lower(),
        "messages": row.messages,
    }


def class_name(row: StationRow) -> str:
    """The class in one word: class 0 without a proof by radio is an audit by hand."""
    if row.station_class is StationClass.WITNESSED and row.proof_epoch is None:
        return CLASS_NAMES[0]
    return row.station_class.name.lower()


def slot(row: StationRow) -> str:
    """`holder`, `standby`, or `none` for a station that was no candidate."""
    if row.holder:
        return "holder"
    return "standby" if row.blocked_by is not None else "none"
