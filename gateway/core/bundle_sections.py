"""What the sections of a bundle hold: an epoch's inputs, and what the gateway made of them.

The one place that knows the names. Messages carry no ids: they stand in ascending order of the
ids that the admission log and the pending entries of the opening state name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core import canonical
from gateway.core.canonical import MalformedError, blob, octets, row, rows, uint
from gateway.core.cbor_profile import encode
from gateway.core.epoch import encode_centres
from gateway.core.epoch_inputs import EpochInputs, EpochOutcome, LogRange
from gateway.core.logs import admission_fields, parse_admission
from gateway.core.model import AdmissionEntry
from gateway.core.state import decode_state, parse_centre
from gateway.core.station_table import encode_stations

GENESIS = "genesis"
STATEMENTS = "statements"
EPOCH = "epoch"
RULES = "rules"
QUANTITIES = "quantities"
TABLE = "table."
OPENING = "opening"
ADMISSION = "admission"
OPERATOR = "operator"
MESSAGES = "messages"
CENTRES = "centres"
MANIFEST = "manifest"
CLOSING = "closing"
STATIONS = "stations"
ENTROPY = "entropy"
COVERAGE = "coverage"
ATTESTATION = "attestation"

_REQUIRED = frozenset(
    {
        GENESIS,
        STATEMENTS,
        EPOCH,
        RULES,
        QUANTITIES,
        OPENING,
        ADMISSION,
        OPERATOR,
        MESSAGES,
        CENTRES,
        MANIFEST,
        CLOSING,
        STATIONS,
        ENTROPY,
        COVERAGE,
    }
)


def bundle_sections(
    inputs: EpochInputs, outcome: EpochOutcome, attestation: bytes = b""
) -> dict[str, bytes]:
    """Return the sections of an epoch's bundle.

    attestation: the gateway's signed notice over the manifest hash, left out if empty.
    """
    ids = message_ids(inputs.admission, inputs.opening)
    sections = {
        GENESIS: inputs.genesis,
        STATEMENTS: encode(inputs.statements),
        EPOCH: encode(
            [
                inputs.epoch,
                inputs.rules_serial,
                inputs.previous_manifest,
                _range_fields(inputs.admission_range),
                _range_fields(inputs.operator_range),
            ]
        ),
        RULES: inputs.rules_text,
        QUANTITIES: inputs.quantities_text,
        OPENING: inputs.opening,
        ADMISSION: encode([admission_fields(entry) for entry in inputs.admission]),
        OPERATOR: encode(inputs.operator),
        MESSAGES: encode([inputs.messages[message_id] for message_id in ids]),
        CENTRES: encode_centres(inputs.centres),
        MANIFEST: outcome.manifest,
        CLOSING: outcome.closing,
        STATIONS: encode_stations(outcome.stations),
        ENTROPY: inputs.entropy,
        COVERAGE: outcome.coverage,
    }
    sections.update({TABLE + name: text for name, text in inputs.tables.items()})
    if attestation:
        sections[ATTESTATION] = attestation
    return sections


def inputs_of(sections: Mapping[str, bytes]) -> EpochInputs:
    """Return the inputs that a bundle holds, or raise MalformedError, which names the section."""
    tables = {
        name.removeprefix(TABLE): text for name, text in sections.items() if name.startswith(TABLE)
    }
    extra = {name for name in sections if not name.startswith(TABLE)} - {ATTESTATION}
    if extra != _REQUIRED:
        raise MalformedError(f"sections absent or unknown: {sorted(extra ^ _REQUIRED)}")
    epoch, serial, previous, admission_range, operator_range = _named(
        sections, EPOCH, lambda value: row(value, 5, "the epoch")
    )
    admission = _named(sections, ADMISSION, _each(parse_admission))
    return EpochInputs(
        genesis=sections[GENESIS],
        statements=_named(sections, STATEMENTS, _each(_blob)),
        epoch=uint(epoch, "section epoch: the epoch"),
        rules_serial=uint(serial, "section epoch: a serial"),
        rules_text=sections[RULES],
        quantities_text=sections[QUANTITIES],
        tables=tables,
        opening=sections[OPENING],
        previous_manifest=octets(previous, (32,), "section epoch: the previous manifest"),
        admission=admission,
        admission_range=_range(admission_range),
        operator=_named(sections, OPERATOR, _each(_blob)),
        operator_range=_range(operator_range),
        messages=_messages(sections, admission),
        centres=dict(_named(sections, CENTRES, _each(parse_centre))),
        entropy=sections[ENTROPY],
    )


def message_ids(admission: tuple[AdmissionEntry, ...], opening: bytes) -> list[bytes]:
    """Return the ids of all messages that a bundle must hold, ascending."""
    pending = decode_state(opening).pending
    return sorted({entry.message_id for entry in (*admission, *pending)})


def _messages(
    sections: Mapping[str, bytes], admission: tuple[AdmissionEntry, ...]
) -> dict[bytes, bytes]:
    messages = _named(sections, MESSAGES, _each(_blob))
    try:
        ids = message_ids(admission, sections[OPENING])
    except MalformedError as error:
        raise MalformedError(f"section {OPENING}: {error}") from error
    if len(ids) != len(messages):
        why = f"{len(messages)} messages for {len(ids)} admission entries"
        raise MalformedError(f"section {MESSAGES}: {why}")
    return dict(zip(ids, messages, strict=True))


def _named(sections: Mapping[str, bytes], name: str, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(canonical.decode(sections[name]))
    except MalformedError as error:
        raise MalformedError(f"section {name}: {error}") from error


def _each(parse: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: tuple(parse(item) for item in rows(value, "it"))


def _blob(value: Any) -> bytes:
    return blob(value, "an entry")


def _range_fields(log_range: LogRange) -> list[Any]:
    return [log_range.first, log_range.last, log_range.hash_before, log_range.hash_after]


def _range(value: Any) -> LogRange:
    what = "section epoch: a log range"
    first, last, before, after = row(value, 4, what)
    return LogRange(
        uint(first, what),
        uint(last, what),
        octets(before, (32,), what),
        octets(after, (32,), what),
    )
