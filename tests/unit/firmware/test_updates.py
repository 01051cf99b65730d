"""A station through updates: how one comes, how it proves itself, and how a bad one goes."""

from typing import Any

import pytest
from cairn import cbor, downlinks, limits, slots

from tests.unit.firmware.bench import downlink, http, nonce_of, statement
from tests.unit.firmware.update_bench import NEW, RELEASE, UpdateBench
from tests.unit.firmware.update_kit import Release, put_program

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
CONFIRMED = ("b", "-", 0, 0, 2, 0)
ROLLED_BACK = ("a", "-", 0, 0, 1, 2)


def made(monkeypatch: pytest.MonkeyPatch, fault: str = "", **changes: Any) -> UpdateBench:
    values = {"sample_interval_ms": MINUTE_MS, "samples_per_message": 5} | changes
    bench = UpdateBench(monkeypatch, fault, **values)
    bench.power_on()
    bench.run(HOUR_MS)
    return bench


def assert_nothing_lost(bench: UpdateBench) -> None:
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    assert bench.gateway.forks == []


def test_an_announced_release_is_installed_and_proves_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(monkeypatch)
    bench.announce()
    bench.run(10 * MINUTE_MS)
    assert [(slot, trial) for _, slot, trial in bench.runs] == [("a", False), ("b", True)]
    assert bench.restarts[-1][1] == "update.restart"
    assert bench.state() == CONFIRMED
    assert "update.confirmed" in bench.codes()
    assert bench.shown() == ["cairn 0.1.0 r1", "cairn 0.2.0 r2"]
    assert slots.floors(bench.files, bench.config.root_key) == (1, 2)
    assert_nothing_lost(bench)
    bench.cut_power()
    bench.run(HOUR_MS)
    assert bench.runs[-1][1:] == ("b", False)


def test_a_fleet_does_not_ask_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = set()
    for draw in (0, 90, 180, 250):
        bench = made(monkeypatch)
        bench.board.entropy = lambda size, draw=draw: bytes([draw]) * size  # type: ignore[method-assign]
        begun = bench.world.now
        asked: list[int] = []
        bench.server.broken = lambda *_, asked=asked, bench=bench: asked.append(bench.world.now)
        bench.announce()
        bench.run(10 * MINUTE_MS)
        starts.add((asked[0] - begun) // 1_000)
    assert len(starts) == 4
    assert max(starts) - min(starts) > 200
    assert max(starts) <= 300


@pytest.mark.parametrize("fault", ["crash", "hang", "idle", "deaf"])
def test_a_bad_program_is_rolled_back_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    bench = made(monkeypatch, fault)
    bench.announce()
    bench.run(14 * HOUR_MS)
    tried = [slot for _, slot, trial in bench.runs if trial]
    assert 1 <= len(tried) <= limits.TRIAL_TRIES
    assert bench.state() == ROLLED_BACK
    assert bench.runs[-1][1:] == ("a", False)
    assert "update.failed" in bench.codes()
    assert bench.shown()[-1] == "cairn 0.1.0 r1 x2"
    asked = len(bench.server.asked)
    bench.announce()
    bench.run(HOUR_MS)
    assert len(bench.server.asked) == asked
    assert_nothing_lost(bench)


def test_how_long_a_bad_program_keeps_a_station_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away = {}
    for fault in ("crash", "hang", "deaf", "idle"):
        bench = made(monkeypatch, fault)
        bench.announce()
        bench.run(14 * HOUR_MS)
        first = next(at for at, slot, _ in bench.runs if slot == "b")
        back = next(at for at, slot, _ in bench.runs if slot == "a" and at > first)
        away[fault] = (back - first) / MINUTE_MS
    assert away["crash"] < 1
    assert away["hang"] < 7
    assert away["deaf"] < 31
    assert away["idle"] < 12 * 60 + 1


def test_the_next_release_is_taken_after_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch, "crash")
    bench.announce()
    bench.run(HOUR_MS)
    assert bench.state() == ROLLED_BACK
    bench.fault = ""
    better = Release(NEW | {"application.mpy": b"better"}, counter=3, version="0.3.0")
    bench.server.pages |= better.pages()
    bench.announce(better)
    bench.run(HOUR_MS)
    assert bench.state() == ("b", "-", 0, 0, 3, 2)
    assert bench.shown()[-1] == "cairn 0.3.0 r3"


def test_an_outage_does_not_burn_a_good_release(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch, "dark")
    bench.announce()
    bench.run(6 * HOUR_MS)
    assert bench.state()[:2] == ("a", "b")
    assert bench.runs[-1][1:] == ("b", True)
    bench.fault, bench.online = "", True
    bench.run(HOUR_MS)
    assert bench.state() == CONFIRMED
    assert_nothing_lost(bench)


def test_a_program_that_breaks_the_network_is_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch, "dark")
    bench.announce()
    bench.run(13 * HOUR_MS)
    assert bench.state() == ROLLED_BACK
    assert_nothing_lost(bench)


def test_a_receipt_for_earlier_messages_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch, "deaf")
    bench.announce()
    # The broker kept the last receipt, and hands it out at each connection.
    bench.run(20 * MINUTE_MS)
    assert bench.node is not None
    assert bench.node._receipts.newest.up_to > 0
    assert bench.node._receipts.newest.signed is None
    assert bench.state()[:2] == ("a", "b")


