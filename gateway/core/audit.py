"""The audit of a bundle: every signature, both logs, and the whole epoch computed again.

Pure, offline, without a store. A bundle from anybody gives a report, never an exception. It takes
the opening state as given and says so; audit_chain checks that too, from a first epoch on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.core import h3bits
from gateway.core.audit_messages import first_bad_message, name_damaged_message
from gateway.core.bundle import Damage
from gateway.core.bundle_sections import (
    ADMISSION,
    ATTESTATION,
    CLOSING,
    COVERAGE,
    GENESIS,
    MANIFEST,
    MESSAGES,
    OPENING,
    STATIONS,
    inputs_of,
    message_ids,
)
from gateway.core.canonical import MalformedError, blob, decode, rows
from gateway.core.cose import Role, open_envelope
from gateway.core.epoch import close_epoch
from gateway.core.epoch_inputs import EpochInputs, EpochOutcome
from gateway.core.epoch_setting import Setting, epoch_setting
from gateway.core.faults import CoreFault
from gateway.core.genesis import DAY_MS, Genesis
from gateway.core.logs import parse_admission
from gateway.core.manifest import (
    ATTESTATION_CODE,
    Manifest,
    attestation_text,
    decode_manifest,
    digest,
    manifest_differences,
)
from gateway.core.model import Kind
from gateway.core.operator import follows, open_operator_event
from gateway.core.registry import cell_centre
from gateway.core.statements import key_in_force
from gateway.core.station_table import decode_stations, encode_stations
from gateway.core.verdicts import Verdict
from gateway.core.verify import signature_valid
from gateway.core.wire import VERSION

_ZERO_HASH = bytes(32)
_FAULTS = (CoreFault, MalformedError)


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """root: the payout root as computed here, 32 zero bytes if it could not be; epoch: -1 then."""

    ok: bool
    checks: tuple[Check, ...]
    root: bytes
    manifest_hash: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The reports of bundles in order, and the checks between them."""

    ok: bool
    reports: tuple[AuditReport, ...]
    links: tuple[Check, ...]


def audit_bundle(
    sections: Mapping[str, bytes], expected_manifest: bytes | None = None
) -> AuditReport:
    """Return the audit of one bundle.

    expected_manifest: the 32-byte hash that was published for the epoch, if the auditor has it.
    """
    try:
        inputs = inputs_of(sections)
        setting = epoch_setting(inputs)
    except _FAULTS as error:
        # An EpochError names what does not fit: genesis, statements, logs, rules or state.
        return _report([Check("inputs", ok=False, detail=str(error))], None, sections)
    checks = [
        Check("inputs", ok=True, detail=_given(inputs, setting)),
        _attestation(sections, setting, inputs.epoch),
        _operator_log(inputs, setting),
        _messages(inputs, setting),
        _centres(setting),
    ]
    outcome = _recompute(inputs, checks)
    if outcome is not None:
        checks += _compare(sections, outcome)
    if expected_manifest is not None:
        agrees = digest(sections[MANIFEST]) == expected_manifest
        detail = "" if agrees else f"published was {expected_manifest.hex()}"
        checks.append(Check("expected manifest", agrees, detail))
    return _report(checks, outcome, sections)


def audit_chain(bundles: Sequence[Mapping[str, bytes]]) -> ChainReport:
    """Return the audit of consecutive bundles, given in order, the first of a network's first."""
    reports = tuple(audit_bundle(sections) for sections in bundles)
    links = [_first_link(bundles[0])] if bundles else [Check("chain", ok=False, detail="empty")]
    for before, after, report in zip(bundles, bundles[1:], reports[1:], strict=False):
        name = f"link to epoch {report.epoch}"
        same_state = before.get(CLOSING) == after.get(OPENING)
        manifest = _manifest_of(after)
        named = manifest is not None and manifest.previous == digest(before.get(MANIFEST, b""))
        same_network = before.get(GENESIS) == after.get(GENESIS)
        detail = ", ".join(
            what
            for fits, what in (
                (same_network, "another genesis"),
                (same_state, "the opening state is not the closing state before it"),
                (named, "the manifest names another one before it"),
            )
            if not fits
        )
        links.append(Check(name, not detail, detail))
    ok = all(report.ok for report in reports) and all(link.ok for link in links)
    return ChainReport(ok, reports, tuple(links))


