"""A battery station over days: what it signs, when it was measured, and how long it is awake."""

import pytest
from cairn import limits, staging, wire

from tests.unit.firmware.bench_station import POWER_ON, SLEEP, StationBench

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SAMPLE_MS = 5 * MINUTE_MS
PHASE_MS = 17 * MINUTE_MS


def battery(monkeypatch: pytest.MonkeyPatch, **changes: object) -> StationBench:
    values: dict[str, object] = {
        "sample_interval_ms": SAMPLE_MS,
        "samples_per_message": 12,
        "duty": (wire.DUTY_BATTERY, HOUR_MS, PHASE_MS),
        "status_interval_ms": 6 * HOUR_MS,
        "store_every_ms": 60_000,
        **changes,
    }
    return StationBench(monkeypatch, **values)


def awake_ms(bench: StationBench, least: int = 0) -> list[int]:
    return [awake for awake, _ in bench.sleeps if awake >= least]


def errors_of(bench: StationBench) -> list[int]:
    """How far each told time is from the nearest true one; each within what it claims."""
    found = []
    for time, uncertainty_ms in bench.sample_times():
        error = min(abs(time - true) for true in bench.taken)
        assert error <= uncertainty_ms
        found.append(error)
    return found


def test_a_day_on_a_good_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(DAY_MS)
    assert bench.reports == []
    assert {cause for _, cause in bench.boots[1:]} == {SLEEP}
    assert len(bench.taken) in range(286, 291)
    # All but what waits for the next delivery is signed, once, with its own time.
    assert len(bench.taken) - 13 <= len(bench.sample_times()) <= len(bench.taken)
    times = [time for time, _ in bench.sample_times()]
    assert len(set(times)) == len(times)
    assert max(errors_of(bench)) <= 50
    assert bench.gateway.complete()
    # 24 wakes of the day connect, the others are over at once.
    connected = awake_ms(bench, 1)
    assert 24 <= len(connected) <= 26
    assert max(connected) < 70_000
    assert sum(sorted(connected)[:-1]) < 24 * 5_000
    assert len(bench.gateway.fields(wire.STATUS)) in {4, 5}
    # The chain was closed before each sleep: no message is spent on seqs that were not used.
    assert bench.gateway.fields(wire.GAP) == []
    # It never slept past a point of its duty.
    phases = [(bench.gateway.epoch_ms + at - PHASE_MS) % HOUR_MS for at, _ in bench.boots[2:]]
    assert min(phases) < MINUTE_MS


