"""Deep sleep, watchdog and safe mode of the whole station on real MicroPython."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

import pytest
from cairn import limits, wire

from simulator.micropython.host import Happening
from tests.device.runner_rig import SAMPLES, Town, config_files, town

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
STEP_MS = 15_000
BATTERY = {
    "sample_interval_ms": 300_000,
    "samples_per_message": 6,
    "duty": (wire.DUTY_BATTERY, 1_800_000, 420_000),
    "status_interval_ms": 3_600_000,
    "store_every_ms": 60_000,
}
# Samples well for a while, and then fails for good, in each boot of this program.
CRASHING = """
from cairn import station
async def run(board):
    async def sample():
        raise RuntimeError("driver")
    board.sample = sample
    await station.run(board)
"""
# After its second sample nothing runs any more: a driver that never returns.
HANGING = """
from cairn import station
async def run(board):
    whole, taken = board.sample, []
    async def sample():
        taken.append(board.ticks())
        if len(taken) > 2 and board.info()[1] == 1:
            board.feed = lambda: None
        return await whole()
    board.sample = sample
    await station.run(board)
"""


@pytest.fixture
def place(
    node_modules: Callable[[str], Path], require_component: Callable[[str], str]
) -> Iterator[Town]:
    with town(require_component("mosquitto"), node_modules("device")) as made:
        yield made


def of(happened: list[Happening], kind: str) -> list[Happening]:
    return [one for one in happened if one.kind == kind]


def codes(happened: list[Happening]) -> list[str]:
    return [one.values["code"] for one in of(happened, "report")]


@pytest.mark.slow
def test_a_battery_station_samples_sleeps_and_delivers(place: Town) -> None:
    place.runner.add(0, files=place.files(**BATTERY), samples=SAMPLES)
    place.runner.boot()
    place.reach(place.delivered(5), step_ms=STEP_MS)
    place.reach(place.gateway.complete, step_ms=1_000)
    happened = place.look()
    assert codes(happened) == []
    slept = of(happened, "sleep")
    woke = of(happened, "up")
    assert {one.values["cause"] for one in woke[1:]} == {5}
    # A wake each five minutes, and at each half hour one that delivers.
    first, last = woke[0].at_ms, slept[-1].at_ms
    assert abs(len(slept) - (last - first) // 300_000) <= 3
    awake = [after.at_ms - before.at_ms for before, after in zip(woke, slept, strict=False)]
    assert sum(ms < 1_000 for ms in awake) >= len(slept) * 2 // 3
    assert max(awake) < limits.DUTY_AWAKE_MS_MAX
    # Each sample has the time of a wake, and no two the same.
    times = []
    for header in place.gateway.fields(wire.READINGS):
        age, changes, _ = header[7]
        at = [header[5] - age]
        for step in reversed(list(accumulate(changes))):
            at.append(at[-1] - step)
        times += at
    assert len(times) == len(set(times)) >= 20
    wakes = [one.at_ms for one in woke]
    # The rig's time service is right to one step of its clock; test_duty.py has the exact times.
    off = [min(abs(time - at) for at in wakes) for time in times]
    assert max(off) <= STEP_MS + 500


@pytest.mark.slow
def test_a_battery_station_without_a_network_sleeps_on(make_runner) -> None:
    runner = make_runner()
    files = config_files(broker_host="127.0.0.1", broker_port=9, time_host=None, **BATTERY)
    runner.add(0, files=files, samples=SAMPLES)
    runner.boot()
    runner.run_for(3 * HOUR_MS)
    happened = runner.happenings()
    assert set(codes(happened)) <= {"link.unreachable"}
    assert 33 <= len(of(happened, "sleep")) <= 45
    assert not of(happened, "exception")


def test_crashes_lead_to_safe_mode_and_back(make_runner) -> None:
    runner = make_runner(strict=False)
    files = config_files(
        broker_host="127.0.0.1",
        broker_port=9,
        time_host=None,
        sample_interval_ms=60_000,
        samples_per_message=1,
    )
    runner.add(0, files=files, samples=SAMPLES, program=CRASHING)
    runner.boot()
    runner.run_for(20 * MINUTE_MS)
    told = codes(runner.happenings())
    assert told.count("task.failed") == limits.CRASHES_MAX
    assert "safe.mode" in told
    runner.run_for(2 * HOUR_MS)
    told = codes(runner.happenings())
    # Out of it after half an hour, one boot on trial, and in again for an hour.
    assert told.count("safe.over") == 2
    assert told.count("task.failed") == told.count("safe.mode") in {1, 2}


def test_a_board_that_is_not_fed_is_reset(make_runner) -> None:
    runner = make_runner()
    files = config_files(
        broker_host="127.0.0.1", broker_port=9, sample_interval_ms=60_000, samples_per_message=1
    )
    runner.add(0, files=files, samples=SAMPLES, program=HANGING, watchdog_ms=limits.WATCHDOG_MS)
    runner.boot()
    runner.run_for(30 * MINUTE_MS)
    happened = runner.happenings()
    assert len(of(happened, "watchdog")) == 1
    assert [one.values["cause"] for one in of(happened, "up")] == [1, 2]
