import hmac
from hashlib import sha256

import pytest

from gateway.core.coverage.beacon import (
    BeaconPlan,
    air_frame,
    beacon_of,
    beacon_plan,
    beacons_of_day,
    commitment,
    slot_channel,
)
from gateway.core.coverage.entropy import chain_end, chain_value, slot_entropy
from tests.unit.gateway.coverage.coverage_kit import (
    DAY,
    ENTROPY,
    FIRST_SLOT,
    NETWORK,
    PLAN,
    REGION,
    RULES,
    SPEC,
    device_of,
    secret_of,
)

DEVICE = device_of("beaconer")
X = secret_of(DEVICE)


def r_of(slot, x=X, device=DEVICE, network=NETWORK, entropy=None):
    """Written out once more, from the text of spec/coverage.md."""
    message = b"cairn/beacon" + network + device + slot.to_bytes(8, "big")
    return hmac.new(x, message + (entropy or ENTROPY[slot]), sha256).digest()


def test_a_beacon_is_due_exactly_where_the_text_says():
    due = {s for s in ENTROPY if int.from_bytes(r_of(s)[:8], "big") % 120 == 0}
    beacons = beacons_of_day(X, NETWORK, DEVICE, ENTROPY, PLAN)
    assert [one.slot for one in beacons] == sorted(due)
    assert 3 <= len(beacons) <= 25


def test_delay_channel_power_and_tag_come_from_their_bytes():
    always = PLAN._replace(every_slots=1)
    for slot in range(FIRST_SLOT, FIRST_SLOT + 200):
        r = r_of(slot)
        one = beacon_of(X, NETWORK, DEVICE, slot, ENTROPY[slot], always)
        assert one.beaconer == DEVICE
        assert one.slot == slot
        assert one.delay_ms == 30_000 + 100 * r[8]
        assert one.power_cdbm == 1_600 - 300 * (r[9] & 3)
        assert one.channel == ENTROPY[slot][31] % 3
        assert one.tag == r[16:]


def test_delays_and_powers_fill_their_ranges():
    always = BeaconPlan(1, 3, 1_600)
    beacons = beacons_of_day(X, NETWORK, DEVICE, ENTROPY, always)
    assert len(beacons) == 1440
    assert {one.power_cdbm for one in beacons} == {1_600, 1_300, 1_000, 700}
    assert {one.channel for one in beacons} == {0, 1, 2}
    assert min(one.delay_ms for one in beacons) == 30_000
    assert max(one.delay_ms for one in beacons) == 55_500


def test_the_channel_of_a_slot_is_common_to_all():
    always = PLAN._replace(every_slots=1)
    devices = [device_of(f"station {number}") for number in range(20)]
    days = [beacons_of_day(secret_of(d), NETWORK, d, ENTROPY, always) for d in devices]
    for slot, beacons in zip(sorted(ENTROPY), zip(*days, strict=True), strict=True):
        assert {one.channel for one in beacons} == {slot_channel(ENTROPY[slot], 3)}
        assert len({one.tag for one in beacons}) == len(devices)


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_the_channel_is_the_last_byte_of_the_entropy(channels):
    for last in range(256):
        assert slot_channel(bytes([255 - last] * 31 + [last]), channels) == last % channels


@pytest.mark.parametrize("changed", ["x", "device", "network", "entropy"])
def test_every_input_decides(changed):
    other = {changed: {"network": b"elsewher"}.get(changed, sha256(b"other").digest())}
    if changed == "device":
        other = {changed: device_of("other")}
    slot = FIRST_SLOT + 1
    always = PLAN._replace(every_slots=1)
    given = {"x": X, "network": NETWORK, "device": DEVICE, "entropy": ENTROPY[slot]} | other
    one = beacon_of(given["x"], given["network"], given["device"], slot, given["entropy"], always)
    assert one.tag == r_of(slot, **given)[16:]
    assert one.tag != r_of(slot)[16:]


def test_slots_without_entropy_have_no_beacon():
    some = {slot: ENTROPY[slot] for slot in ENTROPY if slot % 2}
    every = beacons_of_day(X, NETWORK, DEVICE, ENTROPY, PLAN)
    assert beacons_of_day(X, NETWORK, DEVICE, some, PLAN) == [b for b in every if b.slot % 2]


def test_the_plan_is_of_the_rules_and_the_region():
    assert beacon_plan(RULES.coverage, REGION) == BeaconPlan(120, 3, 1_600)


def test_the_example_of_the_text_is_what_is_computed():
    last = bytes(range(32))
    first, end = FIRST_SLOT, chain_end(last, 1440)
    assert end.hex() == "4852c3edf49cd356e63ac2649d582ce4bf5990e5b497cd03fc95566594de3864"
    chains = {slot: chain_value(last, first + 1439, slot) for slot in ENTROPY}
    assert chains[first].hex() == (
        "b178bcb4bd4edd4da4e48c1729b1952ac9e9e61f804fcff131aecb4dc7a9a94d"
    )
    assert slot_entropy(chains[first], b"") == end
    assert slot_entropy(chains[first], b"drand").hex() == (
        "e9d74f7dddfd11eeb5522a93d8955b3313ec76919a0ffcb03926b4d7037dbddb"
    )
    entropy = {slot: slot_entropy(chain, b"") for slot, chain in chains.items()}
    x, network, device = bytes(range(32, 64)), bytes(range(8)), bytes(range(16))
    beacons = beacons_of_day(x, network, device, entropy, PLAN)
    assert len(beacons) == 17
    assert [(b.slot, b.delay_ms, b.channel, b.power_cdbm, b.tag.hex()) for b in beacons[:2]] == [
        (28_800_081, 49_000, 1, 1_600, "1e8575d5dd12168bc1c111fd373ba062"),
        (28_800_289, 36_100, 2, 700, "0efe2efde2c59b272431d269e9ace43f"),
    ]
    text = (SPEC / "coverage.md").read_text()
    for said in (end.hex(), beacons[0].tag.hex(), beacons[1].tag.hex(), chains[first].hex()):
        assert said in text


def test_a_frame_is_20_bytes_of_version_network_and_tag():
    assert air_frame(NETWORK, bytes(16)) == b"\x01" + b"net" + bytes(16)
    assert commitment(X) == sha256(X).digest()
    assert DAY * 1440 == FIRST_SLOT
