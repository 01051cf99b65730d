"""The device endpoint on real sockets: the loop from login to acknowledgement, and its limits."""

import socket
import threading

import pytest

from gateway.core.downlink import Downlink
from gateway.shell.endpoint import Endpoint, EndpointOptions
from gateway.shell.errors import Code, OperatorFault
from tests.service.endpoint_rig import (
    DISCONNECT,
    NET_TAG,
    NETWORK,
    PINGREQ,
    PINGRESP,
    PREFIX,
    ObedientIngest,
    RawClient,
    Station,
    connect_packet,
    endpoint,
    net_tag,
    packet,
    publish_packet,
    subscribe_packet,
    text,
)

GRANTED, RESUMED = b"\x20\x02\0\0", b"\x20\x02\1\0"
STATION, OTHER, OPERATOR = Station(1), Station(2), Station(3)


def puback(packet_id):
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


@pytest.fixture
def rig():
    with endpoint() as made:
        yield made


@pytest.fixture
def station():
    return Station(1)


def test_a_message_travels_with_its_sender_and_tag(rig, station):
    with RawClient(rig.port) as client:
        assert client.login(station) == GRANTED
        client.send(publish_packet(station.up, b"hello", 7))
        assert client.packet() == puback(7)
    (one,) = rig.ingest.submissions
    assert (one.device, one.sender, one.data, one.net_tag, one.oversize) == (
        station.device,
        station.device,
        b"hello",
        NET_TAG,
        False,
    )


@pytest.mark.parametrize(
    "make,code,reason",
    [
        (lambda s: (s.name, s.name, "rubbish"), 4, "bad_token"),
        (lambda s: (s.name, s.name, ""), 4, "bad_token"),
        (lambda s: (s.name, s.name, s.password(counter=0)), 4, "bad_token"),
        (lambda s: (s.name, s.name, s.password(network=bytes(8))), 5, "wrong_network"),
        (lambda s: (s.name, s.name, OTHER.password(counter=1 << 40)), 5, "wrong_id"),
        (lambda s: (s.name, OTHER.name, s.password()), 5, None),
        (lambda s: ("gateway", "gateway", s.password()), 2, None),
    ],
)
def test_a_login_that_does_not_hold_is_refused_with_its_code(rig, station, make, code, reason):
    with RawClient(rig.port) as client:
        client.send(connect_packet(*make(station)))
        assert client.packet() == bytes([0x20, 2, 0, code])
        assert client.closed()
    assert list(rig.ingest.refusals) == ([reason] if reason else [])


def test_a_password_serves_once(rig, station):
    password = station.password()
    for expected in (GRANTED, b"\x20\x02\0\x05"):
        with RawClient(rig.port) as client:
            client.send(connect_packet(station.name, station.name, password))
            assert client.packet() == expected


def test_a_login_that_ingest_cannot_judge_is_unavailable(station):
    fault = OperatorFault("The disk is full.", "It is.", "Empty it.", Code.STORE_UNWRITABLE)
    with endpoint(ObedientIngest(failure=fault)) as rig, RawClient(rig.port) as client:
        assert client.login(station) == b"\x20\x02\0\x03"
        assert client.closed()


def test_a_bug_in_a_login_ends_the_connection_and_is_reported(station):
    with endpoint(ObedientIngest(failure=ZeroDivisionError())) as rig:
        reported = []
        rig.loop.set_exception_handler(lambda _, context: reported.append(context))
        with RawClient(rig.port) as client:
            assert client.login(station) == b""
        assert [type(one["exception"]) for one in reported] == [ZeroDivisionError]


def test_downlinks_reach_the_device_and_only_it(rig, station):
    other = Station(2)
    with RawClient(rig.port) as one, RawClient(rig.port) as two:
        for client, who in ((one, station), (two, other)):
            client.login(who)
            client.send(subscribe_packet(f"{who.down}/#", f"{PREFIX}/all/#"))
            assert client.packet() == b"\x90\x04\0\1\1\1"
        rig.to(station.device, "receipt", b"r")
        rig.to(b"", "tick", b"t")
        tick = packet(0x30, text(f"{PREFIX}/all/tick") + b"t")
        # The tick is written at once, the receipt with whatever else the device gets.
        receipt = packet(0x32, text(f"{station.down}/receipt") + b"\0\1r")
        assert sorted(one.packets(2)) == sorted([receipt, tick])
        assert two.packet() == tick
        two.send(PINGREQ)
        assert two.packet() == PINGRESP


