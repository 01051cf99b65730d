"""Which admitted messages an epoch counts, which came too late, and which wait for a later one.

Depends on the set of entries and on fixed deadlines, never on the order of the log. It knows
times and days, not what a reading is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from gateway.core.admission import ADMITTED
from gateway.core.clockmap import BootClocks, Placed, boot_clocks, place
from gateway.core.epoch_inputs import EpochError
from gateway.core.model import AdmissionEntry, DeviceMessage
from gateway.core.rules import Rules
from gateway.core.verdicts import Verdict
from gateway.core.wire import decode


class Item(NamedTuple):
    """A decoded message with its entry; placed is None for one that was finally refused."""

    entry: AdmissionEntry
    message: DeviceMessage
    placed: Placed | None


@dataclass(slots=True)
class DeviceMessages:
    """One device's messages at a close, each list in ascending order of id.

    listed: of this epoch; late: of an epoch that was settled before they came; refused: finally
    refused, their seqs count as delivered; waiting: received by now, but of a later epoch.
    """

    listed: list[Item] = field(default_factory=list)
    late: list[Item] = field(default_factory=list)
    refused: list[Item] = field(default_factory=list)
    waiting: list[Item] = field(default_factory=list)

    def known(self) -> list[Item]:
        """Return what the register may learn from: listed and late."""
        return sorted(self.listed + self.late, key=lambda item: item.entry.message_id)


@dataclass(frozen=True, slots=True)
class Listing:
    devices: Mapping[bytes, DeviceMessages]
    pending: tuple[AdmissionEntry, ...]
    clocks: BootClocks


def list_messages(
    epoch: int,
    entries: Iterable[AdmissionEntry],
    messages: Mapping[bytes, bytes],
    *,
    network_id: bytes,
    clocks: BootClocks,
    rules: Rules,
) -> Listing:
    """Return the listing of `epoch`; EpochError for an entry twice or without its message.

    What was received at or after the close waits, however late the close was carried out.
    """
    closes_ms = (epoch + 1) * rules.epoch.length_ms + rules.epoch.close_after_ms
    pending = []
    decoded = []
    entries = sorted(entries, key=lambda entry: entry.message_id)
    _check_once(entries)
    for entry in entries:
        if entry.recv_ms >= closes_ms:
            pending.append(entry)
        else:
            decoded.append((entry, _message(entry, messages, network_id)))
    clocks = boot_clocks(
        clocks, (message for entry, message in decoded if entry.verdict in ADMITTED)
    )
    devices: dict[bytes, DeviceMessages] = {}
    for entry, message in decoded:
        own = devices.get(message.device)
        if own is None:
            own = devices[message.device] = DeviceMessages()
        if entry.verdict not in ADMITTED:
            own.refused.append(Item(entry, message, None))
            continue
        placed = place(message, entry.recv_ms, clocks, rules)
        if placed.epoch > epoch:
            pending.append(entry)
            own.waiting.append(Item(entry, message, placed))
        elif placed.epoch == epoch or placed.fault is not None:
            own.listed.append(Item(entry, message, placed))
        else:
            own.late.append(Item(entry, message, placed))
    pending.sort(key=lambda entry: entry.message_id)
    return Listing(devices, tuple(pending), clocks)


def _check_once(entries: Sequence[AdmissionEntry]) -> None:
    for entry, after in pairwise(entries):
        if entry.message_id == after.message_id:
            raise EpochError(
                f"The message {entry.message_id.hex()} cannot be counted",
                "it has two entries in the admission log",
                "Restore the store from a backup or the epoch from its bundle",
                "epoch_message",
            )


def _message(
    entry: AdmissionEntry, messages: Mapping[bytes, bytes], network_id: bytes
) -> DeviceMessage:
    data = messages.get(entry.message_id)
    decoded = Verdict.TRUNCATED if data is None else decode(data, network_id)
    if isinstance(decoded, Verdict) or decoded.message.message_id != entry.message_id:
        raise EpochError(
            f"The message {entry.message_id.hex()} cannot be evaluated",
            "it is in the admission log, but its bytes are absent or say something else",
            "Restore the store from a backup or the epoch from its bundle",
            "epoch_message",
        )
    return decoded.message
