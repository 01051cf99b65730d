"""The close of an epoch: from admitted messages and logs to pay, state, manifest and root.

A pure function of EpochInputs. Order of arrival, duplicates and the moment at which the close is
carried out change nothing; only fixed deadlines do. spec/protocol.md section 10, spec/rewards.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.cbor_profile import encode
from gateway.core.clockmap import newest_boots
from gateway.core.coverage.table import encode_coverage
from gateway.core.epoch_inputs import EpochInputs, EpochOutcome
from gateway.core.epoch_pay import Pay, pay_stations
from gateway.core.epoch_setting import Setting, epoch_setting
from gateway.core.epoch_stations import Evaluation, evaluate_stations
from gateway.core.geometry import Point
from gateway.core.listing import Listing, list_messages
from gateway.core.manifest import Manifest, digest, encode_manifest
from gateway.core.merkle import Tree
from gateway.core.message_root import message_root
from gateway.core.state import EpochState, LogHead, encode_state
from gateway.core.station_table import encode_stations


def close_epoch(inputs: EpochInputs) -> EpochOutcome:
    """Return the outcome of an epoch.

    EpochError, RulesError, QuantitiesError or TableError if the inputs do not fit together;
    nothing that a station sent can cause one.
    """
    setting = epoch_setting(inputs)
    listing = list_messages(
        inputs.epoch,
        (*setting.opening.pending, *inputs.admission),
        inputs.messages,
        network_id=setting.network_id,
        clocks=setting.opening.boots,
        rules=setting.rules,
    )
    evaluation = evaluate_stations(inputs.epoch, setting, listing)
    pay = pay_stations(setting, evaluation)
    coverage = encode_coverage(evaluation.coverage)
    closing = encode_state(_closing(inputs, setting, listing, evaluation, pay))
    tree = Tree((owner, total) for owner, total in pay.cumulative.items() if total)
    devices = listing.devices.values()
    listed = tuple(sorted(item.entry.message_id for own in devices for item in own.listed))
    late = tuple(sorted(item.entry.message_id for own in devices for item in own.late))
    root = message_root(listed)
    manifest = Manifest(
        network_id=setting.network_id,
        genesis=digest(inputs.genesis),
        simulated=int(setting.genesis.simulated),
        epoch=inputs.epoch,
        previous=inputs.previous_manifest,
        opening=digest(inputs.opening),
        closing=digest(closing),
        message_root=root,
        messages=len(listed),
        admission=inputs.admission_range,
        operator=inputs.operator_range,
        rules_serial=inputs.rules_serial,
        rules=digest(inputs.rules_text),
        quantities=digest(inputs.quantities_text),
        tables=tuple((name, digest(text)) for name, text in sorted(inputs.tables.items())),
        centres=digest(encode_centres(inputs.centres)),
        entropy=digest(inputs.entropy),
        stations=digest(encode_stations(pay.rows)),
        coverage=digest(coverage),
        after_close=digest(encode(late)),
        totals=pay.totals,
        payout_root=tree.root,
    )
    encoded = encode_manifest(manifest)
    return EpochOutcome(
        epoch=inputs.epoch,
        manifest=encoded,
        manifest_hash=digest(encoded),
        closing=closing,
        stations=pay.rows,
        coverage=coverage,
        tree=tree,
        totals=pay.totals,
        message_root=root,
        payout_root=tree.root,
        listed=listed,
        after_close=late,
    )


def encode_centres(centres: Mapping[int, Point]) -> bytes:
    """Return the deterministic CBOR of cells and their centres, ascending by cell."""
    return encode([(cell, *point) for cell, point in sorted(centres.items())])


def _closing(
    inputs: EpochInputs, setting: Setting, listing: Listing, evaluation: Evaluation, pay: Pay
) -> EpochState:
    operator = setting.operator
    # An audit is of a place: who moves has to be audited again.
    moved = {station.later.device for station in evaluation.stations if station.moved}
    return EpochState(
        epoch=inputs.epoch,
        admission_head=LogHead(inputs.admission_range.last, inputs.admission_range.hash_after),
        operator_head=LogHead(inputs.operator_range.last, inputs.operator_range.hash_after),
        carry=pay.totals.carry_after,
        stations={station.later.device: station.later for station in evaluation.stations},
        operator_owners=operator.owners,
        anchored=frozenset(operator.anchored - moved),
        quarantines=frozenset(operator.quarantines),
        rules=tuple(operator.rules),
        later_events=tuple(operator.later),
        cumulative=pay.cumulative,
        held=pay.held,
        delivered=evaluation.delivered,
        boots=newest_boots(listing.clocks),
        centres=setting.centres,
        pending=listing.pending,
    )