def test_what_a_login_brings_is_retained_for_the_device(station):
    kept = Downlink(station.device, "receipt", b"kept")
    ingest = ObedientIngest(retained={station.device: (kept,)})
    with endpoint(ingest) as rig, RawClient(rig.port) as client:
        client.login(station)
        client.send(subscribe_packet(f"{station.down}/#"))
        assert client.packets(2) == [
            b"\x90\x03\0\1\1",
            packet(0x33, text(f"{station.down}/receipt") + b"\0\1kept"),
        ]


def test_the_receipt_and_the_acknowledgement_of_a_message_go_out_together(station):
    with endpoint(ObedientIngest(acknowledge=False)) as rig, RawClient(rig.port) as client:
        client.login(station)
        client.send(subscribe_packet(f"{station.down}/#"))
        client.packet()
        client.send(publish_packet(station.up, b"x", 5))
        rig.until(lambda: rig.ingest.waiting)

        def commit():
            rig.endpoint.send(Downlink(station.device, "receipt", b"old"))
            rig.endpoint.send(Downlink(station.device, "receipt", b"new"))
            rig.ingest.finish()

        rig.call(commit)
        assert client.packets(2) == [
            puback(5),
            packet(0x32, text(f"{station.down}/receipt") + b"\0\1new"),
        ]


def test_a_newer_login_takes_over_and_the_older_connection_ends(rig, station):
    with RawClient(rig.port) as old, RawClient(rig.port) as new:
        old.login(station, clean=False)
        old.send(subscribe_packet(f"{station.down}/#"))
        old.packet()
        assert new.login(station, clean=False) == RESUMED
        assert old.closed()
        rig.to(station.device, "receipt", b"r")
        assert new.packet() == packet(0x32, text(f"{station.down}/receipt") + b"\0\1r")
        assert rig.endpoint.ends["taken_over"] == 1
        assert rig.endpoint.state().connections == 1


def test_an_unregistered_device_keeps_no_session(station):
    with endpoint(ObedientIngest(registered=False)) as rig:
        for _ in range(2):
            with RawClient(rig.port) as client:
                assert client.login(station, clean=False) == GRANTED
                client.send(DISCONNECT)
                assert client.closed()
        rig.settle()
        assert rig.call(len, rig.endpoint._sessions) == 0


def test_the_operator_drives_the_clock_and_nobody_else(station):
    operator = Station(3)
    tick = f"{PREFIX}/control/tick"
    with endpoint(ObedientIngest(operators={operator.device})) as rig:
        with RawClient(rig.port) as client:
            client.login(operator)
            client.send(subscribe_packet(f"{PREFIX}/all/#", qos=0))
            assert client.packet() == b"\x90\x03\0\1\0"
            client.send(publish_packet(tick, b"\x81\x07", 9))
            assert client.packet() == puback(9)
        assert rig.ingest.ticks == [b"\x81\x07"]
        with RawClient(rig.port) as client:
            client.login(station)
            client.send(publish_packet(tick, b"\x81\x08", 9))
            assert client.packet() == puback(9)
        assert rig.ingest.ticks == [b"\x81\x07"]
        (one,) = rig.ingest.submissions
        assert (one.device, one.sender) == (None, station.device)


def test_under_pressure_nothing_is_taken_in_but_logins_and_the_operator(station):
    operator = Station(3)
    ingest = ObedientIngest(acknowledge=False, queue_max=4, operators={operator.device})
    with endpoint(ingest) as rig, RawClient(rig.port) as board, RawClient(rig.port) as other:
        board.login(station)
        board.send(b"".join(publish_packet(station.up, b"x", i) for i in range(1, 11)))
        rig.until(lambda: ingest.pressed)
        taken = len(ingest.submissions)
        # A client that was let in meanwhile waits as well.
        second = Station(2)
        assert other.login(second) == GRANTED
        other.send(publish_packet(second.up, b"y", 1))
        with RawClient(rig.port) as client:
            client.login(operator)
            client.send(publish_packet(f"{PREFIX}/control/tick", b"\x81\x07", 9))
            assert client.packet() == puback(9)
        assert len(ingest.submissions) == taken

        def relieve():
            ingest.queue_max = 1000
            ingest.press(pressed=False)

        rig.call(relieve)
        rig.until(lambda: len(ingest.waiting) == 11)
        rig.call(ingest.finish)
        assert board.packets(10) == [puback(i) for i in range(1, 11)]
        assert other.packet() == puback(1)


