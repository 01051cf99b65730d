"""A whole station that stores in batches, through power cuts at every change of its flash."""

import pytest
from cairn import limits, sealed, wire

from tests.unit.firmware.bench import Bench, make_config, statement
from tests.unit.firmware.bench_air import AirBench, air_config
from tests.unit.firmware.bench_world import PowerCut
from tests.unit.firmware.test_coverage_faults import (
    HOUR_MS,
    NamedFiles,
    changed_by,
    check_coverage,
)

MINUTE_MS = 60_000


def busy_config(store_every_ms: int = 10 * MINUTE_MS) -> dict[str, int]:
    """A message a minute, ten to a write."""
    return {
        "sample_interval_ms": 30_000,
        "samples_per_message": 2,
        "outbox_bytes_max": 65_536,
        "store_every_ms": store_every_ms,
    }


def scenario(bench: Bench) -> None:
    bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    bench.run(9 * HOUR_MS)
    bench.link.online = True
    bench.run(HOUR_MS)


def busy_bench(store_every_ms: int = 10 * MINUTE_MS) -> Bench:
    bench = Bench(config=make_config(**busy_config(store_every_ms)))
    sealed.write(bench.files, "keys", statement())
    # Room for some 80 messages: the outage ends in drops.
    bench.config.outbox_bytes_max = 20_000
    bench.files.calls = 0
    return bench


def test_a_station_makes_a_fraction_of_the_flash_writes() -> None:
    calls = []
    for store_every_ms in (0, 10 * MINUTE_MS):
        bench = busy_bench(store_every_ms)
        bench.config.outbox_bytes_max = 1 << 20
        scenario(bench)
        assert bench.gateway.complete()
        calls.append(bench.files.calls / max(bench.gateway.taken))
    assert calls[1] < calls[0] / 4


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "after", 300])
def test_power_cut_anywhere(how: "str | int", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FREE_BYTES_MIN", 5_000)
    call = 0
    while True:
        bench = busy_bench()
        bench.files.cut = (call, how)
        try:
            scenario(bench)
        except PowerCut:
            pass
        else:
            break
        bench.files.cut = None
        stored = bench.stored()
        bench.boot()
        bench.link.send_receipt()
        bench.run(HOUR_MS)
        assert bench.gateway.complete()
        taken = bench.gateway.taken
        dropped: set[int] = set()
        for header in bench.gateway.fields(wire.GAP):
            if header[7][3] == wire.GAP_DROPPED:
                dropped.update(range(header[7][0], header[7][1] + 1))
        assert set(stored) - set(taken) <= dropped
        assert all(taken[seq][3] == stored[seq] for seq in set(stored) & set(taken))
        call += 1
    assert bench.node.dropped > 0
    assert call > 60


def air_bench() -> AirBench:
    config = air_config(
        beacon_every=10,
        quantities=[(0, 0, 30 * MINUTE_MS)],
        sample_interval_ms=30 * MINUTE_MS,
        samples_per_message=1,
        status_interval_ms=6 * HOUR_MS,
        store_every_ms=HOUR_MS,
    )
    bench = AirBench(config=config, files=NamedFiles(), mute=lambda slot: slot % 1440 // 60 != 2)
    sealed.write(bench.files, "keys", statement())
    bench.files.calls = 0
    changed_by(bench).clear()
    return bench


@pytest.mark.parametrize("how", ["before", "after", 200])
def test_commitments_and_reveals_are_never_made_twice(how: "str | int") -> None:
    """Messages that wait an hour beside them: what a file says was signed is on flash."""
    bench = air_bench()
    bench.boot()
    bench.run(26 * HOUR_MS)
    check_coverage(bench)
    calls = bench.files.calls
    # The record of a beacon is a change of its own, with its own sweep: one in eight of those.
    names = list(changed_by(bench))
    cuts = [call for call in range(calls) if not names[call].startswith("sent/") or call % 8 == 0]
    assert len(cuts) > 30
    for call in cuts:
        bench = air_bench()
        bench.files.cut = (call, how)
        bench.boot()
        with pytest.raises(PowerCut):
            bench.run(26 * HOUR_MS)
        bench.files.cut = None
        bench.boot()
        bench.link.send_receipt()
        bench.run(max(0, 32 * HOUR_MS - bench.world.now))
        check_coverage(bench)
