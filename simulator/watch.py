"""What the driver of a run over MQTT waits for: receipts and ticks that boards have not seen yet.

It decides when a slot is over. Messages that were lost on purpose are never told to it. It knows
CBOR shapes, and neither sockets nor the gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import cbor2

HELLO = 0
SLOT_MS = 60_000


class Header(NamedTuple):
    """What a signed message says of itself."""

    kind: int
    seq: int


class Receipt(NamedTuple):
    """Which seqs a receipt covers."""

    up_to: int
    ranges: tuple[tuple[int, int], ...]
    refused: tuple[int, ...]

    def covers(self, seq: int) -> bool:
        return (
            seq <= self.up_to
            or any(first <= seq <= last for first, last in self.ranges)
            or seq in self.refused
        )


class Watch:
    """progress rises with everything that brings the end of a slot nearer."""

    def __init__(self) -> None:
        self.progress = 0
        self.slot = -1
        self._waiting: dict[int, set[int]] = {}
        self._receipts: dict[int, Receipt] = {}
        self._unticked: set[int] = set()
        self._unlinked: set[int] = set()
        self._tick = (b"", -1)
        self._link = (b"", -1)

    def quiet(self) -> bool:
        """Whether every message that was handed over has its receipt."""
        return not self._waiting

    def ticked(self) -> bool:
        """Whether every station that was expected to has seen the tick."""
        return not self._unticked

    def linked(self) -> bool:
        """Whether every station that was expected to has seen the slot's entropy."""
        return not self._unlinked

    def waiting(self) -> list[tuple[int, int]]:
        """(station, seq) of what has no receipt yet."""
        return [(station, seq) for station, seqs in self._waiting.items() for seq in seqs]

    # ---- told by the driver

    def expect_tick(self, slot: int, stations: Iterable[int], *, entropy: bool = False) -> None:
        """Wait for the tick of a slot, and for its entropy behind it, at these stations."""
        self.slot = slot
        self._unticked = set(stations)
        self._unlinked = set(self._unticked) if entropy else set()

    def forget(self, station: int) -> None:
        """Stop waiting for anything of a station: it is off, or cut off."""
        self._waiting.pop(station, None)
        self._unticked.discard(station)
        self._unlinked.discard(station)
        self.progress += 1

    def give_up(self) -> None:
        """Stop waiting for anything."""
        self._waiting.clear()
        self._unticked.clear()
        self._unlinked.clear()

    # ---- told by the links

    def handed(self, station: int, header: Header) -> bool:
        """Wait for the receipt of a message; False if there is none to be waited for."""
        receipt = self._receipts.get(station)
        if receipt is None and header.kind != HELLO:
            return False  # the hello may not have arrived, and strangers get no receipt
        if receipt is not None and receipt.covers(header.seq):
            return False
        self._waiting.setdefault(station, set()).add(header.seq)
        return True

    def withdrawn(self, station: int, header: Header) -> None:
        """A message could not be sent after all."""
        seqs = self._waiting.get(station)
        if seqs is not None:
            seqs.discard(header.seq)
            if not seqs:
                del self._waiting[station]

    def receipted(self, station: int, data: bytes) -> None:
        """A receipt (COSE_Sign1 bytes) has reached a station's link."""
        up_to, _, ranges, refused, _ = _body(data)
        receipt = Receipt(
            up_to, tuple((a, b) for a, b in ranges), tuple(seq for seq, _ in refused)
        )
        self._receipts[station] = receipt
        self.progress += 1
        seqs = self._waiting.get(station)
        if seqs is not None:
            left = {seq for seq in seqs if not receipt.covers(seq)}
            if left:
                self._waiting[station] = left
            else:
                del self._waiting[station]

    def tick(self, station: int, data: bytes) -> int:
        """A tick has reached a station's link; return the slot that it begins."""
        if data != self._tick[0]:
            self._tick = (data, _body(data)[0])
        slot = self._tick[1]
        if slot >= self.slot and station in self._unticked:
            self._unticked.discard(station)
            self.progress += 1
        return slot

    def link(self, station: int, data: bytes) -> int:
        """A slot's entropy has reached a station; return the slot."""
        if data != self._link[0]:
            self._link = (data, cbor2.loads(data)[0])
        slot = self._link[1]
        if slot >= self.slot and station in self._unlinked:
            self._unlinked.discard(station)
            self.progress += 1
        return slot


def header_of(message: bytes) -> Header:
    """Kind and seq of a message that our own code has signed."""
    payload = cbor2.loads(cbor2.loads(message).value[2])
    return Header(payload[1], payload[3])


def _body(data: bytes) -> Any:
    return cbor2.loads(cbor2.loads(data).value[2])[5]
