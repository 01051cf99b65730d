"""The receiver follows the channel that is common to all stations of a slot."""

from hashlib import sha256
from typing import Any

import pytest
from cairn import cbor, regions, wire

from tests.unit.firmware.bench import START_MS, TimeStream
from tests.unit.firmware.bench_air import SLOTS, START_DAY, AirBench, air_config, chain_of

HOUR_MS = 3_600_000
SLOT = START_MS // 60_000


def channel_of(slot: int, channels: int, external: bytes = b"") -> int:
    """As the protocol says: the last byte of the slot's entropy."""
    return sha256(chain_of(slot // SLOTS).value(slot) + external).digest()[31] % channels


@pytest.mark.parametrize("region, channels", [(1, 3), (2, 8)])
def test_the_receiver_is_tuned_in_every_slot_before_its_beacons(
    region: int, channels: int
) -> None:
    config = air_config(region=region, beacon_every=1)
    bench = AirBench(config=config, external=b"drand", radios=(0, 1))
    bench.boot()
    bench.run(4 * HOUR_MS)
    slots = range(SLOT + 1, SLOT + 4 * 60 + 1)
    assert [(START_MS + now, radio, channel) for now, radio, channel in bench.air.tuned] == [
        (slot * 60_000, regions.LORA, channel_of(slot, channels, b"drand")) for slot in slots
    ]
    assert {channel for *_, channel in bench.air.tuned} == set(range(channels))
    sent = [(now, channel) for now, radio, channel, *_ in bench.frames if radio == regions.LORA]
    assert len(sent) > 60
    for now, channel in sent:
        assert channel == [one for at, _, one in bench.air.tuned if at <= now][-1]


def test_a_station_that_has_no_secret_to_beacon_with_is_tuned_all_the_same() -> None:
    # The commitment of the running day counts from its second full hour on.
    bench = AirBench(config=air_config(beacon_every=1))
    bench.boot()
    bench.run(HOUR_MS)
    assert bench.frames == []
    assert len(bench.air.tuned) == 60


@pytest.mark.parametrize("changes, radios", [
    ({"duty": (wire.DUTY_BATTERY, 600_000, 120_000)}, (0, 1)),
    ({"region": 0}, (0, 1)),
    ({}, (1, 2)),
])  # fmt: skip
def test_who_does_not_listen_over_lora_is_not_tuned(
    changes: dict[str, Any], radios: tuple[int, ...]
) -> None:
    bench = AirBench(config=air_config(beacon_every=1, **changes), radios=radios)
    bench.boot()
    bench.run(4 * HOUR_MS)
    assert bench.frames
    assert bench.air.tuned == []


def test_only_entropy_that_is_verified_tunes() -> None:
    bench = AirBench(config=air_config(), entropy=False)
    made = bench.boot()
    bench.run(2 * 60_000)
    chain, slot = chain_of(START_DAY), SLOT + 2
    forged = cbor.encode([slot, bytes(32), b""])
    for data in (forged, b"", chain.link(slot), chain.link(slot), chain.link(slot - 1)):
        bench.link.deliver("all/entropy", data)
        bench.run(1_000)
    assert [channel for *_, channel in bench.air.tuned] == [channel_of(slot, 3)]
    assert made.downlinks_refused == 4


def test_a_link_that_waited_for_its_commit_tunes_when_it_is_verified() -> None:
    bench = AirBench(config=air_config(), time_service=False)
    bench.boot()
    bench.run(HOUR_MS + 5_000)
    assert bench.air.tuned == []
    bench.board.connect = lambda: TimeStream(bench.world, bench.gateway.time_answer)
    while not bench.air.tuned:
        bench.run(1_000)
    now, radio, channel = bench.air.tuned[0]
    assert (radio, channel) == (regions.LORA, channel_of((START_MS + now) // 60_000, 3))
    assert now % 60_000
