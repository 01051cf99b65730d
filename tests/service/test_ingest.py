"""The pipeline over a real store: order, verdicts, commits, pressure, failure, driven time."""

import asyncio
import hashlib

import cbor2
import pytest

from gateway.core.genesis import DAY_MS, SLOT_MS
from gateway.core.operator import OperatorKind
from gateway.core.registry import Policy
from gateway.core.verdicts import Verdict
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.ingest import IngestLimits
from gateway.shell.network import DATABASE, NetworkKeys
from gateway.shell.store.sqlite import SqliteStore
from tests.service.gateway_rig import DUE, EPOCH, START, body_of
from tests.service.ingest_rig import FixedClock, MemorySource, driven, ingesting, run
from tests.service.signing_station import SigningStation

START_SLOT = START // SLOT_MS
FULL = OperatorFault("full", "full", "full", Code.STORE_UNWRITABLE)


def tick(slot: object) -> bytes:
    return cbor2.dumps([slot])


def test_what_is_acknowledged_is_stored_and_receipted_before(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)

    async def test():
        async with ingesting(keys) as rig:
            rig.source.submit(station.hello(START), station.device)
            rig.source.submit(station.reading(START, 5), station.device)
            assert await rig.source.verdicts_on(2) == [Verdict.OK] * 2
            assert len(rig.stored.entries(0, 9)) == 2
            receipts = rig.source.downlinks("receipt")
            assert body_of(keys, receipts[-1])[0] == 2
            happened = rig.source.happened
            done = [place for place, (kind, _) in enumerate(happened) if kind == "done"]
            assert happened.index(("down", receipts[-1])) < done[-1]
            assert happened.index(("down", receipts[0])) < done[0]
            assert rig.ingest.last_commit_wall_s is not None

    run(test)


def test_each_kind_of_refusal_gets_its_verdict(keys: NetworkKeys):
    one, other = (SigningStation(n, keys.network_id) for n in (1, 2))
    hello, reading = one.hello(START), one.reading(START, 5)
    damaged = reading[:-1] + bytes([reading[-1] ^ 1])
    cases = [
        (hello, one.device, one.device, Verdict.OK),
        (hello, one.device, None, Verdict.DUPLICATE),
        (damaged, one.device, one.device, Verdict.BAD_SIGNATURE),
        (reading, other.device, None, Verdict.TOPIC_MISMATCH),
        (reading, one.device, other.device, Verdict.TOPIC_MISMATCH),
        (reading, None, one.device, Verdict.TOPIC_MISMATCH),
        (reading + bytes(5_000), one.device, one.device, Verdict.OVERSIZE),
        (b"", one.device, one.device, Verdict.TRUNCATED),
        (b"\xff" * 50, None, None, Verdict.TOPIC_MISMATCH),
        (b"\xff" * 50, one.device, None, Verdict.INDEFINITE_LENGTH),
        (other.reading(START, 1), other.device, other.device, Verdict.UNREGISTERED),
        (reading, one.device, one.device, Verdict.OK),
    ]

    async def test():
        async with ingesting(keys) as rig:
            for data, device, sender, _ in cases:
                rig.source.submit(data, device, sender)
            rig.source.submit(reading[:100], one.device, one.device, oversize=True)
            expected = [verdict for *_, verdict in cases] + [Verdict.OVERSIZE]
            assert await rig.source.verdicts_on(len(expected)) == expected
            await rig.worker.call(lambda gateway: gateway.write_refusals())
            counts = rig.stored.refused_counts()
            refused = [verdict for verdict in expected if verdict is not Verdict.OK]
            assert counts == {verdict: refused.count(verdict) for verdict in set(refused)}
            (sample, _) = rig.stored.refused_samples(Verdict.OVERSIZE)
            assert len(sample.data) == 100

    run(test)


def test_a_known_sender_is_told_what_was_refused_and_only_once_a_batch(keys: NetworkKeys):
    one, other = (SigningStation(n, keys.network_id) for n in (1, 2))
    first, second = b"garbage", one.reading(START, 1)

    async def test():
        async with ingesting(keys) as rig:
            rig.source.submit(first, one.device, one.device)
            rig.source.submit(second, one.device, one.device)
            rig.source.submit(b"garbage", other.device, None)
            await rig.source.verdicts_on(3)
            (notice,) = rig.source.downlinks("notice")
            detail = hashlib.sha256(second).digest()[:16]
            assert notice.device == one.device
            assert body_of(keys, notice) == [2, "unregistered", detail]
            assert not notice.retained

    run(test)


def test_what_is_queued_while_a_commit_runs_is_one_commit(keys: NetworkKeys):
    stations = [SigningStation(n, keys.network_id) for n in range(200)]

    async def test():
        async with ingesting(keys) as rig:
            for station in stations:
                rig.source.submit(station.hello(START), station.device)
            assert await rig.source.verdicts_on(200) == [Verdict.OK] * 200
            sizes = [len(batch.entries) for batch in rig.store.batches]
            assert sizes == [64, 64, 64, 8]

    run(test)


