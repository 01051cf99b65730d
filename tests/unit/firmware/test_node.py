from collections import Counter
from itertools import pairwise

import pytest
from cairn import limits, sealed, wire
from cairn.node import Node

from tests.unit.firmware.bench import (
    DAY_MS,
    START_MS,
    Bench,
    TimeStream,
    downlink,
    genesis,
    keypair,
    make_config,
    statement,
)

HOUR_MS = 3_600_000
INTERVAL_MS = 600_000


def test_a_day() -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(2 * DAY_MS)
    assert bench.gateway.complete()
    assert bench.gateway.kinds()[:2] == [wire.HELLO, wire.CLAIM]
    counts = Counter(bench.gateway.kinds())
    assert counts == {wire.HELLO: 1, wire.CLAIM: 1, wire.STATUS: 48, wire.READINGS: 288}
    assert len(bench.gateway.arrivals) == len(bench.gateway.taken)
    assert made.downlinks_refused == 0
    # Freed in portions of 16 kB: what stays is less than two of them.
    assert sum(map(len, bench.stored().values())) < 2 * limits.FREE_BYTES_MIN
    hello = bench.gateway.fields(wire.HELLO)[0]
    assert hello[6][0] == wire.SOURCE_GATEWAY
    assert hello[7][1] == f"cairn {limits.VERSION}"