def test_a_second_try_does_not_wait_for_the_next_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    rare = {"sample_interval_ms": 4 * HOUR_MS, "samples_per_message": 1}
    rows = [(0, 0, 4 * HOUR_MS), (1, 0, 4 * HOUR_MS)]
    bench = made(monkeypatch, "deaf", **rare, status_interval_ms=4 * HOUR_MS, quantities=rows)
    bench.announce()
    bench.run(20 * MINUTE_MS)
    assert bench.runs[-1][1:] == ("b", True)
    bench.fault = ""
    bench.cut_power()
    bench.run(5 * MINUTE_MS)
    assert bench.runs[-1][1:] == ("b", True)
    assert bench.state() == CONFIRMED


def test_only_the_gateway_announces(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch)
    monkeypatch.setattr("tests.unit.firmware.bench.gateway_sign", lambda _: bytes(64))
    bench.announce()
    bench.run(HOUR_MS)
    assert bench.server.asked == []
    assert "downlink.signature" in bench.codes()


def test_an_announcement_under_a_key_that_is_not_known_yet_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(monkeypatch)
    bench.announce(serial=2)
    bench.run(10_000)
    assert bench.server.asked == []

    def newer(request: bytes, now: int) -> bytes:
        network, body = bench.config.network_id, [nonce_of(request)]
        now += bench.gateway.epoch_ms
        message = downlink(downlinks.TIME, b"", body, network, serial=2, now=now)
        return http(cbor.encode([statement(serial=2), message]))

    monkeypatch.setattr(bench.gateway, "time_answer", newer)
    bench.run(HOUR_MS)
    assert [path for path, _ in bench.server.asked][:1] == ["/v1/releases/2/index"]


@pytest.mark.parametrize("counter", [1, 0])
def test_what_is_not_newer_costs_no_verification(
    monkeypatch: pytest.MonkeyPatch, counter: int
) -> None:
    bench = made(monkeypatch)

    async def costly(*_: object) -> bool:
        raise AssertionError

    monkeypatch.setattr("cairn.keyring.Keyring.valid", costly)
    bench.announce(body=(bytes(32), counter))
    bench.run(5_000)
    assert bench.server.asked == []


def test_a_release_that_is_refused_is_not_asked_for_at_each_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(monkeypatch)
    bad = Release(NEW, signers=(0,))
    bench.server.pages |= bad.pages()
    for _ in range(3):
        bench.announce(bad)
        bench.run(10 * MINUTE_MS)
    assert bench.codes().count("update.too_few_signatures") == 1
    assert len(bench.server.asked) == 2


def test_a_withdrawn_release_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch)
    del bench.server.pages["/v1/releases/2/bytecode"]
    bench.announce()
    bench.run(10 * MINUTE_MS)
    assert "update.absent" in bench.codes()
    asked = len(bench.server.asked)
    bench.announce(body=(bytes(32), 0))
    bench.run(5 * HOUR_MS)
    assert len(bench.server.asked) <= asked + 1
    assert bench.node is not None
    assert not bench.node.updates.busy


def test_a_newer_release_takes_the_place_of_one_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(monkeypatch)
    newest = Release(NEW, counter=3, version="0.3.0")
    bench.server.pages = newest.pages()
    bench.announce()
    bench.run(10 * MINUTE_MS)
    bench.announce(newest)
    bench.run(2 * HOUR_MS)
    assert bench.state()[:2] == ("b", "-")
    assert bench.shown()[-1] == "cairn 0.3.0 r3"


def test_the_highest_release_comes_back_to_a_board_whose_slot_was_damaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(monkeypatch)
    bench.announce()
    bench.run(HOUR_MS)
    assert bench.state() == CONFIRMED
    bench.programs.write("b/same.mpy", b"a flash that is worn out")
    bench.cut_power()
    bench.run(HOUR_MS)
    assert bench.runs[-1][1:] == ("a", False)
    bench.announce()
    bench.run(HOUR_MS)
    assert bench.state() == CONFIRMED
    # Nothing older than it ever is.
    put_program(bench.programs, "a", NEW, 1)
    bench.cut_power()
    bench.run(HOUR_MS)
    older = Release(NEW, counter=1)
    bench.server.pages |= older.pages()
    asked = len(bench.server.asked)
    bench.announce(older)
    bench.run(HOUR_MS)
    assert len(bench.server.asked) == asked


def test_boards_without_slots_ignore_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = made(monkeypatch)
    monkeypatch.setattr("tests.unit.firmware.update_bench.UpdatingBoard.programs", lambda _: None)
    bench.announce()
    bench.run(HOUR_MS)
    assert bench.server.asked == []
    assert bench.node is not None
    assert bench.node.downlinks_refused == 0


def test_a_battery_station_stays_awake_for_it_and_goes_on_in_the_next_wake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = made(
        monkeypatch,
        duty=(1, 1_800_000, 0),
        sample_interval_ms=600_000,
        quantities=[(0, 0, 600_000), (1, 0, 600_000)],
    )
    announced = 0
    for _ in range(400):
        node, state = bench.node, bench.state()
        awake = node is not None and node.updates.board is bench.board
        if awake and state[:2] == ("a", "-") and not node.updates.busy:
            bench.announce()
            announced += 1
        bench.run(500)
        if bench.state() == CONFIRMED:
            break
        bench.run(20_000)
    assert announced
    assert bench.state() == CONFIRMED, (bench.codes(), bench.state())
    assert RELEASE.counter == 2
