"""The twelve flaws that a trial found in the embedded broker amqtt 0.12.1, in its order.

Each was reproduced there; decision 0007 has the list. Here each is what the endpoint must not do.
"""

import threading
import time

import pytest

from tests.service.endpoint_rig import (
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PREFIX,
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

GRANTED, RESUMED = b"\x20\x02\0\0", b"\x20\x02\1\0"


@pytest.fixture
def station():
    return Station(1)


def receipt(station, data, packet_id, flags=0):
    body = text(f"{station.down}/receipt") + packet_id.to_bytes(2, "big") + data
    return packet(0x32 | flags, body)


def subscribed(rig, station, **options):
    client = RawClient(rig.port)
    assert client.login(station, **options) in (GRANTED, RESUMED)
    client.send(subscribe_packet(f"{station.down}/#"))
    assert client.packet()[0] == 0x90
    return client


def test_flaw_1_what_was_acknowledged_is_not_lost_by_a_disconnect():
    stations = [Station(number) for number in range(1, 21)]
    with endpoint(ObedientIngest(acknowledge=False)) as rig:
        clients = [RawClient(rig.port) for _ in stations]
        for client, who in zip(clients, stations, strict=True):
            client.login(who)
            client.send(b"".join(publish_packet(who.up, b"%d" % i, i) for i in range(1, 31)))
        rig.until(lambda: len(rig.ingest.waiting) == 600)
        # Nothing is acknowledged before its verdict, so nothing acknowledged can be lost.
        rig.call(rig.ingest.finish)
        for client in clients:
            assert len(client.packets(30)) == 30
            client.send(DISCONNECT)
            assert client.closed()
            client.socket.close()
        assert len({(one.device, one.data) for one in rig.ingest.submissions}) == 600


def test_flaw_1_what_was_sent_before_a_disconnect_is_submitted(station):
    with endpoint(ObedientIngest(acknowledge=False)) as rig, RawClient(rig.port) as client:
        client.login(station)
        burst = [publish_packet(station.up, b"%d" % i, i) for i in range(1, 101)]
        client.send(b"".join([*burst, DISCONNECT]))
        while len(rig.ingest.submissions) < 100:
            rig.until(lambda: rig.ingest.waiting)
            rig.call(rig.ingest.finish)
        assert [one.data for one in rig.ingest.submissions] == [b"%d" % i for i in range(1, 101)]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("password", ["", "rubbish", "replayed", "another's"])
def test_flaws_2_and_3_a_stranger_with_a_boards_client_id_disturbs_nothing(
    station, clean, password
):
    with endpoint() as rig:
        replayed = station.password()
        tokens = {"replayed": replayed, "another's": Station(2).password()}
        with RawClient(rig.port) as board:
            board.send(connect_packet(station.name, station.name, replayed, clean=False))
            assert board.packet() == GRANTED
            board.send(subscribe_packet(f"{station.down}/#"))
            board.packet()
            with RawClient(rig.port) as stranger:
                token = tokens.get(password, password)
                asked = connect_packet(station.name, station.name, token, clean=clean)
                # What would come after a login is sent along, and must have no effect.
                stranger.send(asked + publish_packet(station.up, b"forged"))
                assert stranger.packet()[:3] == b"\x20\x02\0"
                assert stranger.closed()
            rig.to(station.device, "receipt", b"still here")
            assert board.packet() == receipt(station, b"still here", 1)
            assert rig.ingest.submissions == []
            # Nor is it remembered as somebody else's afterwards.
            board.send(DISCONNECT)
            assert board.closed()
        with RawClient(rig.port) as again:
            assert again.login(station, clean=False) == RESUMED
            assert again.packet() == receipt(station, b"still here", 1, flags=8)


def test_flaw_3_a_pending_login_takes_nothing_over(station):
    ingest = ObedientIngest()
    with endpoint(ingest) as rig, subscribed(rig, station) as board:
        ingest.hold_logins = True
        with RawClient(rig.port) as stranger:
            stranger.send(connect_packet(station.name, station.name, "rubbish", clean=True))
            rig.until(lambda: ingest._logins)
            rig.to(station.device, "receipt", b"mine")
            assert board.packet() == receipt(station, b"mine", 1)
            rig.call(ingest.answer_logins)
            assert stranger.packet() == b"\x20\x02\0\x04"
        board.send(PINGREQ)
        assert board.packet() == PINGRESP


def test_flaw_4_two_hundred_failed_logins_leave_nothing():
    with endpoint() as rig:
        for number in range(200):
            station = Station(1000 + number)
            with RawClient(rig.port) as client:
                clean = bool(number % 2)
                client.send(connect_packet(station.name, station.name, "wrong", clean=clean))
                assert client.packet() == b"\x20\x02\0\x04"
                assert client.closed()
        gone = rig.endpoint
        for left in (gone._sessions, gone._links, gone._waiting, gone._dirty, gone._halted):
            assert rig.call(len, left) == 0
        rig.settle()
        assert rig.call(len, gone._open) == 0
        assert rig.call(len, gone._tasks) == 0


def test_flaw_5_what_was_not_acknowledged_is_sent_again(station):
    with endpoint() as rig:
        board = subscribed(rig, station, clean=False)
        for number in range(50):
            rig.to(station.device, "receipt", b"%d" % number)
        first = board.packets(16)
        assert first == [receipt(station, b"%d" % i, i + 1) for i in range(16)]
        # Killed, not disconnected.
        board.socket.close()
        with RawClient(rig.port) as again:
            assert again.login(station, clean=False) == RESUMED
            assert again.packets(16) == [receipt(station, b"%d" % i, i + 1, 8) for i in range(16)]
            for packet_id in range(1, 17):
                again.send(packet(0x40, packet_id.to_bytes(2, "big")))
            # Of what waited, the newest: each receipt covers the ones before.
            assert again.packet() == receipt(station, b"49", 17)


def test_flaw_5_a_slow_reader_keeps_what_is_in_flight(station):
    """No time-out of ours takes a message out of flight while the connection lives."""
    with endpoint() as rig, subscribed(rig, station) as board:
        rig.to(station.device, "receipt", b"r")
        assert board.packet() == receipt(station, b"r", 1)
        rig.call(rig.endpoint._sweep)
        session = rig.endpoint._sessions.get(station.device)
        assert list(session._in_flight) == [1]
        board.send(packet(0x40, b"\0\1") + PINGREQ)
        assert board.packet() == PINGRESP
        assert list(session._in_flight) == []


def test_flaw_6_a_blocked_loop_costs_no_connection_and_no_message(station):
    with endpoint() as rig, RawClient(rig.port) as board:
        board.login(station, keepalive_s=1)
        board.send(subscribe_packet(f"{station.down}/#"))
        board.packet()
        rig.to(station.device, "receipt", b"before")
        assert board.packet() == receipt(station, b"before", 1)
        blocked = threading.Event()

        def block():
            blocked.set()
            time.sleep(2.0)  # the fault itself: nothing is served for longer than the keepalive

        rig.loop.call_soon_threadsafe(block)
        assert blocked.wait(10)
        board.send(PINGREQ + publish_packet(station.up, b"meanwhile", 3))
        assert board.packets(2) == [PINGRESP, b"\x40\x02\0\3"]
        assert rig.endpoint.ends == {}
        session = rig.endpoint._sessions.get(station.device)
        assert list(session._in_flight) == [1]


@pytest.mark.parametrize("acknowledge", [True, False])
def test_flaw_7_a_stop_in_a_burst_is_quick_and_frees_the_port(acknowledge):
    stations = [Station(number) for number in range(1, 101)]
    ingest = ObedientIngest(acknowledge=acknowledge)
    with endpoint(ingest) as rig:
        clients = [subscribed(rig, one) for one in stations]
        for client, one in zip(clients, stations, strict=True):
            client.send(b"".join(publish_packet(one.up, bytes(200), i) for i in range(1, 31)))
        for one in stations:
            rig.to(one.device, "receipt", bytes(400))
        rig.until(lambda: len(ingest.submissions) >= 100)
        began = time.monotonic()
        rig.call(rig.endpoint.stop)
        assert time.monotonic() - began < 5
        assert rig.endpoint._open == set()
        with pytest.raises(ConnectionRefusedError):
            RawClient(rig.port)
        for client in clients:
            client.socket.close()
        with endpoint(port=rig.port) as second, RawClient(second.port) as client:
            assert second.port == rig.port
            assert client.login(Station(500)) == GRANTED


def test_flaw_7_a_stop_does_not_wait_for_clients_that_do_not_read(station):
    with endpoint(stop_ms=200) as rig, RawClient(rig.port, receive_bytes=4096) as client:
        client.login(station)
        client.send(subscribe_packet(f"{PREFIX}/all/#"))
        client.packet()
        clog(rig, station)
        began = time.monotonic()
        rig.call(rig.endpoint.stop)
        assert time.monotonic() - began < 2


def clog(rig, station):
    """Write to all until this client's socket and our buffer for it are full."""
    link = rig.endpoint._links[station.device]
    for _ in range(10_000):
        rig.to(b"", "keys", bytes(4000))
        if link.connection.clogged_ms is not None:
            return
    pytest.fail("the socket swallowed 40 MB")


def test_flaw_8_keepalive_is_enforced(station):
    with endpoint() as rig, RawClient(rig.port) as client:
        client.login(station, keepalive_s=1)
        began = time.monotonic()
        assert client.closed()
        assert 1.4 < time.monotonic() - began < 10
        assert rig.endpoint.ends == {"keepalive": 1}


def test_flaw_8_a_socket_without_a_connect_is_closed():
    with endpoint(connect_timeout_ms=200) as rig:
        with RawClient(rig.port) as idle, RawClient(rig.port) as dribbling:
            dribbling.send(b"\x10\x7f\0\4MQ")
            assert idle.closed()
            assert dribbling.closed()
        assert rig.endpoint.ends == {"connect_timeout": 2}


def test_flaw_9_a_packet_has_a_greatest_size(station):
    mebibytes = 64
    with endpoint() as rig, RawClient(rig.port) as client:
        client.login(station)
        client.send(publish_packet(station.up, bytes(100_000), 1))
        assert client.packet() == b"\x40\x02\0\1"
        with pytest.raises(OSError):  # noqa: PT011 - whichever way the socket breaks
            client.send(publish_packet(station.up, bytes(mebibytes << 20), 2))
        assert client.closed()
        assert [one.oversize for one in rig.ingest.submissions] == [True, True]
        assert max(len(one.data) for one in rig.ingest.submissions) <= 8192
        assert rig.endpoint.ends == {"too_long": 1}


def test_flaw_9_before_a_login_it_is_far_smaller():
    with endpoint() as rig, RawClient(rig.port) as client:
        client.send(packet(0x10, bytes(1100)))
        assert client.closed()
        assert rig.endpoint.ends == {"too_long": 1}


def test_flaw_10_a_publish_that_is_not_allowed_is_seen_by_the_pipeline(station):
    other = Station(2)
    topics = [other.up, f"{PREFIX}/all/tick", f"{PREFIX}/control/tick", f"{other.down}/notice"]
    with endpoint() as rig, RawClient(rig.port) as client:
        client.login(station)
        for number, topic in enumerate(topics, 1):
            client.send(publish_packet(topic, b"spoof", number))
            assert client.packet() == b"\x40\x02" + number.to_bytes(2, "big")
        seen = [(one.device, one.sender) for one in rig.ingest.submissions]
        assert seen == [(other.device, station.device)] + [(None, station.device)] * 3


def test_flaw_11_retained_messages_come_only_to_whoever_subscribed(station):
    other = Station(2)
    with endpoint() as rig, RawClient(rig.port) as quiet:
        rig.to(b"", "tick", b"t")
        with subscribed(rig, other) as board:
            rig.to(other.device, "receipt", b"r")
            assert board.packet() == receipt(other, b"r", 1)
            assert quiet.login(station) == GRANTED
            rig.to(b"", "tick", b"u")
            quiet.send(PINGREQ)
            assert quiet.packet() == PINGRESP
            # Not even by asking for everything.
            quiet.send(subscribe_packet("#", f"{other.down}/#", f"{PREFIX}/+/down/#"))
            assert quiet.packet() == b"\x90\x05\0\1\x80\x80\x80"
            quiet.send(PINGREQ)
            assert quiet.packet() == PINGRESP


def test_flaw_12_what_waits_for_a_slow_client_is_bounded(station):
    with endpoint(slow_reader_ms=300) as rig, RawClient(rig.port, receive_bytes=4096) as client:
        client.login(station)
        client.send(subscribe_packet(f"{PREFIX}/all/#", f"{station.down}/#"))
        client.packet()
        clog(rig, station)
        link = rig.endpoint._links[station.device]
        session = rig.endpoint._sessions.get(station.device)
        buffered = rig.call(link._transport.get_write_buffer_size)
        for number in range(1000):
            rig.to(b"", "tick", b"%d" % number * 100)
            rig.to(station.device, "receipt", b"%d" % number)
        assert rig.call(link._transport.get_write_buffer_size) <= buffered
        assert len(session._waiting) + len(session._in_flight) <= 3
        # Nor is anything taken in from it, or its acknowledgements would pile up.
        client.send(publish_packet(station.up, b"x"))
        rig.settle()
        assert rig.ingest.submissions == []
        rig.eventually(lambda: rig.endpoint.ends["slow_reader"])
        # Not flushed first: whoever does not read would decide how long that takes.
        rig.eventually(lambda: not rig.endpoint._open, seconds=2)


def test_flaw_12_a_slow_client_that_reads_again_gets_the_newest(station):
    with endpoint() as rig, RawClient(rig.port, receive_bytes=4096) as client:
        client.login(station)
        client.send(subscribe_packet(f"{PREFIX}/all/#", f"{station.down}/#"))
        client.packet()
        clog(rig, station)
        for number in range(100):
            rig.to(b"", "tick", b"%d" % number)
            rig.to(station.device, "receipt", b"%d" % number)
        wanted = {packet(0x30, text(f"{PREFIX}/all/tick") + b"99"), receipt(station, b"99", 1)}
        while wanted:
            wanted.discard(client.packet())
        client.send(PINGREQ)
        assert client.packet() == PINGRESP
