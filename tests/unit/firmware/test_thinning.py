"""Thinning before signing: a longer outage fits, evenly coarser, and the data says so."""

from itertools import pairwise

import pytest
from cairn import limits, wire
from cairn.batch import Batch
from cairn.boards.host import MemoryFiles
from cairn.outbox import Outbox
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import DAY_MS, Bench, make_config

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def times_of(header: list) -> list[int]:
    """UTC ms of a readings message's samples."""
    t0, steps, _ = header[7]
    times = [header[5] - t0]
    intervals = [sum(steps[: index + 1]) for index in range(len(steps))]
    for interval in reversed(intervals):
        times.insert(0, times[0] - interval)
    return times


@pytest.mark.parametrize(
    "eighths,stride", [(0, 1), (3, 1), (4, 2), (5, 4), (6, 8), (7, 16), (8, 16), (9, 16)]
)
def test_stride_by_how_full_the_outbox_is(eighths: int, stride: int) -> None:
    outbox = Outbox(MemoryFiles(), 80_000)
    outbox.size = 10_000 * eighths
    assert outbox.stride() == stride
    outbox.size += 9_999
    assert outbox.stride() == stride


@given(st.lists(st.sampled_from([1, 2, 4, 8, 16]), max_size=300), st.integers(1_000, DAY_MS))
def test_what_is_kept_is_bounded_and_counted(strides: list[int], interval_ms: int) -> None:
    batch = Batch([(0, 0, interval_ms)])
    kept = []
    for index, stride in enumerate(strides):
        before = len(batch)
        batch.add(index * interval_ms, [], stride)
        if len(batch) > before:
            kept.append(index)
    assert batch.thinned == len(strides) - len(kept)
    for last, following in pairwise(kept):
        assert following - last <= max(strides[last + 1 : following + 1])
        assert (following - last - 1) * interval_ms < limits.THINNED_APART_MS_MAX
    if 1 in strides:
        assert strides.index(1) in kept


def test_without_a_stride_everything_is_kept() -> None:
    batch = Batch([(0, 0, 1_000)])
    for index in range(20):
        batch.add(index, [])
    assert (len(batch), batch.thinned) == (20, 0)


def outage_until_first_drop(**changes: int) -> tuple[Bench, int]:
    """A station that goes offline after an hour, and the hours until it had to drop messages."""
    config = make_config(sample_interval_ms=MINUTE_MS, status_interval_ms=DAY_MS, **changes)
    bench = Bench(config=config)
    made = bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    hours = 0
    while not made.dropped and hours < 24 * 60:
        bench.run(HOUR_MS)
        hours += 1
    return bench, hours


def test_a_longer_outage_fits_and_the_samples_show_it() -> None:
    _, plain = outage_until_first_drop(store_every_ms=0)
    bench, thinned = outage_until_first_drop(store_every_ms=MINUTE_MS)
    assert thinned > 3 * plain > 24
    made = bench.node
    assert made._batch.thinned > 0
    dropped = made.dropped
    bench.link.online = True
    bench.run(12 * HOUR_MS)
    assert bench.gateway.complete()
    assert made.dropped == dropped
    gaps = [header[7] for header in bench.gateway.fields(wire.GAP)]
    assert sum(gap[2] for gap in gaps if gap[3] == wire.GAP_DROPPED) == dropped
    times = [at for header in bench.gateway.fields(wire.READINGS) for at in times_of(header)]
    assert times == sorted(times)
    steps = [later - earlier for earlier, later in pairwise(times)]
    apart = [round(step / MINUTE_MS) for step in steps]
    # A stride that the link's return ended early, and the hole of the drop; else only strides.
    odd = [step for step in apart if step not in (1, 2, 4, 8, 16)]
    assert len(odd) == 2
    assert odd[1] < 16 < odd[0] == max(apart)
    assert apart[:50] == apart[-50:] == [1] * 50
    assert made._batch.thinned == sum(step - 1 for step in apart if step <= 16)


def test_online_or_unbatched_nothing_is_thinned() -> None:
    for changes in ({"store_every_ms": 0}, {"store_every_ms": MINUTE_MS}):
        bench = Bench(config=make_config(sample_interval_ms=MINUTE_MS, **changes))
        made = bench.boot()
        bench.link.online = bool(changes["store_every_ms"])
        bench.link.receipts = False
        bench.run(DAY_MS)
        assert made.outbox.crowded()
        assert made._batch.thinned == 0


def test_a_month_offline_in_batches_stays_bounded() -> None:
    changes = {"sample_interval_ms": MINUTE_MS, "samples_per_message": 1}
    bench = Bench(config=make_config(store_every_ms=10 * MINUTE_MS, **changes))
    made = bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    bytes_max = bench.config.outbox_bytes_max
    for _ in range(30):
        bench.run(DAY_MS)
        outbox = made.outbox
        stored = [len(bench.files.read(name) or b"") for name in bench.files.names("outbox/")]
        assert outbox.size == sum(stored) + outbox._staged_bytes
        assert outbox.size <= bytes_max + limits.OUTBOX_RESERVE_BYTES
        assert len(outbox._segments) <= 2 * bytes_max // limits.SEGMENT_BYTES
        assert len(made._journal._waiting) <= 16
        assert len(made._sender._fresh) <= limits.FRESH_MESSAGES_MAX
    bench.link.online = True
    bench.run(12 * HOUR_MS)
    assert bench.gateway.complete()
    times = [at for header in bench.gateway.fields(wire.READINGS) for at in times_of(header)]
    # What was dropped is a hole at the start, in which a reading that was not worth a gap of its
    # own may stand; everywhere else samples are 16 minutes apart at most.
    apart = [round((later - earlier) / MINUTE_MS) for earlier, later in pairwise(times)]
    assert len([step for step in apart if step > 16]) <= 3
