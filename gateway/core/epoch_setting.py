"""The inputs of an epoch parsed and checked against each other, before anything is computed.

What does not fit together is an operator's fault (EpochError): no message of a station can cause
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.canonical import MalformedError
from gateway.core.coverage.entropy import open_entropy
from gateway.core.coverage.radio import RadioTables, parse_radio_tables
from gateway.core.coverage.regions import Region, parse_regions
from gateway.core.epoch_inputs import ZERO_HASH, EpochError, EpochInputs, LogRange
from gateway.core.genesis import DAY_MS, Genesis
from gateway.core.geometry import Point, Sphere
from gateway.core.logs import (
    ADMISSION_LABEL,
    OPERATOR_LABEL,
    admission_cbor,
    chain_over,
    chain_start,
    operator_cbor,
)
from gateway.core.manifest import digest
from gateway.core.operator_state import OperatorState, operator_state, rules_in_force
from gateway.core.quantities import Quantity, parse_quantities
from gateway.core.rules import Rules, parse_rules, rules_hash
from gateway.core.state import EpochState, LogHead, decode_state, parse_centre
from gateway.core.statements import KeyStatement, open_statement
from gateway.core.tables import parse_trig
from gateway.core.verdicts import Verdict

TRIG = "trig"
RADIO = "radio"
REGIONS = "regions"
TABLES = frozenset({TRIG, RADIO, REGIONS})
# The year 4707. A bound for bundles from strangers: some emission schedules are powers of it.
EPOCH_MAX = 1_000_000
_RESTORE = "Restore the store from a backup, or take the bundle from its source again"


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that is not a message.

    epoch_index counts from the genesis; entropy: of the slots of the day that count.
    """

    genesis: Genesis
    network_id: bytes
    statements: tuple[KeyStatement, ...]
    epoch_index: int
    rules: Rules
    quantities: Mapping[int, Quantity]
    sphere: Sphere
    radio: RadioTables
    region: Region
    entropy: Mapping[int, bytes]
    opening: EpochState
    operator: OperatorState
    centres: Mapping[int, Point]


def epoch_setting(inputs: EpochInputs) -> Setting:
    """Return the setting of an epoch; EpochError, RulesError, QuantitiesError or TableError."""
    genesis = _genesis(inputs.genesis)
    network_id = genesis.network_id()
    opening = _opening(inputs.opening)
    _check_order(inputs, opening, genesis)
    _check_logs(inputs, opening, network_id)
    statements = tuple(_statement(data, network_id, genesis) for data in inputs.statements)
    operator = operator_state(
        opening, inputs.operator, network_id, statements, (inputs.epoch + 1) * DAY_MS
    )
    rules = _rules(inputs, genesis, operator)
    check_rules_fit(rules, inputs.quantities_text, inputs.tables)
    return Setting(
        genesis,
        network_id,
        statements,
        inputs.epoch - genesis.epoch_zero_ms // DAY_MS,
        rules,
        parse_quantities(inputs.quantities_text),
        Sphere(parse_trig(inputs.tables[TRIG])),
        parse_radio_tables(inputs.tables[RADIO]),
        _region(rules, inputs.tables[REGIONS]),
        _entropy(inputs, network_id, statements, operator),
        opening,
        operator,
        _centres(opening, inputs.centres),
    )


def check_rules_fit(rules: Rules, quantities_text: bytes, tables: Mapping[str, bytes]) -> None:
    """Raise EpochError if no epoch can be closed by these rules with these files of spec/."""
    if rules.epoch.length_ms != DAY_MS:
        raise _fault("These rules cannot be used", "an epoch is a UTC day", "rules")
    if set(tables) != TABLES:
        why = f"this software needs {', '.join(sorted(TABLES))}"
        raise _fault("The tables do not fit", why, "tables")
    for name, text, named in (
        ("quantities.toml", quantities_text, rules.files.quantities),
        ("tables/trig.csv", tables[TRIG], rules.files.trig),
        ("tables/radio.csv", tables[RADIO], rules.files.radio),
        ("regions.toml", tables[REGIONS], rules.files.regions),
    ):
        if digest(text) != named:
            why = f"the rules name the one with SHA-256 {named.hex()}"
            raise _fault(f"This is not the {name} of the rules", why, "files")


def _region(rules: Rules, regions_text: bytes) -> Region:
    regions = parse_regions(regions_text)
    region = regions.get(rules.coverage.region)
    if region is None:
        why = f"there is no region {rules.coverage.region!r} among {', '.join(sorted(regions))}"
        raise _fault("These rules cannot be used", why, "rules")
    return region


