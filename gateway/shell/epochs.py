"""Epochs between store and core: when one is due, what goes into it, what is kept of it.

The arithmetic is the core's. Whatever is computed here is computed again in the same way after a
crash: it depends on the logs and on nothing else.
"""

from dataclasses import dataclass

from gateway.core.epoch_inputs import ZERO_HASH, EpochInputs, EpochOutcome, LogRange
from gateway.core.epoch_setting import check_rules_fit
from gateway.core.genesis import DAY_MS
from gateway.core.operator import OperatorEvent, RulesChange
from gateway.core.operator_state import rules_in_force
from gateway.core.rules import Rules, parse_rules
from gateway.core.state import decode_state
from gateway.core.station_table import encode_stations
from gateway.shell.entropy import entropy_of_day
from gateway.shell.network import Network, find_rules, read_pinned, read_tables
from gateway.shell.store.base import Store, StoredEpoch


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """serial: 1 for the genesis rules, one more for every rules event of the operator log."""

    serial: int
    text: bytes
    rules: Rules


@dataclass(frozen=True, slots=True)
class Span:
    """An epoch's half-open ranges of positions in the two logs, and the serial of its rules."""

    epoch: int
    rules: int
    admission_first: int
    admission_last: int
    operator_first: int
    operator_last: int


def rules_named(network: Network, events: list[OperatorEvent], epoch: int) -> tuple[int, bytes]:
    """Serial and hash of an epoch's rules."""
    changes = [
        (event.body.first_epoch, event.body.rules_hash)
        for event in events
        if isinstance(event.body, RulesChange) and event.time_ms < end_ms(epoch)
    ]
    return rules_in_force(network.genesis, changes, epoch)


def load_rules(network: Network, digest: bytes) -> tuple[bytes, Rules]:
    """The rules with this hash; OperatorFault or RulesError if they cannot be had."""
    text = find_rules(network.folder, digest)
    return text, parse_rules(text)


def check_rules(network: Network, rules: Rules) -> None:
    """Raise EpochError if the network's own files are not those that the rules name."""
    quantities = read_pinned(network.folder, "quantities.toml")
    check_rules_fit(rules, quantities, read_tables(network.folder))


def rules_for(network: Network, events: list[OperatorEvent], epoch: int) -> RulesInForce:
    """The rules of an epoch."""
    serial, digest = rules_named(network, events, epoch)
    return RulesInForce(serial, *load_rules(network, digest))


def end_ms(epoch: int) -> int:
    """The first millisecond after an epoch's day."""
    return (epoch + 1) * DAY_MS


def due_ms(epoch: int, rules: Rules) -> int:
    """The protocol time at which an epoch closes."""
    return end_ms(epoch) + rules.epoch.close_after_ms


def epoch_inputs(store: Store, network: Network, span: Span, rules_text: bytes) -> EpochInputs:
    """Everything that decides an epoch, read from the store."""
    before = _epoch_before(store, span)
    opening = before.closing if before else b""
    admission = store.entries(span.admission_first, span.admission_last)
    wanted = [entry.message_id for entry in admission]
    wanted += [entry.message_id for entry in decode_state(opening).pending]
    return EpochInputs(
        genesis=network.genesis_bytes,
        statements=network.statements,
        epoch=span.epoch,
        rules_serial=span.rules,
        rules_text=rules_text,
        quantities_text=read_pinned(network.folder, "quantities.toml"),
        tables=read_tables(network.folder),
        opening=opening,
        previous_manifest=before.manifest_hash if before else ZERO_HASH,
        admission=admission,
        admission_range=LogRange(
            span.admission_first,
            span.admission_last,
            store.admission_hash(span.admission_first),
            store.admission_hash(span.admission_last),
        ),
        operator=store.events(span.operator_first, span.operator_last),
        operator_range=LogRange(
            span.operator_first,
            span.operator_last,
            store.operator_hash(span.operator_first),
            store.operator_hash(span.operator_last),
        ),
        messages=store.messages(wanted),
        centres={
            centre.cell: (centre.lat_e6, centre.lon_e6)
            for centre in store.centres(span.admission_first, span.admission_last)
        },
        entropy=entropy_of_day(store.entropy, network, span.epoch),
    )


def to_stored(outcome: EpochOutcome, span: Span, attestation: bytes) -> StoredEpoch:
    """What is kept of a closed epoch."""
    return StoredEpoch(
        epoch=outcome.epoch,
        rules=span.rules,
        admission_first=span.admission_first,
        admission_last=span.admission_last,
        operator_first=span.operator_first,
        operator_last=span.operator_last,
        manifest_hash=outcome.manifest_hash,
        manifest=outcome.manifest,
        closing=outcome.closing,
        outcome=encode_stations(outcome.stations),
        attestation=attestation,
        coverage=outcome.coverage,
    )


def span_of(stored: StoredEpoch) -> Span:
    return Span(
        stored.epoch,
        stored.rules,
        stored.admission_first,
        stored.admission_last,
        stored.operator_first,
        stored.operator_last,
    )


def next_epoch(store: Store, network: Network) -> int:
    """The number of the epoch that closes next."""
    numbers = store.epoch_numbers()
    return numbers[-1] + 1 if numbers else network.genesis.epoch_zero_ms // DAY_MS


def next_span(store: Store, epoch: int, rules: int) -> Span:
    """From the previous close to the ends of both logs as they are now."""
    last = store.epoch(epoch - 1)
    return Span(
        epoch,
        rules,
        last.admission_last if last else 0,
        store.admission_head().length,
        last.operator_last if last else 0,
        store.operator_head().length,
    )


def _epoch_before(store: Store, span: Span) -> StoredEpoch | None:
    before = store.epoch(span.epoch - 1)
    if before is None and span.admission_first:
        raise AssertionError(f"epoch {span.epoch - 1} is missing from the store")
    return before
