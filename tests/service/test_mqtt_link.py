"""The firmware's MQTT client on real sockets, against a broker that no one here wrote."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cairn import limits
from cairn.boards.base import Board
from cairn.node import Node

from tests.service.mqtt_link_rig import HOST, Mosquitto, Station, mosquitto
from tests.unit.firmware import conformance
from tests.unit.firmware.certificates import Authority, make_authority

QUICK, SOAK = 2_000, 70_000
SUBSCRIBER_S = 600


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the waits between connections are is tested in virtual time."""
    monkeypatch.setattr(limits, "BACKOFF_MS_MIN", 20)
    monkeypatch.setattr(limits, "REFUSED_BACKOFF_MS_MIN", 20)


@pytest.fixture
def broker(require_component) -> Iterator[Mosquitto]:
    with mosquitto(require_component("mosquitto")) as broker:
        yield broker


@pytest.fixture
def authority(require_component, tmp_path: Path) -> Authority:
    return make_authority(require_component("openssl"), tmp_path / "ca")


@contextmanager
def listening(broker: Mosquitto, topic: str, count: int) -> Iterator[Callable[[], list[bytes]]]:
    """mosquitto_sub on topic; gives a function that waits for count messages and returns them."""
    where = ["-h", HOST, "-p", str(broker.port), "-t", topic, "-q", "1", "-i", "far", "-c"]
    # Its session exists from here on: nothing is missed however late the reader itself starts.
    subprocess.run(["mosquitto_sub", *where, "-E"], check=True, timeout=30)
    command = ["mosquitto_sub", *where, "-F", "%x", "-C", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:

        def messages() -> list[bytes]:
            out, _ = reader.communicate(timeout=SUBSCRIBER_S)
            return [bytes.fromhex(line) for line in out.split()]

        try:
            yield messages
        finally:
            reader.kill()


def run_station(
    use: Callable[[Station], Awaitable[None]], port: int, ca: bytes | None = None
) -> None:
    async def run() -> None:
        station = Station(port, ca)
        await station.start()
        try:
            await use(station)
        finally:
            await station.stop()

    asyncio.run(run())


def send(broker: Mosquitto, topic: str, data: bytes, *options: str) -> None:
    where = ["-h", HOST, "-p", str(broker.port), "-q", "1", "-t", topic, "-s", *options]
    subprocess.run(["mosquitto_pub", *where], input=data, check=True, timeout=30)


@pytest.mark.parametrize("case", conformance.LINKS)
def test_conformance(case, broker: Mosquitto, require_component) -> None:
    require_component("mosquitto_sub")

    async def use(station: Station) -> None:
        far: list[bytes] = []

        class Waits:
            """The board of a case; in its long wait the messages get to the far end."""

            async def sleep(self, duration_ms: int) -> None:
                if duration_ms >= 1_000:
                    far.extend(await asyncio.to_thread(messages))
                else:
                    await station.board.sleep(duration_ms)

            def __getattr__(self, name: str) -> object:
                return getattr(station.board, name)

        def down(tail: str, data: bytes) -> None:
            own = station.base if tail.startswith("all/") else station.own + "/"
            send(broker, own + tail, data)

        board: Board = Waits()  # type: ignore[assignment]
        with listening(broker, station.own + "/up", 5) as messages:
            await case(board, station.link, far, down)

    run_station(use, broker.port)


def publish_many(broker: Mosquitto, count: int) -> None:
    async def use(station: Station) -> None:
        with listening(broker, station.own + "/up", count + 1) as messages:
            sent = [number.to_bytes(4, "big") + bytes(60) for number in range(count)]
            for message in sent:
                assert await station.link.publish(message)
            # Behind everything else; what came twice would have come before it.
            assert await station.link.publish(b"last")
            got = await asyncio.to_thread(messages)
        assert got == [*sent, b"last"]
        assert station.link.connects == 1

    run_station(use, broker.port)


def test_many_messages_on_one_connection(broker: Mosquitto, require_component) -> None:
    require_component("mosquitto_sub")
    publish_many(broker, QUICK)


@pytest.mark.nightly
def test_more_messages_than_there_are_packet_ids(broker: Mosquitto, require_component) -> None:
    """umqtt.simple hangs for ever behind packet id 65,535."""
    require_component("mosquitto_sub")
    publish_many(broker, SOAK)


def test_retained_downlinks_come_after_every_connect(broker: Mosquitto, require_component) -> None:
    require_component("mosquitto_pub")

    async def use(station: Station) -> None:
        send(broker, station.own + "/down/receipt", b"newest", "-r")
        assert await station.link.receive() == ("down/receipt", b"newest")
        broker.kill()
        await station.until("down")
        assert not await station.link.publish(b"nobody there")
        broker.start()
        send(broker, station.own + "/down/receipt", b"after the restart", "-r")
        await station.until("up")
        assert await station.link.receive() == ("down/receipt", b"after the restart")
        assert station.link.connects == 2

    run_station(use, broker.port)


def test_what_was_in_flight_survives_a_broker_that_was_killed(
    broker: Mosquitto, require_component
) -> None:
    require_component("mosquitto_sub")

    async def use(station: Station) -> None:
        # Stopped, so that it acknowledges nothing and then dies with it.
        assert broker.process is not None
        broker.process.send_signal(subprocess.signal.SIGSTOP)
        sent = [bytes([number]) for number in range(8)]
        for message in sent:
            assert await station.link.publish(message)
        station.gate.clear()
        broker.kill()
        broker.start()
        with listening(broker, station.own + "/up", len(sent)) as messages:
            station.gate.set()
            assert await asyncio.to_thread(messages) == sent

    run_station(use, broker.port)


def test_a_second_station_hears_nothing_of_the_first(broker: Mosquitto, require_component) -> None:
    require_component("mosquitto_pub")

    async def use(station: Station) -> None:
        other = Station(broker.port)
        await other.start()
        send(broker, station.own + "/down/receipt", b"for one")
        send(broker, station.base + "all/tick", b"for all")
        assert await other.link.receive() == ("all/tick", b"for all")
        got = [await station.link.receive(), await station.link.receive()]
        assert sorted(got) == [("all/tick", b"for all"), ("down/receipt", b"for one")]
        await other.stop()

    run_station(use, broker.port)


def test_a_whole_station(broker: Mosquitto, require_component) -> None:
    """Node, link and firmware signatures: the hello is what arrives first."""
    require_component("mosquitto_sub")

    async def use(station: Station) -> None:
        node = Node(station.board, station.link, station.config)
        hello = [station.board.public_key(), "test", [[0, 0, 1000]], [0, 0, 0], bytes(32), 1, None]
        with listening(broker, station.own + "/up", 1) as messages:
            station.board.spawn(node.run())
            await station.board.sleep(0)
            assert node.write(0, hello, (1_700_000_000_000, 1, 0))
            (message,) = await asyncio.to_thread(messages)
        assert message in [data for _, data in node.outbox.messages(0, 9, 9, _nothing, None)]

    run_station(use, broker.port)


def _nothing(first: int, last: int) -> bool:
    return False


# TLS.


def test_tls_with_the_right_authority_and_name(authority: Authority, require_component) -> None:
    with mosquitto(require_component("mosquitto"), authority.issue(HOST)) as broker:

        async def use(station: Station) -> None:
            for number in range(100):
                assert await station.link.publish(b"%d" % number)
            await station.reach(lambda: station.link._flight.oldest_ticks() is None)

        run_station(use, broker.port, authority.certificate.read_bytes())
        run_station(use, broker.port, authority.der())


def refused_for_good(port: int, ca: bytes) -> str:
    """The fault of a station that tries twice and never gets a connection."""

    async def run() -> str:
        station = Station(port, ca)
        station.board.spawn(station.link.run())
        asked = station.asked
        await station.reach(lambda: len(asked) == 2 and station.link.state() == "down")
        # It never asked for less than this CA.
        assert asked == [ca, ca]
        assert station.link.connects == 0
        await station.stop()
        return station.link.last_fault

    return asyncio.run(run())


def test_tls_of_another_authority_is_refused(
    authority: Authority, require_component, tmp_path: Path
) -> None:
    other = make_authority(require_component("openssl"), tmp_path / "other")
    with mosquitto(require_component("mosquitto"), authority.issue(HOST)) as broker:
        fault = refused_for_good(broker.port, other.certificate.read_bytes())
    assert fault.startswith("unreachable: TLS: ")
    assert "verify failed" in fault


def test_tls_of_another_name_is_refused(authority: Authority, require_component) -> None:
    with mosquitto(require_component("mosquitto"), authority.issue("other.test")) as broker:
        fault = refused_for_good(broker.port, authority.certificate.read_bytes())
    assert "verify failed" in fault


def test_a_broker_without_tls_is_no_way_out(authority: Authority, broker: Mosquitto) -> None:
    fault = refused_for_good(broker.port, authority.certificate.read_bytes())
    assert fault.startswith("unreachable")
