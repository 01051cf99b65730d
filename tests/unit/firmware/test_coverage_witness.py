"""What a station reports of others' beacons, and when it says that it listened."""

from typing import Any

import pytest
from cairn import limits, wire
from cairn.witness import Listening, Witness
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench import DAY_MS, START_MS
from tests.unit.firmware.bench_air import START_DAY, AirBench, air_config

HOUR_MS = 3_600_000
SLOT = START_MS // 60_000


def tag(number: int) -> bytes:
    return number.to_bytes(16, "big")


def listening_bench(**changes: Any) -> AirBench:
    bench = AirBench(config=air_config(**changes), entropy=False)
    bench.boot()
    bench.run(61_000)
    return bench


def frame(bench: AirBench, number: int) -> bytes:
    return b"\x01" + bench.config.network_id[:3] + tag(number)


def rows_of(bench: AirBench) -> list[tuple[Any, ...]]:
    """(day, radio, slot, tag, rssi, snr, channel, delay) of everything reported."""
    return [
        (body[0], body[1], *row)
        for body in bench.bodies(wire.WITNESS)
        for row in zip(*body[2:], strict=True)
    ]


def test_a_frame_becomes_a_row_with_its_time() -> None:
    bench = listening_bench()
    bench.run(10 * 60_000 - bench.world.now + 33_000)
    bench.air.hear(frame(bench, 7), channel=2, late_ms=400)
    bench.air.hear(frame(bench, 8), radio=1)
    bench.run(2 * HOUR_MS)
    assert rows_of(bench) == [(START_DAY, 0, SLOT + 10, tag(7), -9_000, 550, 2, 32_600)]


def test_what_is_no_beacon_of_this_network_is_ignored() -> None:
    bench = listening_bench()
    good = frame(bench, 1)
    for hostile in (
        b"",
        good[:-1],
        good + b"\0",
        b"\x02" + good[1:],
        good[:3] + bytes([good[3] ^ 1]) + good[4:],
        bytes(20),
    ):
        bench.air.hear(hostile)
    bench.run(2 * HOUR_MS)
    assert rows_of(bench) == []
    assert bench.node.coverage.listener.heard == 0


def test_own_frames_that_come_back_are_not_reported() -> None:
    bench = AirBench(config=air_config(beacon_every=2))
    bench.boot()
    bench.run(4 * HOUR_MS)
    assert bench.frames
    bench.air.hear(bench.frames[-1][4])
    bench.run(HOUR_MS)
    assert rows_of(bench) == []
    assert bench.node.coverage.listener.heard == 1


def test_full_batches_leave_at_once_and_the_rest_within_the_hour() -> None:
    bench = listening_bench()
    for number in range(50):
        bench.air.hear(frame(bench, number))
    bench.run(1_000)
    assert [len(body[2]) for body in bench.bodies(wire.WITNESS)] == [48]
    bench.run(HOUR_MS + 540_000)
    assert [len(body[2]) for body in bench.bodies(wire.WITNESS)] == [48, 2]
    assert [row[3] for row in rows_of(bench)] == [tag(number) for number in range(50)]


