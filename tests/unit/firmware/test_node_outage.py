"""A gateway that cannot be reached for a month: bounded memory and flash, and still a station."""

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
        outbox, sender = made._outbox, made._sender
        assert outbox.size <= bytes_max + limits.OUTBOX_RESERVE_BYTES
        assert outbox.size == sum(len(bench.files.read(n) or b"") for n in stored_names(bench))
        assert len(outbox._segments) <= 2 * bytes_max // limits.SEGMENT_BYTES
        assert len(sender._marks) <= 4
        assert len(sender._fresh) <= limits.FRESH_MESSAGES_MAX
        assert len(bench.world.heap) <= 12
    # It never stops measuring, and spends its seqs on readings, not on gaps about gaps.
    per_day = DAY_MS // bench.config.reporting_interval_ms
    for before, after in zip(seqs, seqs[1:], strict=False):
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
    assert made._outbox.plan_drop(lambda _first, _last: False) is None
