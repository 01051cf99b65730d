"""Which time source is asked when, and that an unsigned one cannot lead the clock away."""

import pytest
from cairn import limits, wire

from tests.unit.firmware.bench import START_MS
from tests.unit.firmware.bench_station import StationBench
from tests.unit.firmware.test_sntp import answer

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Ntp:
    """Answers with the true time and wrong_ms; or with what `instead` makes."""

    def __init__(self, bench: StationBench) -> None:
        self.wrong_ms = 0
        self.asked: list[int] = []
        self.fields: dict[str, object] = {}
        self.world = bench.world

    def __call__(self, data: bytes, utc_ms: int) -> bytes:
        self.asked.append(self.world.now)
        told = utc_ms + self.wrong_ms
        return answer(nonce=data[40:], received_ms=told, sent_ms=told, **self.fields)  # type: ignore[arg-type]


def made(monkeypatch: pytest.MonkeyPatch, **changes: object) -> tuple[StationBench, Ntp]:
    bench = StationBench(monkeypatch, sntp_host="time.test", **changes)
    ntp = Ntp(bench)
    bench.sntp = ntp
    bench.power_on()
    return bench, ntp


def clock(bench: StationBench) -> tuple[int, int, int]:
    """(error, source, uncertainty) of the station's clock."""
    assert bench.node is not None
    time_ms, source, uncertainty_ms = bench.node.clock.now()
    return time_ms - bench.utc_ms(), source, uncertainty_ms


def test_sntp_fills_the_time_between_two_answers_of_the_gateway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, ntp = made(monkeypatch)
    bench.run(DAY_MS)
    # 2 h and 4 h behind each answer of the gateway, which comes all 6 h.
    assert 8 <= len(ntp.asked) <= 9
    gaps = [at % (6 * HOUR_MS) // MINUTE_MS for at in ntp.asked]
    assert all(119 <= gap <= 160 or 239 <= gap <= 320 for gap in gaps)
    error, source, uncertainty_ms = clock(bench)
    assert source in {wire.SOURCE_SNTP, wire.SOURCE_GATEWAY}
    assert abs(error) <= uncertainty_ms < 600
    assert bench.reports == []
    sources = {row[6][0] for row in bench.gateway.fields(wire.READINGS)}
    assert sources == {wire.SOURCE_GATEWAY, wire.SOURCE_SNTP}


def test_sntp_goes_on_while_the_time_service_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, ntp = made(monkeypatch)
    bench.run(HOUR_MS)
    bench.time_service = False
    bench.run(5 * DAY_MS)
    error, source, uncertainty_ms = clock(bench)
    assert source == wire.SOURCE_SNTP
    assert abs(error) <= uncertainty_ms < 600
    assert 5 * 10 <= len(ntp.asked) <= 5 * 13
    assert set(bench.codes()) == {"time.unreachable"}
    assert bench.gateway.complete()


def test_a_clock_that_was_never_set_is_not_set_by_sntp(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, ntp = made(monkeypatch)
    bench.time_service = False
    bench.run(DAY_MS)
    assert ntp.asked == []
    assert bench.node is not None
    assert not bench.node.clock.synced


@pytest.mark.parametrize("step_ms", [90, -4_900])
def test_a_false_server_cannot_lead_the_clock_away(
    step_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays within what the clock believes of itself each time, and goes one way for ever."""
    bench, ntp = made(monkeypatch)
    bench.run(HOUR_MS)
    bench.time_service = False
    for _ in range(180):
        ntp.wrong_ms += step_ms
        bench.run(2 * HOUR_MS)
    error, _, _ = clock(bench)
    # 5 s, and what the crystal itself could do in 15 days.
    assert abs(error) <= limits.SNTP_MOVE_MS_MAX + 15 * 4_320 + 1_000
    # The signed time comes back, and counts at once.
    bench.time_service = True
    bench.run(HOUR_MS)
    error, source, _ = clock(bench)
    assert (abs(error) <= 50, source) == (True, wire.SOURCE_GATEWAY)


def test_a_server_that_disagrees_has_the_gateway_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, ntp = made(monkeypatch)
    ntp.wrong_ms = 3_000
    bench.run(2 * HOUR_MS + 20 * MINUTE_MS)
    assert bench.codes() == ["sntp.disagrees"]
    error, source, uncertainty_ms = clock(bench)
    assert (error, source) == (0, wire.SOURCE_GATEWAY)
    # It was set anew just now.
    assert uncertainty_ms <= 20 + 60
    assert bench.gateway.complete()


@pytest.mark.parametrize(
    "fields,code,asked_a_day",
    [
        ({"stratum": 0, "reference": b"DENY"}, "sntp.denied", (1, 2)),
        ({"stratum": 0, "reference": b"RATE"}, "sntp.rate", (4, 6)),
        ({"first": 0xE4}, "sntp.unsynchronised", (10, 22)),
    ],
)
def test_a_server_that_does_not_want_us_is_left_alone(
    fields: dict[str, object],
    code: str,
    asked_a_day: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, ntp = made(monkeypatch)
    bench.run(HOUR_MS)
    bench.time_service = False
    ntp.fields = fields
    bench.run(DAY_MS)
    assert code in bench.codes()
    assert asked_a_day[0] <= len(ntp.asked) <= asked_a_day[1]
    assert clock(bench)[1] == wire.SOURCE_GATEWAY


def test_the_boards_clock_is_set_and_used_after_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _ = made(monkeypatch, sample_interval_ms=60_000)
    bench.rtc = True
    bench.run(3 * HOUR_MS)
    assert bench.clock_set is not None
    assert abs(bench.clock_set[1] - START_MS - bench.clock_set[0]) < 600
    bench.online = False
    bench.run(6 * HOUR_MS)
    assert bench.restarts
    # A station that restarted for want of a network still knows the time.
    error, source, uncertainty_ms = clock(bench)
    assert source == wire.SOURCE_HELD
    assert abs(error) <= uncertainty_ms
    bench.online = True
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    assert all(row[6][0] != wire.SOURCE_NONE for row in bench.gateway.fields(wire.READINGS))


def test_a_fleet_does_not_ask_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for name in range(5):
        draw = bytes([50 * name, 9])
        monkeypatch.setattr(
            "tests.unit.firmware.bench_station.LivingBoard.entropy",
            lambda _, size, draw=draw: (draw * 32)[:size],
        )
        bench, ntp = made(monkeypatch)
        bench.run(HOUR_MS)
        bench.time_service = False
        bench.run(8 * HOUR_MS)
        seen.add(ntp.asked[-1])
    assert len(seen) == 5
