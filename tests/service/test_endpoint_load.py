"""Many connections, and more messages on one than packet ids: none lost, none twice.

The everyday sizes show that the tests work; `make nightly` takes the sizes that count.
"""

import resource
import selectors
import threading
from collections import Counter

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.service.endpoint_rig import (
    PREFIX,
    WAIT_S,
    ObedientIngest,
    RawClient,
    Station,
    connect_packet,
    endpoint,
    packet,
    publish_packet,
    subscribe_packet,
    text,
)

GRANTED = b"\x20\x02\0\0"


@pytest.fixture
def open_files():
    """Return a function that lets this process hold so many sockets; both ends are here."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow(connections):
        wanted = 2 * connections + 200
        hard = before[1]
        if hard != resource.RLIM_INFINITY:
            assert wanted <= hard, (
                f"this machine allows {hard} open files, the test needs {wanted}"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, before[0]), hard))

    yield allow
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("connections", [100, pytest.param(2_000, marks=pytest.mark.nightly)])
def test_many_connections_at_once(connections, open_files):
    open_files(connections)
    stations = [Station(number + 1) for number in range(connections)]
    with endpoint() as rig:
        clients = [RawClient(rig.port) for _ in stations]
        for client, one in zip(clients, stations, strict=True):
            client.send(connect_packet(one.name, one.name, one.password()))
        assert {client.packet() for client in clients} == {GRANTED}
        assert rig.endpoint.state().connections == connections
        for client, one in zip(clients, stations, strict=True):
            client.send(subscribe_packet(f"{one.down}/#", f"{PREFIX}/all/#"))
        assert {client.packet() for client in clients} == {b"\x90\x04\0\1\1\1"}
        for client, one in zip(clients, stations, strict=True):
            client.send(b"".join(publish_packet(one.up, b"%d" % i, i) for i in range(1, 21)))
        for client in clients:
            assert client.packets(20) == [b"\x40\x02\0" + bytes([i]) for i in range(1, 21)]
        counts = Counter((one.sender, one.data) for one in rig.ingest.submissions)
        assert len(counts) == 20 * connections
        assert set(counts.values()) == {1}
        rig.to(b"", "tick", b"t")
        tick = packet(0x30, text(f"{PREFIX}/all/tick") + b"t")
        assert {client.packet() for client in clients} == {tick}
        for client in clients:
            client.socket.close()


@pytest.mark.parametrize("count", [2_000, pytest.param(70_000, marks=pytest.mark.nightly)])
def test_more_messages_than_packet_ids_by_paho(count):
    station = Station(1)
    with endpoint() as rig:
        client = paho.Client(CallbackAPIVersion.VERSION2, station.name)
        client.username_pw_set(station.name, station.password())
        client.max_inflight_messages_set(500)
        # paho refuses a message whose id is still out: more than 65,535 may not wait.
        room = threading.BoundedSemaphore(1_000)
        client.on_publish = lambda *_: room.release()
        client.connect("127.0.0.1", rig.port)
        client.loop_start()
        for number in range(count):
            assert room.acquire(timeout=WAIT_S)
            client.publish(station.up, number.to_bytes(4, "big"), qos=1)
        for _ in range(1_000):
            assert room.acquire(timeout=WAIT_S)
        client.disconnect()
        client.loop_stop()
        came = [int.from_bytes(one.data, "big") for one in rig.ingest.submissions]
        assert came == list(range(count))


@pytest.mark.parametrize("count", [2_000, pytest.param(70_000, marks=pytest.mark.nightly)])
def test_more_messages_than_packet_ids_while_verdicts_come_late(count):
    """A raw client that keeps the socket full, and an ingest that answers in lumps of 16."""
    station = Station(1)
    ingest = ObedientIngest(acknowledge=False)
    with endpoint(ingest) as rig, RawClient(rig.port) as client:
        client.login(station)
        stop = threading.Event()

        def verdicts():
            while not stop.is_set():
                rig.until(lambda: ingest.waiting or stop.is_set())
                rig.call(ingest.finish, 16)

        judge = threading.Thread(target=verdicts)
        judge.start()
        acknowledged = pump(client, station, count)
        stop.set()
        ingest._tell()
        judge.join()
        assert acknowledged == [number % 65_535 + 1 for number in range(count)]
        came = [int.from_bytes(one.data, "big") for one in ingest.submissions]
        assert came == list(range(count))


def pump(client, station, count):
    """Send as much as the socket takes, read acknowledgements meanwhile; return their ids."""
    unsent, number, received = b"", 0, bytearray()
    client.socket.settimeout(0)
    with selectors.DefaultSelector() as selector:
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        selector.register(client.socket, both)
        while len(received) < 4 * count:
            if number == count and not unsent:
                selector.modify(client.socket, selectors.EVENT_READ)
            for _, ready in selector.select(30):
                if ready & selectors.EVENT_READ:
                    received += client.socket.recv(1 << 16)
                if ready & selectors.EVENT_WRITE:
                    if not unsent:
                        batch = range(number, min(number + 50, count))
                        unsent = b"".join(
                            publish_packet(station.up, i.to_bytes(4, "big"), i % 65_535 + 1)
                            for i in batch
                        )
                        number = batch.stop
                    unsent = unsent[client.socket.send(unsent) :]
    return [int.from_bytes(received[i + 2 : i + 4], "big") for i in range(0, len(received), 4)]
