"""station.run through boots that fail: it says why, goes on, and finds its way back."""

from itertools import pairwise

import pytest
from cairn import config, limits, wire
from cairn.errors import OperatorError

from tests.unit.firmware.bench import make_config
from tests.unit.firmware.bench_station import POWER_ON, SOFTWARE, WATCHDOG, StationBench
from tests.unit.firmware.bench_world import Wait

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def damage(bench: StationBench, name: str) -> None:
    bench.files.write(name, b"\xee" + (bench.files.read(name) or b"x")[1:])


def test_a_healthy_station_runs_in_one_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=5)
    bench.power_on()
    bench.run(24 * HOUR_MS)
    assert bench.boots == [(0, POWER_ON)]
    assert bench.reports == []
    assert bench.gateway.complete()
    assert len(bench.sample_times()) >= 24 * 60 - 6
    assert bench.recovered == []


def test_absent_config_is_said_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch)
    bench.files.remove("config")
    bench.files.remove("config.spare")
    bench.power_on()
    bench.run(20 * MINUTE_MS)
    assert set(bench.codes()) == {"config.absent"}
    assert 10 <= len(bench.codes()) <= 22
    # Provisioned while it waits, without a reset.
    config.store(bench.files, bench.config)
    bench.run(HOUR_MS)
    assert bench.boots == [(0, POWER_ON)]
    assert bench.gateway.complete()
    assert bench.files.read("lives")


def test_a_board_that_waits_for_its_config_never_comes_to_safe_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = StationBench(monkeypatch)
    stored = bench.files.read("config") or b""
    bench.files.remove("config")
    bench.files.remove("config.spare")
    bench.power_on()
    for _ in range(20):
        bench.run(30_000)
        bench.cut_power()
    bench.files.write("config", stored)
    bench.run(HOUR_MS)
    assert "safe.mode" not in bench.codes()
    assert bench.taken


@pytest.mark.parametrize("names", [("config",), ("config", "config.spare")])
def test_damaged_config(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch)
    for name in names:
        damage(bench, name)
    bench.power_on()
    bench.run(HOUR_MS)
    if len(names) == 1:
        assert bench.codes() == ["config.spare"]
        assert bench.gateway.complete()
        assert bench.files.read("config")[:-4] == bench.files.read("config.spare")[:-4]
    else:
        assert set(bench.codes()) == {"config.damaged"}
        assert not bench.gateway.taken
    assert bench.boots == [(0, POWER_ON)]


def test_a_damaged_key_is_said_each_time_and_the_program_never_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_key(_: object) -> bytes:
        raise OperatorError("identity.damaged", "the key", "flash", "Erase.")

    bench = StationBench(monkeypatch)
    monkeypatch.setattr("tests.unit.firmware.bench_station.LivingBoard.public_key", no_key)
    bench.power_on()
    bench.run(3 * HOUR_MS)
    assert {"identity.damaged", "safe.mode", "safe.bare"} == set(bench.codes())
    # Restarts are paused, and rarer once it is plain that they do not help.
    assert 10 <= len(bench.boots) <= 60
    assert {cause for _, cause in bench.boots[1:]} == {SOFTWARE}


def test_sensors_that_are_unknown_leave_a_station_that_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(_: object) -> None:
        raise OperatorError("sensors.part", "sensors", "part 99", "Update.")

    bench = StationBench(monkeypatch)
    bench.equip = unknown
    bench.power_on()
    bench.run(6 * HOUR_MS)
    assert bench.codes() == ["sensors.part"]
    assert bench.boots == [(0, POWER_ON)]
    assert set(bench.gateway.kinds()) == {wire.HELLO, wire.CLAIM, wire.STATUS}


def failing(bench: StationBench) -> None:
    async def crash() -> list[tuple[int, int, int, int | None, int]]:
        raise RuntimeError("driver")

    bench.sampler = crash


def test_crashes_lead_to_safe_mode_and_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=5)
    bench.power_on()
    bench.run(HOUR_MS)
    failing(bench)
    bench.cut_power()
    bench.run(HOUR_MS)
    first_safe = next(at for at, code, _ in bench.reports if code == "safe.mode")
    crashed = [at for at, code, _ in bench.reports if code == "task.failed" and at < first_safe]
    assert len(crashed) == limits.CRASHES_MAX
    # In safe mode it connects, says its status and takes no samples.
    before = len(bench.taken)
    statuses = len(bench.gateway.fields(wire.STATUS))
    bench.run(9 * HOUR_MS)
    assert len(bench.taken) == before
    assert len(bench.gateway.fields(wire.STATUS)) > statuses
    # Each way out is one boot on trial, and each stay is twice as long as the last.
    stays = [at for at, code, _ in bench.reports if code == "safe.mode"]
    assert 3 <= len(stays) <= 6
    pauses = [after - at for at, after in pairwise(stays)]
    assert all(after > 1.8 * pause for pause, after in pairwise(pauses))
    # The cause goes away.
    bench.sampler = bench.measure
    bench.run(24 * HOUR_MS)
    assert len(bench.taken) > before + 300
    # And is forgotten: a single crash later is no reason for safe mode.
    safe = bench.codes().count("safe.mode")
    failing(bench)
    bench.run(90_000)
    bench.sampler = bench.measure
    bench.run(2 * HOUR_MS)
    assert bench.codes().count("safe.mode") == safe
    assert bench.gateway.complete()