def test_garbage_costs_no_commit_of_its_own_and_is_counted_exactly(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)
    garbage = 5_000

    async def test():
        async with ingesting(keys, limits=IngestLimits(device_messages_burst=10)) as rig:
            for number in range(garbage):
                rig.source.submit(b"%d" % number, bytes([number % 251]) * 16, None)
            rig.source.submit(station.hello(START), station.device)
            verdicts = await rig.source.verdicts_on(garbage + 1)
            assert verdicts[-1] is Verdict.OK
            # Housekeeping may write once a second, whatever comes.
            assert len(rig.store.batches) < garbage // 64 // 2
        store = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
        counts = store.refused_counts()
        assert sum(counts.values()) == garbage
        assert Verdict.RATE_LIMITED in counts
        assert all(len(store.refused_samples(verdict)) <= 16 for verdict in counts)
        store.close()

    run(test)


def test_one_device_over_its_rate_does_not_touch_another(keys: NetworkKeys):
    loud, quiet = (SigningStation(n, keys.network_id) for n in (1, 2))
    limits = IngestLimits(device_messages_per_minute=60, device_messages_burst=5)
    clock = FixedClock()

    async def test():
        async with ingesting(keys, clock, limits) as rig:
            rig.source.submit(quiet.hello(START), quiet.device)
            for data in [loud.hello(START), *(loud.reading(START, n) for n in range(9))]:
                rig.source.submit(data, loud.device, loud.device)
            rig.source.submit(quiet.reading(START, 1), quiet.device)
            verdicts = await rig.source.verdicts_on(12)
            assert verdicts.count(Verdict.OK) == 7
            assert verdicts[6:11] == [Verdict.RATE_LIMITED] * 5
            clock.ms += 2_000
            for data in [loud.reading(START, n) for n in range(3)]:
                rig.source.submit(data, loud.device, loud.device)
            await rig.source.verdicts_on(15)
            assert rig.source.verdicts[12:] == [Verdict.OK] * 2 + [Verdict.RATE_LIMITED]

    run(test)


def test_an_approval_lets_the_waiting_hello_in(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)
    hello = station.hello(START)

    async def test():
        async with ingesting(keys, policy=Policy.APPROVED) as rig:
            rig.source.submit(hello, station.device, station.device)
            await rig.source.verdicts_on(1)
            await rig.worker.call(
                lambda gateway: gateway.operate(OperatorKind.APPROVE, [station.device], START)
            )
            rig.source.submit(hello, station.device, station.device)
            verdicts = await rig.source.verdicts_on(2)
            assert verdicts == [Verdict.WAITING_APPROVAL, Verdict.OK]

    run(test)


def test_pressure_rises_and_falls_once(keys: NetworkKeys):
    limits = IngestLimits(queue_messages_max=100)
    heard = []

    async def test():
        async with ingesting(keys, limits=limits) as rig:
            rig.ingest.on_pressure(heard.append)
            for number in range(150):
                rig.source.submit(b"x", bytes([number]) * 16, None)
            assert heard == [True]
            assert rig.ingest.queued == 150
            await rig.source.verdicts_on(150)
            assert heard == [True, False]

    run(test)


def test_stop_answers_everything_that_was_submitted(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)

    async def test():
        async with ingesting(keys) as rig:
            rig.source.submit(station.hello(START), station.device)
            for number in range(300):
                rig.source.submit(station.reading(START, number), station.device)
            await rig.ingest.stop()
            assert rig.source.verdicts == [Verdict.OK] * 301
            assert body_of(keys, rig.source.downlinks("receipt")[-1])[0] == 301
            rig.source.submit(station.reading(START, 1), station.device)
            assert rig.ingest.queued == 0

    run(test)


@pytest.mark.parametrize("error", [FULL, RuntimeError("a bug")])
def test_a_failed_commit_ends_ingest_and_acknowledges_nothing(keys: NetworkKeys, error):
    station = SigningStation(1, keys.network_id)

    async def test():
        async with ingesting(keys) as rig:
            rig.source.submit(station.hello(START), station.device)
            await rig.source.verdicts_on(1)
            rig.store.fails = error
            for number in range(100):
                rig.source.submit(station.reading(START, number), station.device)
            with pytest.raises(OperatorFault) as caught:
                await rig.task
            assert caught.value is rig.ingest.failed
            code = Code.STORE_UNWRITABLE if error is FULL else Code.INGEST_STOPPED
            assert rig.ingest.failed.code == code
            assert rig.source.verdicts == [Verdict.OK]
            assert len(rig.source.downlinks("receipt")) == 1
            rig.source.submit(station.reading(START, 1), station.device)
            assert rig.ingest.queued == 0
            assert not await rig.ingest.control_tick(tick(START_SLOT))
        async with ingesting(keys) as rig:
            assert len(rig.stored.entries(0, 9)) == 1

    run(test)


def test_an_epoch_closes_on_its_own_when_it_is_due(keys: NetworkKeys):
    clock = FixedClock(DUE - 1)

    async def test():
        async with ingesting(keys, clock) as rig:
            await rig.source.until(lambda: rig.source.downlinks("keys"))
            assert rig.stored.epoch_numbers() == ()
            clock.ms = DUE
            async with asyncio.timeout(10):
                while not rig.stored.epoch_numbers():  # noqa: ASYNC110 - a database has no event
                    await asyncio.sleep(0.05)
            assert rig.stored.epoch_numbers() == (EPOCH,)

    run(test)


