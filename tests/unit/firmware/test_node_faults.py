"""The node when the outbox is full, receipts are false, flash is lost, or the power goes."""

from itertools import pairwise
from typing import Any

import pytest
from cairn import chain, limits, sealed, segment, wire

from tests.unit.firmware.bench import DAY_MS, START_MS, Bench, downlink, make_config, statement
from tests.unit.firmware.bench_world import PowerCut

HOUR_MS = 3_600_000


def test_full_outbox_drops_oldest_readings_and_says_how_many() -> None:
    bench = Bench(config=make_config(samples_per_message=1, sample_interval_ms=60_000))
    bench.config.quantities = ((0, 0, 60_000),)
    bench.config.outbox_bytes_max = 40_000
    bench.boot()
    bench.run(HOUR_MS)
    before = max(bench.gateway.taken)
    bench.link.online = False
    bench.run(DAY_MS)
    size = sum(len(message) + segment.HEADER_BYTES for message in bench.stored().values())
    assert size <= 40_000
    bench.link.online = True
    bench.run(HOUR_MS)
    assert bench.gateway.complete()
    gaps = [header[7] for header in bench.gateway.fields(wire.GAP)]
    assert {gap[3] for gap in gaps} == {wire.GAP_DROPPED}
    signed = set(range(1, max(bench.gateway.taken) + 1))
    assert sum(gap[2] for gap in gaps) == len(signed - set(bench.gateway.taken)) > 1_000
    assert bench.node.dropped == sum(gap[2] for gap in gaps)
    # Status messages stay while there are readings to drop, and few are made meanwhile.
    statuses = [header[5] for header in bench.gateway.fields(wire.STATUS)]
    assert len(statuses) == 4
    assert max(later - earlier for earlier, later in pairwise(statuses)) <= DAY_MS
    assert min(gap[0] for gap in gaps) > before


def test_without_any_room_nothing_is_signed() -> None:
    bench = Bench()
    bench.config.outbox_bytes_max = 500
    made = bench.boot()
    bench.link.online = False
    bench.run(DAY_MS)
    highest = max(bench.stored())
    bench.run(10 * DAY_MS)
    assert max(bench.stored()) - highest < 5
    size = sum(map(len, bench.stored().values()))
    assert size < 500 + limits.OUTBOX_RESERVE_BYTES
    assert made.dropped < 10
    bench.link.online = True
    bench.run(HOUR_MS)
    assert bench.gateway.complete()


def receipt(bench: Bench, to: bytes | None = None, **changes: Any) -> bytes:
    up_to, id16, ranges, refused, gateway_ms = bench.gateway.receipt_body()
    body = [
        changes.get("up_to", up_to),
        changes.get("id16", id16),
        changes.get("ranges", ranges),
        changes.get("refused", refused),
        gateway_ms,
    ]
    to = bench.link.device if to is None else to
    network_id = changes.get("network_id", bench.config.network_id)
    return downlink(17, to, body, network_id)


@pytest.mark.parametrize(
    "make,code",
    [
        (lambda bench: receipt(bench, to=b"x" * 16), "to"),
        (lambda bench: receipt(bench, to=b""), "to"),
        (lambda bench: receipt(bench, id16=b"x" * 16), "unknown_id"),
        (lambda bench: receipt(bench, up_to=10_000, ranges=[]), "above_highest"),
        (lambda bench: receipt(bench, refused=[[10_000, 22]]), "above_highest"),
        (lambda bench: receipt(bench, up_to=0, id16=bytes(16)), "lower_up_to"),
        (lambda bench: receipt(bench) + bytes(512), "oversize"),
        (lambda bench: receipt(bench)[:-1], "truncated"),
        (lambda _: b"", "not_sign1"),
    ],
)
def test_receipts_refused(make: Any, code: str) -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(2 * HOUR_MS)
    assert bench.gateway.complete()
    stored = bench.stored()
    bench.link.deliver("down/receipt", make(bench))
    bench.run(1_000)
    assert made.downlinks_refused == 1
    assert made.last_refusal == code
    assert bench.stored() == stored


def test_receipt_of_another_network_never_frees() -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(2 * HOUR_MS)
    for seq in range(200):
        made.write(wire.STATUS, [seq], (START_MS, 1, 0))
    bench.link.receipts = False
    # Long enough to be worth verifying: the signature is what fails.
    seqs = bench.stored()
    body = bench.gateway.receipt_body()
    body[2] = [[body[0] + 2, max(seqs)]]
    bench.link.deliver("down/receipt", downlink(17, bench.link.device, body, b"othernet"))
    bench.run(1_000)
    assert made.last_refusal == "signature"
    assert set(seqs) <= set(bench.stored())


