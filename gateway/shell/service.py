"""One gateway in one process: the core's state machines over a store.

It has no clock: now_ms is protocol time, given with every call. The same calls give the same
store, receipts and epochs. Dropping the object at any moment and opening another one on the same
store is what a crash is.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

from gateway.core import logs
from gateway.core.admission import (
    AdmissionState,
    Arrival,
    Arrivals,
    Commit,
    Committed,
    Effect,
    OperatorLogged,
    Rejected,
    SendReceipt,
    ToCommit,
    step,
)
from gateway.core.cbor_profile import encode
from gateway.core.cose import MESSAGE_BYTES_MAX, Role
from gateway.core.downlink import (
    TO_ALL,
    downlink_payload,
    notice_body,
    receipt_body,
    time_body,
)
from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import EpochError, EpochOutcome
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_id
from gateway.core.manifest import ATTESTATION_CODE, attestation_text
from gateway.core.model import AdmissionEntry, Kind
from gateway.core.operator import (
    NO_PREVIOUS,
    OperatorEvent,
    OperatorKind,
    RulesChange,
    follows,
    open_operator_event,
    operator_payload,
)
from gateway.core.receipts import ReceiptBody
from gateway.core.registry import Policy
from gateway.core.statements import KeyStatement, key_in_force, open_statement
from gateway.core.verdicts import Verdict
from gateway.shell.epochs import (
    check_rules,
    due_ms,
    epoch_inputs,
    load_rules,
    next_epoch,
    next_span,
    rules_for,
    rules_named,
    to_stored,
)
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import NetworkKeys, sign_with
from gateway.shell.store.base import Batch, Centre, Logged, Refused, Store

BATCH_MESSAGES_MAX = 64


class Downlink(NamedTuple):
    """Bytes for one device (or all, device b""), under the topic tail `receipt`, `time`, ..."""

    device: bytes
    tail: str
    data: bytes


class Gateway:
    """Verifies, stores, receipts, and closes epochs. Make one with `open`."""

    def __init__(self, store: Store, keys: NetworkKeys, policy: Policy) -> None:
        self._store = store
        self._keys = keys
        self._policy = policy
        self._statements = _open_statements(keys)
        self._events = self._read_events()
        self._state = self._restore()
        self._receipts: dict[bytes, ReceiptBody] = {}
        self._closed: list[EpochOutcome] = []
        self._next_epoch = next_epoch(store, keys)
        self._rules = rules_for(keys, self._events, self._next_epoch)

    @classmethod
    def open(cls, store: Store, keys: NetworkKeys, policy: Policy = Policy.OPEN) -> Self:
        """Rebuild the live state from the store. OperatorFault if the store is damaged."""
        return cls(store, keys, policy)

    @property
    def network_id(self) -> bytes:
        return self._keys.network_id

    @property
    def store(self) -> Store:
        return self._store

    def deliver(self, arrivals: Sequence[Arrival], now_ms: int) -> tuple[Verdict, ...]:
        """Judge messages, make the good ones durable, and prepare their receipts.

        Verdicts are in the order of the arrivals. When this returns, whatever got an admission
        entry survives a power cut. Epochs that are due close first.
        """
        self._close_due(now_ms)
        verdicts: list[Verdict] = []
        for first in range(0, len(arrivals), BATCH_MESSAGES_MAX):
            # Copies: one object given twice would be one arrival to whoever looks for it.
            batch = tuple(Arrival(*a) for a in arrivals[first : first + BATCH_MESSAGES_MAX])
            verdicts += self._deliver_batch(batch, now_ms)
        return tuple(verdicts)

    def take_downlinks(self) -> list[Downlink]:
        """The newest receipt of every device that has one waiting, signed."""
        waiting, self._receipts = self._receipts, {}
        return [
            Downlink(
                device,
                "receipt",
                self._signed(Kind.RECEIPT, device, body.gateway_ms, receipt_body(body)),
            )
            for device, body in sorted(waiting.items())
        ]

    def advance(self, now_ms: int) -> list[EpochOutcome]:
        """Close every epoch that is due; return those closed since the last call."""
        self._close_due(now_ms)
        closed, self._closed = self._closed, []
        return closed

    def next_close(self) -> tuple[int, int]:
        """The epoch that closes next, and the protocol time at which it does."""
        return self._next_epoch, due_ms(self._next_epoch, self._rules.rules)

    def append_operator_event(self, data: bytes, now_ms: int) -> None:
        """Log an operator event (COSE_Sign1). OperatorFault if it may not follow the last one."""
        self._close_due(now_ms)
        event = open_operator_event(data, self.network_id, self._statements)
        if isinstance(event, Verdict):
            raise _event_refused(f"Its verdict is {event.name.lower()}.")
        self._check_event(event, now_ms)
        self._store.append_event(event.event_id, data)
        self._events.append(event)
        self._state, _ = step(self._state, now_ms, OperatorLogged(event))
        self._rules = rules_for(self._keys, self._events, self._next_epoch)

    def operate(self, kind: OperatorKind, body: list[Any], now_ms: int) -> None:
        """Sign the next operator event with the operator key of this network, and log it."""
        last = self._last_event()
        serial, prev = (last.serial + 1, last.event_id) if last else (1, NO_PREVIOUS)
        payload = operator_payload(kind, serial, prev, now_ms, body)
        data, _ = sign_with(self._keys.operator, self.network_id, Role.OPERATOR, payload)
        self.append_operator_event(data, now_ms)

    def answer_time(self, nonce: bytes, now_ms: int) -> bytes:
        """CBOR [key statement, time message] for `GET /v1/time` (protocol section 7)."""
        message = self._signed(Kind.TIME, TO_ALL, now_ms, time_body(nonce))
        return encode([self._keys.statements[0], message])

    def close(self) -> None:
        self._store.close()

    def _check_event(self, event: OperatorEvent, now_ms: int) -> None:
        if not follows(event, self._last_event()):
            raise _event_refused("Its serial, prev or time does not continue the operator log.")
        slots = self._rules.rules.slot_clock
        if event.time_ms > now_ms + slots.future_slots_max * slots.slot_ms:
            raise _event_refused("It is dated in the future; nothing could follow it until then.")
        if isinstance(event.body, RulesChange):
            self._check_rules_change(event.body, now_ms)

    def _check_rules_change(self, change: RulesChange, now_ms: int) -> None:
        """Refuse rules that could not close an epoch: once they are logged, none would close."""
        if change.first_epoch <= now_ms // DAY_MS:
            raise _event_refused(f"Epoch {change.first_epoch} has begun; rules never reach back.")
        _, rules = load_rules(self._keys, change.rules_hash)
        try:
            check_rules(self._keys, rules)
        except EpochError as error:
            raise _event_refused(f"{error.what}: {error.why}.") from error

    # ---- ingest

    def _deliver_batch(self, batch: tuple[Arrival, ...], now_ms: int) -> list[Verdict]:
        event = Arrivals(batch, self._store.known_id, self._admission_rules(now_ms))
        self._state, effects = step(self._state, now_ms, event)
        entries = [
            entry for effect in effects if isinstance(effect, Commit) for entry in effect.entries
        ]
        rejected = [effect for effect in effects if isinstance(effect, Rejected)]
        self._write(effects, entries, rejected, now_ms)
        self._queue_receipts(effects)
        committed = Committed(tuple(entry.entry.message_id for entry in entries))
        self._state, receipts = step(self._state, now_ms, committed)
        self._queue_receipts(receipts)
        return _verdicts(batch, entries, rejected)

    def _write(
        self,
        effects: tuple[Effect, ...],
        entries: list[ToCommit],
        rejected: list[Rejected],
        now_ms: int,
    ) -> None:
        centres = [
            Centre(cell, lat_e6, lon_e6)
            for effect in effects
            if isinstance(effect, Commit)
            for cell, (lat_e6, lon_e6) in effect.centres
        ]
        refused = [
            Refused(one.verdict, now_ms, one.arrival.device or b"", _sample(one.arrival.data))
            for one in rejected
        ]
        logged = [Logged(one.entry, one.data) for one in entries]
        try:
            self._store.commit(Batch(tuple(logged), tuple(centres), tuple(refused)))
        except Exception:
            # The state has taken in what was not stored; the store is right.
            self._state = self._restore()
            raise

    def _queue_receipts(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, SendReceipt):
                self._receipts[effect.device] = effect.body

    def _admission_rules(self, now_ms: int) -> int:
        """Serial of the rules of the day on which something arrives."""
        return rules_named(self._keys, self._events, now_ms // DAY_MS)[0]

    # ---- epochs

    def _close_due(self, now_ms: int) -> None:
        while now_ms >= due_ms(self._next_epoch, self._rules.rules):
            span = next_span(self._store, self._next_epoch, self._rules.serial)
            inputs = epoch_inputs(self._store, self._keys, span, self._rules.text)
            outcome = close_epoch(inputs)
            self._store.store_epoch(to_stored(outcome, span, self._attest(outcome)))
            self._closed.append(outcome)
            self._next_epoch += 1
            self._rules = rules_for(self._keys, self._events, self._next_epoch)

    def _attest(self, outcome: EpochOutcome) -> bytes:
        """Sign the outcome; b"" if the key is not in force, for an audit would refuse that."""
        # Dated by the close that was due, not by now: a restart signs the same bytes again.
        closed_ms = due_ms(outcome.epoch, self._rules.rules)
        kid = device_id(bytes(self._keys.gateway.verify_key))
        if key_in_force(self._statements, Role.GATEWAY, kid, closed_ms) is None:
            return b""
        text = attestation_text(outcome.epoch)
        body = notice_body(ATTESTATION_CODE, text, outcome.manifest_hash)
        return self._signed(Kind.NOTICE, TO_ALL, closed_ms, body)

    # ---- opening

    def _restore(self) -> AdmissionState:
        head = self._store.admission_head()
        centres = self._store.centres(0, head.length)
        try:
            return AdmissionState.restore(
                self.network_id,
                self._policy,
                self._checked_log(),
                self._events,
                {centre.cell: (centre.lat_e6, centre.lon_e6) for centre in centres},
            )
        except ValueError as error:
            raise _store_damaged(f"{error}.") from error

    def _checked_log(self) -> Iterator[tuple[AdmissionEntry, bytes]]:
        """The admission log in order; ValueError if its chain does not hold."""
        chain = logs.chain_start(logs.ADMISSION_LABEL, self.network_id)
        length = 0
        for logged in self._store.iterate():
            chain = logs.chain_next(chain, logs.admission_cbor(logged.entry))
            length += 1
            yield logged.entry, logged.data
        head = self._store.admission_head()
        if (length, chain) != (head.length, head.hash):
            raise ValueError("the hash chain of the admission log is broken")

    def _read_events(self) -> list[OperatorEvent]:
        events: list[OperatorEvent] = []
        head = self._store.operator_head()
        stored = self._store.events(0, head.length)
        chain = logs.chain_over(
            logs.chain_start(logs.OPERATOR_LABEL, self.network_id),
            [logs.operator_cbor(data) for data in stored],
        )
        if chain != head.hash:
            raise _store_damaged("The hash chain of the operator log is broken.")
        for data in stored:
            event = open_operator_event(data, self.network_id, self._statements)
            if isinstance(event, Verdict):
                raise _store_damaged(f"An operator event is {event.name.lower()}.")
            events.append(event)
        return events

    def _last_event(self) -> OperatorEvent | None:
        return self._events[-1] if self._events else None

    def _signed(self, kind: Kind, to: bytes, now_ms: int, body: list[Any]) -> bytes:
        serial = self._statements[0].serial
        payload = downlink_payload(kind, to, serial, now_ms, body)
        data, _ = sign_with(self._keys.gateway, self.network_id, Role.GATEWAY, payload)
        return data


def _open_statements(keys: NetworkKeys) -> list[KeyStatement]:
    """The key statements, that of the gateway key first; OperatorFault if one does not hold."""
    opened = []
    for data in keys.statements:
        statement = open_statement(data, keys.network_id, keys.genesis.root_key)
        if isinstance(statement, Verdict):
            raise OperatorFault(
                f"A key statement in {keys.folder} does not hold.",
                f"Its verdict is {statement.name.lower()}.",
                "Restore statements.cbor from your copy.",
                Code.NETWORK_DAMAGED,
            )
        opened.append(statement)
    kid = device_id(bytes(keys.gateway.verify_key))
    if not opened or (opened[0].role, opened[0].kid) != (Role.GATEWAY, kid):
        raise OperatorFault(
            f"The gateway key of {keys.folder} is not the one in its first key statement.",
            "No board would believe a receipt, and no auditor an attestation, that it signs.",
            "Restore gateway.key, or statements.cbor, from your copy.",
            Code.NETWORK_DAMAGED,
        )
    return opened


def _verdicts(
    batch: tuple[Arrival, ...], entries: list[ToCommit], rejected: list[Rejected]
) -> list[Verdict]:
    """One verdict per arrival: both lists are in the order of the batch."""
    left, refused = iter(entries), iter(rejected)
    next_refused = next(refused, None)
    verdicts = []
    for arrival in batch:
        if next_refused is not None and next_refused.arrival is arrival:
            verdicts.append(next_refused.verdict)
            next_refused = next(refused, None)
        else:
            verdicts.append(next(left).entry.verdict)
    return verdicts


def _sample(data: bytes) -> bytes:
    """What is kept of refused bytes: a stranger must not choose how much is written."""
    return data[:MESSAGE_BYTES_MAX]


def _event_refused(why: str) -> OperatorFault:
    return OperatorFault(
        "The operator event is refused.",
        why,
        "Sign it again, behind the newest event of this network.",
        Code.EVENT_REFUSED,
    )


def _store_damaged(why: str) -> OperatorFault:
    return OperatorFault(
        "The database is damaged.",
        why,
        "Stop the gateway, keep the file for inspection, and restore the last good copy; boards "
        "send again what has no receipt.",
        Code.STORE_CORRUPT,
    )