def test_samples_lie_on_a_grid_inside_their_day() -> None:
    bench = Bench()
    bench.boot()
    bench.run(3 * DAY_MS)
    times: list[int] = []
    for header in bench.gateway.fields(wire.READINGS):
        t0, steps, columns = header[7]
        last = header[5] - t0
        samples = [last - sum(steps[index:]) for index in range(len(steps) + 1)]
        assert {sample // DAY_MS for sample in samples} == {header[5] // DAY_MS}
        assert [column[:2] for column in columns] == [[0, 0], [1, 0]]
        assert columns[1][3:] == [[None] * len(samples), [[i, 2] for i in range(len(samples))]]
        times += samples
    assert [later - earlier for earlier, later in pairwise(times)] == (
        [300_000] * (len(times) - 1)
    )
    per_day = Counter(time // DAY_MS for time in times)
    assert per_day[START_MS // DAY_MS + 1] == 288


def test_nothing_to_sample_makes_no_message_and_no_reading() -> None:
    bench = Bench()
    bench.boot()
    readings = bench.board.reading
    bench.board.reading = lambda _: []
    bench.run(3 * HOUR_MS)
    assert bench.gateway.fields(wire.READINGS) == []
    assert len(bench.gateway.fields(wire.STATUS)) >= 2
    begins = START_MS + bench.world.now
    bench.board.reading = readings
    bench.run(HOUR_MS)
    made = bench.gateway.fields(wire.READINGS)
    assert len(made) in {5, 6}
    for header in made:
        t0, steps, columns = header[7]
        assert header[5] - t0 - sum(steps) >= begins
        assert len(steps) == 1
        # Temperature is there, humidity's bus is silent; neither is absent.
        assert len(columns[0]) == 4
        assert [fault for _, fault in columns[1][4]] == [2, 2]


def test_batch_is_signed_before_midnight() -> None:
    bench = Bench(config=make_config(samples_per_message=7))
    bench.boot()
    bench.run(2 * DAY_MS)
    sizes = [len(header[7][1]) + 1 for header in bench.gateway.fields(wire.READINGS)]
    assert sizes.count(7) > 75
    ends = [
        header[5] for header in bench.gateway.fields(wire.READINGS) if len(header[7][1]) + 1 < 7
    ]
    # 288 = 41 * 7 + 1: the last batch of each day is a short one, signed with its last sample.
    assert [DAY_MS - end % DAY_MS <= 300_000 for end in ends] == [True] * len(ends)
    assert len(ends) == 2


def test_nothing_but_hello_and_claim_before_the_first_receipt() -> None:
    bench = Bench()
    bench.boot()
    bench.link.receipts = False
    bench.run(3 * HOUR_MS)
    assert set(bench.gateway.arrivals) == {1, 2}
    # Sent again after two intervals, each round a little later than the one before.
    assert 6 <= len(bench.gateway.arrivals) <= 18
    bench.link.receipts = True
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    assert len(bench.gateway.taken) > 20


def test_forged_receipt_does_not_register() -> None:
    bench = Bench()
    made = bench.boot()
    bench.link.receipts = False
    bench.run(HOUR_MS)
    body = bench.gateway.receipt_body()
    forged = bytearray(downlink(17, bench.link.device, body, bench.config.network_id))
    forged[-1] ^= 1
    bench.link.deliver("down/receipt", bytes(forged))
    bench.run(HOUR_MS)
    assert made.last_refusal == "signature"
    assert set(bench.gateway.arrivals) == {1, 2}


def test_lost_messages_come_again_after_two_intervals() -> None:
    bench = Bench()
    bench.boot()
    bench.run(HOUR_MS)
    first: dict[bytes, int] = {}
    again: list[int] = []

    def lose(message: bytes) -> bool:
        if message in first:
            again.append(bench.world.now - first[message])
            return False
        first[message] = bench.world.now
        return len(first) % 3 == 0

    bench.link.lose = lose
    bench.run(DAY_MS)
    bench.link.lose = lambda _: False
    bench.run(2 * HOUR_MS)
    assert bench.gateway.complete()
    assert len(again) >= 50
    # 5 ms is what publishing takes here.
    assert min(again) >= 2 * INTERVAL_MS - 10
    assert max(again) <= 5 * INTERVAL_MS
    # Only what was lost is sent again.
    assert len(again) <= len(first) // 3 + 2


def test_one_message_that_is_never_taken_holds_up_nothing() -> None:
    bench = Bench()
    bench.boot()
    bench.run(HOUR_MS)
    stuck = max(bench.gateway.taken) + 1
    bench.link.lose = lambda message: wire.fields_of(message)[3] == stuck
    bench.run(2 * DAY_MS)
    missing = set(range(1, max(bench.gateway.taken) + 1)) - set(bench.gateway.taken)
    assert missing == {stuck}
    # Its segment stays, the others are freed all the same.
    assert stuck in bench.stored()
    assert sum(map(len, bench.stored().values())) < 2 * limits.FREE_BYTES_MIN + 4096
    bench.link.lose = lambda _: False
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()


def test_outage_is_caught_up_in_windows() -> None:
    bench = Bench()
    bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    bench.run(DAY_MS)
    assert len(bench.gateway.taken) < 20
    bench.link.online = True
    bench.run(5 * 60_000)
    assert bench.gateway.complete()
    assert len(bench.gateway.taken) > 160
    assert len(bench.gateway.arrivals) - len(bench.gateway.taken) < 5


def test_reboot_says_nothing_twice() -> None:
    bench = Bench()
    bench.boot()
    bench.run(6 * HOUR_MS)
    for _ in range(3):
        bench.boot()
        bench.link.send_receipt()
        bench.run(6 * HOUR_MS)
    assert bench.gateway.complete()
    counts = Counter(bench.gateway.kinds())
    assert (counts[wire.HELLO], counts[wire.CLAIM], counts[wire.GAP]) == (1, 1, 3)
    assert [header[7][3] for header in bench.gateway.fields(wire.GAP)] == [wire.GAP_UNUSED] * 3
    assert {header[2] for header in bench.gateway.fields(wire.READINGS)} == {1, 2, 3, 4}
    # The retained receipt tells what need not be sent again.
    assert len(bench.gateway.arrivals) == len(bench.gateway.taken)


@pytest.mark.parametrize("change", ["config", "firmware", "owner"])
def test_changes_are_announced_once(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.boot()
    bench.run(HOUR_MS)
    if change == "config":
        bench.config = make_config(antenna=(200, 30))
    elif change == "firmware":
        monkeypatch.setattr(limits, "VERSION", "9.9.9")
    else:
        bench.config = make_config(owner=b"p" * 20)
    for _ in range(2):
        bench.boot()
        bench.run(HOUR_MS)
    counts = Counter(bench.gateway.kinds())
    expected = (1, 2) if change == "owner" else (2, 1)
    assert (counts[wire.HELLO], counts[wire.CLAIM]) == expected
    assert bench.gateway.complete()


def test_unsynced_boot_is_mapped_once_the_time_is_known() -> None:
    bench = Bench(time_service=False)
    sealed.write(bench.files, "keys", statement())
    bench.boot()
    bench.run(HOUR_MS)
    unsynced = [taken[2] for taken in bench.gateway.taken.values()]
    assert unsynced
    assert {header[6][0] for header in unsynced} == {wire.SOURCE_NONE}
    assert all(header[5] <= HOUR_MS for header in unsynced)
    bench.time_service = True
    bench.board.connect = lambda: TimeStream(bench.world, bench.gateway.time_answer)
    bench.run(2 * HOUR_MS)
    clocks = bench.gateway.fields(wire.CLOCK)
    assert len(clocks) == 1
    boot, utc_at_boot_ms, source, uncertainty_ms = clocks[0][7]
    assert (boot, source) == (1, wire.SOURCE_GATEWAY)
    assert abs(utc_at_boot_ms - START_MS) <= uncertainty_ms <= 50
    assert bench.gateway.fields(wire.READINGS)[-1][6][0] == wire.SOURCE_GATEWAY
    assert bench.gateway.complete()


def test_held_time_is_used_after_a_restart_without_network() -> None:
    bench = Bench()
    bench.boot()
    bench.run(2 * HOUR_MS)
    bench.time_service = False
    made = bench.boot()
    bench.board.held = START_MS + bench.world.now
    bench.run(HOUR_MS)
    held = [taken[2] for taken in bench.gateway.taken.values() if taken[2][2] == 2]
    assert held
    for header in held:
        assert header[6][0] == wire.SOURCE_HELD
        assert abs(header[5] - START_MS - bench.world.now) <= HOUR_MS
    assert made.dropped == 0


def test_driven_clock_follows_ticks() -> None:
    config = make_config(genesis=genesis(1), time_host=None)
    bench = Bench(config=config)
    sealed.write(bench.files, "keys", statement(network_id=config.network_id))
    bench.boot()
    slot = START_MS // 60_000
    for number in range(60 * 3):
        tick = downlink(21, b"", [slot + number], config.network_id)
        bench.link.deliver("all/tick", tick)
        bench.run(60_000)
    assert bench.gateway.complete()
    assert {header[6][0] for header in bench.gateway.fields(wire.READINGS)} == {wire.SOURCE_TICK}
    times = [header[5] for header in bench.gateway.fields(wire.READINGS)]
    assert len(times) >= 17
    assert all(START_MS <= time <= START_MS + 3 * HOUR_MS for time in times)
    old = downlink(21, b"", [slot], config.network_id)
    bench.link.deliver("all/tick", old)
    bench.run(10)
    assert bench.node.last_refusal == "tick"


def test_tick_is_refused_outside_simulations() -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(HOUR_MS)
    bench.link.deliver("all/tick", downlink(21, b"", [1], bench.config.network_id))
    bench.run(1_000)
    assert made.last_refusal == "tick"
    assert bench.gateway.fields(wire.READINGS)[-1][6][0] == wire.SOURCE_GATEWAY


def test_new_gateway_key_comes_as_keys() -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(HOUR_MS)
    body = [statement(serial=7)]
    bench.link.deliver("all/keys", downlink(18, b"", body, bench.config.network_id, serial=7))
    bench.run(1_000)
    assert made._keyring.serial == 7
    foreign, _ = keypair("foreign")
    bench.link.deliver("all/keys", downlink(18, b"", [foreign], bench.config.network_id))
    bench.run(1_000)
    assert made._keyring.serial == 7
    assert made.downlinks_refused == 1


def test_weeks_in_bounded_memory() -> None:
    bench = Bench(config=make_config(sample_interval_ms=300_000, samples_per_message=6))
    made: Node = bench.boot()
    sizes = []
    for _ in range(4):
        bench.run(7 * DAY_MS)
        bench.link.inbox.clear()
        sender, outbox = made._sender, made.outbox
        sizes.append(
            (
                len(sender._fresh),
                len(sender._marks) <= 4,
                len(outbox._segments) <= 9,
                len(made._chain._recent),
                len(bench.world.heap) <= 12,
            )
        )
    assert sizes == [(0, True, True, 32, True)] * 4
    assert bench.gateway.complete()
