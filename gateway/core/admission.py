"""Admission: arrivals in, commits, refusals and receipts out (protocol sections 4, 5 and 9).

A state machine without I/O. `step` owns the state that it is given and returns it changed; if the
shell fails to commit what a step asks for, it must throw the state away and restore another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.cose import Envelope, Role, open_envelope
from gateway.core.ids import device_id
from gateway.core.model import AdmissionEntry, Claim, DeviceMessage, Hello, Kind
from gateway.core.operator import OperatorEvent
from gateway.core.receipts import Delivered, ReceiptBody
from gateway.core.registry import Policy, Registry, claim_proven
from gateway.core.verdicts import Verdict
from gateway.core.verify import key_acceptable, signature_valid
from gateway.core.wire import Decoded, decode, decode_payload

ADMITTED = frozenset({Verdict.OK, Verdict.NOT_EVALUATED})
FINALLY_REFUSED = frozenset({Verdict.UNKNOWN_MAJOR, Verdict.BAD_BODY})


class Arrival(NamedTuple):
    """Bytes that came in. device: the id in the topic, None if the way here had no topic."""

    device: bytes | None
    data: bytes
    net_tag: bytes = b""


class Arrivals(NamedTuple):
    """A batch, judged in order. known_id: is a message with this id stored? rules: the serial of
    the rules in force, for the log.
    """

    arrivals: tuple[Arrival, ...]
    known_id: Callable[[bytes], bool]
    rules: int


class Committed(NamedTuple):
    """The store made the messages with these ids durable."""

    message_ids: tuple[bytes, ...]


class OperatorLogged(NamedTuple):
    """The store made this operator event durable."""

    event: OperatorEvent


class ToCommit(NamedTuple):
    """One admission entry with the exact bytes of its message, and what they say.

    Of a finally refused message the body is NotEvaluated, unless only its proof was bad.
    """

    entry: AdmissionEntry
    data: bytes
    message: DeviceMessage


class Commit(NamedTuple):
    """Write all of it in one transaction, then answer with `Committed`.

    centres: (scoring cell, (lat, lon) in 10^-6 degree) of cells that these hellos name first.
    """

    entries: tuple[ToCommit, ...]
    centres: tuple[tuple[int, tuple[int, int]], ...]


class Rejected(NamedTuple):
    """Not stored by this arrival: refused, or a duplicate of `message`."""

    arrival: Arrival
    verdict: Verdict
    message: DeviceMessage | None = None


class SendReceipt(NamedTuple):
    device: bytes
    body: ReceiptBody


Event = Arrivals | Committed | OperatorLogged
Effect = Commit | Rejected | SendReceipt


@dataclass(slots=True)
class AdmissionState:
    """Mutable. pending: entries handed out in a Commit and not yet durable, by message id."""

    network_id: bytes
    registry: Registry
    delivered: dict[bytes, Delivered] = field(default_factory=dict)
    pending: dict[bytes, tuple[DeviceMessage, Verdict]] = field(default_factory=dict)

    @staticmethod
    def empty(network_id: bytes, policy: Policy) -> AdmissionState:
        """The state of a network that has admitted nothing."""
        return AdmissionState(network_id, Registry(policy))

    @staticmethod
    def restore(
        network_id: bytes,
        policy: Policy,
        admitted: Iterable[tuple[AdmissionEntry, bytes]],
        events: Iterable[OperatorEvent],
        centres: Mapping[int, tuple[int, int]],
    ) -> AdmissionState:
        """Rebuild the state from the admission log with its messages, the operator log and the
        centres. ValueError if a stored message does not decode: the store is damaged.
        """
        state = AdmissionState.empty(network_id, policy)
        state.registry.load_centres(centres)
        for entry, data in admitted:
            decoded = decode(data, network_id)
            if isinstance(decoded, Verdict) or decoded.message.message_id != entry.message_id:
                raise ValueError(f"stored message {entry.message_id.hex()} is damaged")
            _register(state, decoded.message, entry.verdict)
            _deliver(state, decoded.message, entry.verdict)
        for event in events:
            state.registry.apply(event)
        return state


def step(
    state: AdmissionState, now_ms: int, event: Event
) -> tuple[AdmissionState, tuple[Effect, ...]]:
    """Advance admission by one event at protocol time now_ms."""
    match event:
        case Arrivals():
            return state, _arrivals(state, now_ms, event)
        case Committed(message_ids):
            return state, _committed(state, now_ms, message_ids)
        case OperatorLogged(logged):
            state.registry.apply(logged)
            return state, ()


def _arrivals(state: AdmissionState, now_ms: int, event: Arrivals) -> tuple[Effect, ...]:
    entries: list[ToCommit] = []
    centres: list[tuple[int, tuple[int, int]]] = []
    rejected: list[Effect] = []
    sent_again: set[bytes] = set()
    for arrival in event.arrivals:
        judged = _judge(state, arrival)
        if isinstance(judged, Verdict):
            rejected.append(Rejected(arrival, judged))
            continue
        _, message, verdict = judged
        if message.message_id in state.pending or event.known_id(message.message_id):
            rejected.append(Rejected(arrival, Verdict.DUPLICATE, message))
            sent_again.add(message.device)
            continue
        entry = AdmissionEntry(message.message_id, now_ms, verdict, event.rules, arrival.net_tag)
        entries.append(ToCommit(entry, arrival.data, message))
        centres += _take_in(state, message, verdict)
    commits: list[Effect] = [Commit(tuple(entries), tuple(centres))] if entries else []
    # Whoever has something under way gets its receipt with the commit of that.
    waiting = {message.device for message, _ in state.pending.values()}
    return (*rejected, *commits, *_receipts(state, now_ms, sent_again - waiting))


def _take_in(
    state: AdmissionState, message: DeviceMessage, verdict: Verdict
) -> list[tuple[int, tuple[int, int]]]:
    """Let later arrivals of the batch see this message; return the centres that it fixed."""
    state.pending[message.message_id] = (message, verdict)
    _register(state, message, verdict)
    if verdict is not Verdict.OK or not isinstance(message.body, Hello):
        return []
    cell = message.body.scoring_cell
    centre = state.registry.fix_centre(cell)
    return [] if centre is None else [(cell, centre)]


def _committed(
    state: AdmissionState, now_ms: int, message_ids: tuple[bytes, ...]
) -> tuple[Effect, ...]:
    devices = set()
    for message_id in message_ids:
        message, verdict = state.pending.pop(message_id)
        _deliver(state, message, verdict)
        devices.add(message.device)
    return _receipts(state, now_ms, devices)


def _register(state: AdmissionState, message: DeviceMessage, verdict: Verdict) -> None:
    if verdict is Verdict.OK:
        state.registry.admit(message)


def _deliver(state: AdmissionState, message: DeviceMessage, verdict: Verdict) -> None:
    state.delivered.setdefault(message.device, Delivered()).add(message, verdict)


def _receipts(state: AdmissionState, now_ms: int, devices: set[bytes]) -> tuple[Effect, ...]:
    return tuple(
        SendReceipt(device, state.delivered[device].receipt(now_ms)) for device in sorted(devices)
    )


def _judge(state: AdmissionState, arrival: Arrival) -> Decoded | Verdict:
    """Everything that can be said of a message without the store.

    A payload is parsed only under a valid signature, or when it may be a hello: what a stranger
    sends should cost no more than one signature check.
    """
    envelope = open_envelope(arrival.data, state.network_id, Role.DEVICE)
    if isinstance(envelope, Verdict):
        return envelope
    if arrival.device is not None and arrival.device != envelope.kid:
        return Verdict.TOPIC_MISMATCH
    key = state.registry.key_of(envelope.kid)
    if key is None:
        return _judge_stranger(state, envelope)
    if not signature_valid(key, envelope.signature, envelope.to_be_signed):
        return Verdict.BAD_SIGNATURE
    decoded = decode_payload(envelope)
    if isinstance(decoded, Verdict):
        return decoded
    body = decoded.message.body
    if isinstance(body, Hello) and body.public_key != key:
        return Verdict.KID_MISMATCH
    if isinstance(body, Claim) and not claim_proven(body, envelope.kid, state.network_id):
        return decoded._replace(verdict=Verdict.BAD_BODY)
    return decoded


def _judge_stranger(state: AdmissionState, envelope: Envelope) -> Decoded | Verdict:
    decoded = decode_payload(envelope)
    if isinstance(decoded, Verdict):
        return decoded
    body = decoded.message.body
    if not isinstance(body, Hello):
        # A hello with a broken body holds no key that its signature could be checked with.
        is_hello = decoded.message.kind == Kind.HELLO and decoded.verdict in FINALLY_REFUSED
        return decoded.verdict if is_hello else Verdict.UNREGISTERED
    if device_id(body.public_key) != envelope.kid:
        return Verdict.KID_MISMATCH
    if not key_acceptable(body.public_key):
        return Verdict.WEAK_KEY
    if not signature_valid(body.public_key, envelope.signature, envelope.to_be_signed):
        return Verdict.BAD_SIGNATURE
    if not state.registry.may_register(envelope.kid):
        return Verdict.WAITING_APPROVAL
    return decoded
