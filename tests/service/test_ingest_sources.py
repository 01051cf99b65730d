"""What must hold whichever way messages come: our endpoint and Mosquitto, with paho as the boards.

Every test runs twice. paho and Mosquitto are programs that nobody here wrote.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest

from gateway.core.genesis import SLOT_MS
from gateway.core.ids import device_name
from gateway.core.operator import OperatorKind
from gateway.core.registry import Policy
from gateway.core.verdicts import Verdict
from gateway.shell.errors import Code, OperatorFault
from gateway.shell.ingest import IngestLimits
from gateway.shell.network import DATABASE, NetworkKeys
from gateway.shell.store.sqlite import SqliteStore
from tests.service.gateway_rig import START, body_of
from tests.service.ingest_rig import driven, run
from tests.service.signing_station import SigningStation
from tests.service.source_rig import MOSQUITTO, SOURCES, Site

START_SLOT = START // SLOT_MS


@pytest.fixture
def stations(keys: NetworkKeys) -> list[SigningStation]:
    return [SigningStation(number, keys.network_id) for number in range(3)]


@pytest.fixture(params=SOURCES)
def site(
    request, keys: NetworkKeys, stations, tmp_path: Path, require_component
) -> Iterator[Site]:
    if request.param == MOSQUITTO:
        require_component("mosquitto")
    names = [device_name(station.device) for station in stations]
    site = Site(request.param, keys, tmp_path, names)
    yield site
    site.close()


def receipt_of(keys: NetworkKeys, device: bytes, data: bytes) -> list[object]:
    from gateway.core.downlink import Downlink

    return body_of(keys, Downlink(device, "receipt", data))


def stored(keys: NetworkKeys) -> list[bytes]:
    store = SqliteStore.open(keys.folder / DATABASE, keys.network_id)
    try:
        return [logged.data for logged in store.iterate()]
    finally:
        store.close()


def test_messages_are_stored_receipted_and_acknowledged(site: Site, keys, stations):
    station = stations[0]
    messages = [station.hello(START), *(station.reading(START + n, n) for n in range(50))]
    shuffled = [messages[0], *messages[:0:-1]]

    async def test():
        async with site.gateway() as served:
            client = site.client(station)
            assert await asyncio.to_thread(client.connect) == "Success"
            client.publish(*shuffled, messages[3], messages[3])
            events = await served.judged(53)
            assert [one.verdict for one in events] == [Verdict.OK] * 51 + [Verdict.DUPLICATE] * 2
            await asyncio.to_thread(client.wait_acked, 53)
            up_to = 0
            while up_to < 51:
                data = await asyncio.to_thread(client.wait_message, "receipt")
                up_to = receipt_of(keys, station.device, data)[0]
            client.close()
        assert stored(keys) == shuffled

    run(test)


def test_who_subscribes_later_gets_what_is_retained(site: Site, keys, stations):
    station = stations[0]

    async def test():
        async with site.gateway() as served:
            first = site.client(station)
            await asyncio.to_thread(first.connect)
            first.publish(station.hello(START))
            await served.judged(1)
            await asyncio.to_thread(first.wait_acked, 1)
            first.close()
            later = site.client(station)
            await asyncio.to_thread(later.connect)
            receipt = await asyncio.to_thread(later.wait_message, "receipt")
            assert receipt_of(keys, station.device, receipt)[0] == 1
            later.close()
            other = site.client(stations[1])
            await asyncio.to_thread(other.connect)
            assert await asyncio.to_thread(other.wait_message, "keys")
            assert other.messages.empty()
            other.close()

    run(test)


def test_what_is_wrong_gets_its_verdict_and_an_acknowledgement(site: Site, keys, stations):
    one, other, stranger = stations
    hello, reading = one.hello(START), one.reading(START, 5)
    cases = [
        (hello, Verdict.OK),
        (reading[:-1] + bytes([reading[-1] ^ 1]), Verdict.BAD_SIGNATURE),
        (other.hello(START), Verdict.TOPIC_MISMATCH),
        (reading + bytes(4_096), Verdict.OVERSIZE),
        (b"garbage", Verdict.UNSUPPORTED_TYPE),
        (b"", Verdict.TRUNCATED),
        (reading, Verdict.OK),
        (reading, Verdict.DUPLICATE),
    ]

    async def test():
        async with site.gateway() as served:
            client, unknown = site.client(one), site.client(stranger)
            await asyncio.to_thread(client.connect)
            await asyncio.to_thread(unknown.connect)
            client.publish(*(data for data, _ in cases))
            events = await served.judged(len(cases))
            verdicts = [event.verdict for event in events]
            # "garbage" is a byte string that ends too early, whatever follows.
            expected = [verdict for _, verdict in cases]
            expected[4] = Verdict.TRUNCATED
            assert verdicts == expected
            unknown.publish(stranger.reading(START, 1))
            events = await served.judged(len(cases) + 1)
            assert events[-1].verdict is Verdict.UNREGISTERED
            await asyncio.to_thread(client.wait_acked, len(cases))
            await asyncio.to_thread(unknown.wait_acked, 1)
            client.close()
            unknown.close()
        assert stored(keys) == [hello, reading]

    run(test)


def test_another_devices_topic_is_closed(site: Site, keys, stations):
    one, other = stations[:2]

    async def test():
        async with site.gateway() as served:
            client = site.client(other)
            await asyncio.to_thread(client.connect)
            own, client.topic = (
                client.topic,
                client.topic.replace(device_name(other.device), device_name(one.device)),
            )
            client.publish(one.hello(START))
            client.topic = own
            client.publish(other.hello(START))
            await asyncio.to_thread(client.wait_acked, 2)
            # The broker's access list drops the first without a word; the endpoint hands it on.
            expected = [Verdict.OK]
            if site.kind != MOSQUITTO:
                expected = [Verdict.TOPIC_MISMATCH, Verdict.OK]
            events = await served.judged(len(expected))
            assert [event.verdict for event in events] == expected
            client.close()

    run(test)


def test_over_the_rate_is_refused_until_time_has_passed(site: Site, stations):
    station = stations[0]
    limits = IngestLimits(device_messages_per_minute=60, device_messages_burst=3)

    async def test():
        async with site.gateway(limits=limits) as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(station.hello(START), *(station.reading(START, n) for n in range(4)))
            verdicts = [event.verdict for event in await served.judged(5)]
            assert verdicts == [Verdict.OK] * 3 + [Verdict.RATE_LIMITED] * 2
            await asyncio.to_thread(client.wait_acked, 5)
            client.close()

    run(test)


def test_a_station_waits_for_its_approval(site: Site, stations):
    station = stations[0]
    hello = station.hello(START)

    async def test():
        async with site.gateway(policy=Policy.APPROVED) as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(hello)
            assert (await served.judged(1))[0].verdict is Verdict.WAITING_APPROVAL
            await served.rig.worker.call(
                lambda gateway: gateway.operate(OperatorKind.APPROVE, [station.device], START)
            )
            client.publish(hello)
            assert (await served.judged(2))[1].verdict is Verdict.OK
            assert await asyncio.to_thread(client.wait_message, "receipt")
            client.close()

    run(test)


def test_a_stop_in_a_burst_acknowledges_only_what_is_stored(site: Site, keys, stations):
    station = stations[0]
    messages = [station.hello(START), *(station.reading(START, n) for n in range(600))]

    async def test():
        client = site.client(station) if site.kind == MOSQUITTO else None
        async with site.gateway() as served:
            client = client or site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(*messages)
            await served.judged(1)
        if site.kind == MOSQUITTO:
            # The broker acknowledges on its own; what the gateway did not take comes again.
            async with site.gateway() as served:
                await served.until(lambda: len(stored(keys)) == len(messages))
        else:
            assert set(client.acked) <= set(stored(keys))
            assert client.acked
        assert len(stored(keys)) == len(set(stored(keys)))
        client.close()

    run(test)


def test_what_was_not_committed_is_not_acknowledged_and_comes_again(site: Site, keys, stations):
    station = stations[0]
    hello, reading = station.hello(START), station.reading(START, 1)

    async def test():
        async with site.gateway() as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(hello)
            await served.judged(1)
            await asyncio.to_thread(client.wait_acked, 1)
            served.rig.store.fails = OperatorFault("full", "", "", Code.STORE_UNWRITABLE)
            client.publish(reading)
            with pytest.raises(OperatorFault):
                await served.rig.task
        assert stored(keys) == [hello]
        if site.kind != MOSQUITTO:
            assert client.acked == [hello]
        client.close()
        async with site.gateway() as served:
            if site.kind != MOSQUITTO:
                client = site.client(station)
                await asyncio.to_thread(client.connect)
                client.publish(reading)
            assert (await served.judged(1))[0].verdict is Verdict.OK
            client.close()
        assert stored(keys) == [hello, reading]

    run(test)


def test_a_driven_clock_waits_for_the_operators_tick(site: Site, keys, stations):
    station = stations[0]
    data = cbor2.dumps([START_SLOT + 2])

    async def test():
        async with site.gateway(clock=driven()) as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.publish(station.hello(START))
            await served.until(lambda: served.rig.ingest.queued == 1)
            assert stored(keys) == []
            await asyncio.to_thread(site.tick, data)
            assert (await served.judged(1))[0].recv_ms == START + 2 * SLOT_MS
            assert await asyncio.to_thread(client.wait_message, "tick")
            client.close()
        # A gateway that starts again is told the time once more: by the operator who has to
        # connect anew, or by the broker, which kept the newest tick.
        async with site.gateway(clock=driven()) as served:
            if site.kind != MOSQUITTO:
                await asyncio.to_thread(site.tick, data)
            await served.until(lambda: served.rig.ingest.now_ms() == START + 2 * SLOT_MS)

    run(test)


def test_a_device_cannot_drive_the_clock(site: Site, stations):
    station = stations[0]

    async def test():
        async with site.gateway(clock=driven()) as served:
            client = site.client(station)
            await asyncio.to_thread(client.connect)
            client.topic = f"{client.base}/control/tick"
            client.publish(cbor2.dumps([START_SLOT]))
            client.topic = f"{client.base}/{client.user}/up"
            client.publish(station.hello(START))
            # The access list drops it; the endpoint queues it as a message of no device.
            count = 1 if site.kind == MOSQUITTO else 2
            await served.until(lambda: served.rig.ingest.queued == count)
            assert served.rig.ingest.now_ms() is None
            client.close()

    run(test)