def test_safe_mode_that_crashes_too_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch)

    def broken(*_: object, **__: object) -> None:
        raise MemoryError("memory allocation failed")

    monkeypatch.setattr("cairn.station.make", broken)
    bench.power_on()
    bench.run(6 * HOUR_MS)
    codes = bench.codes()
    assert codes.index("safe.mode") < codes.index("safe.bare")
    assert codes[: codes.index("safe.bare")].count("station.failed") == 2 * limits.CRASHES_MAX
    assert ("MemoryError: memory allocation failed") in [row[2] for row in bench.reports]


def test_power_cuts_far_apart_are_no_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch)
    bench.power_on()
    for _ in range(20):
        bench.run(20 * MINUTE_MS)
        bench.cut_power()
    bench.run(HOUR_MS)
    assert bench.reports == []
    assert bench.gateway.complete()


def test_a_board_that_hangs_is_reset_by_its_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch)
    bench.power_on()
    bench.run(HOUR_MS)
    # Everything stands still but the hardware: a driver that never comes back.
    dogs = [entry for entry in bench.world.heap if getattr(entry[2], "__name__", "") == "_bite"]
    bench.world.heap[:] = sorted(dogs)
    bench.run(HOUR_MS)
    assert [cause for _, cause in bench.boots] == [POWER_ON, WATCHDOG]
    assert bench.boots[1][0] <= HOUR_MS + limits.WATCHDOG_MS + 1_000
    assert bench.gateway.complete()


def test_sampling_that_hangs_ends_in_a_clean_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = StationBench(monkeypatch, sample_interval_ms=60_000, samples_per_message=5)
    bench.power_on()
    bench.run(HOUR_MS)

    async def hang() -> list[tuple[int, int, int, int | None, int]]:
        await Wait(None, None)
        return []

    bench.sampler = hang
    # Three samples are in the batch: the restart signs them first.
    bench.run(10 * MINUTE_MS)
    assert [reason for _, reason in bench.restarts] == ["vigil.samples"]
    assert bench.boots[-1][1] == SOFTWARE
    bench.sampler = bench.measure
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    assert len(bench.sample_times()) >= len(bench.taken) - 5


def test_what_waits_in_ram_is_stored_before_a_planned_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"sample_interval_ms": 60_000, "samples_per_message": 2}
    bench = StationBench(monkeypatch, store_every_ms=3_600_000, **changes)
    bench.power_on()
    bench.run(20 * MINUTE_MS)
    bench.online = False
    bench.run(4 * HOUR_MS)
    assert [reason for _, reason in bench.restarts] == ["vigil.network"]
    bench.online = True
    bench.run(2 * HOUR_MS)
    assert bench.gateway.complete()
    samples = [time for time, _ in bench.sample_times()]
    at = bench.gateway.epoch_ms + bench.restarts[0][0]
    # Nothing is missing around the restart but what was due in the second that it took.
    around = [time for time in samples if abs(time - at) < 10 * MINUTE_MS]
    assert len(around) >= 19
    assert len(samples) == len(set(samples))


def test_an_outbox_larger_than_the_flash_is_made_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"sample_interval_ms": 60_000, "samples_per_message": 1}
    bench = StationBench(monkeypatch, outbox_bytes_max=1_048_576, **changes)
    bench.storage = 150_000
    bench.online = False
    bench.time_service = False
    bench.power_on()
    bench.run(36 * HOUR_MS)
    stored = sum(len(bench.files.read(name) or b"") for name in bench.files.names("outbox/"))
    assert 60_000 < stored <= 150_000 * 3 // 4
    assert "outbox.clamped" in bench.codes()
    bench.online = bench.time_service = True
    bench.run(12 * HOUR_MS)
    assert bench.gateway.complete()


def test_battery_config_needs_its_period() -> None:
    with pytest.raises(OperatorError, match=r"config\.duty"):
        make_config(duty=(1, 0, 0))