def name_damage(damage: Damage) -> str:
    """Return where a file is damaged, down to the message if the section can still be read."""
    intact = damage.intact or {}
    if damage.place != f"section {MESSAGES}" or damage.raw is None:
        return damage.place
    try:
        genesis = Genesis.decode(intact.get(GENESIS, b""))
        log = rows(decode(intact.get(ADMISSION, b"")), ADMISSION)
        ids = message_ids(tuple(map(parse_admission, log)), intact.get(OPENING, b""))
        stored = [blob(item, "a message") for item in rows(decode(damage.raw), MESSAGES)]
    except MalformedError:
        return damage.place
    if isinstance(genesis, Verdict):
        return damage.place
    found = name_damaged_message(stored, ids, genesis.network_id())
    return damage.place if found is None else f"{damage.place}, message {found}"


def _given(inputs: EpochInputs, setting: Setting) -> str:
    kind = "simulated network" if setting.genesis.simulated else "network"
    network = f"{kind} {setting.network_id.hex()} ({setting.genesis.name})"
    if not inputs.opening:
        return f"{network}; a first epoch, nothing is taken as given"
    return f"{network}; the opening state {digest(inputs.opening).hex()} is taken as given"


def _attestation(sections: Mapping[str, bytes], setting: Setting, epoch: int) -> Check:
    name = "attestation"
    data = sections.get(ATTESTATION)
    if data is None:
        return Check(name, ok=True, detail="absent: no gateway has signed this bundle")
    envelope = open_envelope(data, setting.network_id, Role.GATEWAY)
    if isinstance(envelope, Verdict):
        return Check(name, ok=False, detail=envelope.name.lower())
    wanted = [ATTESTATION_CODE, attestation_text(epoch), digest(sections[MANIFEST])]
    try:
        fields = decode(envelope.payload)
    except MalformedError as error:
        return Check(name, ok=False, detail=str(error))
    match fields:
        case [int(version), int(kind), b"", int(), int(time_ms), list(body)]:
            pass
        case _:
            return Check(name, ok=False, detail="it is no notice")
    if (version, kind, body) != (VERSION, Kind.NOTICE, wanted):
        return Check(name, ok=False, detail="it was signed for another manifest")
    # Its time is its signer's word: a key that has expired could still sign for an earlier day.
    if time_ms < (epoch + 1) * DAY_MS + setting.rules.epoch.close_after_ms:
        return Check(name, ok=False, detail="it is dated before the epoch closed")
    key = key_in_force(setting.statements, Role.GATEWAY, envelope.kid, time_ms)
    if key is None or not signature_valid(key, envelope.signature, envelope.to_be_signed):
        return Check(name, ok=False, detail="not signed by a gateway key in force")
    return Check(name, ok=True, detail=f"signed by gateway key {envelope.kid.hex()}")


def _operator_log(inputs: EpochInputs, setting: Setting) -> Check:
    """Signatures and chain are in the inputs' check; here the serials and predecessors."""
    name = "operator log"
    last = None
    for serial, data in enumerate(inputs.operator, start=inputs.operator_range.first + 1):
        event = open_operator_event(data, setting.network_id, setting.statements)
        if isinstance(event, Verdict):
            return Check(name, ok=False, detail=f"event {serial} is {event.name.lower()}")
        # The event before the first is in an earlier bundle; that log's chain holds it.
        is_continued = last is None and inputs.operator_range.first > 0
        if event.serial != serial or not (is_continued or follows(event, last)):
            return Check(name, ok=False, detail=f"event {serial} does not follow the one before")
        last = event
    return Check(name, ok=True, detail=f"{len(inputs.operator)} events")