def test_silence_under_pressure_is_not_the_clients(station):
    with endpoint() as rig, RawClient(rig.port) as board:
        board.login(station, keepalive_s=1)
        rig.call(rig.ingest.press, pressed=True)
        board.send(PINGREQ)
        link = rig.endpoint._links[station.device]
        rig.eventually(lambda: link._paused)
        rig.call(link.expire, rig.call(rig.endpoint.now_ms) + 3_600_000)
        rig.call(rig.ingest.press, pressed=False)
        assert board.packet() == PINGRESP
        assert rig.endpoint.ends == {}


def test_a_burst_waits_in_the_socket_while_verdicts_are_due(station):
    with endpoint(ObedientIngest(acknowledge=False)) as rig, RawClient(rig.port) as client:
        client.login(station)
        data = b"".join(publish_packet(station.up, bytes(200), i) for i in range(1, 1001))
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        for taken in range(32, 1001, 32):
            rig.until(lambda taken=taken: len(rig.ingest.submissions) >= taken)
            rig.settle()
            assert len(rig.ingest.submissions) == taken
            rig.call(rig.ingest.finish)
        rig.until(lambda: len(rig.ingest.submissions) == 1000)
        rig.call(rig.ingest.finish)
        assert client.packets(1000) == [puback(i) for i in range(1, 1001)]
        sender.join()


def test_when_full_the_oldest_stranger_gives_way_and_a_board_does_not(station):
    with endpoint(connections_max=2) as rig:
        with RawClient(rig.port) as board, RawClient(rig.port) as stranger:
            board.login(station)
            rig.settle()
            with RawClient(rig.port) as newcomer:
                assert stranger.closed()
                assert newcomer.login(Station(2)) == GRANTED
                with RawClient(rig.port) as late:
                    assert late.closed()
                board.send(PINGREQ)
                assert board.packet() == PINGRESP
        assert rig.endpoint.ends["full"] == 2


def test_nagle_is_off(rig, station):
    with RawClient(rig.port) as client:
        client.login(station)
        link = rig.endpoint._links[station.device]
        served = link._transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert served.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_port_in_use_is_a_fault_with_advice(rig):
    second = Endpoint(ObedientIngest(), NETWORK, net_tag, EndpointOptions(port=rig.port))
    with pytest.raises(OperatorFault) as caught:
        rig.call(second.start)
    assert caught.value.code == Code.LISTEN_FAILED
    assert str(rig.port) in caught.value.what


def test_the_state_tells_what_is_there(rig, station):
    state = rig.endpoint.state()
    assert (state.name, state.up, state.connections) == ("endpoint", True, 0)
    assert state.address == f"mqtt://127.0.0.1:{rig.port}"
    with RawClient(rig.port) as client:
        client.login(station)
        assert rig.endpoint.state().connections == 1
        rig.call(rig.endpoint.stop_reading)
        assert not rig.endpoint.state().up


def test_after_stop_reading_nothing_more_is_submitted_and_acknowledgements_go_out(station):
    with endpoint(ObedientIngest(acknowledge=False)) as rig, RawClient(rig.port) as client:
        client.login(station)
        client.send(publish_packet(station.up, b"x", 1))
        rig.until(lambda: rig.ingest.waiting)
        rig.call(rig.endpoint.stop_reading)
        client.send(publish_packet(station.up, b"y", 2))
        with pytest.raises(ConnectionRefusedError):
            RawClient(rig.port)
        rig.call(rig.ingest.finish)
        rig.call(rig.endpoint.stop)
        assert client.packet() == puback(1)
        assert client.closed()
        assert len(rig.ingest.submissions) == 1