def test_no_message_mixes_days_and_yesterdays_rows_come_soon() -> None:
    bench = listening_bench()
    bench.run(DAY_MS - bench.world.now - 30_000)
    bench.air.hear(frame(bench, 1))
    bench.run(31_000)
    bench.air.hear(frame(bench, 2))
    bench.run(HOUR_MS)
    messages = [(fields[7], fields[5]) for fields in bench.gateway.fields(wire.WITNESS)]
    assert [body[0] for body, _ in messages] == [START_DAY, START_DAY + 1]
    assert all({slot // 1_440 for slot in body[2]} == {body[0]} for body, _ in messages)
    assert messages[0][1] - (START_DAY + 1) * DAY_MS < 600_000
    quiet = listening_bench()
    quiet.run(DAY_MS - quiet.world.now - 30_000)
    quiet.air.hear(frame(quiet, 1))
    quiet.run(HOUR_MS)
    (late,) = [fields[5] for fields in quiet.gateway.fields(wire.WITNESS)]
    assert 30_000 <= late - (START_DAY + 1) * DAY_MS <= 600_000


def test_a_flood_is_bounded_and_costs_the_claim() -> None:
    bench = listening_bench()
    bench.run(HOUR_MS - bench.world.now)
    for number in range(3_000):
        bench.air.hear(frame(bench, number))
    bench.run(2_000)
    assert len(rows_of(bench)) == limits.WITNESS_ROWS_AN_HOUR_MAX
    witness = bench.node.coverage.witness
    assert witness.dropped == 3_000 - limits.WITNESS_ROWS_AN_HOUR_MAX
    bench.run(2 * HOUR_MS)
    day, hours = bench.node.coverage.listening()
    assert (day, hours & 0b1111) == (START_DAY, 0b1100)


def test_replayed_frames_count_once() -> None:
    bench = listening_bench()
    for _ in range(100):
        bench.air.hear(frame(bench, 5))
    bench.run(2 * HOUR_MS)
    assert len(rows_of(bench)) == 1


def test_all_hours_are_claimed_over_a_day() -> None:
    bench = AirBench(config=air_config(status_interval_ms=6 * HOUR_MS))
    bench.boot()
    bench.run(2 * DAY_MS + HOUR_MS)
    claimed: dict[int, int] = {}
    for fields in bench.gateway.fields(wire.STATUS):
        day, hours = fields[7][7]
        assert day == fields[5] // DAY_MS
        claimed[day] = claimed.get(day, 0) | hours
    # The first hour had begun when the station got its time.
    assert claimed[START_DAY] == (1 << 24) - 2
    assert claimed[START_DAY + 1] == (1 << 24) - 1
    late = [fields[5] % DAY_MS for fields in bench.gateway.fields(wire.STATUS)]
    assert sum(1 for time in late if DAY_MS - 600_000 <= time < DAY_MS - 60_000) >= 2


def test_a_radio_that_fails_is_a_break() -> None:
    bench = listening_bench()
    bench.run(5 * HOUR_MS + HOUR_MS // 2 - bench.world.now)
    bench.air.fail()
    bench.run(10_000)
    bench.air.broken = False
    bench.run(2 * HOUR_MS)
    assert bench.node.coverage.listening() == (START_DAY, 0b1101_1110)
    bench.air.hear(frame(bench, 9))
    bench.run(2 * HOUR_MS)
    assert len(rows_of(bench)) == 1


def test_rows_that_the_outbox_cannot_take_are_counted() -> None:
    bench = listening_bench()
    bench.run(HOUR_MS)
    now = (START_MS, 1, 0)
    while bench.node.write(wire.CLOCK, [bytes(1_000)], now):
        pass
    for number in range(48):
        bench.air.hear(frame(bench, number))
    bench.run(1_000)
    assert bench.node.coverage.witness.dropped == 48
    assert rows_of(bench) == []


@pytest.mark.parametrize("since, now, bits", [
    (0, 0, 0b1),
    (0, 1, 0b1),
    (1, HOUR_MS - 1, 0b0),
    (1, HOUR_MS, 0b10),
    (HOUR_MS, 3 * HOUR_MS + 5, 0b1110),
    (0, DAY_MS - 1, (1 << 24) - 1),
])  # fmt: skip
def test_hours_by_the_start_of_listening(since: int, now: int, bits: int) -> None:
    listening = Listening()
    listening.begin(since)
    assert listening.claim(START_MS + now, now) == (START_DAY, bits)


@given(st.lists(st.tuples(st.integers(1, 10 * HOUR_MS), st.booleans()), max_size=30))
def test_no_hour_with_a_break_is_claimed_after_it(steps: list[tuple[int, bool]]) -> None:
    """The model: minutes on or off; a past hour counts if its 60 minutes were all on."""
    listening = Listening()
    now, on = 0, False
    spans: list[tuple[int, int]] = []
    for length, turn_on in steps:
        if on:
            spans[-1] = (spans[-1][0], now + length)
        now += length
        if turn_on != on:
            if turn_on:
                listening.begin(now)
                spans.append((now, now))
            else:
                listening.stop(START_MS + now, now)
            on = turn_on
        day, hours = listening.claim(START_MS + now, now)
        first = (day - START_DAY) * 24
        for hour in range(24):
            start = (first + hour) * HOUR_MS
            whole = any(begin <= start and start + HOUR_MS <= end for begin, end in spans)
            running = on and start <= now < start + HOUR_MS and spans[-1][0] <= start
            assert bool(hours >> hour & 1) == (whole or running)


ROWS = st.tuples(st.integers(0, 3 * 1_440), st.integers(0, 200), st.integers(0, 2))


@given(st.lists(ROWS, max_size=400))
def test_rows_are_kept_apart_by_day_and_radio_and_none_vanishes(
    heard: list[tuple[int, int, int]],
) -> None:
    witness = Witness()
    batches = []
    distinct = set()
    for slot, number, radio in heard:
        distinct.add((radio, slot, number))
        batches += witness.hear(radio, (slot, tag(number), -9_000, None, 0, 30_000))
    batches += witness.flush()
    assert witness.flush() == []
    told = []
    for day, radio, rows in batches:
        assert 1 <= len(rows) <= 48
        assert {row[0] // 1_440 for row in rows} == {day}
        wire.witness_body(day, radio, rows)
        told += [(radio, row[0], int.from_bytes(row[1], "big")) for row in rows]
    assert set(told) == distinct
    assert witness.dropped == 0
