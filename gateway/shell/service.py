"""One gateway in one process: the core's state machines over a store.

It has no clock: now_ms is protocol time, given with every call. The same calls give the same
store, receipts and epochs. Dropping the object at any moment and opening another one on the same
store is what a crash is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

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
from gateway.core.cose import Role
from gateway.core.downlink import Downlink
from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import EpochOutcome
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_id
from gateway.core.login import GRANTED, Login, LoginRefusal, LoginRequest, LoginResult, refused
from gateway.core.manifest import ATTESTATION_CODE, attestation_text
from gateway.core.operator import (
    NO_PREVIOUS,
    OperatorEvent,
    OperatorKind,
    open_operator_event,
    operator_payload,
)
from gateway.core.ranges import Ranges
from gateway.core.receipts import ReceiptBody
from gateway.core.registry import Policy, Registry
from gateway.core.statements import key_in_force
from gateway.core.verdicts import Verdict
from gateway.shell import log
from gateway.shell.entropy import EntropyChain, EntropyCounts, void_slots
from gateway.shell.epochs import (
    due_ms,
    epoch_inputs,
    next_epoch,
    next_span,
    rules_for,
    rules_named,
    to_stored,
)
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.logins import open_requests
from gateway.shell.network import NetworkKeys, sign_with
from gateway.shell.opening import open_statements, read_events, restore_admission
from gateway.shell.operator_events import check_event, event_refused
from gateway.shell.refusals import Refusals
from gateway.shell.releases import announcement
from gateway.shell.store.base import Batch, Centre, Logged, Store
from gateway.shell.voice import Voice

BATCH_MESSAGES_MAX = 64
# Of one void-slot event: more would not fit into a message.
VOID_RANGES_MAX = 200


class Judged(NamedTuple):
    """What became of one arrival.

    message_id: b"" and kind: None where nothing could be believed of it. position: in the
    admission log, if this arrival put it there.
    """

    verdict: Verdict
    message_id: bytes
    kind: int | None
    position: int | None


class Gateway:
    """Verifies, stores, receipts, and closes epochs. Make one with `open`."""

    def __init__(self, store: Store, keys: NetworkKeys, policy: Policy) -> None:
        self._store = store
        self._keys = keys
        self._policy = policy
        self._statements = open_statements(keys)
        self._events = read_events(store, keys.network_id, self._statements)
        self._state = self._restore()
        self._refusals = Refusals()
        self._voice = Voice(keys, self._statements[0].serial)
        self._receipts: dict[bytes, ReceiptBody] = {}
        self._closed: list[EpochOutcome] = []
        self._next_epoch = next_epoch(store, keys)
        self._rules = rules_for(keys, self._events, self._next_epoch)
        self._entropy = EntropyChain(keys, store.entropy, self._voice, self._statements)

    @classmethod
    def open(cls, store: Store, keys: NetworkKeys, policy: Policy = Policy.OPEN) -> Self:
        """Rebuild the live state from the store. OperatorFault if the store is damaged."""
        return cls(store, keys, policy)

    @property
    def network_id(self) -> bytes:
        return self._keys.network_id

    @property
    def registry(self) -> Registry:
        """Who is registered, to look at."""
        return self._state.registry

    @property
    def store(self) -> Store:
        return self._store

    def deliver(
        self, arrivals: Sequence[Arrival], now_ms: int, rejected: Sequence[Rejected] = ()
    ) -> tuple[Judged, ...]:
        """Judge messages, make the good ones durable, and prepare their receipts.

        What comes out is in the order of the arrivals. When this returns, whatever got an
        admission entry survives a power cut. Epochs that are due close first. rejected: what was
        refused before it came here, to be counted. Refusals are written with the next batch that
        has entries, or by `write_refusals`.
        """
        self._close_due(now_ms)
        for one in rejected:
            self._refusals.add(one, now_ms)
        judged: list[Judged] = []
        for first in range(0, len(arrivals), BATCH_MESSAGES_MAX):
            # Copies: one object given twice would be one arrival to whoever looks for it.
            batch = tuple(Arrival(*a) for a in arrivals[first : first + BATCH_MESSAGES_MAX])
            judged += self._deliver_batch(batch, now_ms)
        return tuple(judged)

    def write_refusals(self) -> None:
        """Make the counts and samples of refused messages durable, if any wait."""
        if self._refusals:
            self._store.commit(Batch(refused=self._refusals.rows()))
            self._refusals.clear()

    # ---- downlinks

    def take_downlinks(self) -> list[Downlink]:
        """The newest receipt of every device that has one waiting, signed."""
        waiting, self._receipts = self._receipts, {}
        return [self._voice.receipt(device, body) for device, body in sorted(waiting.items())]

    def receipt_for(self, device: bytes, now_ms: int | None) -> Downlink | None:
        """The receipt of everything that a device has delivered; None if that is nothing."""
        delivered = self._state.delivered.get(device)
        if delivered is None:
            return None
        return self._voice.receipt(device, delivered.receipt(self._time(now_ms)))

    def keys_downlink(self, now_ms: int | None) -> Downlink:
        return self._voice.keys(self._time(now_ms))

    def release_downlinks(self, now_ms: int | None) -> list[Downlink]:
        """Which release boards should run, or that none is any more; empty if nobody can tell."""
        said = announcement(self._keys.folder)
        return [] if said is None else [self._voice.release(*said, self._time(now_ms))]

    def tick_downlink(self, slot: int, now_ms: int) -> Downlink:
        return self._voice.tick(slot, now_ms)

    def entropy_downlinks(self, now_ms: int, external: bytes = b"") -> list[Downlink]:
        """What is to be said of entropy now: commits that are new, and the present slot's link.

        external: at most 64 bytes to mix into it. Call it at the start of each slot. A link comes
        out once; it and the voids before it are durable then. One that is late, or void, does not.
        """
        # A due epoch waits: to close it may take longer than a link may be late.
        return self._entropy.downlinks(
            now_ms,
            external,
            # Of the epoch that closes next, so for some hours of yesterday: nobody can tell.
            late_ms=self._rules.rules.coverage.entropy_late_ms,
            void=void_slots(self._events),
            declare=lambda missed: self._declare_void(missed, now_ms),
        )

    @property
    def entropy_counts(self) -> EntropyCounts:
        return self._entropy.counts

    def refusal_notice(
        self, device: bytes, verdict: Verdict, data: bytes, now_ms: int
    ) -> Downlink:
        return self._voice.refusal(device, verdict, data, now_ms)

    # ---- logins

    def login(
        self,
        requests: Sequence[LoginRequest],
        now_ms: int | None,
        strangers: Sequence[bool] | None = None,
    ) -> list[LoginResult]:
        """Judge logins in order; their counters are durable when this returns.

        now_ms: None while a driven clock waits for its first tick, which an operator must log in
        to send. strangers: may request n be of an id that is not registered? Default: all may.
        """
        time_ms = self._time(now_ms)
        allowed = [True] * len(requests) if strangers is None else strangers
        opened = open_requests(
            requests, self.network_id, lambda device: self._known(device, time_ms), allowed
        )
        logins = [one for one in opened if isinstance(one, Login)]
        raised = iter(self._store.record_logins([(one.device, one.counter) for one in logins]))
        return [
            refused(one)
            if isinstance(one, LoginRefusal)
            else self._login_result(one, time_ms)
            if next(raised)
            else refused(LoginRefusal.COUNTER)
            for one in opened
        ]

    def _login_result(self, login: Login, time_ms: int) -> LoginResult:
        operator = self._is_operator(login.device, time_ms)
        receipt = self.receipt_for(login.device, time_ms)
        return LoginResult(
            granted=True,
            device=login.device,
            operator=operator,
            reason=GRANTED,
            retained=() if receipt is None else (receipt,),
            registered=self._known(login.device, time_ms),
        )

    def _known(self, device: bytes, time_ms: int) -> bool:
        registered = self._state.registry.key_of(device) is not None
        return registered or self._is_operator(device, time_ms)

    def _is_operator(self, kid: bytes, time_ms: int) -> bool:
        return key_in_force(self._statements, Role.OPERATOR, kid, time_ms) is not None

    # ---- epochs and operator events

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
            raise event_refused(f"Its verdict is {event.name.lower()}.")
        check_event(event, self._last_event(), self._rules.rules, self._keys, now_ms)
        self._store.append_event(event.event_id, data)
        self._events.append(event)
        self._state, _ = step(self._state, now_ms, OperatorLogged(event))
        self._rules = rules_for(self._keys, self._events, self._next_epoch)

    def operate(self, kind: OperatorKind, body: list[Any], now_ms: int) -> None:
        """Sign the next operator event with the operator key of this network, and log it."""
        self._operate(kind, body, now_ms, now_ms)

    def _operate(self, kind: OperatorKind, body: list[Any], time_ms: int, now_ms: int) -> None:
        last = self._last_event()
        serial, prev = (last.serial + 1, last.event_id) if last else (1, NO_PREVIOUS)
        payload = operator_payload(kind, serial, prev, time_ms, body)
        data, _ = sign_with(self._keys.operator, self.network_id, Role.OPERATOR, payload)
        self.append_operator_event(data, now_ms)

    def answer_time(self, nonce: bytes, now_ms: int) -> bytes:
        """CBOR [key statement, time message] for `GET /v1/time` (protocol section 7)."""
        return self._voice.time(nonce, now_ms)

    def close(self) -> None:
        self._store.close()

    # ---- entropy

    def _declare_void(self, missed: Ranges, now_ms: int) -> bool:
        """Log slots that were missed. False if the log does not take it now."""
        last = self._last_event()
        # Another machine's clock may be a little ahead; events never run backwards.
        time_ms = max(now_ms, last.time_ms if last else 0)
        try:
            for first in range(0, len(missed), VOID_RANGES_MAX):
                body = [list(one) for one in missed[first : first + VOID_RANGES_MAX]]
                self._operate(OperatorKind.VOID_SLOT, body, time_ms, now_ms)
        except OperatorFault as fault:
            if fault.code != Code.EVENT_REFUSED:
                raise
            log.trouble("void_slots_refused", why=fault.why)
            return False
        return True

    # ---- ingest

    def _deliver_batch(self, batch: tuple[Arrival, ...], now_ms: int) -> list[Judged]:
        event = Arrivals(batch, self._store.known_id, self._admission_rules(now_ms))
        self._state, effects = step(self._state, now_ms, event)
        rejected = [effect for effect in effects if isinstance(effect, Rejected)]
        for one in rejected:
            self._refusals.add(one, now_ms)
        position = self._store.admission_head().length
        commits = [effect for effect in effects if isinstance(effect, Commit)]
        for commit in commits:
            self._write(commit)
        self._queue_receipts(effects)
        entries = [entry for commit in commits for entry in commit.entries]
        committed = Committed(tuple(entry.entry.message_id for entry in entries))
        self._state, receipts = step(self._state, now_ms, committed)
        self._queue_receipts(receipts)
        return _judged(batch, entries, rejected, position)

    def _write(self, commit: Commit) -> None:
        logged = [Logged(one.entry, one.data) for one in commit.entries]
        centres = [Centre(cell, lat_e6, lon_e6) for cell, (lat_e6, lon_e6) in commit.centres]
        try:
            self._store.commit(Batch(tuple(logged), tuple(centres), self._refusals.rows()))
        except Exception:
            # The state has taken in what was not stored; the store is right.
            self._state = self._restore()
            raise
        self._refusals.clear()

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
        return self._voice.notice(ATTESTATION_CODE, text, outcome.manifest_hash, closed_ms)

    def _restore(self) -> AdmissionState:
        return restore_admission(self._store, self.network_id, self._policy, self._events)

    def _last_event(self) -> OperatorEvent | None:
        return self._events[-1] if self._events else None

    def _time(self, now_ms: int | None) -> int:
        """Protocol time, or the newest that is known while a driven clock has none."""
        if now_ms is not None:
            return now_ms
        length = self._store.admission_head().length
        newest = [entry.recv_ms for entry in self._store.entries(max(length - 1, 0), length)]
        return max([self._keys.genesis.epoch_zero_ms, *newest])


def _judged(
    batch: tuple[Arrival, ...], entries: list[ToCommit], rejected: list[Rejected], position: int
) -> list[Judged]:
    """One for each arrival: both lists are in the order of the batch."""
    left, refused_left = enumerate(entries, position), iter(rejected)
    next_refused = next(refused_left, None)
    judged = []
    for arrival in batch:
        if next_refused is not None and next_refused.arrival is arrival:
            judged.append(_refused(next_refused))
            next_refused = next(refused_left, None)
        else:
            place, one = next(left)
            message = one.message
            judged.append(Judged(one.entry.verdict, message.message_id, message.kind, place))
    return judged


def _refused(one: Rejected) -> Judged:
    if one.message is None:
        return Judged(one.verdict, b"", None, None)
    return Judged(one.verdict, one.message.message_id, one.message.kind, None)
