"""Whole stations in the faulty village: with watchdog, deep sleep, SNTP and batched storing."""

import dataclasses
from functools import partial

import pytest
from cairn import wire
from cairn.limits import WATCHDOG_MS

from simulator.board import RESET_SLEEP, RESET_WATCHDOG, SimulatedBoard
from simulator.fleet import RunOptions, plan_stations
from simulator.in_process import InProcessRun
from simulator.world import Event

SEED = 11
HOUR_MS = 3_600_000


class Hanging(SimulatedBoard):
    """After three hours of a boot a driver blocks everything, once."""

    hung = False

    async def sample(self):
        if not self.hung and self.ticks() > 3 * HOUR_MS:
            self.hung = True
            # Nothing of this board runs on, as in a call that never returns.
            for task in list(self.group.tasks):
                task.turn += 1
            await Event(self._world).wait(None)
        return await super().sample()


class Ending:
    """A day's sensors; afterwards there is nothing to sample. The fleet's own would hang."""

    def __init__(self, plan, world, end_ms):
        self.inner = plan.sampler(world)
        self.world = world
        self.end_ms = end_ms

    async def sample(self):
        return [] if self.world.now_ms >= self.end_ms else await self.inner.sample()


class Watched(InProcessRun):
    """Remembers why boards booted."""

    def _boot(self, index, reset_cause):
        self.causes = [*getattr(self, "causes", []), (index, reset_cause)]
        super()._boot(index, reset_cause)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, village):
    options = RunOptions(
        seed=SEED,
        data_dir=tmp_path_factory.mktemp("whole"),
        epoch_zero_ms=village.start_ms,
        start_ms=village.start_ms,
        end_ms=village.end_ms,
        faults=village.faults,
        lead_ms=village.lead_ms,
        surroundings=village.radio.surroundings,
    )
    plans = [
        dataclasses.replace(plan, whole=True, sampler=partial(Ending, plan, end_ms=village.end_ms))
        for plan in plan_stations(village, SEED)
    ]
    for index in (1, 3):
        duty = (wire.DUTY_BATTERY, HOUR_MS, (index * 7 + 3) * 60_000)
        plans[index] = dataclasses.replace(plans[index], duty=duty)
    plans[0] = dataclasses.replace(plans[0], hardware=Hanging)
    run = Watched(options, plans)
    run.execute()
    yield run
    run.close()


def test_nothing_is_lost_and_nothing_counts_twice(finished):
    assert finished.failures == []
    assert finished.counts.durable == finished.counts.signed
    assert finished.counts.signed > 300


def test_battery_stations_slept_and_the_others_did_not(finished):
    slept = [index for index, cause in finished.causes if cause == RESET_SLEEP]
    assert set(slept) == {1, 3}
    assert min(slept.count(1), slept.count(3)) > 100


def test_the_station_that_hung_was_reset_by_its_watchdog(finished):
    assert [index for index, cause in finished.causes if cause == RESET_WATCHDOG] == [0]
    assert WATCHDOG_MS <= 120_000


def test_reports_name_only_what_the_faults_explain(finished):
    codes = {code for board in finished._boards for _, code, _ in board.reports}
    # The network damages downlinks and is away for hours; flash keeps what it got.
    other = {code for code in codes if code.split(".")[0] not in {"downlink", "time"}}
    assert other <= {"vigil.recover"}


def test_sntp_was_asked_by_those_that_stay_awake(finished):
    asked = [board._ntp.asked for board in finished._boards]
    assert all(count > 0 for index, count in enumerate(asked) if index not in {1, 3})