@pytest.mark.parametrize("rtc_ppm", [-40_000, -9_000, 9_000, 40_000])
def test_a_bad_oscillator_is_put_straight_at_each_delivery(
    rtc_ppm: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = battery(monkeypatch)
    bench.rtc_ppm = rtc_ppm
    bench.power_on()
    bench.run(2 * DAY_MS)
    assert bench.reports == []
    assert bench.gateway.complete()
    # Without the correction a sample of an hour ago would be off by up to 144 s.
    assert max(errors_of(bench)[12:]) <= 1_000
    assert 24 * 2 - 3 <= len(awake_ms(bench, 1)) <= 24 * 2 + 6
    # A slow one loses a sample an hour to the grid, a fast one wins none.
    assert 2 * 24 * 11 <= len(bench.taken) <= 2 * 288 + 2


def test_an_outage_is_signed_in_held_time_and_delivered_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = battery(monkeypatch)
    bench.rtc_ppm = 9_000
    bench.power_on()
    bench.run(3 * HOUR_MS)
    bench.online = False
    bench.run(12 * HOUR_MS)
    bench.online = True
    bench.run(6 * HOUR_MS)
    assert bench.gateway.complete()
    assert len(bench.sample_times()) >= len(bench.taken) - 14
    held = [row for row in bench.gateway.fields(wire.READINGS) if row[6][0] == wire.SOURCE_HELD]
    assert 10 <= len(held) <= 13
    # 0.9 % of 12 hours; every message says that it may be as much as that, and more.
    told = bench.sample_times()
    errors = [abs(time - true) for (time, _), true in zip(told, bench.taken, strict=False)]
    assert 300_000 < max(errors) < 420_000
    assert all(error <= claimed for error, (_, claimed) in zip(errors, told, strict=True))
    # Each delivery that fails costs its time limit and no more.
    assert max(awake_ms(bench)) <= limits.DUTY_CONNECT_MS_MAX + 1_000


def test_without_time_nothing_is_signed_and_the_newest_samples_stand_closest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = battery(monkeypatch)
    bench.online = False
    bench.power_on()
    bench.run(3 * DAY_MS)
    assert not bench.gateway.taken
    _, waiting, thinned, _ = staging.unpack(bench.kept)
    assert thinned > 0
    assert thinned + len(waiting) == len(bench.taken)
    bench.online = True
    bench.run(2 * HOUR_MS)
    assert "staging.thinned" in bench.codes()
    assert bench.gateway.complete()
    times = [time for time, _ in bench.sample_times()]
    assert len(times) > 60
    assert times[0] < bench.gateway.epoch_ms + DAY_MS
    assert times[-2] - times[-3] <= SAMPLE_MS + 1_000
    errors_of(bench)


def test_a_power_cut_takes_what_was_not_signed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    for _ in range(5):
        bench.run(5 * HOUR_MS + 7 * MINUTE_MS)
        bench.cut_power()
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()
    assert [cause for _, cause in bench.boots].count(POWER_ON) == 6
    lost = len(bench.taken) - len(bench.sample_times())
    assert lost <= 6 * 13
    times = [time for time, _ in bench.sample_times()]
    assert len(set(times)) == len(times)
    assert max(errors_of(bench)) <= 100
    assert "safe.mode" not in bench.codes()


def test_damaged_memory_is_said_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(3 * HOUR_MS + 2 * MINUTE_MS)
    assert bench.kept
    bench.kept = bench.kept[:40] + bytes([bench.kept[40] ^ 4]) + bench.kept[41:]
    bench.run(3 * HOUR_MS)
    assert bench.codes() == ["retained.damaged"]
    assert bench.gateway.complete()
    assert max(errors_of(bench)) <= 100


def test_a_board_without_such_memory_delivers_at_every_wake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = battery(monkeypatch)
    bench.memory = False
    bench.power_on()
    bench.run(6 * HOUR_MS)
    assert bench.gateway.complete()
    assert len(bench.taken) >= 60
    assert len(bench.sample_times()) == len(bench.taken)
    assert max(errors_of(bench)) <= 100


def test_a_driver_that_crashes_ends_in_rare_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(2 * HOUR_MS)

    async def crash() -> list[tuple[int, int, int, int | None, int]]:
        raise RuntimeError("driver")

    bench.sampler = crash
    bench.run(4 * HOUR_MS)
    codes = bench.codes()
    assert "safe.mode" in codes
    assert codes.count("station.failed") <= limits.CRASHES_MAX + 12
    long = [asleep for _, asleep in bench.sleeps if asleep >= limits.SAFE_MS]
    assert long
    bench.sampler = bench.measure
    bench.run(DAY_MS)
    assert bench.gateway.complete()
    assert len(bench.sample_times()) > 200
    errors_of(bench)


def test_samples_go_to_flash_before_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # One point of the duty a day, and a sample each five minutes: memory holds a tenth of that.
    bench = battery(monkeypatch, duty=(wire.DUTY_BATTERY, DAY_MS, PHASE_MS))
    bench.power_on()
    bench.run(3 * DAY_MS)
    assert bench.gateway.complete()
    assert "staging.thinned" not in bench.codes()
    waiting = len(bench.taken) - len(bench.sample_times())
    assert waiting == len(staging.unpack(bench.kept)[1]) < 250
    assert 3 <= len(awake_ms(bench, 1)) <= 10


def test_a_lost_chain_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = battery(monkeypatch)
    bench.power_on()
    bench.run(6 * HOUR_MS)
    for name in bench.files.names(""):
        if not name.startswith("config"):
            bench.files.remove(name)
    bench.kept = None
    monkeypatch.setattr(limits, "SEQ_SAFE_DISTANCE", 1 << 12)
    bench.run(6 * HOUR_MS)
    assert bench.gateway.complete()
    assert "chain.lost" in bench.codes()
    assert len(bench.sample_times()) >= len(bench.taken) - 26
