"""The coverage of a closed epoch as it was settled, and its beacons worked out again.

Links and verdicts come from the stored coverage table. Single beacons are in no table: they are
computed from the epoch's messages by the same core functions that settled it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.coverage_json import BeaconDetail, Ear
from gateway.cli.data import Data, last_epoch, opened
from gateway.core.coverage.evidence import Evidence, hour_of, proven_hours
from gateway.core.coverage.model import Coverage, StationCoverage
from gateway.core.coverage.rows import LORA
from gateway.core.coverage.table import decode_coverage
from gateway.core.epoch_inputs import StationRow
from gateway.core.epoch_setting import epoch_setting
from gateway.core.epoch_stations import coverage_evidence, coverage_members, present_stations
from gateway.core.ids import device_name
from gateway.core.listing import list_messages
from gateway.core.manifest import decode_manifest
from gateway.core.rules import Rules, parse_rules
from gateway.core.station_table import decode_stations
from gateway.shell.epochs import epoch_inputs, span_of
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.network import find_rules
from gateway.shell.published import stored_epoch
from gateway.shell.store.base import StoredEpoch


@dataclass(frozen=True, slots=True)
class CoverageLook:
    """One epoch's coverage; `data` is open as long as the look is."""

    data: Data
    stored: StoredEpoch
    rules_text: bytes
    rules: Rules
    rows: tuple[StationRow, ...]
    coverage: Coverage

    @property
    def epoch(self) -> int:
        """The UTC day."""
        return self.stored.epoch

    def station(self, device: bytes) -> StationCoverage:
        """The coverage of a station, or an OperatorFault if the epoch knows nothing of it."""
        for station in self.coverage.stations:
            if station.device == device:
                return station
        raise OperatorFault(
            f"Epoch {self.epoch} knows no coverage of the station {device_name(device)}.",
            "It had sent no hello by the end of that day, or belongs to another network.",
            "`cairn coverage links` lists who heard whom.",
            Code.STATION_UNKNOWN,
        )


@contextmanager
def looked_at(data_dir: Path | None, number: int | None) -> Iterator[CoverageLook]:
    """Open the data and read the coverage of an epoch, the newest closed one for None."""
    with opened(data_dir) as data:
        stored = last_epoch(data.store) if number is None else stored_epoch(data.store, number)
        if not stored.coverage:
            raise OperatorFault(
                f"Epoch {stored.epoch} has no coverage proofs.",
                "It was closed by software that knew none.",
                "Name a later epoch; `cairn epoch list` shows them.",
                Code.EPOCH_MISSING,
            )
        rules_text = find_rules(data.network.folder, decode_manifest(stored.manifest).rules)
        yield CoverageLook(
            data,
            stored,
            rules_text,
            parse_rules(rules_text),
            tuple(decode_stations(stored.outcome)),
            decode_coverage(stored.coverage),
        )


def beacon_details(look: CoverageLook, device: bytes) -> list[BeaconDetail]:
    """The station's beacons of the epoch's day, in order of their slots."""
    evidence = _evidence(look)
    proven = proven_hours(evidence.heard, evidence.listening)
    # A silence counts for a witness that may be one for this station at all, and near enough.
    asked = {
        link.witness
        for link in look.coverage.links
        if link.beaconer == device and link.radio == LORA
    }
    ears: dict[tuple[int, bytes], list[Ear]] = {}
    for row, beaconer, _, verdict in evidence.heard:
        if beaconer == device:
            ear = Ear(row.witness, row.radio, row.rssi_cdbm, row.snr_cdb, verdict)
            ears.setdefault((row.slot, row.tag), []).append(ear)
    details = []
    for sent in evidence.sent.get(device, ()):
        noted = tuple(ears.get((sent.slot, sent.tag), ()))
        by_lora = {ear.witness for ear in noted if ear.radio == LORA}
        silent = tuple(
            witness
            for witness in sorted(asked - by_lora)
            if proven.get(witness, 0) >> hour_of(sent.slot) & 1
        )
        details.append(BeaconDetail(sent, noted, silent))
    return details


def _evidence(look: CoverageLook) -> Evidence:
    """What was sent and heard on the day, from the same messages as at the close."""
    store, network = look.data.store, look.data.network
    inputs = epoch_inputs(store, network, span_of(look.stored), look.rules_text)
    setting = epoch_setting(inputs)
    listing = list_messages(
        inputs.epoch,
        (*setting.opening.pending, *inputs.admission),
        inputs.messages,
        network_id=setting.network_id,
        clocks=setting.opening.boots,
        rules=setting.rules,
    )
    present, _ = present_stations(inputs.epoch, setting, listing)
    members = coverage_members(setting, present)
    return coverage_evidence(inputs.epoch, setting, listing, present, members)