def test_final_refusals_are_kept_for_the_owner_and_freed() -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(2 * HOUR_MS)
    refused = max(bench.gateway.taken) + 1
    bench.link.lose = lambda message: wire.fields_of(message)[3] == refused
    bench.run(2 * HOUR_MS)
    bench.link.receipts = False
    bench.run(60_000)
    bench.gateway.covered.add(refused)
    for _ in range(2):
        bench.link.deliver("down/receipt", receipt(bench, refused=[[refused, 22]]))
        bench.run(1_000)
    assert made.refused == [(refused, 22)]
    assert made.downlinks_refused == 0


def test_lost_flash_waits_for_the_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEQ_SAFE_DISTANCE", 1 << 16)
    bench = Bench()
    bench.boot()
    bench.run(DAY_MS)
    highest = max(bench.gateway.taken)
    for name in bench.files.names(""):
        bench.files.remove(name)
    bench.boot()
    bench.run(60_000)
    assert max(bench.gateway.taken) == highest
    bench.link.send_receipt()
    bench.run(DAY_MS)
    assert bench.gateway.complete()
    gap = next(header for header in bench.gateway.fields(wire.GAP))
    assert gap[3] == highest + limits.SEQ_SAFE_DISTANCE
    assert gap[4] == chain.NO_PREV
    assert gap[7] == [highest + 1, gap[3] - 1, 0, wire.GAP_CHAIN_LOST]


def test_lost_flash_goes_on_when_no_receipt_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bench keeps delivered seqs as a set: 2^32 would not fit.
    monkeypatch.setattr(limits, "SEQ_UNKNOWN_START", 1 << 16)
    monkeypatch.setattr(limits, "SEQ_SAFE_DISTANCE", 1 << 14)
    bench = Bench()
    for name in bench.files.names(""):
        bench.files.remove(name)
    bench.boot()
    bench.run(DAY_MS)
    assert bench.gateway.complete()
    assert min(bench.gateway.taken) == limits.SEQ_UNKNOWN_START


CALLS = 155
"""Changes of the flash in short_scenario: a boot, frees, an outage with drops, catching up."""


def short_scenario(bench: Bench) -> None:
    bench.boot()
    bench.run(2 * HOUR_MS)
    bench.link.online = False
    bench.run(6 * HOUR_MS)
    bench.link.online = True
    bench.run(150 * 60_000)


def small_bench() -> Bench:
    bench = Bench()
    sealed.write(bench.files, "keys", statement())
    bench.files.calls = 0
    return bench


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 700)
    monkeypatch.setattr(limits, "FREE_BYTES_MIN", 1_400)
    monkeypatch.setattr(limits, "SEQ_BLOCK", 4)


def test_the_sweep_reaches_frees_and_drops(small: None) -> None:
    bench = small_bench()
    bench.config.outbox_bytes_max = 3_500
    short_scenario(bench)
    assert bench.node.dropped > 0
    assert bench.files.calls == CALLS
    assert len(bench.files.names("outbox/")) < 8
    assert bench.gateway.complete()


@pytest.mark.parametrize("how", ["before", "after", 30])
@pytest.mark.parametrize("call", range(CALLS))
def test_power_cut_anywhere(call: int, how: str | int, small: None) -> None:
    bench = small_bench()
    bench.config.outbox_bytes_max = 3_500
    bench.files.cut = (call, how)
    with pytest.raises(PowerCut):
        short_scenario(bench)
    bench.files.cut = None
    stored = bench.stored()
    bench.boot()
    bench.link.send_receipt()
    bench.run(3 * HOUR_MS)
    assert bench.gateway.complete()
    assert set(stored) - set(bench.gateway.taken) <= dropped_seqs(bench)
    for seq in set(stored) & set(bench.gateway.taken):
        assert bench.gateway.taken[seq][3] == stored[seq]


def dropped_seqs(bench: Bench) -> set[int]:
    covered: set[int] = set()
    for header in bench.gateway.fields(wire.GAP):
        first, last, _, reason = header[7]
        if reason == wire.GAP_DROPPED:
            covered.update(range(first, last + 1))
    return covered


def test_the_newest_notices_are_kept() -> None:
    bench = Bench()
    made = bench.boot()
    bench.run(HOUR_MS)
    network_id = bench.config.network_id
    for number in range(20):
        body = [2, "bad_body", number.to_bytes(16, "big")]
        bench.link.deliver("down/notice", downlink(23, bench.link.device, body, network_id))
        bench.link.deliver("down/notice", downlink(23, bytes(range(16)), body, network_id))
    bench.run(1)
    assert made.notices == [
        (2, "bad_body", number.to_bytes(16, "big")) for number in range(12, 20)
    ]
    assert (made.downlinks_refused, made.last_refusal) == (20, "to")
