"""The fleet's own record of what it signed: exact bytes, from which anybody can settle again.

A message enters when a board first offers it to its link; what a power cut kept from the flash
never was. It knows neither gateways nor files of a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import cbor2


class Recorded(NamedTuple):
    """One signed message, and the virtual time at which it was first offered."""

    at_ms: int
    device: bytes
    seq: int
    data: bytes


class Record:
    """Every signed message of a run by (device, seq)."""

    def __init__(self) -> None:
        self.messages: dict[tuple[bytes, int], Recorded] = {}

    def offered(self, device: bytes, seq: int, data: bytes, at_ms: int) -> None:
        """Note a message that a board hands to its link, at first or again."""
        self.messages.setdefault((device, seq), Recorded(at_ms, device, seq, data))

    def in_order(self) -> Iterator[Recorded]:
        """By time; one device's messages of one time ascend."""
        return iter(sorted(self.messages.values()))

    def save(self, path: Path) -> None:
        """Write a CBOR array of [at_ms, device, seq, message]."""
        path.write_bytes(cbor2.dumps([list(one) for one in self.in_order()]))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        record = cls()
        for fields in cbor2.loads(path.read_bytes()):
            one = Recorded(*fields)
            record.messages[one.device, one.seq] = one
        return record