def _messages(inputs: EpochInputs, setting: Setting) -> Check:
    entries = (*setting.opening.pending, *inputs.admission)
    bad = first_bad_message(entries, inputs.messages, setting.opening, setting.network_id)
    detail = f"{len(inputs.messages)} messages" if bad is None else bad
    return Check("messages", bad is None, detail)


def _centres(setting: Setting) -> Check:
    """Compare with H3, which may place a centre a rounding away: only here, never for money."""
    for cell, point in sorted(setting.centres.items()):
        detail = f"cell {cell:x} is no H3 cell"
        if h3bits.is_valid_shape(cell):
            off_m = setting.sphere.distance_m(point, cell_centre(cell))
            detail = "" if off_m <= 1 else f"cell {cell:x} is {off_m} m from where H3 places it"
        if detail:
            return Check("centres", ok=False, detail=detail)
    return Check("centres", ok=True, detail=f"{len(setting.centres)} cells")


def _recompute(inputs: EpochInputs, checks: list[Check]) -> EpochOutcome | None:
    try:
        return close_epoch(inputs)
    except _FAULTS as error:
        detail = str(error)
    except (ValueError, OverflowError) as error:
        # A forged opening state may hold sums that no epoch can reach.
        detail = f"the numbers leave their range ({error})"
    checks.append(Check("recomputed", ok=False, detail=detail))
    return None


def _compare(sections: Mapping[str, bytes], outcome: EpochOutcome) -> list[Check]:
    """Compare what the bundle says came out with what came out here."""
    return [
        _compare_manifest(sections[MANIFEST], outcome.manifest),
        _same("closing state", sections[CLOSING] == outcome.closing, "it differs"),
        _compare_stations(sections[STATIONS], outcome),
        _same("coverage table", sections[COVERAGE] == outcome.coverage, "it differs"),
    ]


def _compare_manifest(theirs: bytes, ours: bytes) -> Check:
    name = "manifest"
    if theirs == ours:
        return Check(name, ok=True, detail=digest(ours).hex())
    try:
        differing = manifest_differences(decode_manifest(ours), decode_manifest(theirs))
    except MalformedError as error:
        return Check(name, ok=False, detail=str(error))
    return Check(name, ok=False, detail=f"it differs in {', '.join(differing)}")


def _compare_stations(theirs: bytes, outcome: EpochOutcome) -> Check:
    name = "station table"
    if theirs == encode_stations(outcome.stations):
        return Check(name, ok=True, detail=f"{len(outcome.stations)} stations")
    try:
        stated = {row.device: row for row in decode_stations(theirs)}
    except MalformedError as error:
        return Check(name, ok=False, detail=str(error))
    ours = {row.device: row for row in outcome.stations}
    first = min(device for device in {*stated, *ours} if stated.get(device) != ours.get(device))
    detail = f"station {first.hex()} is not in both"
    if first in stated and first in ours:
        fields = [
            field
            for field in ours[first].__slots__
            if getattr(ours[first], field) != getattr(stated[first], field)
        ]
        detail = f"station {first.hex()} differs in {', '.join(fields)}"
    return Check(name, ok=False, detail=detail)


def _same(name: str, same: bool, detail: str) -> Check:  # noqa: FBT001 - it is the check's result
    return Check(name, same, "" if same else detail)


def _first_link(sections: Mapping[str, bytes]) -> Check:
    manifest = _manifest_of(sections)
    is_first = manifest is not None and manifest.previous == _ZERO_HASH
    ok = is_first and not sections.get(OPENING)
    return _same("first epoch", ok, "the first bundle is not that of a network's first epoch")


def _manifest_of(sections: Mapping[str, bytes]) -> Manifest | None:
    try:
        return decode_manifest(sections.get(MANIFEST, b""))
    except MalformedError:
        return None


def _report(
    checks: list[Check], outcome: EpochOutcome | None, sections: Mapping[str, bytes]
) -> AuditReport:
    return AuditReport(
        all(check.ok for check in checks),
        tuple(checks),
        _ZERO_HASH if outcome is None else outcome.payout_root,
        digest(sections.get(MANIFEST, b"")),
        -1 if outcome is None else outcome.epoch,
    )