def test_what_everybody_must_know_is_sent_to_each_source(keys: NetworkKeys):
    async def test():
        async with ingesting(keys, clock := driven()) as rig:
            await rig.source.until(lambda: rig.source.downlinks("keys"))
            (known,) = rig.source.downlinks("keys")
            assert body_of(keys, known) == list(keys.statements)
            assert known.retained
            assert rig.source.downlinks("tick") == []
            assert clock.tick(START_SLOT)
            late = MemorySource(rig.ingest)
            rig.ingest.attach(late)
            await late.until(lambda: late.downlinks("tick"))
            assert body_of(keys, late.downlinks("tick")[0]) == [START_SLOT]

    run(test)


# ---- driven time


def test_without_a_tick_nothing_is_taken_in(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)

    async def test():
        async with ingesting(keys, driven()) as rig:
            rig.source.submit(station.hello(START), station.device)
            await rig.source.until(lambda: rig.source.downlinks("keys"))
            assert rig.source.verdicts == []
            assert rig.ingest.queued == 1
            assert rig.ingest.now_ms() is None
            assert await rig.ingest.control_tick(tick(START_SLOT + 1))
            assert await rig.source.verdicts_on(1) == [Verdict.OK]
            (told,) = rig.source.downlinks("tick")
            assert body_of(keys, told) == [START_SLOT + 1]
            (entry,) = rig.stored.entries(0, 1)
            assert entry.recv_ms == START + SLOT_MS

    run(test)


def test_a_stop_before_the_first_tick_acknowledges_nothing_and_ends(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)

    async def test():
        async with ingesting(keys, driven()) as rig:
            rig.source.submit(station.hello(START), station.device)
            await rig.ingest.stop()
            assert rig.source.verdicts == []

    run(test)


def test_a_tick_may_be_repeated_but_time_never_runs_back(keys: NetworkKeys):
    async def test():
        async with ingesting(keys, driven()) as rig:
            assert await rig.ingest.control_tick(tick(START_SLOT + 5))
            assert await rig.ingest.control_tick(tick(START_SLOT + 5))
            assert not await rig.ingest.control_tick(tick(START_SLOT + 4))
            assert [body_of(keys, one) for one in rig.source.downlinks("tick")] == [
                [START_SLOT + 5],
                [START_SLOT + 5],
            ]
            assert rig.ingest.now_ms() == START + 5 * SLOT_MS

    run(test)


def test_a_tick_closes_what_is_due_before_it_is_told(keys: NetworkKeys):
    async def test():
        async with ingesting(keys, driven()) as rig:
            assert await rig.ingest.control_tick(tick((DUE + DAY_MS) // SLOT_MS))
            assert rig.stored.epoch_numbers() == (EPOCH, EPOCH + 1)
            assert "cairn_epochs_closed_total 2.0" in rig.metrics.render().decode()

    run(test)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        cbor2.dumps([]),
        cbor2.dumps([1, 2]),
        cbor2.dumps([-1]),
        cbor2.dumps([True]),
        cbor2.dumps([1.0]),
        cbor2.dumps(["1"]),
        cbor2.dumps([1 << 50]),
        cbor2.dumps([START_SLOT]) + b"\x00",
        b"\x81\x1b" + START_SLOT.to_bytes(8, "big"),
    ],
)
def test_what_is_no_tick_changes_nothing(keys: NetworkKeys, data: bytes):
    async def test():
        async with ingesting(keys, driven()) as rig:
            assert not await rig.ingest.control_tick(data)
            assert rig.ingest.now_ms() is None

    run(test)


def test_a_real_clock_is_not_driven(keys: NetworkKeys):
    async def test():
        async with ingesting(keys) as rig:
            assert not await rig.ingest.control_tick(tick(START_SLOT + 1))
            assert rig.ingest.now_ms() == START

    run(test)


# ---- who watches


def test_watchers_see_ids_kinds_and_positions(keys: NetworkKeys):
    station = SigningStation(1, keys.network_id)
    hello = station.hello(START)

    async def test():
        async with ingesting(keys) as rig:
            watcher = rig.live.watch()
            for data in (hello, b"garbage", hello):
                rig.source.submit(data, station.device, station.device)
            await rig.source.verdicts_on(3)
            first, second, third = await watcher.next(1)
            (entry,) = rig.stored.entries(0, 1)
            assert (first.position, first.message_id, first.kind) == (0, entry.message_id, 0)
            assert (second.position, second.message_id, second.kind) == (None, b"", None)
            assert (third.position, third.message_id) == (None, entry.message_id)
            assert {one.device for one in (first, second, third)} == {station.device}
            text = rig.metrics.render().decode()
            assert 'cairn_messages_total{verdict="ok"} 1.0' in text
            assert 'cairn_messages_total{verdict="duplicate"} 1.0' in text

    run(test)
