"""Coverage through restarts, power cuts, worn flash and hostile downlinks."""

from hashlib import sha256
from typing import Any

import pytest
from cairn import beacons, cbor, limits, sealed, wire
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.firmware.bench import (
    DAY_MS,
    START_MS,
    TimeStream,
    downlink,
    http,
    nonce_of,
    statement,
)
from tests.unit.firmware.bench_air import SLOTS, START_DAY, AirBench, Chain, air_config, chain_of
from tests.unit.firmware.bench_world import FaultyFiles, PowerCut

HOUR_MS = 3_600_000


class NamedFiles(FaultyFiles):
    """Also remembers what was changed."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: list[str] = []

    def write(self, name: str, data: bytes) -> None:
        self.changed.append(name)
        super().write(name, data)

    def append(self, name: str, data: bytes) -> None:
        self.changed.append(name)
        super().append(name, data)

    def remove(self, name: str) -> None:
        self.changed.append(name)
        super().remove(name)


def short_bench() -> AirBench:
    """Links in one hour of the day and few readings: little else changes the flash."""
    config = air_config(
        beacon_every=10,
        quantities=[(0, 0, HOUR_MS)],
        sample_interval_ms=HOUR_MS,
        samples_per_message=1,
        status_interval_ms=12 * HOUR_MS,
    )
    bench = AirBench(config=config, files=NamedFiles(), mute=lambda slot: slot % SLOTS // 60 != 2)
    sealed.write(bench.files, "keys", statement())
    bench.files.calls = 0
    changed_by(bench).clear()
    return bench


def changed_by(bench: AirBench) -> list[str]:
    assert isinstance(bench.files, NamedFiles)
    return bench.files.changed


def scenario(bench: AirBench) -> None:
    bench.boot()
    bench.run(26 * HOUR_MS)


def check_coverage(bench: AirBench) -> None:
    """One commitment a day and one reveal that fits; nothing is listed that was not sent."""
    assert bench.gateway.complete()
    commitments = bench.bodies(wire.COMMIT)
    assert [day for day, _ in commitments] == sorted({day for day, _ in commitments})
    reveals = bench.bodies(wire.REVEAL)
    assert [day for day, _ in reveals] == [START_DAY]
    assert sha256(reveals[0][1]).digest() == dict(commitments)[START_DAY]
    slots = [(START_MS + now) // 60_000 for now, *_ in bench.frames]
    assert len(slots) == len(set(slots))
    on_air = [slot for slot in slots if slot // SLOTS == START_DAY]
    assert on_air
    listed = [row[0] for day, rows in bench.bodies(wire.BEACON) for row in rows]
    assert set(listed) <= set(on_air)
    # A cut may fall between a beacon and its record; no other row is lost.
    assert len(set(on_air) - set(listed)) <= 1


def calls_to_cut() -> list[int]:
    """Changes that concern coverage, and the ones next to them (the signed messages)."""
    bench = short_bench()
    scenario(bench)
    check_coverage(bench)
    names = changed_by(bench)
    ours = [call for call, name in enumerate(names) if name.startswith(("beacons", "sent/"))]
    secrets = [call for call in ours if names[call] == beacons.FILE]
    removed = [call for call in ours if names[call].startswith("sent/")][-1]
    sent = [call for call in ours if names[call].startswith("sent/")][:2]
    around = {call + step for call in [*secrets, removed] for step in (-2, -1, 0, 1)}
    return [call for call in sorted(around.union(sent)) if call < len(names)]


@pytest.mark.parametrize("how", ["before", "after", 5])
def test_power_cut_at_every_change_of_coverage(how: str | int) -> None:
    calls = calls_to_cut()
    # Draw and note of two commitments, the note of the reveal, what is signed in between.
    assert len(calls) >= 12
    for call in calls:
        bench = short_bench()
        bench.files.cut = (call, how)
        try:
            scenario(bench)
        except PowerCut:
            pass
        else:
            raise AssertionError(call)
        bench.files.cut = None
        bench.boot()
        bench.link.send_receipt()
        bench.run(max(0, 32 * HOUR_MS - bench.world.now))
        check_coverage(bench)


def test_the_same_secret_after_a_restart() -> None:
    bench = AirBench(config=air_config(beacon_every=20))
    bench.boot()
    for hour in range(1, 27, 5):
        bench.run(hour * HOUR_MS + 600_000 - bench.world.now)
        bench.boot()
    bench.run(27 * HOUR_MS - bench.world.now)
    check_coverage(bench)
    assert len(bench.frames) > 40


def test_a_board_that_was_off_reveals_late_and_commits_anew() -> None:
    bench = AirBench(config=air_config())
    bench.boot()
    bench.run(8 * HOUR_MS)
    bench.world.clear()
    bench.world.now += 5 * DAY_MS
    bench.boot()
    bench.run(HOUR_MS)
    assert [day for day, _ in bench.bodies(wire.REVEAL)] == [START_DAY, START_DAY + 1]
    commits = [day for day, _ in bench.bodies(wire.COMMIT)]
    assert commits[:3] == [START_DAY, START_DAY + 1, START_DAY + 5]
    held = beacons.Secrets(bench.files, lambda _: b"").days()
    assert held[0] == START_DAY + 5
    assert len(held) <= limits.SECRET_DAYS_MAX


def test_a_secret_without_commitment_is_never_told() -> None:
    bench = AirBench(config=air_config())
    secrets = beacons.Secrets(bench.files, bytes)
    secrets.commitment(START_DAY - 2, START_DAY)
    bench.boot()
    bench.run(HOUR_MS)
    assert bench.bodies(wire.REVEAL) == []
    assert START_DAY - 2 not in beacons.Secrets(bench.files, bytes).days()


def test_no_more_than_three_secrets_are_held() -> None:
    bench = AirBench(config=air_config())
    secrets = beacons.Secrets(bench.files, lambda size: bytes(range(size)))
    for day in (90, 20, 21, 22, 23):
        secrets.commitment(day, 22)
    assert secrets.days() == [21, 22, 23]
    assert beacons.Secrets(bench.files, bytes).days() == [21, 22, 23]


def test_worn_flash_costs_a_day_not_the_board() -> None:
    bench = AirBench(config=air_config())
    bench.boot()
    bench.run(8 * HOUR_MS)
    for name in bench.files.names("beacons") + bench.files.names("sent/"):
        data = bytearray(bench.files.read(name) or b"")
        data[len(data) // 2] ^= 4
        bench.files.write(name, bytes(data))
    bench.boot()
    bench.run(20 * HOUR_MS)
    assert bench.gateway.complete()
    # A second commitment: the gateway goes by the first, and the day stays unrevealed.
    commits = [day for day, _ in bench.bodies(wire.COMMIT)]
    assert commits.count(START_DAY) == 2


def test_a_full_outbox_only_delays() -> None:
    bench = AirBench(config=air_config())
    bench.boot()
    bench.run(HOUR_MS)
    bench.link.online = False
    now = (START_MS, 1, 0)
    while bench.node.write(wire.CLOCK, [bytes(500)], now):
        pass
    bench.run(26 * HOUR_MS)
    bench.link.online = True
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()
    ((day, x),) = bench.bodies(wire.REVEAL)
    assert sha256(x).digest() == dict(bench.bodies(wire.COMMIT))[day]


# Downlinks.


def linked_bench(**changes: Any) -> AirBench:
    bench = AirBench(config=air_config(beacon_every=1, **changes), entropy=False)
    bench.boot()
    bench.run(3 * HOUR_MS + 1_000)
    return bench


def give(bench: AirBench, data: bytes, tail: str = "all/entropy") -> str:
    """Why a downlink was refused, or ""."""
    bench.node.last_refusal = ""
    bench.link.deliver(tail, data)
    bench.run(100)
    return bench.node.last_refusal


def test_refused_links() -> None:
    bench = linked_bench()
    chain = chain_of(START_DAY)
    slot = chain.first + 180
    assert give(bench, chain.link(slot)) == ""
    assert give(bench, chain.link(slot)) == "entropy_old"
    assert give(bench, chain.link(slot - 1)) == "entropy_old"
    assert give(bench, Chain(START_DAY, b"forged").link(slot + 1)) == "entropy_chain"
    wrong_slot = cbor.encode([slot + 2, chain.value(slot + 1), b""])
    assert give(bench, wrong_slot) == "entropy_chain"
    assert give(bench, chain_of(START_DAY + 3).link(slot + 3 * SLOTS)) == "entropy_day"
    assert give(bench, chain_of(START_DAY - 1).link(slot - SLOTS)) == "entropy_day"
    assert give(bench, cbor.encode([slot + 1, chain.value(slot + 1), bytes(65)])) == "external"
    assert give(bench, cbor.encode([slot + 1, chain.value(slot + 1)])) == "fields"
    assert give(bench, cbor.encode([slot + 1, bytes(31), b""])) == "chain"
    assert give(bench, cbor.encode([-1, bytes(32), b""])) == "slot"
    assert give(bench, bytes(513)) == "oversize"
    # None of it stands in the way of the next good one.
    assert give(bench, chain.link(slot + 1)) == ""


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_links_are_refused_and_never_sent(data: st.DataObject) -> None:
    bench = MUTATION_BENCH
    chain = chain_of(START_DAY)
    slot = chain.first + data.draw(st.integers(181, 1_439))
    good = chain.link(slot, b"outside")
    at = data.draw(st.integers(0, len(good) - 1))
    # Of an external nothing tells the board what it should be: the gateway's record does.
    hostile = bytearray(good)
    hostile[at] ^= data.draw(st.integers(1, 255))
    code = bench.node.coverage.take_link(bytes(hostile))
    bench.run(1)
    try:
        fields = cbor.decode(bytes(hostile))
        same_chain = fields[:2] == [slot, chain.value(slot)]
    except (cbor.CborError, TypeError):
        same_chain = False
    assert bool(code) != same_chain
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    assert bench.node.coverage.take_link(cut)
    if same_chain:
        reset_mutation_bench()


MUTATION_BENCH: AirBench


def reset_mutation_bench() -> None:
    global MUTATION_BENCH  # noqa: PLW0603 - one bench for all examples: a boot takes longer
    MUTATION_BENCH = linked_bench()


reset_mutation_bench()


def test_commits_are_checked() -> None:
    bench = AirBench(config=air_config(beacon_every=1), entropy=False)
    bench.boot()
    bench.run(3 * HOUR_MS + 1_000)
    network_id = bench.config.network_id
    other = Chain(START_DAY, b"other")
    tails = ("all/entropy-commit/0", "all/entropy-commit/1")
    even = tails[START_DAY % 2]
    assert give(bench, chain_of(START_DAY).commit(network_id), even) == ""
    assert give(bench, other.commit(network_id), even) == "entropy_commit"
    first = START_DAY * SLOTS
    for broken in ({"slots": 1_439}, {"first": first + 1}, {"slots": 1_441}):
        assert give(bench, other.commit(network_id, **broken), even) == "entropy_commit"
    far = Chain(START_DAY + 3).commit(network_id)
    assert give(bench, far, tails[(START_DAY + 3) % 2]) == "entropy_day"
    past = Chain(START_DAY - 1).commit(network_id)
    assert give(bench, past, tails[(START_DAY - 1) % 2]) == "entropy_day"


def test_a_forged_commit_is_no_commit() -> None:
    bench = AirBench(config=air_config(beacon_every=1), entropy=False)
    bench.commit = lambda _day: None  # type: ignore[method-assign]
    bench.boot()
    bench.run(3 * HOUR_MS + 1_000)
    forged = bytearray(chain_of(START_DAY).commit(bench.config.network_id))
    forged[-1] ^= 1
    tail = f"all/entropy-commit/{START_DAY % 2}"
    assert give(bench, bytes(forged), tail) == "signature"
    link = chain_of(START_DAY).link(START_DAY * SLOTS + 180)
    assert give(bench, link) == ""
    bench.run(55_000)
    assert bench.frames == []
    # The link waits; with the good commit it is used, if its time is not over.
    next_link = chain_of(START_DAY).link(START_DAY * SLOTS + 181)
    bench.run(START_MS % 60_000 + 3 * HOUR_MS + 61_000 - bench.world.now)
    assert give(bench, next_link) == ""
    assert give(bench, chain_of(START_DAY).commit(bench.config.network_id), tail) == ""
    bench.run(60_000)
    assert [frame[4][:1] for frame in bench.frames] == [b"\x01"]


def test_a_commit_of_an_unknown_key_waits_for_its_statement() -> None:
    bench = AirBench(config=air_config(beacon_every=1), entropy=False)
    bench.commit = lambda _day: None  # type: ignore[method-assign]
    bench.boot()
    bench.run(3 * HOUR_MS + 1_000)
    network_id = bench.config.network_id
    data = chain_of(START_DAY).commit(network_id, serial=2)
    assert give(bench, data, f"all/entropy-commit/{START_DAY % 2}") == ""
    # The board asks the time service again, which answers with the newer statement.
    bench.board.connect = lambda: TimeStream(bench.world, serial_two(bench))
    bench.run(2 * 60_000)
    assert give(bench, chain_of(START_DAY).link(START_DAY * SLOTS + 182)) == ""
    bench.run(55_000)
    assert len(bench.frames) == 1


def serial_two(bench: AirBench) -> Any:
    def answer(request: bytes, now: int) -> bytes:
        time_ms = bench.gateway.epoch_ms + now
        message = downlink(
            16, b"", [nonce_of(request)], bench.config.network_id, serial=2, now=time_ms
        )
        return http(cbor.encode([statement(serial=2), message]))

    return answer
