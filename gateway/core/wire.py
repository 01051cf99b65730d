"""Device messages from bytes: envelope, payload, body (spec/protocol.md sections 2, 4 to 6).

Decoding checks form only. Whether the signature verifies, and for which key, is admission's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.core.cbor_profile import load, violation
from gateway.core.cose import ID16_BYTES, Envelope, Role, open_envelope
from gateway.core.model import Body, Claim, DeviceMessage, Kind, NotEvaluated, TimeSource
from gateway.core.verdicts import Verdict
from gateway.core.wire_bodies import BODY_DECODERS, UINT_LIMIT

VERSION = 16
"""16 * major + minor of protocol 1.0."""

_MAJOR = VERSION >> 4
_BOOT_LIMIT = 1 << 32
_SOURCES = tuple(TimeSource)
_CLAIM_SCHEME_EVALUATED_MAX = 1
_NOT_EVALUATED = NotEvaluated()


class Decoded(NamedTuple):
    """A message whose header is good. verdict: OK; NOT_EVALUATED (unknown kind, minor version
    or claim scheme); or BAD_BODY or UNKNOWN_MAJOR, then the body is NotEvaluated.
    """

    envelope: Envelope
    message: DeviceMessage
    verdict: Verdict


def decode(data: bytes, network_id: bytes) -> Decoded | Verdict:
    """Decode a device message for this network; never raises, whatever the bytes."""
    envelope = open_envelope(data, network_id, Role.DEVICE)
    if isinstance(envelope, Verdict):
        return envelope
    return decode_payload(envelope)


def decode_payload(envelope: Envelope) -> Decoded | Verdict:
    """Decode the payload of an opened device message.

    A plain verdict means that not even the header could be read, so no seq can be receipted.
    """
    payload = envelope.payload
    fields = load(payload)
    if isinstance(fields, Verdict):
        return fields
    if not _header_fits(fields):
        return violation(payload) or _header_verdict(fields)
    version, kind = fields[0], fields[1]
    body: Body | None = _NOT_EVALUATED
    verdict = Verdict.OK
    if version >> 4 != _MAJOR:
        verdict = Verdict.UNKNOWN_MAJOR
    elif version != VERSION or kind not in BODY_DECODERS:
        verdict = Verdict.NOT_EVALUATED
    else:
        body = BODY_DECODERS[kind](fields)
        if body is None:
            verdict = Verdict.BAD_BODY
        elif kind == Kind.CLAIM:
            verdict = _claim_verdict(body)
    if verdict or kind == Kind.CLAIM:
        # Nobody has looked at every type in there.
        found = violation(payload)
        if found is not None:
            return found
    return Decoded(envelope, _message(envelope, fields, body or _NOT_EVALUATED), verdict)


def _header_fits(fields: Any) -> bool:
    if type(fields) is not list or len(fields) != 8:
        return False
    version, kind, boot, seq, prev, time_ms, quality, _ = fields
    if not (type(version) is type(kind) is type(boot) is type(seq) is type(time_ms) is int):
        return False
    return (
        0 <= version < UINT_LIMIT
        and 0 <= kind <= 15
        and 1 <= boot < _BOOT_LIMIT
        and 1 <= seq < UINT_LIMIT
        and type(prev) is bytes
        and len(prev) == ID16_BYTES
        and 0 <= time_ms < UINT_LIMIT
        and type(quality) is list
        and len(quality) == 2
        and type(quality[0]) is type(quality[1]) is int
        and 0 <= quality[0] < len(_SOURCES)
        and 0 <= quality[1] < UINT_LIMIT
    )


def _header_verdict(fields: Any) -> Verdict:
    if isinstance(fields, list) and fields and isinstance(fields[0], int):
        return Verdict.BAD_PAYLOAD if fields[0] >> 4 == _MAJOR else Verdict.UNKNOWN_MAJOR
    return Verdict.BAD_PAYLOAD


def _claim_verdict(body: Body) -> Verdict:
    if isinstance(body, Claim) and body.scheme > _CLAIM_SCHEME_EVALUATED_MAX:
        return Verdict.NOT_EVALUATED
    return Verdict.OK


def _message(envelope: Envelope, fields: list[Any], body: Body) -> DeviceMessage:
    version, kind, boot, seq, prev, time_ms, quality, _ = fields
    return DeviceMessage(
        envelope.message_id,
        envelope.kid,
        version,
        kind,
        boot,
        seq,
        prev,
        time_ms,
        _SOURCES[quality[0]],
        quality[1],
        body,
    )
