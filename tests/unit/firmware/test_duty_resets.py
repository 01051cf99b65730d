"""A battery station that is reset where nobody meant it to: no sample is signed twice, no time
claims to be better than it is, and nothing that retained memory holds keeps it from starting.
"""

from itertools import pairwise

import pytest
from cairn import limits, staging, wire

from tests.unit.firmware.bench_station import WATCHDOG, Sample
from tests.unit.firmware.test_duty import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SAMPLE_MS,
    awake_ms,
    battery,
    errors_of,
)


@pytest.mark.parametrize("step_ms", [-3 * DAY_MS, -2 * HOUR_MS, 2 * HOUR_MS, 3 * DAY_MS])
def test_a_gateway_clock_that_is_set_does_no_lasting_harm(
    step_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(3 * HOUR_MS)
    for change_ms in (step_ms, -step_ms):
        bench.gateway.epoch_ms += change_ms
        bench.run(3 * HOUR_MS)
    assert bench.reports == []
    assert len(bench.taken) - 13 <= len(bench.sample_times()) <= len(bench.taken)
    assert bench.gateway.complete()
    assert len(awake_ms(bench, 1)) < 20


def test_a_hang_while_offline_makes_the_time_less_certain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(3 * HOUR_MS + 20 * MINUTE_MS)
    bench.online = False
    for _ in range(3):
        bench.run(7 * MINUTE_MS)

        async def hang() -> Sample:
            bench.sampler = bench.measure
            await bench.board.event().wait(None)
            raise AssertionError

        bench.sampler = hang
    bench.run(2 * HOUR_MS)
    bench.online = True
    bench.run(2 * HOUR_MS)
    assert [cause for _, cause in bench.boots].count(WATCHDOG) == 3
    assert bench.gateway.complete()
    assert max(errors_of(bench)) > limits.WATCHDOG_MS


def test_a_reset_in_the_middle_of_a_sleep_makes_the_time_less_certain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = {"sample_interval_ms": HOUR_MS, "samples_per_message": 1, "status_interval_ms": DAY_MS}
    quantities = [(0, 0, HOUR_MS), (1, 0, HOUR_MS)]
    bench = battery(monkeypatch, quantities=quantities, **slow)
    bench.power_on()
    bench.run(6 * HOUR_MS)
    bench.online = False
    bench.run(HOUR_MS)
    # It has slept for half of the hour that its notes say.
    at = bench.boots[-1][0] + HOUR_MS + 30 * MINUTE_MS
    bench.run(at - bench.world.now)
    bench.begin_again(4, 1_000)
    bench.run(2 * HOUR_MS)
    bench.online = True
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()
    times = bench.sample_times()
    errors = [min(abs(time - true) for true in bench.taken) for time, _ in times]
    assert all(error <= claimed for error, (_, claimed) in zip(errors, times, strict=True))
    assert max(errors) > 10 * MINUTE_MS


def test_no_reset_signs_a_sample_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The power of the core alone goes, once at each change of the flash in a delivery."""
    per_message = 3
    cuts = 0
    for cut in range(40):
        bench = battery(monkeypatch, samples_per_message=per_message)
        bench.power_on()
        bench.run(3 * HOUR_MS + 16 * MINUTE_MS)
        bench.files.cut = (bench.files.calls + cut, "after")
        bench.core_alone = True
        bench.run(2 * HOUR_MS)
        cuts += bench.files.cut is None
        assert bench.gateway.complete()
        times = sorted(time for time, _ in bench.sample_times())
        apart = [after - before for before, after in pairwise(times)]
        assert min(apart) > SAMPLE_MS // 2, cut
        # One more may be missing than waits: the cut may have hit the measurement itself.
        assert len(bench.taken) - 14 <= len(times) <= len(bench.taken)
    assert cuts > 5


def test_what_retained_memory_holds_cannot_keep_it_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(3 * HOUR_MS)
    unpack = staging.unpack
    poison = bench.kept
    poisoned: list[bool] = []

    def break_down(data: bytes | None) -> object:
        poisoned.append(data is not None and data[:3] == b"bad")
        if poisoned[-1]:
            raise RuntimeError("what nobody thought of")
        return unpack(data)

    assert poison is not None
    monkeypatch.setattr(staging, "unpack", break_down)
    bench.kept = b"bad"
    bench.run(DAY_MS)
    assert "safe.bare" in bench.codes()
    assert poisoned.count(True) < 2 * limits.CRASHES_MAX + 3
    assert not poisoned[-1]
    assert bench.gateway.complete()


def test_a_long_hand_over_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = battery(monkeypatch, samples_per_message=1)
    bench.online = False
    bench.power_on()
    bench.run(DAY_MS)
    waiting = len(staging.unpack(bench.kept)[1])
    assert waiting > 100
    bench.online = True
    fed: list[int] = []
    signed: list[int] = []
    board_type = type(bench.board)
    feed, sign = board_type.feed, board_type.sign

    def count_feed(board: object) -> None:
        fed.append(len(signed))
        feed(board)  # type: ignore[arg-type]

    def count_sign(board: object, message: bytes) -> bytes:
        signed.append(len(message))
        return sign(board, message)  # type: ignore[arg-type]

    monkeypatch.setattr(board_type, "feed", count_feed)
    monkeypatch.setattr(board_type, "sign", count_sign)
    bench.run(HOUR_MS)
    assert len(signed) > 100
    # An ESP32 without machine code takes 0.2 s for each.
    assert max(after - before for before, after in pairwise(fed)) <= 3
    assert wire.READINGS in bench.gateway.kinds()


def test_more_quantities_than_a_message_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = battery(monkeypatch)
    measure = bench.measure

    async def many() -> Sample:
        return await measure() + [(20, channel, 0, 1, 0) for channel in range(40)]

    bench.sampler = many
    bench.power_on()
    bench.run(6 * HOUR_MS)
    assert bench.reports == []
    assert len(bench.sample_times()) >= len(bench.taken) - 13
