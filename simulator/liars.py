"""How many stations of a scenario lie, and how: its table `[liars]`. Shapes only."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Liars:
    """Instances of each attack; simulator/adversary.py says what one is and how many stations it
    takes. unproven_keys counts keys.
    """

    location_lie_1km: int = 0
    location_lie_3km: int = 0
    location_lie_10km: int = 0
    location_lie_50km: int = 0
    lone_pair: int = 0
    ring: int = 0
    unproven_keys: int = 0
    wormhole: int = 0
    rssi_forgery: int = 0
    replayed_reports: int = 0
    key_clone: int = 0
    griefing_witness: int = 0
    forecast_copy: int = 0
    frozen: int = 0
    clone_neighbour: int = 0
    backfill: int = 0

    def counts(self) -> list[tuple[str, int]]:
        """(name of the attack, instances) of those that occur, always in one order."""
        named = [(one.name, int(getattr(self, one.name))) for one in fields(self)]
        return [(name, count) for name, count in named if count]
