"""What anybody may read of a closed epoch: its figures, its stations, explanations and claims.

Documents for the command line and the API alike. Everything is read from what the close stored;
nothing is computed again but claim trees, and these must give the settled root.
"""

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.core.coverage.model import NO_COVERAGE, Coverage, Link, StationCoverage
from gateway.core.coverage.table import decode_coverage
from gateway.core.epoch_inputs import StationRow
from gateway.core.explain import explain, find_station
from gateway.core.explain_coverage import link_tree, station_tree
from gateway.core.genesis import DAY_MS
from gateway.core.ids import device_name
from gateway.core.manifest import decode_manifest, manifest_json
from gateway.core.merkle import Tree
from gateway.core.quantities import parse_quantities
from gateway.core.rules import parse_rules
from gateway.core.state import decode_state
from gateway.core.station_json import station_json
from gateway.core.station_table import count_stations
from gateway.settlement.claims import build_claim
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import Network, find_rules, read_pinned
from gateway.shell.store.base import Store, StoredEpoch

Document = dict[str, Any]


def stored_epoch(store: Store, number: int) -> StoredEpoch:
    """A closed epoch, or an OperatorFault that says which there are."""
    stored = store.epoch(number)
    if stored is None:
        raise OperatorFault(
            f"Epoch {number} is not closed here.",
            _closed_here(store.epoch_numbers()),
            "`cairn epoch list` shows them; `cairn epoch close` closes what is due.",
            Code.EPOCH_MISSING,
        )
    return stored


def summary(stored: StoredEpoch) -> Document:
    """A closed epoch's figures: amounts in base units as decimal text, roots in hex."""
    manifest = decode_manifest(stored.manifest)
    totals = manifest.totals
    day = datetime.fromtimestamp(stored.epoch * DAY_MS / 1000, UTC)
    return {
        "epoch": stored.epoch,
        "day": day.strftime("%Y-%m-%d"),
        "stations": count_stations(stored.outcome),
        "messages": manifest.messages,
        "pool": str(totals.emission),
        "offered": str(totals.offered),
        "paid": str(totals.paid),
        "carry_before": str(totals.carry_before),
        "carry": str(totals.carry_after),
        "message_root": manifest.message_root.hex(),
        "root": manifest.payout_root.hex(),
    }


def epoch_document(stored: StoredEpoch, stations: Sequence[StationRow]) -> Document:
    """A closed epoch: its manifest, who attests it, and these of its stations."""
    return {
        "epoch": stored.epoch,
        "manifest_hash": stored.manifest_hash.hex(),
        "manifest": manifest_json(decode_manifest(stored.manifest)),
        "attestation": stored.attestation.hex(),
        "stations": [station_json(row) for row in stations],
    }


def coverage_document(
    network: Network, stored: StoredEpoch, coverage: Coverage, stations: Sequence[StationCoverage]
) -> Document:
    """What the radio said of these stations in a closed epoch, each with the links to it."""
    rules = parse_rules(find_rules(network.folder, decode_manifest(stored.manifest).rules))
    links: dict[bytes, list[Link]] = {own.device: [] for own in stations}
    for link in coverage.links:
        if link.beaconer in links:
            links[link.beaconer].append(link)
    return {
        "epoch": stored.epoch,
        "manifest_hash": stored.manifest_hash.hex(),
        "stations": [
            {
                "station": device_name(own.device),
                **station_tree(own, rules.place),
                "links": [link_tree(link) for link in links[own.device]],
            }
            for own in stations
        ],
        "co_located": [
            [device_name(one), device_name(other)]
            for one, other in sorted(coverage.co_located)
            if one in links or other in links
        ],
    }


def explanation(
    network: Network, stored: StoredEpoch, stations: Sequence[StationRow], device: bytes
) -> tuple[Document, dict[str, str]]:
    """Why a station was paid what it was paid, and the SenML unit of each quantity by name."""
    row = find_station(stations, device)
    if row is None:
        raise _station_unknown(device, stored.epoch, stations)
    manifest = decode_manifest(stored.manifest)
    rules = parse_rules(find_rules(network.folder, manifest.rules))
    quantities = parse_quantities(read_pinned(network.folder, "quantities.toml"))
    units = {quantity.name: quantity.unit for quantity in quantities.values()}
    return explain(manifest, row, rules, quantities, coverage_of(stored)), units


def coverage_of(stored: StoredEpoch) -> Coverage:
    """What the radio said in an epoch; nothing, if it was closed before there was any."""
    return decode_coverage(stored.coverage) if stored.coverage else NO_COVERAGE


def claim_document(stored: StoredEpoch, owner: bytes) -> Document:
    """The proof of all that an owner has earned up to and including an epoch."""
    totals = decode_state(stored.closing).cumulative
    earned = {one: total for one, total in totals.items() if total}
    if owner not in earned:
        raise OperatorFault(
            f"The owner 0x{owner.hex()} has earned nothing up to epoch {stored.epoch}.",
            "No station that names this owner was paid.",
            "`cairn epoch show EPOCH --json` lists the stations with their owners.",
            Code.OWNER_UNKNOWN,
        )
    tree = Tree(earned.items())
    if decode_manifest(stored.manifest).payout_root != tree.root:
        raise OperatorFault(
            f"Epoch {stored.epoch} is not stored as it was settled.",
            "The amounts in its closing state do not give the root in its manifest.",
            "Restore the database from your last good copy; `cairn audit` says what is wrong.",
            Code.EPOCH_DAMAGED,
        )
    return build_claim(tree, owner, stored.epoch, stored.manifest_hash)


def parse_owner(text: str) -> bytes | None:
    """The owner id in 40 hex digits, with or without 0x; None if it is none."""
    digits = text.lower().removeprefix("0x")
    if len(digits) != 40 or not set(digits) <= set("0123456789abcdef"):
        return None
    return bytes.fromhex(digits)


def _closed_here(numbers: tuple[int, ...]) -> str:
    if not numbers:
        return "No epoch is closed here yet."
    return f"Closed are {numbers[0]} to {numbers[-1]}."


def _station_unknown(device: bytes, epoch: int, stations: Sequence[StationRow]) -> OperatorFault:
    name = device_name(device)
    near = difflib.get_close_matches(name, [device_name(row.device) for row in stations], n=1)
    return OperatorFault(
        f"The station {name} is not in epoch {epoch}.",
        "It had sent no hello by the end of that day, or belongs to another network.",
        f"Did you mean {near[0]}?" if near else "`cairn epoch show EPOCH` lists the stations.",
        Code.STATION_UNKNOWN,
    )
