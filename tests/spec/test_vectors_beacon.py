"""Board and gateway draw the beacons of spec/vectors/beacon_schedule, and read its chain."""

import json
from types import SimpleNamespace

import pytest
from cairn import beacons, regions
from cairn.entropy import Entropy
from cairn.hmac256 import Hmac256

from gateway.core.coverage.beacon import BeaconPlan, air_frame, beacon_of, commitment
from gateway.core.coverage.entropy import chain_end, slot_entropy
from tests.spec.vector_files import FOLDER

BYTES = (
    "network_id",
    "device",
    "x",
    "commitment",
    "chain_end",
    "chain",
    "external",
    "entropy",
    "tag",
    "frame",
)


def load() -> list[SimpleNamespace]:
    cases = []
    for path in sorted((FOLDER / "beacon_schedule").glob("*.json")):
        fields = json.loads(path.read_text())
        fields.update({name: bytes.fromhex(fields[name]) for name in BYTES if name in fields})
        cases.append(SimpleNamespace(name=path.stem, **fields))
    return cases


each = pytest.mark.parametrize("case", load(), ids=lambda case: case.name)


def test_there_are_cases_of_both_outcomes_and_regions():
    assert {case.due for case in load()} == {True, False}
    assert {case.region for case in load()} == {regions.EU868, regions.US915}
    due = [case for case in load() if case.due]
    assert {case.power_step for case in due} == {0, 1, 2, 3}


@each
def test_the_board_draws_it(case):
    head = beacons.message_head(case.network_id, case.device)
    region = regions.REGIONS[case.region]
    drawn = beacons.beacon_of(
        Hmac256(case.x),
        head,
        case.slot,
        case.entropy,
        every=case.every_slots,
        channels=len(region.channels_khz),
    )
    if not case.due:
        assert drawn is None
        return
    assert drawn == (case.delay_ms, case.power_step, case.channel, case.tag)
    power = region.eirp_cdbm - regions.POWER_STEP_CDB * case.power_step
    assert power == case.power_cdbm
    assert beacons.frame_of(case.network_id, case.tag) == case.frame
    assert beacons.tag_in(case.frame, case.network_id) == case.tag


@each
def test_the_board_reads_the_link(case):
    entropy = Entropy()
    day = case.slot // 1_440
    entropy.commit(day, case.chain_end, day)
    assert entropy.take((case.slot, case.chain, case.external)) == (case.entropy, "")


@each
def test_the_gateway_draws_it(case):
    plan = BeaconPlan(case.every_slots, case.channels, case.eirp_cdbm)
    drawn = beacon_of(case.x, case.network_id, case.device, case.slot, case.entropy, plan)
    assert commitment(case.x) == case.commitment
    if not case.due:
        assert drawn is None
        return
    assert drawn is not None
    assert (drawn.beaconer, drawn.slot) == (case.device, case.slot)
    assert (drawn.delay_ms, drawn.power_cdbm) == (case.delay_ms, case.power_cdbm)
    assert (drawn.channel, drawn.tag) == (case.channel, case.tag)
    assert air_frame(case.network_id, case.tag) == case.frame


@each
def test_the_gateway_hashes_the_chain(case):
    assert chain_end(case.chain, case.slot % 1_440 + 1) == case.chain_end
    assert slot_entropy(case.chain, case.external) == case.entropy
