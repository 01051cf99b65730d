"""What comes down to MqttLink, from an honest broker and from others."""

import pytest
from cairn import limits, mqtt
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.firmware.bench_broker import CONNECT, PUBACK, LinkBench


def test_a_newer_downlink_takes_the_place_of_one_that_waits() -> None:
    bench = LinkBench().start()
    for number in range(100):
        bench.send("down/receipt", b"receipt %d" % number)
        bench.send("all/tick", b"tick %d" % number)
    assert bench.link.coalesced == 198
    assert bench.receive(3) == [("down/receipt", b"receipt 99"), ("all/tick", b"tick 99")]
    bench.send("all/tick", b"tick 100")
    bench.run(1)
    assert bench.link.coalesced == 198


def test_only_our_own_topics_are_taken() -> None:
    bench = LinkBench().start()
    other = "a" * 26
    for topic in (
        f"{bench.base}{other}/down/receipt",
        f"{bench.base}{bench.login.device_name}/up",
        f"{bench.base}{bench.login.device_name}/down/unheard-of",
        f"{bench.base}all/",
        f"cairn/1/{bytes(8).hex()}/all/tick",
        "",
        "$SYS/broker/uptime",
    ):
        bench.broker.send(mqtt.publish(topic.encode(), b"x", 0))
        bench.broker.send(mqtt.publish(topic.encode() + b"\xff", b"x", 9))
    bench.run(1)
    assert bench.link.unknown == 14
    assert bench.receive(1) == []
    assert bench.link.state() == "up"


def test_downlinks_of_qos_1_are_acknowledged_whatever_they_are() -> None:
    bench = LinkBench().start()
    bench.send("down/receipt", b"taken", 11)
    bench.send("down/receipt", bytes(limits.DOWNLINK_BYTES_MAX + 1), 12)
    bench.send("down/config-request", bytes(limits.DOWNLINK_LONG_BYTES_MAX), 13)
    bench.send("down/config-request", bytes(1 << 20), 14)
    bench.send("down/other", b"", 15)
    acknowledged = [int.from_bytes(packet.body, "big") for packet in bench.broker.of(PUBACK)]
    assert acknowledged == [11, 12, 13, 14, 15]
    assert (bench.link.oversize, bench.link.unknown) == (2, 1)
    assert [tail for tail, _ in bench.receive(3)] == ["down/receipt", "down/config-request"]
    assert len(bench.broker.connected_at) == 1


def test_receive_and_reader_do_not_wait_for_each_other() -> None:
    """Nobody calls receive(); pings and acknowledgements still work."""
    bench = LinkBench(keepalive_s=10).start()
    for number in range(200):
        bench.send("down/receipt", bytes(500), number + 1)
    bench.publish(*[b"x"] * 50)
    bench.run(60_000)
    assert bench.results == [True] * 50
    assert bench.link.state() == "up"


@pytest.mark.parametrize(
    "data,fault",
    [
        (b"HTTP/1.1 400 Bad Request\r\n" * 4, "mqtt: flags"),
        (b"\x34\x05\x00\x01a\x00\x01", "mqtt: qos"),
        (b"\x20\x02\x00\x00", "mqtt: order"),
        (b"\x90\x04\x00\x01\x01\x00", "mqtt: suback"),
        (b"\x10\x00", "mqtt: kind"),
        (b"\xff" * 100, "mqtt: length"),
    ],
)
def test_garbage_ends_the_connection_and_no_more(data: bytes, fault: str) -> None:
    bench = LinkBench().start()
    bench.broker.send(mqtt.publish(bench.topic("all/tick"), b"before it", 0) + data)
    bench.run(1)
    assert bench.link.last_fault == fault
    bench.run(2_000)
    assert bench.link.state() == "up"
    bench.publish(b"as before")
    assert bench.results == [True]
    assert bench.receive(1) == [("all/tick", b"before it")]


def test_a_packet_before_connack_ends_the_connection() -> None:
    bench = LinkBench()
    bench.broker.answers.remove(CONNECT)
    bench.start()
    bench.send("all/tick", b"early")
    assert bench.link.last_fault == "mqtt: order"
    assert bench.receive(1) == []


def test_a_stream_that_ends_inside_a_packet_leaves_nothing_behind() -> None:
    bench = LinkBench().start()
    whole = mqtt.publish(bench.topic("down/receipt"), bytes(400), 0)
    for cut in range(1, len(whole), 37):
        bench.broker.send(whole[:cut])
        bench.run(1)
        bench.broker.drop()
        bench.run(1)
        assert bench.link.state() == "down"
        while bench.link.state() != "up":
            bench.run(1_000)
        bench.send("down/receipt", b"whole")
        assert bench.receive(1) == [("down/receipt", b"whole")]
        bench.run(limits.LINK_BACKOFF_MS_MAX)


def test_single_bytes_are_as_good_as_whole_packets() -> None:
    bench = LinkBench()
    bench.broker.read_size = 1
    bench.start()
    bench.send("down/config-request", bytes(4000), 7)
    assert bench.receive(1) == [("down/config-request", bytes(4000))]


def test_a_peer_that_does_not_read_cannot_fill_the_heap() -> None:
    bench = LinkBench().start()
    bench.broker.stuck = True
    flood = b"".join(mqtt.publish(b"a", b"", number + 1) for number in range(30_000))
    bench.broker.send(flood)
    bench.run(1)
    connection = bench.link._connection
    assert connection is not None
    # One read's worth beyond the limit, and no more.
    assert len(connection._waiting) < limits.MQTT_WAITING_MAX + limits.MQTT_READ_BYTES // 7 + 2
    bench.run(30_000 + limits.MQTT_PING_ANSWER_MS + limits.MQTT_CHECK_MS)
    assert bench.link.last_fault == "no pingresp"
    bench.broker.stuck = False
    bench.run(limits.LINK_BACKOFF_MS_MAX)
    assert bench.link.state() == "up"


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8), st.integers(1, 40))
def test_no_bytes_hurt_more_than_their_connection(pieces: list[bytes], size: int) -> None:
    bench = LinkBench()
    bench.broker.read_size = size
    bench.start()
    for piece in pieces:
        bench.broker.send(piece)
        bench.run(10)
    bench.run(3 * limits.LINK_BACKOFF_MS_MAX)
    assert bench.link.state() == "up"
    bench.publish(b"as before")
    assert bench.results[-1] is True
