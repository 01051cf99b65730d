"""Slots of an entropy chain and the beacon that is due in them, or not (coverage.md 1 and 2).

No message is made here: a board and a gateway have to draw the same beacon from the same secret.
"""

import hmac
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from signing import DAY, DEVICE, NETWORK

SLOTS = 1_440
FIRST_SLOT = DAY * SLOTS
LAST_SLOT = FIRST_SLOT + SLOTS - 1
EU868 = {"region": 1, "channels": 3, "eirp_cdbm": 1_600}
US915 = {"region": 2, "channels": 8, "eirp_cdbm": 3_000}
X = sha256(b"secret of the day").digest()


class BeaconCase:
    """One slot of one station."""

    folder = "beacon_schedule"

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        self.name = name
        self.fields = fields

    def write(self, root: Path) -> None:
        """Write `root`/`folder`/`name`.json."""
        folder = root / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.fields, indent=2) + "\n"
        (folder / f"{self.name}.json").write_text(text, encoding="utf-8")


def cases() -> list[BeaconCase]:
    """Due and not due, both regions, the edges of a day, of the delay and of the power."""
    chain = _chain()
    rare = list(_drawn(chain, 120, EU868))
    due = [fields for fields in rare if fields["due"]]
    idle = next(fields for fields in rare if not fields["due"])
    every = list(_drawn(chain, 1, US915, b"external entropy" * 4))
    steps = [next(one for one in every if one["power_step"] == step) for step in range(4)]
    chosen = {
        "eu868-first-due": due[0],
        "eu868-last-due": due[-1],
        "eu868-not-due": idle,
        "us915-first-slot": every[0],
        "us915-last-slot": every[-1],
        "us915-earliest": next(one for one in every if one["delay_ms"] == 30_000),
        "us915-latest": next(one for one in every if one["delay_ms"] == 55_500),
        **{f"us915-power-step-{step}": fields for step, fields in enumerate(steps)},
    }
    return [BeaconCase(name, fields) for name, fields in chosen.items()]


def _chain() -> list[bytes]:
    """Values of the day's slots, and the chain's end in front of them."""
    values = [sha256(b"last value of the chain").digest()]
    for _ in range(SLOTS):
        values.append(sha256(values[-1]).digest())
    return values[::-1]


def _drawn(
    chain: list[bytes], every: int, region: dict[str, int], external: bytes = b""
) -> Iterator[dict[str, Any]]:
    for slot in range(FIRST_SLOT, LAST_SLOT + 1):
        value = chain[slot - FIRST_SLOT + 1]
        entropy = sha256(value + external).digest()
        message = b"cairn/beacon" + NETWORK + DEVICE.kid + slot.to_bytes(8, "big") + entropy
        r = hmac.digest(X, message, "sha256")
        fields = {
            "network_id": NETWORK.hex(),
            "device": DEVICE.kid.hex(),
            "x": X.hex(),
            "commitment": sha256(X).hexdigest(),
            "chain_end": chain[0].hex(),
            "slot": slot,
            "chain": value.hex(),
            "external": external.hex(),
            "entropy": entropy.hex(),
            "every_slots": every,
            **region,
            "due": int.from_bytes(r[:8], "big") % every == 0,
        }
        if fields["due"]:
            step = r[9] & 3
            fields["delay_ms"] = 30_000 + 100 * r[8]
            fields["power_step"] = step
            fields["power_cdbm"] = region["eirp_cdbm"] - 300 * step
            fields["channel"] = entropy[31] % region["channels"]
            fields["tag"] = r[16:].hex()
            fields["frame"] = (b"\x01" + NETWORK[:3] + r[16:]).hex()
        yield fields
