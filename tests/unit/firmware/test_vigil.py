"""How a station gets its network back, and what it costs when nobody can give it back."""

from itertools import pairwise

import pytest
from cairn import limits, wire

from tests.unit.firmware.bench_station import SOFTWARE, WATCHDOG, StationBench

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def made(monkeypatch: pytest.MonkeyPatch, **changes: object) -> StationBench:
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=5, **changes)
    bench.power_on()
    bench.run(HOUR_MS)
    return bench


def test_stages_come_in_their_order_and_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch)
    bench.online = False
    bench.run(2 * HOUR_MS - 10 * MINUTE_MS)
    assert bench.restarts == []
    stages = [stage for _, stage in bench.recovered]
    assert stages[0] == 1
    assert set(stages[1:]) == {2}
    first, second = (at - HOUR_MS for at, _ in bench.recovered[:2])
    assert limits.RECOVER_1_MS <= first <= limits.RECOVER_1_MS * 5 // 4 + limits.VIGIL_MS
    assert limits.RECOVER_2_MS <= second <= limits.RECOVER_2_MS * 5 // 4 + limits.VIGIL_MS
    bench.run(HOUR_MS)
    assert [reason for _, reason in bench.restarts] == ["vigil.network"]
    assert bench.boots[-1][1] == SOFTWARE


def test_the_jitter_is_the_boards_own(monkeypatch: pytest.MonkeyPatch) -> None:
    firsts = set()
    for name in range(6):
        bench = StationBench(monkeypatch)
        draw = bytes([40 * name, 7])
        monkeypatch.setattr(
            "tests.unit.firmware.bench_station.LivingBoard.entropy",
            lambda _, size, draw=draw: (draw * 16)[:size],
        )
        bench.online = False
        bench.power_on()
        bench.run(HOUR_MS)
        firsts.add(bench.recovered[0][0])
    assert len(firsts) >= 5


def test_restarts_become_rarer_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch, outbox_bytes_max=1_048_576)
    bench.online = False
    bench.run(6 * DAY_MS)
    times = [at for at, reason in bench.restarts if reason == "vigil.network"]
    pauses = [after - before for before, after in pairwise([HOUR_MS, *times])]
    assert 5 <= len(pauses) <= 9
    for number, pause in enumerate(pauses):
        least = min(limits.QUIET_RESTART_MS << number, limits.QUIET_RESTART_MS_MAX)
        assert least <= pause <= least * 5 // 4 + MINUTE_MS
    assert set(bench.codes()) == {"vigil.network", "vigil.recover", "time.unreachable"}
    bench.online = True
    bench.run(DAY_MS)
    assert bench.gateway.complete()
    # Every minute of the six days has its sample but the seconds of the restarts.
    assert len(bench.sample_times()) >= 7 * 24 * 60 - 3 * len(times)
    # The count starts anew: the next outage begins with the short pause again.
    bench.online = False
    began = bench.world.now
    bench.run(3 * HOUR_MS)
    assert bench.restarts[-1][0] - began < limits.QUIET_RESTART_MS * 5 // 4 + MINUTE_MS


def test_a_silent_gateway_behind_a_good_broker_has_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(monkeypatch)
    bench.answering = False
    bench.run(7 * HOUR_MS)
    assert bench.restarts == []
    assert bench.recovered
    assert bench.recovered[0][0] - HOUR_MS >= 4 * limits.RECOVER_1_MS
    bench.answering = True
    bench.run(HOUR_MS)
    assert bench.restarts == []
    assert bench.gateway.complete()


def test_a_station_with_little_to_say_is_not_taken_for_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quantities = [(0, 0, DAY_MS)]
    bench = StationBench(
        monkeypatch,
        quantities=quantities,
        sample_interval_ms=DAY_MS,
        samples_per_message=1,
        status_interval_ms=DAY_MS,
    )
    bench.power_on()
    bench.run(4 * DAY_MS)
    assert bench.restarts == []
    assert bench.recovered == []
    assert bench.reports == []


def test_unsynced_boots_are_mapped_over_restarts_and_crashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never synced, cut off, restarted by its vigil and by a crash; then the network comes."""
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=5)
    bench.online = False
    bench.power_on()
    bench.run(3 * HOUR_MS)
    assert len(bench.boots) == 2
    bench.world.spawn(bench.board._watched(crash()))
    bench.run(2 * HOUR_MS)
    assert len(bench.boots) == 3
    bench.online = True
    bench.run(2 * HOUR_MS)
    assert bench.gateway.complete()
    known = bench.sample_times()
    # All but what was in RAM in the crash is mapped, to within what its clock message says.
    assert len(known) >= len(bench.taken) - 6
    true = set(bench.taken)
    for time, uncertainty_ms in known:
        assert min(abs(time - one) for one in true) <= min(uncertainty_ms, 30_000)
    worst = max(uncertainty_ms for _, uncertainty_ms in known)
    assert worst < 3 * MINUTE_MS
    # What is told needs no memory.
    assert bench.kept is None


def test_after_a_power_cut_an_unsynced_boot_stays_unmapped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=5)
    bench.online = False
    bench.power_on()
    bench.run(HOUR_MS)
    bench.cut_power(HOUR_MS)
    bench.online = True
    bench.run(3 * HOUR_MS)
    # Nobody can say how long the power was off: no clock message claims to.
    assert bench.gateway.complete()
    times = [time for time, _ in bench.sample_times()]
    assert min(times) >= bench.gateway.epoch_ms + 2 * HOUR_MS


async def crash() -> None:
    raise RuntimeError("a driver")


def test_a_boot_that_signed_nothing_is_not_mapped_under_its_successors_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=10)
    bench.power_on()
    bench.run(HOUR_MS)
    # From here on there is no time. The first boot hangs before it has signed anything: the number
    # of that boot is the next one's.
    bench.online = bench.time_service = False
    bench.begin_again(SOFTWARE, 1_000)
    bench.run(5 * MINUTE_MS)
    bench.begin_again(WATCHDOG, 1_000)
    bench.run(HOUR_MS)
    bench.online = bench.time_service = True
    bench.run(2 * HOUR_MS)
    boots = [row[7][0] for row in bench.gateway.fields(wire.CLOCK)]
    assert len(boots) == len(set(boots)) == 1
    assert bench.gateway.complete()
    for time, uncertainty_ms in bench.sample_times():
        assert min(abs(time - true) for true in bench.taken) <= uncertainty_ms
