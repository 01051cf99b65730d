"""The messages of a bundle checked one by one: form, key, signature and admission verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.core.ids import device_id
from gateway.core.model import AdmissionEntry, Claim, Hello
from gateway.core.registry import claim_proven
from gateway.core.state import EpochState
from gateway.core.verdicts import Verdict
from gateway.core.verify import key_acceptable, signature_valid
from gateway.core.wire import Decoded, decode


def first_bad_message(
    entries: Iterable[AdmissionEntry],
    messages: Mapping[bytes, bytes],
    opening: EpochState,
    network_id: bytes,
) -> str | None:
    """Return what is wrong with the first bad message, by id, or None.

    Keys come from the opening state and from hellos, which certify themselves.
    """
    decoded = {}
    for entry in sorted(entries, key=lambda entry: entry.message_id):
        found = decode(messages.get(entry.message_id, b""), network_id)
        if isinstance(found, Verdict):
            return _say(entry, f"it is {found.name.lower()}")
        if found.envelope.message_id != entry.message_id:
            return _say(entry, f"its bytes are those of {found.envelope.message_id.hex()}")
        decoded[entry.message_id] = (entry, found)
    keys = {device: station.public_key for device, station in opening.stations.items()}
    keys.update(_keys_in_hellos(found for _, found in decoded.values()))
    for entry, found in decoded.values():
        fault = _fault(entry, found, keys.get(found.envelope.kid), network_id)
        if fault is not None:
            return _say(entry, fault)
    return None


def name_damaged_message(
    raw_messages: Iterable[bytes], message_ids: Iterable[bytes], network_id: bytes
) -> str | None:
    """Return the id under which the first damaged message belongs, for a damaged section."""
    for message_id, data in zip(message_ids, raw_messages, strict=False):
        found = decode(data, network_id)
        if isinstance(found, Verdict) or found.envelope.message_id != message_id:
            return message_id.hex()
    return None


def _keys_in_hellos(messages: Iterable[Decoded]) -> dict[bytes, bytes]:
    keys = {}
    for found in messages:
        body = found.message.body
        if isinstance(body, Hello) and device_id(body.public_key) == found.envelope.kid:
            keys[found.envelope.kid] = body.public_key
    return {device: key for device, key in keys.items() if key_acceptable(key)}


def _fault(
    entry: AdmissionEntry, found: Decoded, key: bytes | None, network_id: bytes
) -> str | None:
    envelope = found.envelope
    if key is None:
        return "its device has no hello here and is not in the opening state"
    if not signature_valid(key, envelope.signature, envelope.to_be_signed):
        return "its signature does not verify"
    verdict = found.verdict
    body = found.message.body
    if isinstance(body, Hello) and body.public_key != key:
        return "its hello carries the key of another device"
    if isinstance(body, Claim) and not claim_proven(body, envelope.kid, network_id):
        verdict = Verdict.BAD_BODY
    if verdict is not entry.verdict:
        return f"it is {verdict.name.lower()}, the log says {entry.verdict.name.lower()}"
    return None


def _say(entry: AdmissionEntry, fault: str) -> str:
    return f"message {entry.message_id.hex()}: {fault}"
