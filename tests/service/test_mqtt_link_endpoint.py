"""The firmware's MQTT client at the gateway's own endpoint: both ends are ours, written apart."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from cairn import limits

from gateway.core.downlink import Downlink
from gateway.core.ids import parse_device
from tests.service.endpoint_rig import NETWORK, ObedientIngest, Rig, endpoint
from tests.service.mqtt_link_rig import Station

COUNT = 500


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the waits between connections are is tested in virtual time."""
    monkeypatch.setattr(limits, "BACKOFF_MS_MIN", 20)
    monkeypatch.setattr(limits, "REFUSED_BACKOFF_MS_MIN", 20)


def run_station(rig: Rig, use: Callable[[Station], Awaitable[None]]) -> None:
    async def run() -> None:
        station = Station(rig.port, network_id=NETWORK)
        await station.start()
        try:
            await use(station)
        finally:
            await station.stop()

    asyncio.run(run())


def device_of(station: Station) -> bytes:
    device = parse_device(station.login.device_name)
    assert device is not None
    return device


def test_everything_arrives_once_and_receipts_come_back() -> None:
    with endpoint() as rig:

        async def use(station: Station) -> None:
            sent = [b"%d" % number for number in range(COUNT)]
            for message in sent:
                assert await station.link.publish(message)
            await station.reach(lambda: len(rig.ingest.submissions) == COUNT)
            assert [one.data for one in rig.ingest.submissions] == sent
            device = device_of(station)
            await asyncio.to_thread(rig.to, device, "receipt", b"a receipt")
            assert await station.link.receive() == ("down/receipt", b"a receipt")
            await asyncio.to_thread(rig.to, b"", "tick", b"a tick")
            assert await station.link.receive() == ("all/tick", b"a tick")

        run_station(rig, use)


def test_what_is_retained_comes_with_the_subscription() -> None:
    ingest = ObedientIngest()
    with endpoint(ingest) as rig:

        async def use(station: Station) -> None:
            device = device_of(station)
            ingest.retained[device] = (Downlink(device, "receipt", b"the newest"),)
            connection = station.link._connection
            assert connection is not None
            connection.shut("cut")
            assert await station.link.receive() == ("down/receipt", b"the newest")
            assert station.link.connects == 2

        run_station(rig, use)


def test_a_gateway_that_commits_late_gets_nothing_twice() -> None:
    ingest = ObedientIngest(acknowledge=False)
    with endpoint(ingest) as rig:

        async def use(station: Station) -> None:
            for number in range(limits.MQTT_IN_FLIGHT_MAX):
                assert await station.link.publish(b"%d" % number)
            held = asyncio.create_task(station.link.publish(b"the ninth"))
            await station.reach(lambda: len(ingest.waiting) == limits.MQTT_IN_FLIGHT_MAX)
            assert not held.done()
            await asyncio.to_thread(rig.call, ingest.finish)
            assert await held
            await station.reach(lambda: len(ingest.waiting) == 1)
            assert len(ingest.submissions) == limits.MQTT_IN_FLIGHT_MAX + 1
            await asyncio.to_thread(rig.call, ingest.finish)

        run_station(rig, use)


def test_a_station_that_lost_its_counter_gets_in_again() -> None:
    with endpoint() as rig:

        async def use(station: Station) -> None:
            station.login._next = station.login._reserved = 1
            connection = station.link._connection
            assert connection is not None
            connection.shut("cut")
            await station.reach(
                lambda: station.link.connects == 2 and station.link.state() == "up"
            )
            assert rig.ingest.refusals == {"counter": 1}
            assert await station.link.publish(b"as before")

        run_station(rig, use)
