"""What a run reports of one closed epoch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochSummary:
    """One closed epoch; amounts in base units, hashes as bytes. paid_rows: sum over stations."""

    epoch: int
    messages: int
    emission: int
    offered: int
    paid: int
    carry_before: int
    carry_after: int
    paid_rows: int
    paid_unproven: int
    stations: int
    stations_paid: int
    message_root: bytes
    payout_root: bytes
    manifest_hash: bytes
