"""A gateway that cannot be reached for a month: bounded memory and flash, and still a station."""

from itertools import pairwise
from typing import Any

import pytest
from cairn import limits, segment, wire

from tests.unit.firmware.bench import DAY_MS, Bench, make_config

HOUR_MS = 3_600_000
MONTH_DAYS = 30


@pytest.mark.parametrize(
    "changes",
    [{}, {"samples_per_message": 1}, {"samples_per_message": 1, "outbox_bytes_max": 524_288}],
)
@pytest.mark.slow
def test_a_month_without_gateway(changes: dict[str, Any]) -> None:
    bench = Bench(config=make_config(**changes))
    made = bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    bytes_max = bench.config.outbox_bytes_max
    seqs = [made._chain.highest]
    for _ in range(MONTH_DAYS):
        bench.run(DAY_MS)
        seqs.append(made._chain.highest)
        outbox, sender = made.outbox, made._sender
        assert outbox.size <= bytes_max + limits.OUTBOX_RESERVE_BYTES
        assert outbox.size == sum(len(bench.files.read(n) or b"") for n in stored_names(bench))
        assert len(outbox._segments) <= 2 * bytes_max // limits.SEGMENT_BYTES
        assert len(sender._marks) <= 4
        assert len(sender._fresh) <= limits.FRESH_MESSAGES_MAX
        assert len(bench.world.heap) <= 12
    # It never stops measuring, and spends its seqs on readings, not on gaps about gaps.
    per_day = DAY_MS // bench.config.reporting_interval_ms
    for before, after in pairwise(seqs):
        assert per_day <= after - before <= per_day * 6 // 5 + 24
    stored = [wire.fields_of(message) for message in bench.stored().values()]
    readings = [header for header in stored if header[1] == wire.READINGS]
    assert len(readings) >= 90
    assert bench.gateway.epoch_ms + bench.world.now - readings[-1][5] <= HOUR_MS
    bench.link.online = True
    bench.run(12 * HOUR_MS)
    assert bench.gateway.complete()
    gaps = [header[7] for header in bench.gateway.fields(wire.GAP)]
    missing = set(range(1, max(bench.gateway.taken) + 1)) - set(bench.gateway.taken)
    assert sum(gap[2] for gap in gaps) == len(missing) == made.dropped
    assert sum(map(len, bench.stored().values())) < 2 * limits.FREE_BYTES_MIN


def stored_names(bench: Bench) -> list[str]:
    return bench.files.names("outbox/")


def test_what_frees_less_than_its_gap_takes_stays() -> None:
    bench = Bench(config=make_config(quantities=[(0, 0, 300_000)], samples_per_message=1))
    made = bench.boot()
    bench.link.online = False
    bench.run(60_000)
    now = (60_000, wire.SOURCE_NONE, 0)
    for number in range(60):
        assert made.write(wire.READINGS, [number], now)
        assert made.write(wire.CLOCK, [number], now)
    record = segment.HEADER_BYTES + len(bench.stored()[made._chain.highest])
    assert record < limits.GAP_RECORD_BYTES_MAX
    assert made.outbox.plan_drop(lambda _first, _last: False) is None


def test_hello_waits_for_room_and_is_not_forgotten() -> None:
    bench = Bench()
    bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    made = bench.node
    now = (bench.gateway.epoch_ms + bench.world.now, wire.SOURCE_GATEWAY, 0)
    while made.write(wire.CLOCK, [bytes(1_000)], now):
        pass
    while made.write(wire.CLOCK, [1], now):
        pass
    bench.config = make_config(antenna=(200, 30))
    bench.boot()
    bench.link.online = False
    bench.run(HOUR_MS)
    kinds = [wire.fields_of(message)[1] for message in bench.stored().values()]
    assert kinds.count(wire.HELLO) == 1
    bench.link.online = True
    bench.run(4 * HOUR_MS)
    assert [header[7][6] for header in bench.gateway.fields(wire.HELLO)] == [None, [200, 30]]
    assert len(bench.gateway.fields(wire.CLAIM)) == 1
    assert bench.gateway.complete()


@pytest.mark.parametrize("quantities,samples", [(32, 256), (8, 256), (32, 17)])
def test_a_batch_that_is_too_long_for_one_message_becomes_several(
    quantities: int, samples: int
) -> None:
    declared = [(number, 0, 1_000) for number in range(quantities)]
    config = make_config(
        quantities=declared, sample_interval_ms=1_000, samples_per_message=samples
    )
    bench = Bench(config=config)
    bench.boot()
    bench.board.reading = lambda now: [
        (number, 0, 0, (now * 7_919 * (number + 1)) % 2**50, 0) for number in range(quantities)
    ]
    bench.run(HOUR_MS // 4)
    assert bench.gateway.complete()
    times: list[int] = []
    for header in bench.gateway.fields(wire.READINGS):
        t0, steps, columns = header[7]
        intervals = [sum(steps[: index + 1]) for index in range(len(steps))]
        last = header[5] - t0
        times += [last - sum(intervals[index:]) for index in range(len(intervals) + 1)]
        assert len(columns) == quantities
    assert [later - earlier for earlier, later in pairwise(times)] == [1_000] * (len(times) - 1)
    assert len(times) >= 800 // samples * samples
