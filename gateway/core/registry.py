"""The live register of stations: a fold of hello, claim and operator events.

Admission asks it for keys. It does not depend on the order in which it is told things, so a
gateway that restarts arrives at the same one. Pay uses the epoch's own register, not this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import h3

from gateway.core.cbor_profile import load
from gateway.core.cose import Role, open_envelope
from gateway.core.ids import device_id, owner_id
from gateway.core.model import Claim, DeviceMessage, Hello
from gateway.core.operator import Approve, OperatorEvent, SetOwner
from gateway.core.verdicts import Verdict
from gateway.core.verify import PUBLIC_KEY_BYTES, key_acceptable, signature_valid

E6 = 1_000_000
_SCHEME_OWNER_KEY = 1


class Policy(StrEnum):
    """Who may register: anyone, or whom the operator approved."""

    OPEN = "open"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Station:
    """What a device said of itself last, by its own seq.

    hello_order and claim_order are (seq, message id): two of one seq are a fork, and the larger
    id is as good as the other.
    """

    device: bytes
    hello: Hello
    hello_order: tuple[int, bytes]
    claimed_owner: bytes | None = None
    claim_order: tuple[int, bytes] = (0, b"")


@dataclass(slots=True)
class Registry:
    """Mutable; owned by the admission state. centres: scoring cell to 10^-6 degree."""

    policy: Policy
    stations: dict[bytes, Station] = field(default_factory=dict)
    approved: set[bytes] = field(default_factory=set)
    operator_owners: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    centres: dict[int, tuple[int, int]] = field(default_factory=dict)

    def key_of(self, device: bytes) -> bytes | None:
        """The public key of a registered device."""
        station = self.stations.get(device)
        return None if station is None else station.hello.public_key

    def may_register(self, device: bytes) -> bool:
        return self.policy is Policy.OPEN or device in self.approved

    def owner_of(self, device: bytes) -> bytes | None:
        """The owner whom the operator set, else the one whom the device claimed."""
        if device in self.operator_owners:
            return self.operator_owners[device][1]
        station = self.stations.get(device)
        return None if station is None else station.claimed_owner

    def admit(self, message: DeviceMessage) -> None:
        """Take in an admitted message; only hello and claim say anything here."""
        if isinstance(message.body, Hello):
            self._hello(message, message.body)
        elif isinstance(message.body, Claim) and message.body.scheme <= _SCHEME_OWNER_KEY:
            self._claim(message, message.body)

    def apply(self, event: OperatorEvent) -> None:
        """Take in an operator event; only approve and owner say anything here."""
        match event.body:
            case Approve(device):
                self.approved.add(device)
            case SetOwner(device, owner):
                current = self.operator_owners.get(device, (0, b""))
                self.operator_owners[device] = max(current, (event.serial, owner))
            case _:
                pass

    def fix_centre(self, cell: int) -> tuple[int, int] | None:
        """Fix the centre of a cell that has none yet and return it; None if it had one."""
        if cell in self.centres:
            return None
        self.centres[cell] = cell_centre(cell)
        return self.centres[cell]

    def load_centres(self, centres: Mapping[int, tuple[int, int]]) -> None:
        """Take over centres that were fixed before; they are never computed again."""
        self.centres.update(centres)

    def _hello(self, message: DeviceMessage, hello: Hello) -> None:
        order = (message.seq, message.message_id)
        known = self.stations.get(message.device)
        if known is None:
            self.stations[message.device] = Station(message.device, hello, order)
        elif order > known.hello_order:
            self.stations[message.device] = replace(known, hello=hello, hello_order=order)

    def _claim(self, message: DeviceMessage, claim: Claim) -> None:
        order = (message.seq, message.message_id)
        known = self.stations[message.device]
        if order > known.claim_order:
            self.stations[message.device] = replace(
                known, claimed_owner=claim.owner, claim_order=order
            )


def cell_centre(cell: int) -> tuple[int, int]:
    """Centre of a cell as (lat, lon) in 10^-6 degree, each rounded half to even from H3's float.

    Asked once per cell and then kept: another version of H3 may round another way.
    """
    lat, lon = h3.cell_to_latlng(h3.int_to_str(cell))
    return round(lat * E6), round(lon * E6)


def claim_proven(claim: Claim, device: bytes, network_id: bytes) -> bool:
    """Say whether a claim carries the proof that its scheme asks for.

    Scheme 1: a COSE_Sign1 with role `owner` over [device id, owner public key] by that key, whose
    keccak tail is the owner id. The other schemes have nothing that we could check.
    """
    if claim.scheme != _SCHEME_OWNER_KEY:
        return True
    envelope = open_envelope(claim.proof or b"", network_id, Role.OWNER)
    if isinstance(envelope, Verdict):
        return False
    fields = load(envelope.payload)
    if type(fields) is not list or len(fields) != 2 or fields[0] != device:
        return False
    key = fields[1]
    return (
        type(key) is bytes
        and len(key) == PUBLIC_KEY_BYTES
        and envelope.kid == device_id(key)
        and claim.owner == owner_id(key)
        and key_acceptable(key)
        and signature_valid(key, envelope.signature, envelope.to_be_signed)
    )
