"""The genesis of a network, whose hash is the network id (spec/protocol.md section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from gateway.core.cbor_profile import encode, load, violation
from gateway.core.verdicts import Verdict

GENESIS_VERSION = 1
NETWORK_ID_BYTES = 8
NAME_BYTES_MAX = 64
DAY_MS = 86_400_000
# A slot is a UTC minute (protocol section 4).
SLOT_MS = 60_000
_TIME_MS_LIMIT = 1 << 53


@dataclass(frozen=True, slots=True)
class Genesis:
    """epoch_zero_ms: start of a UTC day; rules_hash: SHA-256 of the first rule file's bytes."""

    name: str
    root_key: bytes
    epoch_zero_ms: int
    rules_hash: bytes
    simulated: bool

    def __post_init__(self) -> None:
        fault = _field_fault(self)
        if fault:
            raise ValueError(f"genesis: {fault}")

    def encode(self) -> bytes:
        """The exact bytes of the genesis."""
        return encode(
            [
                GENESIS_VERSION,
                self.name,
                self.root_key,
                self.epoch_zero_ms,
                self.rules_hash,
                int(self.simulated),
            ]
        )

    @staticmethod
    def decode(data: bytes) -> Genesis | Verdict:
        """The genesis in `data`, or why it is none."""
        fields = load(data)
        if isinstance(fields, Verdict):
            return fields
        match fields:
            case [1, str(name), bytes(root), int(zero), bytes(rules), 0 | 1 as simulated]:
                pass
            case _:
                return violation(data) or Verdict.BAD_PAYLOAD
        # True == 1 and 1.0 == 1 in a pattern; both re-encode, neither is in the profile.
        found = violation(data)
        if found is not None:
            return found
        try:
            return Genesis(name, root, zero, rules, bool(simulated))
        except ValueError:
            return Verdict.BAD_PAYLOAD

    def network_id(self) -> bytes:
        """First 8 bytes of SHA-256(genesis)."""
        return sha256(self.encode()).digest()[:NETWORK_ID_BYTES]


def _field_fault(genesis: Genesis) -> str | None:
    if not 1 <= len(genesis.name.encode()) <= NAME_BYTES_MAX:
        return f"the name must take 1 to {NAME_BYTES_MAX} bytes of UTF-8"
    if len(genesis.root_key) != 32 or len(genesis.rules_hash) != 32:
        return "the root key and the rules hash are 32 bytes each"
    if not 0 <= genesis.epoch_zero_ms < _TIME_MS_LIMIT or genesis.epoch_zero_ms % DAY_MS:
        return "epoch zero must be the start of a UTC day, in ms since 1970"
    return None
