"""A station's beacons, from the day's secret to its reveal."""

import hmac
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from typing import Any

from cairn import beacons, limits, regions, wire

from tests.unit.firmware.bench import DAY_MS, START_MS, TimeStream
from tests.unit.firmware.bench_air import SLOTS, START_DAY, AirBench, air_config, chain_of

HOUR_MS = 3_600_000


def expected(bench: AirBench, x: bytes, day: int, external: bytes = b"") -> list[tuple[Any, ...]]:
    """(slot, delay, step, channel, tag) of a whole day, computed as the protocol says."""
    found = []
    for slot in range(day * SLOTS, (day + 1) * SLOTS):
        entropy = sha256(chain_of(day).value(slot) + external).digest()
        message = b"cairn/beacon" + bench.config.network_id + bench.link.device
        r = hmac.digest(x, message + slot.to_bytes(8, "big") + entropy, "sha256")
        if int.from_bytes(r[:8], "big") % bench.config.beacon_every == 0:
            channels = 3 if bench.config.region == 1 else 8
            found.append((slot, 30_000 + 100 * r[8], r[9] & 3, entropy[31] % channels, r[16:]))
    return found


def days_of(bench: AirBench, kind: int) -> list[int]:
    return [body[0] for body in bench.bodies(kind)]


def test_three_days_of_beacons() -> None:
    bench = AirBench(config=air_config(), external=b"drand")
    made = bench.boot()
    bench.run(3 * DAY_MS + 2 * HOUR_MS)
    assert bench.gateway.complete()
    assert made.downlinks_refused == 0, made.last_refusal
    days = [START_DAY + n for n in range(5)]
    assert days_of(bench, wire.COMMIT) == days[: len(days_of(bench, wire.COMMIT))]
    assert len(days_of(bench, wire.COMMIT)) in {4, 5}
    assert days_of(bench, wire.REVEAL) == days[:3]
    commitments = dict(bench.bodies(wire.COMMIT))
    reports = dict(bench.bodies(wire.BEACON))
    for day, x in bench.bodies(wire.REVEAL):
        assert sha256(x).digest() == commitments[day]
        due = expected(bench, x, day, b"drand")
        if day == days[0]:
            # The commitment of the running day counts from the second full hour on.
            due = [one for one in due if one[0] >= day * SLOTS + 120]
        assert len(due) >= 10
        on_air = [one for one in bench.frames if (START_MS + one[0]) // DAY_MS == day]
        assert [
            (divmod(START_MS + now, 60_000), power, channel, frame)
            for now, _, channel, power, frame in on_air
        ] == [
            (
                (slot, delay),
                1_600 - 300 * step - 215,
                channel,
                b"\x01" + bench.config.network_id[:3] + tag,
            )
            for slot, delay, step, channel, tag in due
        ]
        # The report names the EIRP, not what the connector gives.
        rows = [[slot, 0, channel, 1_600 - 300 * step] for slot, _, step, channel, _ in due]
        assert reports[day] == rows
    assert made.coverage.beaconer.sent == len(bench.frames)
    assert made.coverage.beaconer.skipped == 0
    # All four steps and all three channels occur.
    assert len({power for _, _, _, power, _ in bench.frames}) == 4
    assert {channel for _, _, channel, _, _ in bench.frames} == {0, 1, 2}


def test_reveal_and_reports_come_after_the_hour() -> None:
    bench = AirBench(config=air_config())
    bench.boot()
    bench.run(DAY_MS + 2 * HOUR_MS)
    for kind in (wire.BEACON, wire.REVEAL):
        times = [fields[5] for fields in bench.gateway.fields(kind)]
        assert times
        for time_ms in times:
            behind = time_ms - (START_DAY + 1) * DAY_MS - HOUR_MS
            assert 60_000 <= behind <= 20 * 60_000
    # x of a day is gone once it is told; nothing of it is left behind.
    assert bench.files.names("sent/") in ([], [f"sent/{START_DAY + 1:08d}"])
    held = beacons.Secrets(bench.files, lambda _: b"").days()
    assert held == days_of(bench, wire.COMMIT)[1:]


def test_commit_of_tomorrow_is_made_today() -> None:
    bench = AirBench(config=air_config())
    bench.boot()
    bench.run(4 * DAY_MS)
    made = [(body[0], fields[5]) for fields in bench.gateway.fields(2) for body in [fields[7]]]
    assert [day for day, _ in made] == [START_DAY + n for n in range(5)]
    for day, time_ms in made[1:]:
        assert 0 <= time_ms - (day - 1) * DAY_MS <= limits.COMMIT_PHASE_MS
    assert made[0][1] - START_MS < 60_000
    draws = {end for _, end in bench.bodies(wire.COMMIT)}
    assert len(draws) == 5


def test_entropy_that_comes_too_late_sends_nothing_and_lists_nothing() -> None:
    bench = AirBench(config=air_config(), late_ms=45_000)
    made = bench.boot()
    bench.run(DAY_MS + 2 * HOUR_MS)
    ((day, x),) = bench.bodies(wire.REVEAL)
    due = [one for one in expected(bench, x, day) if one[0] >= day * SLOTS + 120]
    kept = [one for one in due if one[1] >= 45_000]
    assert 0 < len(kept) < len(due)
    listed = [row[0] for body in bench.bodies(wire.BEACON) for row in body[1]]
    assert listed == [one[0] for one in kept]
    assert made.coverage.beaconer.skipped >= len(due) - len(kept)


def test_missed_links_are_bridged_by_hashing() -> None:
    bench = AirBench(config=air_config(beacon_every=6), mute=lambda slot: slot % 7 != 0)
    made = bench.boot()
    bench.run(DAY_MS + 2 * HOUR_MS)
    assert made.downlinks_refused == 0
    ((day, x),) = bench.bodies(wire.REVEAL)
    due = [one[0] for one in expected(bench, x, day) if one[0] >= day * SLOTS + 120]
    listed = [row[0] for body in bench.bodies(wire.BEACON) for row in body[1]]
    assert listed == [slot for slot in due if slot % 7 == 0]
    assert listed


def test_a_busy_radio_lists_nothing() -> None:
    bench = AirBench(config=air_config())
    made = bench.boot()
    bench.air.busy = True
    bench.run(DAY_MS + 2 * HOUR_MS)
    assert bench.bodies(wire.BEACON) == []
    assert len(bench.bodies(wire.REVEAL)) == 1
    assert made.coverage.beaconer.skipped >= 10


def test_every_radio_gets_the_same_frame() -> None:
    bench = AirBench(config=air_config(), radios=(0, 1))
    bench.boot()
    bench.run(12 * HOUR_MS)
    assert len(bench.frames) >= 8
    for lora, near in pairwise(bench.frames):
        if lora[1] == 0:
            assert (near[0], near[1], near[4]) == (lora[0], 1, lora[4])
            assert near[2] == 0
            # The same step below 20 dBm EIRP, with an antenna of 2 dBi.
            assert 1_600 - 215 - lora[3] == 2_000 - 200 - near[3]


def test_without_a_region_lora_stays_silent() -> None:
    bench = AirBench(config=air_config(region=0), radios=(0, 1))
    bench.boot()
    bench.run(12 * HOUR_MS)
    assert {radio for _, radio, _, _, _ in bench.frames} == {1}
    silent = AirBench(config=air_config(region=0), radios=(0,))
    made = silent.boot()
    silent.run(30 * HOUR_MS)
    assert silent.frames == []
    assert set(silent.gateway.kinds()) == {wire.HELLO, wire.CLAIM, wire.STATUS, wire.READINGS}
    assert made.downlinks_refused == 0


def test_us915_uses_its_eight_channels_and_its_power() -> None:
    bench = AirBench(config=air_config(region=2, beacon_every=20, antenna=None))
    bench.boot()
    bench.run(DAY_MS)
    counts = Counter(channel for _, _, channel, _, _ in bench.frames)
    assert set(counts) == set(range(8))
    assert {power for _, _, _, power, _ in bench.frames} == {3_000, 2_700, 2_400, 2_100}


def test_a_board_without_time_takes_no_part() -> None:
    bench = AirBench(config=air_config(), time_service=False)
    made = bench.boot()
    bench.run(2 * DAY_MS)
    assert bench.frames == []
    stored = [wire.fields_of(message) for message in bench.stored().values()]
    kinds = {fields[1] for fields in stored}
    assert kinds == {wire.HELLO, wire.CLAIM, wire.STATUS, wire.READINGS}
    assert all(fields[7][7] is None for fields in stored if fields[1] == wire.STATUS)
    assert made.coverage.listening() is None
    assert not any(name.startswith(("beacons", "sent/")) for name in bench.files.names(""))


def test_time_that_comes_late_finds_the_commits_and_the_link_waiting() -> None:
    bench = AirBench(config=air_config(beacon_every=1), time_service=False)
    made = bench.boot()
    bench.run(HOUR_MS + 5_000)
    assert bench.frames == []
    bench.board.connect = lambda: TimeStream(bench.world, bench.gateway.time_answer)
    bench.run(DAY_MS // 2)
    assert made.downlinks_refused == 0, made.last_refusal
    assert len(bench.frames) > 100


def test_battery_beacons_in_its_awake_slots_and_does_not_listen() -> None:
    duty = (wire.DUTY_BATTERY, 600_000, 120_000)
    bench = AirBench(config=air_config(duty=duty, beacon_every=2))
    bench.boot()
    bench.air.hear(b"\x01" + bench.config.network_id[:3] + bytes(16))
    bench.run(DAY_MS + 2 * HOUR_MS)
    slots = {(START_MS + now) // 60_000 for now, *_ in bench.frames}
    assert {slot % 10 for slot in slots} == {2}
    assert len(slots) > 50
    assert bench.bodies(wire.WITNESS) == []
    assert all(body[7] is None for body in bench.bodies(wire.STATUS))
    assert len(bench.bodies(wire.REVEAL)) == 1


def test_awake_slots() -> None:
    assert beacons.awake(17, (wire.DUTY_MAINS, 0, 0))
    assert all(beacons.awake(slot, (1, 60_000, 59_999)) for slot in range(5))
    awake = [slot for slot in range(30) if beacons.awake(slot, (1, 900_000, 61_000))]
    assert awake == [1, 16]


def test_no_more_than_the_region_allows() -> None:
    budget = regions.AirBudget(regions.REGIONS[regions.EU868])
    air_us = 185_344
    assert regions.airtime_us(20) == air_us
    taken = [ticks for ticks in range(0, 7_200_000, 1_000) if budget.spend(ticks, air_us)]
    for start in taken:
        window = [ticks for ticks in taken if start <= ticks < start + 3_600_000]
        assert len(window) * air_us <= 36_000_000
    assert len(taken) == 2 * (36_000_000 // air_us)
    dwell = regions.AirBudget(regions.REGIONS[regions.US915])
    assert [dwell.spend(ticks, air_us) for ticks in (0, 1, 19_999, 20_000)] == [
        True,
        True,
        False,
        True,
    ]
