"""Key statements: which operational key the root vouches for, and when (protocol section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.cbor_profile import encode, load, violation
from gateway.core.cose import Role, open_envelope
from gateway.core.ids import device_id
from gateway.core.verdicts import Verdict
from gateway.core.verify import key_acceptable, signature_valid
from gateway.core.wire import VERSION
from gateway.core.wire_bodies import UINT_LIMIT

_STATED_ROLES = {
    role.value: role for role in (Role.GATEWAY, Role.OPERATOR, Role.RELEASE, Role.AUDITOR)
}


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """In force while not_before_ms <= time < not_after_ms."""

    role: Role
    public_key: bytes
    serial: int
    not_before_ms: int
    not_after_ms: int

    @property
    def kid(self) -> bytes:
        return device_id(self.public_key)


def statement_payload(statement: KeyStatement) -> bytes:
    """The payload that the root key signs with role `root`."""
    return encode(
        [
            VERSION,
            statement.role.value,
            statement.public_key,
            statement.serial,
            statement.not_before_ms,
            statement.not_after_ms,
        ]
    )


def open_statement(data: bytes, network_id: bytes, root_key: bytes) -> KeyStatement | Verdict:
    """Decode a key statement and check that the root key signed it."""
    envelope = open_envelope(data, network_id, Role.ROOT)
    if isinstance(envelope, Verdict):
        return envelope
    if envelope.kid != device_id(root_key):
        return Verdict.KID_MISMATCH
    if not signature_valid(root_key, envelope.signature, envelope.to_be_signed):
        return Verdict.BAD_SIGNATURE
    fields = load(envelope.payload)
    if isinstance(fields, Verdict):
        return fields
    statement = _statement(fields)
    if statement is None:
        return violation(envelope.payload) or Verdict.BAD_PAYLOAD
    return statement if key_acceptable(statement.public_key) else Verdict.WEAK_KEY


def key_in_force(
    statements: Iterable[KeyStatement], role: Role, kid: bytes, time_ms: int
) -> bytes | None:
    """The public key with this kid, if one of the statements puts it in force at time_ms."""
    for statement in statements:
        if (
            statement.role is role
            and statement.kid == kid
            and statement.not_before_ms <= time_ms < statement.not_after_ms
        ):
            return statement.public_key
    return None


def _statement(fields: object) -> KeyStatement | None:
    if type(fields) is not list or len(fields) != 6:
        return None
    version, role, public_key, serial, not_before_ms, not_after_ms = fields
    numbers = (version, serial, not_before_ms, not_after_ms)
    if not all(type(number) is int and 0 <= number < UINT_LIMIT for number in numbers):
        return None
    if type(role) is not str or role not in _STATED_ROLES or type(public_key) is not bytes:
        return None
    if version != VERSION or not_before_ms >= not_after_ms:
        return None
    return KeyStatement(_STATED_ROLES[role], public_key, serial, not_before_ms, not_after_ms)