def _entropy(
    inputs: EpochInputs,
    network_id: bytes,
    statements: tuple[KeyStatement, ...],
    operator: OperatorState,
) -> Mapping[int, bytes]:
    try:
        return open_entropy(inputs.entropy, inputs.epoch, network_id, statements, operator.voids)
    except MalformedError as error:
        raise _fault("The entropy cannot be used", str(error), "entropy") from error


def _genesis(data: bytes) -> Genesis:
    genesis = Genesis.decode(data)
    if isinstance(genesis, Verdict):
        raise _fault("The genesis cannot be read", f"it is {genesis.name.lower()}", "genesis")
    return genesis


def _opening(encoded: bytes) -> EpochState:
    try:
        return decode_state(encoded)
    except MalformedError as error:
        raise _fault("The opening state cannot be read", str(error), "opening") from error


def _check_order(inputs: EpochInputs, opening: EpochState, genesis: Genesis) -> None:
    is_first = not inputs.opening
    first = genesis.epoch_zero_ms // DAY_MS
    if not first <= inputs.epoch <= EPOCH_MAX:
        why = "it lies before the genesis or beyond all plans"
        raise _fault(f"Epoch {inputs.epoch} cannot be closed", why, "order")
    # Else an operator could leave a past behind by beginning anew.
    if is_first and inputs.epoch != first:
        why = f"the first epoch of this network is {first}"
        raise _fault(f"Epoch {inputs.epoch} cannot be closed", why, "order")
    if not is_first and inputs.epoch != opening.epoch + 1:
        why = f"the opening state belongs to epoch {opening.epoch}"
        raise _fault(f"Epoch {inputs.epoch} cannot be closed", why, "order")
    if is_first != (inputs.previous_manifest == ZERO_HASH) or len(inputs.previous_manifest) != 32:
        why = "only a first epoch has no manifest before it"
        raise _fault(f"Epoch {inputs.epoch} cannot be closed", why, "order")


def _check_logs(inputs: EpochInputs, opening: EpochState, network_id: bytes) -> None:
    _check_log(
        "admission",
        inputs.admission_range,
        opening.admission_head or LogHead(0, chain_start(ADMISSION_LABEL, network_id)),
        [admission_cbor(entry) for entry in inputs.admission],
    )
    _check_log(
        "operator",
        inputs.operator_range,
        opening.operator_head or LogHead(0, chain_start(OPERATOR_LABEL, network_id)),
        [operator_cbor(event) for event in inputs.operator],
    )


def _check_log(name: str, log_range: LogRange, head: LogHead, entries: list[bytes]) -> None:
    what = f"The {name} log does not fit"
    if (log_range.first, log_range.hash_before) != head:
        raise _fault(what, "it does not begin where the opening state ends", f"{name}_log")
    if log_range.last - log_range.first != len(entries):
        why = f"{len(entries)} entries are not those of {log_range.first} to {log_range.last}"
        raise _fault(what, why, f"{name}_log")
    if chain_over(log_range.hash_before, entries) != log_range.hash_after:
        why = "an entry was changed, dropped or added: its hash chain ends elsewhere"
        raise _fault(what, why, f"{name}_log")


def _statement(data: bytes, network_id: bytes, genesis: Genesis) -> KeyStatement:
    statement = open_statement(data, network_id, genesis.root_key)
    if isinstance(statement, Verdict):
        why = f"it is {statement.name.lower()}"
        raise _fault("A key statement cannot be trusted", why, "statement")
    return statement


def _rules(inputs: EpochInputs, genesis: Genesis, operator: OperatorState) -> Rules:
    serial, digest = rules_in_force(genesis, operator.rules, inputs.epoch)
    if inputs.rules_serial != serial or rules_hash(inputs.rules_text) != digest:
        why = f"epoch {inputs.epoch} is under rules {serial}, SHA-256 {digest.hex()}"
        raise _fault("These are not the rules in force", why, "rules")
    return parse_rules(inputs.rules_text)


def _centres(opening: EpochState, new: Mapping[int, Point]) -> dict[int, Point]:
    centres = dict(opening.centres)
    for cell, point in new.items():
        try:
            parse_centre([cell, *point])
        except MalformedError as error:
            raise _fault("A centre cannot be used", str(error), "centre") from error
        if centres.setdefault(cell, point) != point:
            why = f"that of {cell:x} was fixed before, elsewhere"
            raise _fault("A centre cannot be used", why, "centre")
    return centres


def _fault(what: str, why: str, subject: str) -> EpochError:
    return EpochError(what, why, _RESTORE, f"epoch_{subject}")
