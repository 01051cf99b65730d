"""What a node's messages say of time when the clock is set while they are in the making."""

from typing import Any

import pytest
from cairn import wire

from tests.unit.firmware.bench import DAY_MS, START_MS, Bench, TimeStream, make_config

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def sample_times(header: list[Any]) -> list[int]:
    t0, steps, _ = header[7]
    times = [header[5] - t0]
    intervals = [sum(steps[: index + 1]) for index in range(len(steps))]
    for interval in reversed(intervals):
        times.append(times[-1] - interval)
    return times[::-1]


def watch(bench: Bench) -> list[int]:
    """UTC of every sample that the bench takes from now on."""
    taken: list[int] = []
    weather = bench.board.reading

    def reading(now: int) -> list[tuple[int, int, int, int | None, int]]:
        taken.append(START_MS + now)
        return weather(now)

    bench.board.reading = reading
    return taken


@pytest.mark.parametrize("samples", [2, 7, 12])
def test_a_batch_begun_unsynced_and_ended_synced_has_one_time(samples: int) -> None:
    bench = Bench(config=make_config(samples_per_message=samples), time_service=False)
    bench.boot()
    taken = watch(bench)
    bench.run(70 * MINUTE_MS)
    bench.board.connect = lambda: TimeStream(bench.world, bench.gateway.time_answer)
    bench.run(6 * HOUR_MS)
    assert bench.gateway.complete()
    clock = bench.gateway.fields(wire.CLOCK)[0][7]
    told: list[int] = []
    for header in bench.gateway.fields(wire.READINGS):
        offset = clock[1] if header[6][0] == wire.SOURCE_NONE else 0
        told += [offset + time for time in sample_times(header)]
        assert header[6][0] in {wire.SOURCE_NONE, wire.SOURCE_GATEWAY}
    for said, true in zip(told, taken, strict=False):
        assert abs(said - true) <= 50
    assert len(told) > 70 - samples


@pytest.mark.parametrize("wrong_ms", [-3 * DAY_MS, -90_000, 90_000, HOUR_MS, 3 * DAY_MS])
def test_a_wrong_held_clock_is_corrected_across_midnight(wrong_ms: int) -> None:
    # The held clock stands 10 minutes before midnight, or would if it were not wrong.
    bench = Bench(config=make_config(samples_per_message=4))
    bench.gateway.epoch_ms = START_MS - 4 * DAY_MS
    bench.boot()
    bench.run(HOUR_MS)
    bench.gateway.epoch_ms = START_MS + 24 * HOUR_MS - 10 * MINUTE_MS - bench.world.now
    bench.time_service = False
    bench.boot()
    bench.board.held = bench.gateway.epoch_ms + bench.world.now + wrong_ms
    bench.run(17 * MINUTE_MS)
    bench.board.connect = lambda: TimeStream(bench.world, bench.gateway.time_answer)
    bench.run(8 * HOUR_MS)
    assert bench.gateway.complete()
    first = START_MS + 24 * HOUR_MS - 10 * MINUTE_MS
    good: list[int] = []
    for header in bench.gateway.fields(wire.READINGS):
        times = sample_times(header)
        assert {time // DAY_MS for time in times} == {header[5] // DAY_MS}
        assert times == sorted(times)
        if header[2] == 2 and header[6][0] == wire.SOURCE_GATEWAY:
            good += times
        if header[6][0] == wire.SOURCE_HELD and abs(wrong_ms) <= HOUR_MS:
            # Five per cent of the days asleep: the clock says itself how wrong it may be.
            assert header[6][1] >= abs(wrong_ms)
    assert len(good) >= 80
    assert all(first <= time <= first + 9 * HOUR_MS for time in good)
    assert len(set(good)) == len(good)


def test_a_batch_is_split_when_the_clock_moves_its_samples_over_midnight() -> None:
    bench = Bench(config=make_config(samples_per_message=12))
    bench.gateway.epoch_ms = START_MS + 20 * HOUR_MS
    bench.boot()
    bench.run(HOUR_MS)
    # From now on the gateway says that midnight is half an hour away, not three hours.
    bench.gateway.epoch_ms += 150 * MINUTE_MS
    bench.node._timekeeper.wanted.set()
    bench.run(6 * HOUR_MS)
    assert bench.gateway.complete()
    days = set()
    for header in bench.gateway.fields(wire.READINGS):
        assert {time // DAY_MS for time in sample_times(header)} == {header[5] // DAY_MS}
        days.add(header[5] // DAY_MS)
    assert len(days) == 2
