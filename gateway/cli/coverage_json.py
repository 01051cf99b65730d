"""The coverage of a station down to its beacons as JSON: for `cairn coverage show`.

Levels are cdB and cdBm as in the protocol, ids are names; a verdict comes with its advice.
"""

from typing import Any, NamedTuple

from gateway.core.coverage.model import Coverage, Sent, StationCoverage
from gateway.core.explain_coverage import link_tree, station_tree
from gateway.core.ids import device_name
from gateway.core.rules import Rules
from gateway.core.verdicts import Verdict

Tree = dict[str, Any]

_SLOT_MS = 60_000


class Ear(NamedTuple):
    """What one witness noted of one beacon."""

    witness: bytes
    radio: int
    rssi_cdbm: int
    snr_cdb: int | None
    verdict: Verdict


class BeaconDetail(NamedTuple):
    """One beacon: who noted it, and who was provably listening in its hour and did not."""

    sent: Sent
    ears: tuple[Ear, ...]
    silent: tuple[bytes, ...]


def station_json(epoch: int, own: StationCoverage, coverage: Coverage, rules: Rules) -> Tree:
    """All that was settled about one station's coverage in an epoch."""
    on_site = {one for pair in coverage.co_located if own.device in pair for one in pair}
    return {
        "epoch": epoch,
        "station": device_name(own.device),
        **station_tree(own, rules.place),
        "co_located": sorted(device_name(one) for one in on_site - {own.device}),
        "links": [link_tree(one) for one in coverage.links if one.beaconer == own.device],
        "witness_of": [link_tree(one) for one in coverage.links if one.witness == own.device],
    }


def beacon_json(beacon: BeaconDetail) -> Tree:
    """One beacon: sent when and how, heard by whom, by whom not."""
    sent = beacon.sent
    return {
        "slot": sent.slot,
        "time_ms": sent.slot * _SLOT_MS + sent.delay_ms,
        "power_cdbm": sent.power_cdbm,
        "channel": sent.channel,
        "tag": sent.tag.hex(),
        "heard": [
            {
                "witness": device_name(ear.witness),
                "radio": ear.radio,
                "rssi_cdbm": ear.rssi_cdbm,
                "snr_cdb": ear.snr_cdb,
                "verdict": ear.verdict.name.lower(),
            }
            for ear in beacon.ears
        ],
        "silent": [device_name(witness) for witness in beacon.silent],
    }
